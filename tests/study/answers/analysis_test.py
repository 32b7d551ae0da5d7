"""Which test for what, and that planted effects are found while nulls are not."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from jaxalign import estimates, paired, proportions, statistics
from jaxalign.evals import summary
from jaxalign.evals.evaluated import Margin
from jaxalign.evals.item import Measure, Row
from jaxalign.study.answers import analysis, guards
from jaxalign.study.answers.pairs import Arm, pair
from tests.study.answers import made


def analysed(*runs):
  return analysis.analysed(pair([Arm(label=run.label, runs=(run,)) for run in runs]))


def of(found, name, judge='words'):
  return next(one for one in found.measures if (one.name, one.judge) == (name, judge))


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


def test_holm_is_over_the_primaries_of_all_arms_and_judges(found):
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


def helpful(name, wins, count=400, **changed):
  """A model whose answers are put above the chosen ones in the first `wins` of so many."""
  rows = tuple(
    Row(measure='helpful/win', unit=f'{n:03}', cluster=f'{n:03}', value=float(n < wins), judge='rm')
    for n in range(count)
  )
  win = Measure(name='helpful/win', title='above the chosen one', better='more', chance=0.5)
  given = dict(primaries=(), measures=(win,), margins=(Margin(measure='helpful/win', most=0.05),))
  return dataclasses.replace(
    made.evaluated(name, 1, 1, count=4), rows=rows, about=made.about(**given | changed)
  )


def test_helpfulness_that_was_to_be_kept_is_told_with_its_margin_and_interval():
  """The p is Tango's score at the margin, the interval the one that it agrees with."""
  found = analysed(helpful('base', 200), helpful('kept', 198), helpful('lost', 170))
  kept, lost = of(found, 'helpful/win', 'rm').differences
  z = proportions.score_z(0, 2, 400, -0.05)
  assert kept.p_not_worse == pytest.approx(stats.norm.sf(z)) and kept.p_not_worse < 0.001
  _, low, high = proportions.tango(0, 2, 400, 0.9)
  assert (kept.margin_low, kept.margin_high) == pytest.approx((low, high)) and low > -0.05
  assert lost.p_not_worse > 0.95 and lost.outcome == 'worse'
  words = {one.arm: one.kept for one in found.conclusions}
  (said,) = words['kept']
  assert said.startswith('no loss beyond 0.05: helpful/win by rm -0.005, 90 % interval [-0.0')
  assert said.endswith('; the same to within it both ways')
  (said,) = words['lost']
  assert said.startswith('not shown, no loss beyond 0.05: helpful/win by rm -0.075, 90 % interval')
  few = analysed(helpful('base', 10, 20), helpful('few', 10, 20)).conclusions[0].kept
  assert few[0].startswith('not shown, no loss beyond 0.05: helpful/win by rm +0, 90 % interval')
  power = of(analysed(helpful('a', 10, 20), helpful('b', 10, 20)), 'helpful/win', 'rm')
  share = power.differences[0].power
  assert 0 < share < 0.4 and f'the same show it in {share:.0%} of such studies' in few[0]


def test_power_is_how_often_what_is_the_same_passes():
  """Of two that differ at random, the share of studies in which nothing lost is shown."""
  rng, passed, told = np.random.default_rng(0), [], []
  for _ in range(300):
    a, b, _ = rng.multinomial(300, [0.05, 0.05, 0.9])
    d_N = np.array([1.0] * a + [-1.0] * b + [0.0] * (300 - a - b))
    units = paired.Units.of(range(300), [1.0] * 300)
    passed.append(estimates.beyond(d_N, units, -0.04, 1, shares=True) <= 0.05)
    _, low, high = estimates.of_two(d_N, units, shares=True, level=0.9)
    told.append(estimates.passing(low, high, 0.04))
  assert np.mean(told) == pytest.approx(np.mean(passed), abs=0.07) and 0.3 < np.mean(passed) < 0.95


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


def test_judges_are_held_against_each_other_on_what_both_judged():
  a, b = by_two_judges('a', ('words', 'gold')), by_two_judges('b', ('words', 'gold'))
  lost = next(row for row in a.rows if (row.measure, row.judge) == ('xstest/J', 'gold'))
  a = dataclasses.replace(a, rows=tuple(row for row in a.rows if row is not lost))
  every = [one for one in analysed(a, b).agreements if one.measure == 'xstest/J']
  assert [(one.arm, one.n) for one in every] == [('a', 79), ('b', 79)]


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


def test_one_run_an_arm_says_what_it_knows_nothing_of(found):
  assert found.says == (
    'One run an arm: inference is over prompts, not over training runs.',
    (
      'Holm corrects over what was declared: jailbreak/asr by words, xstest/J by words, of each of '
      '2 models.'
    ),
  )
  unknown = analysed(made.evaluated('a', 0.5, 0.1, base=''), made.evaluated('b', 0.5, 0.1))
  assert unknown.says[1] == (
    'Nobody knows which weights a began with: if they were not those of the others, differences '
    'are of those too.'
  )
  declared = ('xstest/J', 'helpful/win')
  lacking = analysed(*(made.evaluated(name, 0.5, 0.1, primaries=declared) for name in 'ab'))
  assert 'Declared as primary, but not measured of all: helpful/win.' in lacking.says


@pytest.mark.parametrize(
  'name, heading',
  [
    ('jailbreak/asr', 'attacks that succeed'),
    ('jailbreak/asr_at_k', 'attacks that succeed'),
    ('xstest/J', 'J'),
    ('xstest/refusal_safe', 'refused, safe'),
    ('xstest/refusal_unsafe', 'refused, unsafe'),
    ('jailbreak/asr@k', 'attacks that succeed'),
    ('jailbreak/twin_refusal', 'refused, safe'),
    ('benign/refusal', 'refused, safe'),
    ('harmless/refusal', None),
    ('harmless/safe', None),
    ('helpful/win', 'helpfulness'),
    ('helpful/length', 'length'),
    ('truthful_gen/informative', 'informative'),
    ('canary/nats', 'canary'),
    ('bold/degenerate', 'degenerate'),
    ('truthful/binary', None),
  ],
)
def test_measures_that_are_read_together(name, heading):
  assert guards.column_of(name) == heading


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


def test_a_guard_that_improves_does_not_hide_another_that_is_lost():
  """Who refuses less because it is broken has not improved, whatever was declared."""
  about = dict(primaries=('xstest/refusal_safe',), margins=())
  base = made.evaluated('base', 0.9, 0.9, **about)
  (one,) = analysed(base, made.evaluated('arm', 0.9, 0.1, **about)).conclusions
  assert (one.headline, one.cautions) == ('better', ())
  (one,) = analysed(base, made.evaluated('arm', 0.9, 0.1, loss=6.0, **about)).conclusions
  assert one.headline == 'mixed' and 'but worse in canary/nats' in one.cautions[0]
