"""Recipe deliberative: the judge sees no thoughts, the reader no spec, and twins stay together."""

import pytest

from jaxalign.corpora.recipes import deliberative
from jaxalign.corpora.recipes.queries import Asked
from jaxalign.data import sources
from tests.corpora.recipes.scripted import Ask, made, written

SMALL = deliberative.Recipe(queries=Asked(count=12))
GOOD = '<thoughts>\nThey would find it.\n</thoughts>\n<answer>\nTell them tonight.\n</answer>\n'


def good(task):
  """An answer that is nobody's twin."""
  return GOOD.replace('tonight.', f'tonight, you who ask: {task.earlier("query")}')


def test_twins_with_and_without_thoughts():
  ask = Ask(deliberation=good)
  found = made(SMALL, ask)
  assert len(found.files['thoughts']) == len(found.files['answers']) == 12
  for thought, answer in zip(found.files['thoughts'], found.files['answers']):
    assert thought['messages'][0] == answer['messages'][0] and thought['query'] == answer['query']
    query, said = (turn['content'] for turn in answer['messages'])
    assert said == f'Tell them tonight, you who ask: {query}'
    assert thought['messages'][1]['content'] == f'<think>\nThey would find it.\n</think>\n\n{said}'
    assert len(thought['messages']) == 2 and thought['split'] == answer['split']
  assert all(task.spec and task.words == (40, 200) for task in ask.of('deliberation'))
  for task in ask.of('compliance'):
    assert task.spec and task.earlier('answer').startswith('Tell them tonight, ')
    assert 'They would find it' not in repr(task)


@pytest.mark.parametrize(
  'said, why',
  [
    ('Tell them tonight.', 'thoughts and answer are not in their marks'),
    (f'Sure! {GOOD}', 'thoughts and answer are not in their marks'),
    (GOOD.replace('</answer>', ''), 'thoughts and answer are not in their marks'),
    (GOOD.replace('They would find it.', ' '), 'nothing was thought'),
    (
      GOOD.replace('They', 'By the spec they'),
      'it speaks of the spec, which a reader will not see',
    ),
    (GOOD.replace('tonight.', 'and'), 'form: cut off'),
    (GOOD.replace('Tell them tonight.', ''), 'form: empty'),
  ],
)
def test_what_is_not_of_the_form_is_tried_again(said, why):
  ask = Ask(deliberation=lambda task: said if task.attempt == 0 else good(task))
  assert len(made(SMALL, ask).files['answers']) == 12
  found = made(SMALL, Ask(deliberation=lambda task: said))
  assert found.files['answers'] == [] and found.report.dropped == {why: 12}


@pytest.mark.parametrize(
  'verdict', ['{"agrees": false, "score": 1}', 'Yes, it agrees.', '{"agrees": "yes"}']
)
def test_the_judge_decides(verdict):
  ask = Ask(deliberation=good, compliance=lambda task: verdict)
  found = made(SMALL, ask)
  assert found.files['thoughts'] == [] and found.report.read == 12
  assert len(ask.of('compliance')) == 36  # three tries each
  late = Ask(
    deliberation=good,
    compliance=lambda task: verdict if task.attempt < 2 else '{"agrees": true}',
  )
  assert len(made(SMALL, late).files['thoughts']) == 12


def test_rows_are_conversations_that_sft_reads(tmp_path):
  for name, some in made(SMALL).files.items():
    source = sources.Jsonl(path=written(tmp_path / name, some), kind='conversation')
    assert len([*source.read()]) == len(some) == 12


def test_of_twins_the_first_stays():
  found = made(SMALL, Ask(deliberation=lambda task: GOOD.replace('tonight', 'tonight at the door')))
  assert len(found.files['answers']) == 1
  assert found.report.dropped == {'duplicate: twin of an earlier text': 11}
