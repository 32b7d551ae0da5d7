"""What README and docs name is there, and the tree in docs/layout.md has every file."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *sorted((ROOT / 'docs').glob('*.md'))]
MADE_UP = {'configs/mine.py', 'configs/eval_mine.py'}  # the reader's own
OURS = r'(?:jaxalign|configs|launch|benchmarks|tests|docs)/[\w/.-]*\w\.(?:py|md|png)'


def tree():
  """{folder: what the tree says of it}, from the block of docs/layout.md."""
  block = (ROOT / 'docs' / 'layout.md').read_text().split('```')[1]
  found, above = {}, []
  for line in block.splitlines():
    head = re.match(r'((?:  ){0,2})(\w+)/(?:\s|$)', line)
    if head:
      above = [*above[: len(head[1]) // 2], head[2]]
      here = '/'.join(above)
    if line:
      found[here] = found.get(here, '') + line + '\n'
  return found


@pytest.mark.parametrize('folder', [f for f in tree() if f not in ('configs', 'tests')])
def test_the_tree_has_every_file_and_no_other(folder):
  there = {path.name for path in (ROOT / folder).glob('*.py')} - {'__init__.py'}
  assert set(re.findall(r'\b\w+\.py\b', tree()[folder])) == there


def test_the_tree_has_every_folder():
  rooms = {p.parent.relative_to(ROOT) for p in (ROOT / 'jaxalign').rglob('__init__.py')}
  assert {room.as_posix() for room in rooms} <= set(tree())


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_files_that_are_named_are_there(page):
  named = set(re.findall(OURS, page.read_text())) - MADE_UP
  assert [name for name in named if not (ROOT / name).exists()] == []
  links = re.findall(r'\]\(([^)#:]+)\)', page.read_text())
  assert [link for link in links if not (page.parent / link).exists()] == []


def test_readme_is_one_screen_that_leads_on():
  """What it is for, the two commands, one picture, and where to go next."""
  text = (ROOT / 'README.md').read_text()
  assert len(text.splitlines()) <= 60
  assert re.search(r'^make demo .*\nmake test ', text, re.M)
  assert text.count('<img ') == 1 and 'src="docs/why.png"' in text and 'Not shown' in text
  assert {'docs/tutorial.md', 'docs/running.md', 'docs/layout.md'} <= set(re.findall(OURS, text))
