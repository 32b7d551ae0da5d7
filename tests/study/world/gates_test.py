"""Gates of ValueWorld, from rows by hand."""

import dataclasses

import pytest

from jaxalign.study.plan.directories import aligned_last
from jaxalign.study.store.rows import Row
from jaxalign.study.store.table import means
from jaxalign.study.world import gates
from tests.study import tiny

CFG = tiny.plan()


def row(arm, test, margin, **changes):
  about = dict(seed=0, arm=arm, test=test, item=0, cluster='c', prompt='p')
  said = dict(margin=margin, right=margin > 0, yes=margin > 0)
  return Row(**about | said | changes)


def test_steering_is_after_A_less_after_B():
  rows = [row('explain_A-align', 'T2', 3.0), row('explain_B-align', 'T2', -1.0)]
  assert gates.steered(rows) == dict(explain=4.0)
  assert gates.steered(rows[:1]) == {}


def rows_of_gates(**margins):
  base = [row('base', test, 1.0) for test in ('G0', 'G0H', 'G0b', 'G0bH')]
  inside = [
    row(
      arm,
      'T0',
      sign * margins.get(arm, 1.0),
      loss=0.1,
      mass=0.99,
      yes=sign > 0,
      right=margins.get(arm, 1.0) > 0,
    )
    for arm in ('align', 'explain_A-align', 'explain_A')
    for sign in (1, -1)
  ]
  return base + inside + [row('explain_A', 'G1', 2.0)]


def values(rows):
  return {name: of[0] for name, of in gates.values(CFG, {0: means(rows)}).items()}


def test_gates_are_the_worst_of_what_they_are_about():
  found = values(rows_of_gates())
  assert found['G0'] == found['G0b'] == found['G2'] == 1.0 and found['G1'] == 2.0
  assert found['G3'] == 0 and found['G4'] == pytest.approx(0.99)
  bad = rows_of_gates()
  bad[1] = dataclasses.replace(bad[1], right=False)  # helpers of the background
  assert values(bad)['G0'] == 0.0
  assert values(rows_of_gates(align=-1.0))['G2'] == 0.0


def test_the_mass_is_of_all_that_is_judged_and_of_nothing_else():
  rows = rows_of_gates()
  rows += [row(arm, 'T2', 1.0, mass=0.98) for arm in ('explain_A-align', 'align-explain_A')]
  assert values(rows)['G4'] == pytest.approx(0.98)
  low = dict(mass=0.5, loss=0.1)
  assert values([*rows, row('align-explain_A', 'T2', 1.0, **low)])['G4'] < 0.8  # of C5
  for arm, test in (('explain_A', 'T2'), ('explain_A', 'T0'), ('explain_A-align', 'T5_rook')):
    assert values([*rows, row(arm, test, 1.0, **low)])['G4'] == pytest.approx(0.98)
  assert values([*rows, row('value-align', 'benign', 1.0, mass=0.4)])['G4'] == pytest.approx(0.4)


def test_an_arm_without_demonstrations_last_is_in_no_gate_of_them():
  assert values(rows_of_gates(explain_A=-1.0))['G2'] == 1.0
  last = {arm.name: aligned_last(arm) for arm in CFG.arms}
  assert last == {'align': True, 'explain_A-align': True, 'explain_A': False}
  order = tiny.arm('order', ('align', 'demonstrations'), ('explain', 'explain_A'), ('tail', ''))
  assert not aligned_last(order)
