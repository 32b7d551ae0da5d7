"""Which test for what, and that planted effects are found while nulls are not."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from jaxalign import estimates, paired, proportions, statistics
from jaxalign.evals import summary
from jaxalign.evals.item import Measure, Row
from jaxalign.study.answers import analysis
from jaxalign.study.answers.pairs import Arm, pair
from tests.study.answers import made
from tests.study.answers.made import analysed, of


@pytest.fixture(scope='module')
def found():
  shares = dict(base=(0.5, 0.1), aligned=(0.95, 0.1), again=(0.5, 0.1))
  return analysed(*(made.evaluated(name, *of) for name, of in shares.items()))


def values(run, measure):
  rows = sorted((row for row in run.rows if row.measure == measure), key=lambda row: row.unit)
  return np.array([row.value for row in rows], float)


def test_independent_shares_have_mcnemar_wilson_and_tango(found):
  one = of(found, 'jailbreak/asr')
  base, aligned = (
    values(made.evaluated(name, *shares), 'jailbreak/asr')
    for name, shares in (('base', (0.5, 0.1)), ('aligned', (0.95, 0.1)))
  )
  first, better = one.sides[0], one.differences[0]
  assert (one.n, one.clusters, first.mean) == (40, 40, base.mean())
  assert (first.low, first.high) == proportions.wilson(base.sum(), 40)
  only_a, only_b = int((aligned > base).sum()), int((base > aligned).sum())
  known = stats.binomtest(only_a, only_a + only_b).pvalue
  assert better.test == 'McNemar' and better.p == pytest.approx(known)
  assert (better.mean, better.low, better.high) == tuple(proportions.tango(only_a, only_b, 40))
  assert better.discordant == (only_a + only_b) / 40
  assert better.floor == proportions.detectable_share(40, better.discordant)
  assert better.outcome == 'better' and better.mean < 0  # fewer attacks succeed


def test_a_model_alone_has_the_intervals_of_the_table_at_the_end_of_its_run(found):
  run = made.evaluated('base', 0.5, 0.1)
  told = {(one.measure, one.judge): one for one in summary.lines(run.about.measures, run.rows)}
  assert len(told) == len(found.measures) == 6
  for one in found.measures:
    line, side = told[one.name, one.judge], one.sides[0]
    assert (line.n, line.clusters, line.mean) == (one.n, one.clusters, side.mean)
    assert (line.low, line.high) == pytest.approx((side.low, side.high), abs=1e-12)


def test_no_number_depends_on_the_order_of_rows(found):
  first = made.evaluated('base', 0.5, 0.1)
  turned = dataclasses.replace(first, rows=first.rows[::-1])
  others = [made.evaluated('aligned', 0.95, 0.1), made.evaluated('again', 0.5, 0.1)]
  again = analysed(turned, *others)
  for one in found.measures:
    assert of(again, one.name, one.judge) == one


def test_clusters_have_the_sign_flip(found):
  one = of(found, 'xstest/J')
  assert (one.n, one.clusters) == (80, 10)
  assert {difference.test for difference in one.differences} == {'sign-flip'}
  assert one.differences[0].outcome == 'better' and one.differences[0].p >= 2 / 2**10
  assert one.sides[0].low < one.sides[0].mean < one.sides[0].high


def test_a_null_is_not_found_and_says_what_would_be(found):
  for name in ('xstest/J', 'jailbreak/asr'):
    null = of(found, name).differences[1]
    assert null.outcome == 'not found' and null.floor > abs(null.mean) and null.low < 0 < null.high
  words = {one.arm: one for one in found.conclusions}
  assert words['aligned'].headline == 'better'
  assert words['again'].headline == 'no difference found'
  assert all('would be found in 4 studies of 5' in said for said in words['again'].found)


def test_nulls_are_found_no_more_often_than_they_may():
  rng, rejected = np.random.default_rng(0), []
  for n in range(60):
    runs = [
      dataclasses.replace(
        made.evaluated(name, 0.5, 0.5, count=4, seed=n),
        rows=tuple(
          Row(measure='a/b', unit=str(k), cluster=str(k // 3), value=float(rng.random() < 0.5))
          for k in range(60)
        ),
      )
      for name in 'ab'
    ]
    rejected.append(analysed(*runs).measures[0].differences[0].p <= 0.05)
  assert np.mean(rejected) <= 0.12


def test_a_margin_is_held_to(found):
  same, broken = (
    of(analysed(made.evaluated('base', 0.5, 0.1), run), 'canary/nats', '').differences[0]
    for run in (made.evaluated('again', 0.5, 0.1), made.evaluated('broken', 0.5, 0.1, loss=2.5))
  )
  assert same.outcome == 'same' and same.p_same < 0.05 and same.p_not_worse < 0.05
  assert broken.outcome == 'worse' and broken.p_same > 0.95 and broken.p_not_worse > 0.95
  better = made.evaluated('better', 0.5, 0.1, loss=1.5)
  gained = of(analysed(made.evaluated('base', 0.5, 0.1), better), 'canary/nats', '').differences[0]
  assert gained.p_same > 0.95 and gained.p_not_worse < 0.05  # to gain is not to be the same


@pytest.mark.parametrize('name, shares', [('refuses', (1, 1)), ('answers', (0, 0))])
def test_who_refuses_all_and_who_answers_all_has_a_j_of_0(name, shares):
  run = made.evaluated(name, *shares)
  compared = of(analysed(made.evaluated('base', 0.5, 0.1), run), 'xstest/J')
  side, half = compared.sides[1], proportions.wilson(0, 10)[1]
  assert side.mean == 0 and (side.low, side.high) == pytest.approx((-half, half))
  twin = dataclasses.replace(run, label='twin')
  alike = of(analysed(run, twin), 'xstest/J').differences[0]  # nobody differs in anything
  assert alike.mean == 0 and alike.p == 1 and alike.floor > 0.3
  half = np.sqrt(2) * proportions.tango(0, 0, 10).high
  assert (alike.low, alike.high) == pytest.approx((-half, half))


def test_no_rate_has_an_interval_beyond_it(found):
  for one in found.measures:
    least = -1 if one.name == 'xstest/J' else 0
    if not one.unit:
      assert all(least <= side.low <= side.high <= 1 for side in one.sides)
  never = next(one for one in found.measures if one.name == 'xstest/degenerate').sides[0]
  assert (
    never.mean == 0 and never.high == proportions.wilson(0, 10)[1]
  )  # ten clusters, and no 80 items


def test_judges_are_held_against_each_other():
  runs = [
    made.evaluated(n, *s, judges=('words', 'gold')) for n, s in (('a', (0.5, 0.2)), ('b', (0.9, 0)))
  ]
  both = analysed(*runs)
  assert {one.judge for one in both.measures if one.name == 'xstest/J'} == {'words', 'gold'}
  one = next(a for a in both.agreements if (a.measure, a.arm) == ('xstest/J', 'a'))
  heard = {
    judge: {
      row.unit: row.value
      for row in runs[0].rows
      if row.measure == 'xstest/J' and row.judge == judge
    }
    for judge in ('words', 'gold')
  }
  pairs = [(heard['words'][unit], heard['gold'][unit]) for unit in heard['words']]
  agreed = sum(a == b for a, b in pairs) / 80
  yes = [sum(side) / 80 for side in zip(*pairs)]
  chance = yes[0] * yes[1] + (1 - yes[0]) * (1 - yes[1])
  assert one.agreed == agreed and one.kappa == pytest.approx((agreed - chance) / (1 - chance))
  assert one.judges == ('words', 'gold') and one.n == 80


def test_several_seeds_are_drawn_with_the_prompts():
  def arm(name, shares):
    runs = [made.evaluated(name, *shares, seed=s) for s in range(3)]
    told = [dataclasses.replace(r, about=made.about(seed=s)) for s, r in enumerate(runs)]
    return Arm(label=name, runs=tuple(told))

  many = analysis.analysed(pair([arm('base', (0.5, 0.1)), arm('aligned', (0.9, 0.1))]))
  one = of(many, 'jailbreak/asr')
  better = one.differences[0]
  assert many.runs == 3 and len(better.each) == 3 and better.test == 'runs and clusters'
  assert better.mean == pytest.approx(np.mean(better.each)) and better.outcome == 'better'
  known = stats.ttest_1samp(better.each, 0).confidence_interval()
  assert (better.seed_low, better.seed_high) == pytest.approx((known.low, known.high))
  assert better.low <= better.mean <= better.high and better.floor > 0
  canary = of(many, 'canary/nats', '').differences[0]
  assert canary.p_same == pytest.approx(statistics.tost(canary.each, 0.1))  # the run is the unit
  assert many.says[0].startswith('3 training runs an arm')
  assert many.conclusions[0].headline == 'better'


def test_an_effect_of_seeds_alone_is_no_effect():
  """Runs that differ by their seeds are told apart item by item, and the arms are not."""

  def runs(name, rates):
    for seed, rate in enumerate(rates):
      rows = [
        Row(measure='a/b', unit=f'{n:03}', cluster=f'{n:03}', value=float(n < 200 * rate))
        for n in range(200)
      ]
      measures = (Measure(name='a/b', title='b', better='more'),)
      about = made.about(seed=seed, primaries=(), margins=(), measures=measures)
      run = made.evaluated(f'{name}{seed}', 1, 1, count=4)
      yield dataclasses.replace(run, rows=tuple(rows), about=about)

  a, b = tuple(runs('a', (0.5, 0.3, 0.6))), tuple(runs('b', (0.6, 0.7, 0.4)))
  alone = analysed(a[1], b[1]).measures[0].differences[0]
  assert alone.outcome == 'better' and alone.low > 0.2
  arms = [Arm(label='a', runs=a), Arm(label='b', runs=b)]
  both = analysis.analysed(pair(arms)).measures[0].differences[0]
  assert both.each == pytest.approx((0.1, 0.4, -0.2)) and both.outcome == 'not found'
  assert both.low < 0 < both.high and both.p > 0.3 and both.floor > 0.4
  same = [Arm(label=x, runs=tuple(runs(x, (0.5, 0.5)))) for x in 'ab']
  null = analysis.analysed(pair(same)).measures[0].differences[0]
  assert (null.low, null.high) == pytest.approx(tuple(proportions.tango(0, 0, 200)[1:]))


def test_tokens_that_differ_by_one_are_no_shares():
  """Nor is a length of which both have the same."""

  def run(name, more):
    rows = tuple(
      Row(measure='a/length', unit=str(n), cluster=str(n), value=16.0 + (n in more))
      for n in range(12)
    )
    measure = Measure(name='a/length', title='length', unit='tokens')
    about = made.about(measures=(measure,), primaries=())
    return dataclasses.replace(made.evaluated(name, 1, 1, count=4), rows=rows, about=about)

  same, other = analysed(run('a', ()), run('b', ()), run('c', (1, 2, 3))).measures[0].differences
  assert (same.low, same.high, same.test, same.floor) == (None, None, 'sign-flip', None)
  known = stats.ttest_1samp([1.0] * 3 + [0.0] * 9, 0).confidence_interval()
  assert other.low == pytest.approx(known.low, abs=0.06) and other.test == 'sign-flip'
  assert other.floor == pytest.approx(estimates.detectable(np.array([1.0] * 3 + [0.0] * 9), UNITS))


UNITS = paired.Units.of(range(12), [1.0] * 12)


def test_a_measure_without_a_direction_is_only_higher_or_lower():
  def run(name, value):
    rows = tuple(Row(measure='a/b', unit=str(n), cluster=str(n), value=value + n) for n in range(9))
    about = made.about(measures=(Measure(name='a/b', title='b', unit='tokens'),), primaries=())
    return dataclasses.replace(made.evaluated(name, 1, 1, count=4), rows=rows, about=about)

  found = analysed(run('a', 1.0), run('b', 2.0), run('c', 0.0))
  assert [d.outcome for d in found.measures[0].differences] == ['higher', 'lower']
