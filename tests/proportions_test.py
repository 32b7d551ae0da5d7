"""Against scipy, by hand, on simulated models, and against numbers that were published."""

import math

import numpy as np
import pytest
from scipy import optimize, stats

from jaxalign import proportions, statistics
from jaxalign.statistics import Interval


@pytest.mark.parametrize('hits, n', [(0, 1), (1, 1), (5, 10), (81.5, 263), (0, 40), (999, 1000)])
def test_wilson_solves_its_equation(hits, n):
  """Its ends are where the seen share lies just z standard errors of the end away."""
  low, high = proportions.wilson(hits, n)
  assert 0 <= low <= hits / n <= high <= 1 and proportions.wilson(0, 0) == (0, 1)
  for end in (low, high):
    if 0 < end < 1:
      gap = abs(hits / n - end)
      assert gap == pytest.approx(proportions.Z * math.sqrt(end * (1 - end) / n), rel=1e-9)


@pytest.mark.parametrize('a, b', [(0, 0), (5, 0), (6, 0), (1, 9), (10, 10), (40, 21), (300, 244)])
def test_mcnemar_is_a_coin_that_was_thrown(a, b):
  known = stats.binomtest(a, a + b, 0.5).pvalue if a + b else 1.0
  assert proportions.mcnemar(a, b) == pytest.approx(known, rel=1e-9)
  if a + b <= 20:
    assert proportions.mcnemar(a, b) == pytest.approx(
      statistics.sign_flip([1.0] * a + [-1.0] * b + [0.0])
    )


def test_mcnemar_by_hand():
  assert proportions.mcnemar(1, 9) == pytest.approx(2 * (1 + 10) / 2**10)
  assert proportions.mcnemar(6, 0) == 2 / 64 and proportions.mcnemar(5, 0) == 2 / 32


def score(a, b, n, difference):
  """Tango's statistic with the nuisance share found by search instead of by its formula."""
  low, high = max(0.0, -difference), (1 - difference) / 2

  def lacking(q):
    both = max(1e-300, 1 - 2 * q - difference)
    return -(
      a * math.log(max(1e-300, q + difference))
      + b * math.log(max(1e-300, q))
      + (n - a - b) * math.log(both)
    )

  q = optimize.minimize_scalar(
    lacking, bounds=(low, high), method='bounded', options=dict(xatol=1e-12)
  ).x
  return (a - b - n * difference) / math.sqrt(n * (2 * q + difference - difference**2))


@pytest.mark.parametrize('a, b, n', [(12, 4, 50), (1, 9, 30), (3, 0, 20), (0, 7, 7), (25, 25, 313)])
def test_tangos_interval_ends_where_its_score_does(a, b, n):
  found = proportions.tango(a, b, n)
  assert found.mean == (a - b) / n and -1 <= found.low <= found.mean <= found.high <= 1
  for end, z in ((found.low, proportions.Z), (found.high, -proportions.Z)):
    if abs(end) < 1:
      assert score(a, b, n, end) == pytest.approx(z, abs=2e-3)
  turned = proportions.tango(b, a, n)
  assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low), abs=1e-9)


def test_tangos_interval_knows_that_no_discordant_item_is_no_proof():
  low, high = proportions.tango(0, 0, 100)[1:]
  known = proportions.Z**2 / (100 + proportions.Z**2)  # of its equation with both counts 0
  assert (low, high) == pytest.approx((-known, known), abs=1e-9)
  assert proportions.tango(5, 0, 5).high == 1 and proportions.tango(0, 5, 5).low == -1


def test_tangos_interval_covers():
  rng, covered = np.random.default_rng(0), []
  for _ in range(400):
    a, b, _ = rng.multinomial(60, [0.15, 0.05, 0.8])
    _, low, high = proportions.tango(int(a), int(b), 60)
    covered.append(low <= 0.1 <= high)
  assert 0.92 <= np.mean(covered) <= 0.98


@pytest.mark.parametrize(
  'counts, level, known',
  [  # Bentur's airways in Fagerland, Lydersen and Laake (2014); R's PropCIs::scoreci.mp
    ((1, 7, 21), 0.95, (-0.517, -0.026)),
    ((28, 25, 618), 0.90, (-0.0148, 0.0247)),
  ],
)
def test_tangos_interval_is_the_published_one(counts, level, known):
  digits = len(str(known[0]).partition('.')[2])
  found = proportions.tango(*counts, level)
  assert (round(found.low, digits), round(found.high, digits)) == known


def test_tangos_interval_takes_counts_that_are_no_whole_numbers():
  one, half = proportions.tango(12, 4, 50), proportions.tango(6, 2, 25)
  assert half.mean == one.mean and half.low < one.low < one.high < half.high
  less = proportions.tango(0.02, 0.0, 0.4)  # of less than one pair next to nothing is known
  assert -1 <= less.low < -0.9 and 0.9 < less.high <= 1


@pytest.mark.parametrize(
  'counts, known',
  [  # Newcombe (1998), table II, method 10
    ((56, 70, 48, 80), (0.0524, 0.3339)),
    ((9, 10, 3, 10), (0.1705, 0.8090)),
    ((6, 7, 2, 7), (0.0582, 0.8062)),
    ((5, 56, 0, 29), (-0.0381, 0.1926)),
    ((0, 10, 0, 20), (-0.1611, 0.2775)),
    ((0, 10, 0, 10), (-0.2775, 0.2775)),
    ((10, 10, 0, 20), (0.6791, 1.0)),
    ((10, 10, 0, 10), (0.6075, 1.0)),
  ],
)
def test_mover_of_two_wilson_intervals_is_newcombes_published_one(counts, known):
  a, m, b, n = counts
  sides = [(1.0, of(a, m)), (-1.0, of(b, n))]
  found = proportions.mover(sides)
  assert found.mean == pytest.approx(a / m - b / n)
  assert (round(found.low, 4), round(found.high, 4)) == known


def of(hits, n):
  return Interval(hits / n, *proportions.wilson(hits, n))


def test_mover_knows_weights_and_correlation():
  """Of symmetric intervals it is the formula for the variance of a difference."""
  one, other = Interval(0.5, 0.4, 0.6), Interval(0.2, 0.05, 0.35)
  for rho in (-0.5, 0.0, 0.8):
    found = proportions.mover([(2.0, one), (-1.0, other)], rho)
    half = math.sqrt(0.2**2 + 0.15**2 - 2 * rho * 0.2 * 0.15)
    assert found == pytest.approx((0.8, 0.8 - half, 0.8 + half))
  assert proportions.mover([(-1.0, one)]) == pytest.approx((-0.5, -0.6, -0.4))


def test_wilson_ends_where_other_levels_do():
  known = stats.binomtest(7, 30).proportion_ci(0.9, 'wilson')
  assert proportions.wilson(7, 30, 0.9) == pytest.approx((known.low, known.high))
