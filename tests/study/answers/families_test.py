"""What is corrected for together, and what is shown beside it."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from jaxalign import statistics
from tests.study.answers import made
from tests.study.answers.made import analysed, of


@pytest.fixture(scope='module')
def found():
  shares = dict(base=(0.5, 0.1), aligned=(0.95, 0.1), again=(0.5, 0.1))
  return analysed(*(made.evaluated(name, *of) for name, of in shares.items()))


def test_holm_is_over_the_primaries_of_all_arms(found):
  primaries = [one for one in found.measures if one.primary]
  assert {one.name for one in primaries} == set(found.primaries)
  ps = [difference.p for one in primaries for difference in one.differences]
  known = [0.0] * len(ps)
  for rank, n in enumerate(np.argsort(ps)):
    known[n] = min(1.0, max((len(ps) - k) * sorted(ps)[k] for k in range(rank + 1)))
  held = [difference.adjusted for one in primaries for difference in one.differences]
  assert held == pytest.approx(known)
  assert all(
    d.adjusted is None for one in found.measures if not one.primary for d in one.differences
  )


def test_without_primaries_all_measures_but_guards_are_one_family():
  runs = [made.evaluated(name, *of, primaries=()) for name, of in (('a', (0.5, 0)), ('b', (1, 0)))]
  undeclared = analysed(*runs)
  tested = {one.name for one in undeclared.measures if one.differences[0].adjusted is not None}
  assert tested == {'jailbreak/asr', 'xstest/J', 'xstest/refusal_safe', 'canary/nats'}
  (said,) = (one for one in undeclared.says if 'No primary measure' in one)
  assert said.endswith('Holm corrects over all measures but guards, 4 of them.')
  assert not any(one.primary or one.sensitivity for one in undeclared.measures)
  lengths = [keep_alone(run, 'xstest/length') for run in runs]
  assert all(d.adjusted is not None for d in analysed(*lengths).measures[0].differences)


def keep_alone(run, measure):
  return dataclasses.replace(run, rows=tuple(row for row in run.rows if row.measure == measure))


def by_two_judges(name, order):
  run = made.evaluated(name, 0.9 if name == 'b' else 0.5, 0.2, judges=('words', 'gold'))
  return dataclasses.replace(run, about=made.about(judges=dict.fromkeys(order, '11' * 32)))


@pytest.mark.parametrize('order', [('words', 'gold'), ('gold', 'words')])
def test_the_family_is_what_was_declared_under_the_judge_that_the_config_names_first(order):
  found = analysed(by_two_judges('a', order), by_two_judges('b', order))
  first, second = order
  assert found.family == (f'jailbreak/asr by {first}', f'xstest/J by {first}')
  adjusted = [
    (one.name, one.judge) for one in found.measures if one.differences[0].adjusted is not None
  ]
  assert sorted(adjusted) == [('jailbreak/asr', first), ('xstest/J', first)]
  assert all(one.primary == (one.judge == first) for one in found.measures if one.name in PRIMARY)
  others = {(one.name, one.judge) for one in found.measures if one.sensitivity}
  guards_too = (*PRIMARY, 'xstest/degenerate', 'xstest/refusal_safe')
  assert others == {(name, second) for name in guards_too}
  said = ' '.join(found.says)
  assert f'Holm corrects over what was declared: jailbreak/asr by {first}, xstest/J by' in said
  assert f'and in no family: jailbreak/asr by {second}, xstest/J by {second}.' in said
  (words,) = found.conclusions
  told = [one for one in words.found if one.startswith('under another judge, ')]
  assert len(told) == 2 and all(f'by {second}' in one for one in told)
  alone = [dataclasses.replace(of(found, name, first).differences[0]).p for name in PRIMARY]
  held = [of(found, name, first).differences[0].adjusted for name in PRIMARY]
  assert held == pytest.approx(statistics.holm(alone))  # two, and not four, to be corrected for


PRIMARY = 'jailbreak/asr', 'xstest/J'


def test_slices_have_a_false_discovery_rate_over_what_was_declared(found):
  """Guards are sliced and shown, and cost what was declared nothing."""
  for arm in ('aligned', 'again'):
    mine = [one for one in found.slices if one.arm == arm]
    tested = [one for one in mine if one.q is not None]
    assert {one.measure for one in tested} == {'jailbreak/asr'} < {one.measure for one in mine}
    assert [one.q for one in tested] == pytest.approx(
      stats.false_discovery_control([one.p for one in tested]).tolist()
    )
  asr = [one for one in found.slices if one.measure == 'jailbreak/asr' and one.arm == 'again']
  assert sorted(one.part for one in asr) == sorted(f'type {n}' for n in range(10))
  assert all(one.n == 4 for one in asr)  # and none of all 40, which is no part
  assert not [one for one in found.slices if one.measure == 'xstest/J']


def test_judges_are_held_against_each_other_on_what_both_judged():
  a, b = by_two_judges('a', ('words', 'gold')), by_two_judges('b', ('words', 'gold'))
  lost = next(row for row in a.rows if (row.measure, row.judge) == ('xstest/J', 'gold'))
  a = dataclasses.replace(a, rows=tuple(row for row in a.rows if row is not lost))
  every = [one for one in analysed(a, b).agreements if one.measure == 'xstest/J']
  assert [(one.arm, one.n) for one in every] == [('a', 79), ('b', 79)]
