"""What is said of a comparison: what it rests on, and whether what was to be kept is lost."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from jaxalign import estimates, paired, proportions
from jaxalign.evals.evaluated import Margin
from jaxalign.evals.item import Measure, Row
from tests.study.answers import made
from tests.study.answers.made import analysed, of


@pytest.fixture(scope='module')
def found():
  shares = dict(base=(0.5, 0.1), aligned=(0.95, 0.1), again=(0.5, 0.1))
  return analysed(*(made.evaluated(name, *of) for name, of in shares.items()))


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


def test_a_margin_of_what_was_not_measured_is_told():
  margins = (Margin(measure='helpful/win', most=0.05), Margin(measure='canary/nats', most=0.1))
  found = analysed(*(made.evaluated(name, 0.5, 0.1, margins=margins) for name in 'ab'))
  assert 'To be kept within a margin, but not measured of all: helpful/win.' in found.says
  assert len(found.conclusions[0].kept) == 1


def test_one_model_that_is_given_twice_is_told_as_one():
  one = made.evaluated('a', 0.5, 0.1)
  twice = analysed(one, dataclasses.replace(one, label='b'))
  assert 'a, b are one model by its fingerprint: no weight of theirs differs.' in twice.says
  assert twice.conclusions[0].headline == 'no difference found'
  logs = [made.evaluated(name, 0.5, 0.1, fingerprint='') for name in 'ab']  # nobody knows of these
  assert not any('one model' in said for said in analysed(*logs).says)


def test_a_number_without_an_interval_says_why():
  def run(name, clusters, value):
    rows = tuple(
      Row(measure='a/b', unit=str(n), cluster=str(n % clusters), value=value + n * (clusters == 1))
      for n in range(6)
    )
    about = made.about(measures=(Measure(name='a/b', title='b', unit='tokens'),), primaries=())
    return dataclasses.replace(made.evaluated(name, 1, 1, count=4), rows=rows, about=about)

  for clusters, why in ((1, 'one cluster'), (6, 'nothing spreads')):
    said = analysed(run('a', clusters, 1.0), run('b', clusters, 1.0)).conclusions[0].found[0]
    assert said.startswith(f'no difference found: a/b +0 (no interval: {why}), p = 1; how small')


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
