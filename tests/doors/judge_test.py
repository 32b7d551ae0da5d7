"""jaxalign judge sample and calibrate: from runs to a sheet, and back with a person's labels."""

import csv
import json

import pytest

from jaxalign.config import UserError
from jaxalign.doors import judge
from jaxalign.evals.evaluated import About, Answer, Evaluated
from jaxalign.evals.item import Item


def evaluated(path):
  """A run of 40 answers, of which its judge calls 10 refusals and a person 14."""
  items = {item.id: item for item in (Item(text=f'{path} {n}') for n in range(40))}
  answers = tuple(
    Answer(
      suite='xstest',
      item=id,
      draw=0,
      text='refusal' if n < 14 else 'compliance',
      labels={'words': 'refusal' if n < 10 else 'compliance'},
    )
    for n, id in enumerate(items)
  )
  about = About(model=path, fingerprint=path, judges={'words': 'w'})
  return Evaluated(label=path, about=about, items=items, rows=(), answers=answers)


def command(*words):
  return judge.run(['judge', *map(str, words)], read=evaluated)


def labelled(path):
  """The sheet as an honest person fills it."""
  rows = list(csv.DictReader(path.open(newline='')))
  with path.open('w', newline='') as file:
    writer = csv.DictWriter(file, rows[0])
    writer.writeheader()
    writer.writerows(dict(row, label=row['answer']) for row in rows)


def test_from_runs_to_rates(tmp_path, capsys):
  sheet, numbers = tmp_path / 'sheet.csv', tmp_path / 'found.json'
  assert command('sample', 'a', 'b', f'--out={sheet}', '--n=80') == 0
  said = capsys.readouterr().out
  assert f'80 answers in {sheet}; labels: refusal, compliance, degenerate, off topic' in said
  key = tmp_path / 'sheet.key.json'
  assert 'whoever labels does not see it' in said and json.loads(key.read_text())['seed'] == 0
  labelled(sheet)
  assert command('calibrate', sheet, f'--key={key}', f'--out={numbers}') == 0
  said = capsys.readouterr().out
  assert 'words on a, xstest: 40 of 40 answers labelled; agreement 0.900' in said
  assert 'refusal: judge 0.250; person 0.350 (' in said and 'sensitivity 0.71' in said
  assert 'person refusal, judge compliance: 4 (10.0%)' in said
  first, second = json.loads(numbers.read_text())
  assert (first['arm'], second['arm']) == ('a', 'b')
  assert first['rates']['refusal']['powered'].keys() == {'mean', 'low', 'high'}
  assert command('calibrate', sheet, f'--key={key}', '--arm=b') == 0
  assert 'words on a' not in capsys.readouterr().out
  with pytest.raises(UserError, match='c has no labels of its own'):
    command('calibrate', sheet, f'--key={key}', '--arm=c')


def test_labels_are_never_written_over(tmp_path):
  sheet = tmp_path / 'sheet.csv'
  command('sample', 'a', f'--out={sheet}', '--n=8')
  before = sheet.read_bytes()
  with pytest.raises(UserError, match='may hold labels'):
    command('sample', 'a', f'--out={sheet}', '--n=8')
  with pytest.raises(UserError, match='sheet.key.json is there'):
    command('sample', 'a', f'--out={tmp_path / "other.csv"}', f'--key={tmp_path}/sheet.key.json')
  assert sheet.read_bytes() == before and not (tmp_path / 'other.csv').exists()


@pytest.mark.parametrize(
  'words, message',
  [
    ((), 'the word sample or calibrate'),
    (('runs/a',), 'the word sample or calibrate'),
    (('sample', '--out=x.csv'), 'directories of evaluations'),
    (('sample', 'a'), '--out is missing'),
    (('sample', 'a', '--out=x.csv', '--n=0'), '--n=0: at least 1'),
    (('sample', 'a', '--out=x.csv', '--n=3'), 'n=3 is too few'),
    (('sample', 'a', '--out=x.csv', '--judge=gold'), 'no judge gold'),
    (('sample', 'a', 'a', '--out=x.csv'), 'labels of their own'),
    (('sample', 'a', '--wrong=1'), 'judge sample --help'),
    (('calibrate',), 'one sheet and its key'),
    (('calibrate', 'x.csv'), 'one sheet and its key'),
    (('calibrate', 'x.csv', '--key=nowhere.json'), 'nowhere.json'),
  ],
)
def test_bad_input_is_one_line(words, message, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  with pytest.raises(UserError, match=message) as error:
    command(*words)
  assert '\n' not in str(error.value) and not list(tmp_path.iterdir())


def test_help_lists_the_flags(capsys):
  assert command('sample', '--help') == 0
  assert '--seed' in capsys.readouterr().out
