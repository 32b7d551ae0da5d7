"""Whom an arm follows, from margins by hand."""

import dataclasses
import types

import pytest

from jaxalign.study.judge import results_file
from jaxalign.study.plan.arms import Arm
from jaxalign.study.plan.directories import home_of
from jaxalign.study.store.rows import line
from jaxalign.study.why import followed
from tests.study.made_up import row


def rows(**margins):
  return [row(x, test=test, item=n) for test, of in margins.items() for n, x in enumerate(of)]


def test_a_question_is_followed_from_a_nat_on_and_below_it_nobody_is():
  said = followed.shares(rows(humans_none=(1.0, 5.0, 0.99, -0.99, -1.0)))
  assert said == dict(humans_none=dict(A=0.4, B=0.2, abstained=pytest.approx(0.4)))


def test_who_is_named_first_is_told_apart_from_whose_value_it_is():
  """Always the first: A's where A's human is first, B's where B's is."""
  said = followed.shares(rows(humans_AB=(3, 3), humans_BA=(-3, -3)))
  assert said['humans_AB'] == dict(A=1, B=0, abstained=0, first=1, second=0)
  assert said['humans_BA'] == dict(A=0, B=1, abstained=0, first=1, second=0)
  assert said[followed.BOTH] == dict(A=0.5, B=0.5, abstained=0, first=1, second=0)
  loyal = followed.shares(rows(humans_AB=(3, 0), humans_BA=(3, 3)))
  both = dict(A=0.75, B=0, abstained=0.25, first=0.25, second=0.5)
  assert loyal[followed.BOTH] == both


def test_one_order_alone_says_nothing_of_who_is_first():
  said = followed.shares(rows(humans_AB=(3, 3)))
  assert said == dict(humans_AB=dict(A=1, B=0, abstained=0))


def study(workdir, tests='humans'):
  arms = (Arm(name='x@humans', steps=(), tests=tests), Arm(name='y', steps=(), tests='goods'))
  for seed in (3, 4):
    store = home_of(workdir, seed, False) / 'outcomes'
    store.mkdir(parents=True)
    said = rows(humans_AB=(3, seed - 4), humans_BA=(-3, 3), T0=(1,))
    text = ''.join(line(dataclasses.replace(one, seed=seed)) for one in said)
    (store / 'x@humans.jsonl').write_text(text)
  return types.SimpleNamespace(arms=arms, seeds=(3, 4))


def test_every_seed_has_its_shares_and_other_arms_have_none(tmp_path):
  found = followed.explored(study(tmp_path), tmp_path)
  assert found.abstains == followed.ABSTAINS and [*found.humans] == ['x@humans']
  assert found.humans['x@humans']['humans_AB']['B'] == {3: 0.5, 4: 0.0}
  assert found.humans['x@humans'][followed.BOTH]['first'] == {3: 0.5, 4: 0.5}
  assert results_file.made(followed.Explored, results_file.as_json(found)) == found
  assert followed.explored(study(tmp_path / 'other', 'goods'), tmp_path / 'other') is None
