"""The site's hook: links that hold in the site, and pages made of the root's files."""

import importlib.util
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def hook(monkeypatch):
  monkeypatch.syspath_prepend(str(ROOT / 'docs'))  # as mkdocs does for its hooks
  found = importlib.util.spec_from_file_location('site_hook', ROOT / 'docs' / 'site_hook.py')
  module = importlib.util.module_from_spec(found)
  found.loader.exec_module(module)
  return module


@pytest.mark.parametrize(
  'page, text, wanted',
  [
    ('tpu.md', '[a](ppo.md)', '[a](ppo.md)'),
    ('tpu.md', '![a](card.png)', '![a](card.png)'),
    ('tpu.md', '[a](../CONTRIBUTING.md#x)', '[a](CONTRIBUTING.md#x)'),
    ('tpu.md', '[a](../docs/ppo.md)', '[a](ppo.md)'),
    ('tpu.md', '[a](../README.md)', 'a (`README.md`)'),
    ('tpu.md', '[a](../pyproject.toml)', 'a (`pyproject.toml`)'),
    ('CONTRIBUTING.md', '[a](docs/ppo.md)', '[a](ppo.md)'),
    ('CHANGELOG.md', '[a](CONTRIBUTING.md)', '[a](CONTRIBUTING.md)'),
    ('tpu.md', '[a](missing.md)', '[a](missing.md)'),
    ('tpu.md', '[a](../../outside.md)', '[a](../../outside.md)'),
    ('tpu.md', '[a](https://x.org/b.md)', '[a](https://x.org/b.md)'),
    ('reference/sft.md', '[a](shared.md#b)', '[a](shared.md#b)'),
  ],
)
def test_a_link_holds_in_the_site(hook, page, text, wanted):
  assert hook.mended(f'see {text}, and', page) == f'see {wanted}, and'


def test_pages_of_the_root_and_of_the_code_are_there(hook, monkeypatch):
  monkeypatch.setattr(hook.fields, 'pages', lambda: dict(sft='# sft'))
  made = hook.made()
  assert made['reference/sft.md'] == '# sft'
  assert made['CHANGELOG.md'] == (ROOT / 'CHANGELOG.md').read_text()
  assert 'jaxalign compare' in made['reference/command.md']
  for path in (ROOT / 'configs').glob('[a-z]*.py'):
    assert f'## {path.stem}\n' in made['reference/configs.md']
  assert 'None' not in made['reference/configs.md'].split('```')
