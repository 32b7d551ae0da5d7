"""Rows on disk: they come back as they were, and what is no row is named by its line."""

import dataclasses
import json

import pytest

from jaxalign.config import UserError
from jaxalign.study.store import rows
from tests.study import made_up

OF_WORLD = made_up.row(-1.5, seed=3, mass=0.9)
OF_TEXT = made_up.row(0.25, test='safe', unit='nats a token', raw=2.0, tokens=(9, 8))
EVERY = [OF_WORLD, dataclasses.replace(OF_WORLD, after='ppo', kl=1.25), OF_TEXT]


def written(path, lines):
  path.write_text(''.join(lines))
  return path


def test_they_come_back(tmp_path):
  path = written(tmp_path / 'outcomes.jsonl', map(rows.line, EVERY))
  assert rows.read(path) == EVERY


def test_a_line_says_what_there_is_and_in_which_unit():
  world, after, text = (json.loads(rows.line(row)) for row in EVERY)
  assert list(world)[:3] == ['seed', 'after', 'arm'] and world['unit'] == 'nats'
  assert world['loss'] is None and not {'kl', 'raw', 'tokens'} & set(world)
  assert after['kl'] == 1.25 and text['tokens'] == [9, 8] and text['unit'] == 'nats a token'


def test_rows_of_older_studies_are_read(tmp_path):
  """They say no unit, and whole numbers may be written as such."""
  old = json.loads(rows.line(EVERY[0])) | dict(margin=-1)
  del old['unit'], old['yes']
  (row,) = rows.read(written(tmp_path / 'old.jsonl', [json.dumps(old)]))
  assert (row.margin, row.unit, row.yes) == (-1, 'nats', False)


@pytest.mark.parametrize(
  'tokens, unit', [([9, 8], 'nats a token'), ([9], 'sentiment'), (None, 'nats')]
)
def test_the_unit_of_an_older_row_is_told_by_its_tokens(tmp_path, tokens, unit):
  old = json.loads(rows.line(EVERY[2])) | dict(tokens=tokens)
  del old['unit']
  (row,) = rows.read(written(tmp_path / 'old.jsonl', [json.dumps(old)]))
  assert row.unit == unit


@pytest.mark.parametrize(
  'line, says',
  [
    ('{"seed": 0', 'line 2 cannot be read'),
    ('7', "line 2: '7' is no row"),
    ('{"seed": 0, "arm": "x"}', 'line 2: a row without test, item, cluster'),
    (dict(margin='high'), "margin='high': it takes a float"),
    (dict(right=1), "right='1': it takes true or false"),
    (dict(seed=True), "seed='True': it takes an int"),
    (dict(prompt=None), "prompt='None': it takes text"),
    (dict(unit='miles'), "unit='miles': it takes one of nats, nats a token, sentiment"),
    (dict(tokens=[1.5]), 'tokens='),
    (dict(mass='much'), "mass='much': it takes a float or none"),
    (dict(arm=chr(0xD800)), 'arm holds half a surrogate pair'),
  ],
)
def test_a_broken_store_is_one_line(tmp_path, line, says):
  good = json.loads(rows.line(EVERY[0]))
  broken = line if isinstance(line, str) else json.dumps(good | line)
  path = written(tmp_path / 'outcomes.jsonl', [json.dumps(good), '\n', broken, '\n'])
  with pytest.raises(UserError) as error:
    rows.read(path)
  assert says in str(error.value) and '\n' not in str(error.value)


def test_a_margin_that_is_not_finite_is_left_to_who_makes_a_table_of_it(tmp_path):
  good = json.loads(rows.line(EVERY[0]))
  path = written(tmp_path / 'outcomes.jsonl', [json.dumps(good | dict(margin=float('nan')))])
  assert rows.read(path)[0].margin != rows.read(path)[0].margin


def test_an_empty_store_and_none(tmp_path):
  with pytest.raises(UserError, match='is empty'):
    rows.read(written(tmp_path / 'outcomes.jsonl', []))
  with pytest.raises(UserError, match='cannot be read'):
    rows.read(tmp_path / 'nowhere')
