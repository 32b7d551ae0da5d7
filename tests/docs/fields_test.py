"""The reference of configs: every field is on a page with its type, range, default and comment."""

import dataclasses
import importlib.util
import pathlib
import re

import pytest

from jaxalign import ranges, sealing
from jaxalign.evals.judges import http, refusal
from jaxalign.evals.suites import jailbreak, overrefusal
from jaxalign.models import qwen3
from jaxalign.stages import evaluate, explain, ppo
from jaxalign.study.why import whyworld

ROOT = pathlib.Path(__file__).resolve().parents[2]


def loaded(name):
  """A file of docs/, which is no package: mkdocs finds its hooks by their paths as well."""
  found = importlib.util.spec_from_file_location(name, ROOT / 'docs' / f'{name}.py')
  module = importlib.util.module_from_spec(found)
  found.loader.exec_module(module)
  return module


fields = loaded('fields')


@dataclasses.dataclass(kw_only=True)
class Above:
  # Said above,
  # in two lines.
  lines: ranges.Count | None = None
  beside: str = 'a|b'  # a * and a | and <i>
  plain: tuple[ranges.Share, ...] = ()
  told: int = 1  # by who is above


@dataclasses.dataclass(kw_only=True)
class Below(Above):
  """A config with what is above it."""

  told: int = 2  # by who is below

  given: float


@pytest.fixture(scope='module')
def pages():
  return fields.pages()


def section(pages, cls):
  """The rows of a config, by field: cells."""
  head = f'{{ #{fields.anchor_of(cls)} }}'
  text = pages[fields.page_of(cls)].split(head)[1].split('\n## ')[0]
  rows = [line.split(' | ') for line in text.splitlines() if line.startswith('| `')]
  return {row[0].removeprefix('| ').strip('`'): row for row in rows}


def test_every_field_of_every_config_has_a_row(pages):
  for cls in fields.classes():
    rows = section(pages, cls) if dataclasses.fields(cls) else {}
    assert list(rows) == list(sealing.field_types(cls)), cls
    assert all(len(row) == 4 for row in rows.values()), cls


@pytest.mark.parametrize(
  'cls',
  [
    explain.Config,
    ppo.Config,
    evaluate.Config,
    qwen3.Config,
    overrefusal.XSTest,
    jailbreak.Grid,
    refusal.Words,
    http.Http,
    whyworld.WhyWorld,
  ],
)
def test_what_a_config_file_can_name_is_there(cls):
  assert cls in fields.classes()


def test_a_row_has_type_range_default_and_comment(pages):
  row = section(pages, explain.Config)['length']
  assert row[1:] == ['an int at least 2 and at most 16,777,216', '`2048`', 'tokens in a row |']
  assert section(pages, explain.Config)['format'][2] == 'must be given'
  assert 'AdamW](shared.md#jaxalign-config-AdamW) or ' in section(pages, explain.Config)['optim'][1]


def test_comments_above_and_beside_are_of_their_field_and_escaped():
  notes = fields.notes_of(Below)
  assert notes['lines'] == 'Said above, in two lines.'
  assert notes['plain'] == '' and notes['given'] == ''
  assert notes['told'] == 'by who is below'
  rows = fields.section(Below).splitlines()
  assert 'A config with what is above it.' in rows
  assert '| `lines` | an int at least 1 and at most 2,147,483,647 or none | `None` |' in rows[8]
  assert rows[9].endswith('a &#42; and a &#124; and &lt;i&gt; |')
  assert rows[10].startswith('| `plain` | a tuple (a float above 0 and at most 1, ...) | `()` |')
  assert rows[12] == '| `given` | a float | must be given |  |'


def test_every_link_has_its_place(pages):
  links = 0
  for name, text in pages.items():
    for page, mark in re.findall(r'\]\(([\w]*?)(?:\.md)?#([\w-]+)\)', text):
      assert f'{{ #{mark} }}' in pages[page or name], (name, mark)
      links += 1
  assert links > 100


def test_pages_are_the_same_every_time(pages):
  assert not re.search(r' at 0x|object at|functools', ''.join(pages.values()))


def test_the_site_shows_every_page(pages):
  nav = (ROOT / 'mkdocs.yml').read_text().split('nav:')[-1]
  assert set(re.findall(r'reference/(\w+)\.md', nav)) - {'command', 'configs'} == set(pages)
  written = {path.name for path in (ROOT / 'docs').glob('*.md')}
  assert written <= set(re.findall(r' ([\w/]+\.md)', nav))


def test_a_page_names_the_classes_that_a_field_takes():
  kinds = sealing.field_types(explain.Config)
  assert sealing.takes(kinds['model']) == 'Config or Config'
  assert sealing.takes(kinds['model'], fields.name_of) == 'llama2.Config or phi2.Config'
