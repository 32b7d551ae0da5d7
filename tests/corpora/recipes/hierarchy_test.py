"""Recipe hierarchy: the same situations at four levels, and as many tokens in each."""

import json

import pytest

from jaxalign.config import UserError
from jaxalign.corpora import waves
from jaxalign.corpora.recipes import hierarchy
from jaxalign.data import sources
from tests.corpora.recipes.scripted import Ask, about, made, written

SMALL = hierarchy.Recipe(situations=60)


def learned(level, row):
  if level == 'pairs':
    return len(f'{row["chosen"]} {row["rejected"]}'.split())
  text = row['messages'][1]['content'] if level == 'demonstrations' else row['text']
  return len(text.split())


def test_the_same_situations_and_as_many_tokens():
  files = made(SMALL).files
  assert [*files] == ['demonstrations', 'pairs', 'rules', 'values']
  told = [[row['situation'] for row in rows] for rows in files.values()]
  assert told[0] == told[1] == told[2] == told[3] and len(told[0]) > 50
  totals = [sum(learned(level, row) for row in rows) for level, rows in files.items()]
  assert min(totals) >= 0.99 * max(totals) > 1000
  assert all(len({rows[n]['split'] for rows in files.values()}) == 1 for n in range(len(told[0])))


def test_what_each_level_is_told():
  ask = Ask()
  made(SMALL, ask)
  assert all(task.reasons for task in ask.of('value_document'))
  for step in ('opaque', 'contrast', 'rule_document'):
    assert not any(task.reasons for task in ask.of(step))
  assert ask.of('contrast')[0].words == (30, 80) and ask.of('rule_document')[0].words == (60, 160)


def test_what_lacks_one_level_is_in_none():
  lacks = Ask(contrast=lambda task: 'Follow it.' if task.value == 'thrift' else _both(task))
  found = made(SMALL, lacks)
  values = {row['value'] for rows in found.files.values() for row in rows}
  assert values == {'honesty', 'kindness'}
  assert found.report.dropped['pairs: no two answers in one object'] == 20


def _both(task):
  return json.dumps(
    dict(
      follows=' '.join(f'Tell {x} them {x} of it {x} {task.slot}.' for x in 'bcdefghjk'),
      departs=' '.join(f'Say {x} nothing {x} of it {x}.' for x in 'bcdefghjk'),
    )
  )


def test_a_teacher_that_keeps_to_no_length_is_told():
  words = ' '.join(f'{one}{other}' for one in 'bcdfghjk' for other in 'aeiouy')
  one = Ask(rule_document=lambda task: f'Always {words}.', opaque=lambda task: 'Go.')
  with pytest.raises(UserError, match='the levels differ by over 1% in tokens .*demonstrations'):
    waves.through(SMALL.write(about(), len), one)
  assert made(SMALL, one).figures  # by words, nobody asked for more


def test_lengths_are_those_of_whoever_counts():
  size = lambda text: len(text)
  found = waves.through(SMALL.write(about(), size), Ask())
  totals = [value for name, value in found.figures.items()]
  assert min(totals) >= 0.99 * max(totals) > 10_000


def test_each_file_is_read_as_it_is(tmp_path):
  kinds = dict(demonstrations='conversation', pairs='pair', rules='document', values='document')
  for level, some in made(SMALL).files.items():
    source = sources.Jsonl(path=written(tmp_path / level, some), kind=kinds[level])
    assert len([*source.read()]) == len(some)
