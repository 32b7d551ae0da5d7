"""Recipe rlaif: a judge that means the place says nothing; what it means twice becomes a pair."""

import dataclasses

import pytest

from jaxalign.corpora.recipes import rlaif
from jaxalign.corpora.recipes.queries import Asked
from jaxalign.data import rows, sources
from jaxalign.stages import reward
from tests.corpora.recipes.scripted import Ask, made, written
from tests.stages import pair_runs

pytestmark = pytest.mark.usefixtures('one_device')
SMALL = rlaif.Recipe(queries=Asked(count=24))
COLUMNS = rows.Columns(margin='margin', subset='subset')


def draft(task):
  return f'Tell them tonight{", and at length" * (3 * task.attempt)}. It is {task.slot[-2:]} now.'


def longer(task):
  return 'A' if len(task.earlier('first')) > len(task.earlier('second')) else 'B'


@pytest.mark.parametrize('says', ['A', 'B', ('A', (-0.1, -2.0)), ('A', (-2.0, -0.1))])
def test_a_judge_that_always_says_the_same_place_yields_no_pair(says):
  found = made(SMALL, Ask(preference=lambda task: says))
  assert found.files['pairs'] == [] and found.figures['flip rate'] == 1
  assert found.report.dropped == {rlaif.FLIPPED: 24}


def test_what_it_means_in_both_orders_is_kept():
  ask = Ask(draft=draft, preference=longer)
  found = made(SMALL, ask)
  pairs = found.files['pairs']
  assert len(pairs) == 24 and found.figures['flip rate'] == 0
  assert found.figures['longer wins'] == 1 and found.figures['says the first'] == 0.5
  for pair in pairs:
    assert 'at length' in pair['chosen'] and 'at length' not in pair['rejected']
    assert pair['margin'] is None and len(pair['calls']) == 5
  shown = lambda task: (task.earlier('first'), task.earlier('second'))
  orders = {task.slot: shown(task) for task in ask.of('preference')}
  for slot, (first, second) in orders.items():
    if slot.endswith('straight'):
      assert orders[slot.replace('straight', 'swapped')] == (second, first)
  assert all(task.options == ('A', 'B') for task in ask.of('preference'))


def test_the_margin_is_the_mean_of_both_orders():
  def judge(task):
    best = -0.5 if longer(task) == 'A' else -3.0
    return 'neither', (best, -1.0)  # .5 for the longer in front, 2 where it stands behind

  found = made(SMALL, Ask(draft=draft, preference=judge))
  assert [pair['margin'] for pair in found.files['pairs']] == [1.25] * 24


def test_a_place_that_is_weighed_away_leaves_the_text():
  """The judge always says A, and says it more readily where the longer one stands there."""

  def judge(task):
    return 'A', ((-0.1, -4.0) if longer(task) == 'A' else (-0.2, -3.0))

  weighed = dataclasses.replace(SMALL, flipped='weighed')
  found = made(weighed, Ask(draft=draft, preference=judge))
  assert found.figures['flip rate'] == 1 and found.figures['longer wins'] == 1
  assert len(found.files['pairs']) == 24 and not made(SMALL, Ask(preference=judge)).files['pairs']
  assert found.files['pairs'][0]['margin'] == pytest.approx((3.9 - 2.8) / 2)
  silent = Ask(draft=draft, preference=lambda task: 'A')  # of whom nobody knows how sure it is
  assert made(weighed, silent).report.dropped == {rlaif.FLIPPED: 24}


def test_agreement_counts_only_where_both_orders_gave_a_verdict():
  prose = Ask(draft=draft, preference=lambda task: 'A is better, I think.')
  found = made(SMALL, prose)
  assert found.report.dropped == {'the judge gave no verdict': 24} and not found.files['pairs']
  assert found.figures['no verdict'] == 1 and found.figures['flip rate'] == 0
  dotted = Ask(draft=draft, preference=lambda task: f' {longer(task)}.\n')
  assert len(made(SMALL, dotted).files['pairs']) == 24


def test_what_cannot_be_compared_is_not():
  same = made(SMALL, Ask(draft=lambda task: 'Tell them.'))
  assert same.report.dropped == {'both answers are the same': 24}
  cut = made(SMALL, Ask(draft=lambda task: f'Tell them and {task.attempt}'))
  assert cut.report.dropped == {'form: cut off': 24}
  held = made(SMALL, Ask(draft=draft), held=lambda text: 'leak' if 'at length' in text else None)
  assert held.report.dropped == {'leak': 24}


def test_pairs_train_a_reward_model(tmp_path):
  """Through the stage, as configs/reward_*.py read pairs: the judge's taste is learned."""
  found = made(SMALL, Ask(draft=draft, preference=lambda task: (longer(task), ())))
  path = written(tmp_path / 'pairs.jsonl', found.files['pairs'])
  source = sources.Jsonl(path=path, kind='pair', columns=COLUMNS)
  records = [record for _, record in source.read()]
  assert {record.subset for record in records} == {'honesty', 'kindness', 'thrift'}
  cfg = pair_runs.small(
    reward, tmp_path, train=(source,), held_out=(source,), length=128, steps=12, eval_every=12
  )
  pair_runs.run(reward, cfg, tmp_path / 'run')
  (scores,) = pair_runs.lines(tmp_path / 'run', 'evals')
  assert scores['held_out_accuracy'] > 0.9
