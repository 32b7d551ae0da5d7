"""results.json from rows: means, gates, what each seed is."""

import pytest

from jaxalign.study.run import results
from tests.study import tiny

CFG = tiny.plan()


def row(arm, test, margin, **changes):
  about = dict(seed=0, after='sft', arm=arm, test=test, item=0, cluster='c', prompt='p')
  said = dict(margin=margin, right=margin > 0, yes=margin > 0, loss=None, mass=None)
  return about | said | changes


def test_means_are_of_an_arm_and_a_test():
  found = results.means([row('x', 'T2', 1.0), row('x', 'T2', -4.0), row('y', 'T2', 5.0)])
  assert found['x', 'T2'] == dict(margin=-1.5, rate=0.5, yes=0.5, mass=None, loss=None)
  assert found['y', 'T2']['rate'] == 1.0
  assert results.means([row('x', 'T0', 1.0, loss=0.25, mass=0.5)])['x', 'T0']['loss'] == 0.25


def test_steering_is_after_A_less_after_B():
  rows = [row('explain_A-align', 'T2', 3.0), row('explain_B-align', 'T2', -1.0)]
  assert results.steered(rows) == dict(explain=4.0)
  assert results.steered(rows[:1]) == {}


def rows_of_gates(**margins):
  base = [row('base', test, 1.0) for test in ('G0', 'G0H', 'G0b', 'G0bH')]
  inside = [
    row(arm, 'T0', sign * margins.get(arm, 1.0), loss=0.1, mass=0.99, yes=sign > 0)
    | dict(right=margins.get(arm, 1.0) > 0)
    for arm in ('align', 'explain_A-align', 'explain_A')
    for sign in (1, -1)
  ]
  return base + inside + [row('explain_A', 'G1', 2.0)]


def gates(rows):
  return {name: of[0] for name, of in results.gate_values(CFG, {0: results.means(rows)}).items()}


def test_gates_are_the_worst_of_what_they_are_about():
  found = gates(rows_of_gates())
  assert found['G0'] == found['G0b'] == found['G2'] == 1.0 and found['G1'] == 2.0
  assert found['G3'] == 0 and found['G4'] == pytest.approx(0.99)
  bad = rows_of_gates()
  bad[1] |= dict(right=False)  # helpers of the background
  assert gates(bad)['G0'] == 0.0
  assert gates(rows_of_gates(align=-1.0))['G2'] == 0.0


def test_the_mass_is_of_all_that_is_judged_and_of_nothing_else():
  rows = rows_of_gates()
  rows += [row(arm, 'T2', 1.0, mass=0.98) for arm in ('explain_A-align', 'align-explain_A')]
  assert gates(rows)['G4'] == pytest.approx(0.98)
  low = dict(mass=0.5, loss=0.1)
  assert gates([*rows, row('align-explain_A', 'T2', 1.0, **low)])['G4'] < 0.8  # of C5
  for arm, test in (('explain_A', 'T2'), ('explain_A', 'T0'), ('explain_A-align', 'T5_rook')):
    assert gates([*rows, row(arm, test, 1.0, **low)])['G4'] == pytest.approx(0.98)
  assert gates([*rows, row('value-align', 'benign', 1.0, mass=0.4)])['G4'] == pytest.approx(0.4)


def test_an_arm_without_demonstrations_last_is_in_no_gate_of_them():
  assert gates(rows_of_gates(explain_A=-1.0))['G2'] == 1.0
  last = {arm.name: results.aligned_last(arm) for arm in CFG.arms}
  assert last == {'align': True, 'explain_A-align': True, 'explain_A': False}
  order = tiny.arm('order', ('align', 'demonstrations'), ('explain', 'explain_A'), ('tail', ''))
  assert not results.aligned_last(order)


def test_seconds_are_of_all_calls(tmp_path):
  live = results.Live(CFG, tmp_path)
  live.began -= 100
  assert live.seconds() >= 100
  assert results.Live(CFG, tmp_path).seconds() >= 100


def test_too_few_seeds_are_said_before_anything_is_run(tmp_path, capsys):
  for seeds, said in (
    ((0, 1), '2 seeds of the 6 that a verdict needs: it will be UNINFORMATIVE\n'),
    (range(7), '7 seeds; the least p after Holm is 0.078: no contrast can hold, take more seeds\n'),
    (range(8), ''),
  ):
    results.Live(tiny.plan(seeds=tuple(seeds)), tmp_path).foretell()
    assert capsys.readouterr().err == said
