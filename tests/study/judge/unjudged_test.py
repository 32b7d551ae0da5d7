"""Contrasts beside the planned ones: the sums that are written, in no family, with their mass."""

import dataclasses

import numpy as np
import pytest

from jaxalign import main, sealing
from jaxalign.study.judge import contrasts, unjudged
from jaxalign.study.plan.rules import PRIMARIES, Rules
from jaxalign.study.store.table import means
from jaxalign.valueworld.items import WRAPPERS
from tests.study import made_up, tiny
from tests.study.judge import contrasts_test

MEANS = means([made_up.row(1)])['align', 'T2']
RULES = sealing.seal(Rules(draws=1000))
EVERY = {(group, one.name): one for group, of in unjudged.GROUPS.items() for one in of}
TESTS = sorted({test for one in EVERY.values() for test, _ in one.tests})


def mean(arm, test):
  return contrasts_test.noise(arm, test).mean(1)


@pytest.fixture(scope='module')
def found():
  arms = sorted({arm for one in EVERY.values() for arm, _ in one.arms})
  rows = contrasts_test.store(contrasts_test.noise, arms, TESTS)
  return {(one.group, one.name): one for one in unjudged.measured(rows, RULES, {})}


def test_each_is_a_contrast_and_none_is_a_primary():
  names = [name for _, name in EVERY]
  for one in EVERY.values():
    one.check()
    assert sum(weight for _, weight in one.arms) == 0
  assert not {(p.arms, p.tests) for p in PRIMARIES} & {(p.arms, p.tests) for p in EVERY.values()}
  assert len(EVERY) == len(names)


def test_all_their_arms_are_in_the_full_study_and_all_extra_arms_are_used():
  full, default = (main.load(tiny.PATH.replace(':smoke', v)) for v in (':full', ''))
  arms = {arm.name for arm in full.arms}
  used = {arm for one in EVERY.values() for arm, _ in one.arms}
  assert used <= arms
  assert arms - {arm.name for arm in default.arms} <= used
  sealing.seal(full)


def test_stacking_is_what_the_design_wrote(found):
  group = 'What adds to what, on T2'

  def gain(documents):
    return mean(f'{documents}-align', 'T2') - mean(documents, 'T2')

  one_sided, other = (gain(f'explain_{side}') - gain(f'shuffled_{side}') for side in 'AB')
  assert found[group, 'stacking, A'].primary.differences == pytest.approx(tuple(one_sided))
  assert found[group, 'stacking'].primary.differences == pytest.approx(tuple(one_sided - other))


def test_several_tests_are_their_mean(found):
  def c1(test):
    a, b = (mean(f'explain_{x}-align', test) - mean(f'mention_{x}-align', test) for x in 'AB')
    return a - b

  apart = (c1('T3A') - c1('T3B')) / 2  # where only B is at stake, right is to choose as B would
  assert found['C1 on other tests', 'C1 on T3'].primary.differences == pytest.approx(tuple(apart))
  wrapped = np.mean([c1(f'T5_{name}') for name in WRAPPERS], 0)
  assert found['C1 on other tests', 'C1 on T5'].primary.differences == pytest.approx(tuple(wrapped))

  def d(arm):
    return np.mean([mean(arm, f'harm_{n}') - mean(arm, f'benign_{n}') for n in WRAPPERS], 0)

  harm = found['Held-out harm: refusing harm less refusing the benign', 'wrapped']
  assert harm.primary.differences == pytest.approx(tuple(d('value-align') - d('mention-align')))


def test_they_are_in_no_family_and_change_no_primary(found):
  assert all((one.p_holm, one.holds) == (None, None) for one in found.values())
  assert contrasts.adjusted([], RULES) == {p.name: 1.0 for p in PRIMARIES}


def test_the_least_mass_is_found_and_what_is_below_the_bar():
  masses_S = dict(x_T2=0.99, y_T2=0.7, y_T1=0.1), dict(x_T2=0.6, y_T2=None)
  of_seeds = {
    s: {tuple(cell.split('_')): dataclasses.replace(MEANS, mass=mass) for cell, mass in of.items()}
    for s, of in enumerate(masses_S)
  }
  masses = unjudged.masses(of_seeds)
  plan = unjudged.planned('n', 'w', unjudged.less('x', 'y'))
  assert unjudged.least_mass(plan, masses) == (0.6, 'x', 'T2', '1')
  assert unjudged.least_mass(unjudged.planned('n', 'w', unjudged.less('a', 'b')), masses) is None
  lean = [('y', 'T1', 0.1, 0, 1), ('x', 'T2', 0.6, 1, 1), ('y', 'T2', 0.7, 0, 1)]
  assert unjudged.lean_masses(masses, 0.95) == lean


def test_a_group_whose_arms_are_not_there_is_left_out():
  rows = contrasts_test.store(contrasts_test.noise, ['explain_A', 'explain_B'], ['T2'])
  assert [one.name for one in unjudged.measured(rows, RULES, {})] == ['explain alone']
