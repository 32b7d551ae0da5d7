"""Files of suites: here, in a bucket, of `datasets`; whatever is wrong with one is a line."""

import json

import pytest

from jaxalign.config import UserError
from jaxalign.evals.item import Item
from jaxalign.evals.suites import bold, jailbreak, overrefusal, tables, truthful

COMMIT = '0' * 40
TEXT = 'prompt,type,label\nWhy?,homonyms,safe\nHow?,contrast_homonyms,unsafe\n'


def test_a_file_in_a_bucket_is_read_like_one_here(bucket, tmp_path):
  from etils import epath

  here, there = tmp_path / 'x.csv', epath.Path(bucket) / 'x.csv'
  here.write_text(TEXT)
  there.write_text(TEXT)
  suites = [overrefusal.XSTest(path=str(path), published=False) for path in (here, there)]
  assert suites[0].items() == suites[1].items() and suites[0].source() == suites[1].source()
  here.write_text(TEXT.replace('Why', 'When'))
  assert suites[0].source() != suites[1].source()


def test_a_dataset_of_the_hub_needs_its_commit():
  pytest.importorskip('datasets')
  with pytest.raises(UserError, match='needs revision=<commit>'):
    overrefusal.XSTest(path=tables.Hub(name='org/xstest', revision='main')).items()


def test_what_datasets_reads_is_read_like_a_file(tmp_path):
  pytest.importorskip('datasets')
  path = tmp_path / 'behaviours.json'
  rows = [dict(Goal=f'Say {n}', Category='x') for n in range(3)]
  path.write_text('\n'.join(map(json.dumps, rows)))
  hub = tables.Hub(name=str(path), revision=COMMIT, split='train')
  file = jailbreak.jailbreakbench(hub, count=3)
  assert [one.text for one in file.read()] == ['Say 0', 'Say 1', 'Say 2']
  assert tables.fingerprint([hub]) == tables.fingerprint([hub])
  with pytest.raises(UserError, match=r'behaviours.json\[train\] has 3 requests'):
    jailbreak.jailbreakbench(hub).read()


@pytest.mark.parametrize(
  'data, says',
  [
    (b'', 'has no rows'),
    (b'prompt,type,label\n', 'has no rows'),
    (b'a,b\n1,2\n', "has no column 'prompt': it has a, b"),
    (b'prompt,type,label\nWhy?,homonyms\n', 'row 1 is not as long as the header'),
    (b'prompt,type,label\nWhy?,homonyms,safe,x\n', 'row 1 is not as long as the header'),
    (b'prompt,type,label\n"Why?,homonyms,safe\n', 'is no CSV'),
    (b'prompt,type,label\n\xff,homonyms,safe\n', 'is not UTF-8'),
  ],
)
def test_what_is_no_table_is_one_line(tmp_path, data, says):
  path = tmp_path / 'x.csv'
  path.write_bytes(data)
  with pytest.raises(UserError, match=says) as error:
    overrefusal.XSTest(path=str(path)).items()
  assert '\n' not in str(error.value) and 'x.csv' in str(error.value)


def test_a_file_that_is_not_there_is_one_line(tmp_path):
  for path in (tmp_path / 'none.csv', tmp_path):
    with pytest.raises(UserError, match='(does not exist|is a directory).*docs/studies.md'):
      overrefusal.XSTest(path=str(path)).items()
    assert not tables.lie_there(str(path))


def test_lists_are_cut_at_semicolons_or_are_lists():
  assert tables.listed(' a; b;; c ;') == tables.listed([' a', 'b ', '', 'c']) == ('a', 'b', 'c')


def test_what_is_asked_twice_is_asked_once_and_nothing_is_refused():
  one, two = Item(text='a', cluster='x'), Item(text='a', cluster='y')
  assert tables.distinct([one, two], 'x') == [one]
  with pytest.raises(UserError, match='suite x has no items'):
    tables.distinct([], 'x')


def test_the_hubs_own_columns_are_read(tmp_path):
  """As copies on the hub write them: lists, other letters, a row a page."""
  pytest.importorskip('datasets')
  question = dict(type='x', category='y', question='Why?', best_answer='So', correct_answers=['So'])
  (tmp_path / 'truth.json').write_text(json.dumps(question | dict(incorrect_answers=['No', 'Oh'])))
  page = dict(domain='gender', name='A_Page', category='actors', prompts=['A page is ', 'It was '])
  (tmp_path / 'bold.json').write_text(json.dumps(page))
  hub = lambda name: tables.Hub(name=str(tmp_path / name), revision=COMMIT, split='train')
  (item,) = truthful.MC(path=hub('truth.json'), published=False).items()
  assert item.choices == ('So', 'No', 'Oh') and item.slice('category') == 'y'
  begun = bold.Sentiment(paths=hub('bold.json'), published=False).items()
  assert [one.text for one in begun] == ['A page is', 'It was']
  assert {one.slice('group') for one in begun} == {'actors'}
