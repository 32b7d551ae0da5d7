"""Against scipy, against loops that spell the definition out, by hand, and on simulated models."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from jaxalign import estimates, paired
from jaxalign.paired import Units


def alone(n):
  return Units.of(range(n), [1.0] * n)


def of_size(clusters, size):
  return Units.of(np.repeat(np.arange(clusters), size).tolist(), [1.0] * clusters * size)


def test_a_draw_takes_clusters_whole_and_all_columns_from_one_draw():
  rng = np.random.default_rng(1)
  cluster_N = [0, 0, 0, 1, 2, 2]
  units, value_N2 = Units.of(cluster_N, [1.0] * 6), rng.normal(size=(6, 2))
  drawn_B2 = paired.draws(value_N2, units, 4000, np.random.default_rng(2))
  there = {}
  for picked in itertools.product(range(3), repeat=3):
    rows = [n for c in picked for n in range(6) if cluster_N[n] == c]
    key = tuple(np.round(value_N2[rows].mean(0), 9))
    there[key] = there.get(key, 0) + 1 / 27
  seen = {}
  for row in np.round(drawn_B2, 9):
    seen[tuple(row)] = seen.get(tuple(row), 0) + 1 / 4000
  assert set(seen) == set(there)
  assert all(abs(seen[key] - there[key]) < 0.03 for key in there)


def test_a_difference_of_rates_is_drawn_side_by_side():
  """J of a model that refuses all is 0 in every draw, however many of a side were drawn."""
  sides = [('unsafe', 12, 1.0), ('safe', 30, -1.0)]
  weight_N = [sign * (42 / n + (k % 2) / 2**30) for _, n, sign in sides for k in range(n)]
  units = Units.of(range(42), weight_N)
  assert not units.independent
  refuses, better = np.ones(42), np.array([1.0] * 9 + [0.0] * 3 + [1.0] * 6 + [0.0] * 24)
  drawn_B2 = paired.draws(np.stack([refuses, better], 1), units, 500)
  assert np.abs(drawn_B2[:, 0]).max() < 1e-8
  assert len(units.sides) == 2 and paired.mean(refuses, units) == pytest.approx(0, abs=1e-8)
  assert paired.mean(better, units) == pytest.approx(9 / 12 - 6 / 30)
  assert float(np.mean(better * units.weight_N)) == pytest.approx(9 / 12 - 6 / 30)
  known = math.sqrt(0.75 * 0.25 / 12 + 0.2 * 0.8 / 30)
  assert paired.standard_error(better, units) == pytest.approx(known, rel=0.02)
  assert np.nanstd(drawn_B2[:, 1]) == pytest.approx(known, rel=0.15)
  lone = Units.of(range(2), [2.0, -2.0])
  assert np.isnan(paired.draws(np.ones((2, 1)), lone, 50)).any()  # some draws hold one side alone


def test_documents_may_weigh_by_their_tokens():
  rng = np.random.default_rng(12)
  tokens_N, nats_N = rng.integers(20, 400, 30), rng.normal(2, 0.5, 30)
  units = Units.of(range(30), tokens_N * 30 / tokens_N.sum())
  known = float(nats_N @ tokens_N / tokens_N.sum())
  assert paired.mean(nats_N, units) == pytest.approx(known)
  drawn_B = paired.draws(nats_N[:, None], units, 4000)[:, 0]
  picks = rng.integers(30, size=(4000, 30))
  loop = [nats_N[row] @ tokens_N[row] / tokens_N[row].sum() for row in picks]
  assert drawn_B.std() == pytest.approx(np.std(loop), rel=0.06)
  assert paired.standard_error(nats_N, units) == pytest.approx(np.std(loop), rel=0.1)
  assert not np.isnan(drawn_B).any()


def test_a_part_keeps_what_its_sides_weigh():
  units = Units.of(range(6), [6 / 2, 6 / 2, -6 / 4, -6 / 4, -6 / 4, -6 / 4])
  part = units.part(np.array([True, False, True, True, False, False]))
  assert paired.mean(np.array([1.0, 1.0, 0.0]), part) == pytest.approx(1 - 0.5)
  assert part.clusters == 3 and part.cluster_N.tolist() == [0, 1, 2]


def test_many_clusters_have_plain_percentiles():
  value_N, units = np.random.default_rng(3).exponential(size=2000), alone(2000)
  drawn_B = paired.draws(value_N[:, None], units)[:, 0]
  found = paired.interval(drawn_B, value_N, units)
  ends = np.quantile(drawn_B, [0.025, 0.975])
  assert (found.low, found.high) == pytest.approx(tuple(ends), abs=2e-4)
  known = stats.bootstrap((value_N,), np.mean, n_resamples=4000, method='percentile', rng=0)
  assert tuple(found[1:]) == pytest.approx(tuple(known.confidence_interval), abs=4e-3)


@pytest.mark.parametrize('clusters, size', [(4, 20), (8, 30), (60, 5)])
def test_the_clustered_interval_covers_where_that_of_items_does_not(clusters, size):
  rng, units = np.random.default_rng(clusters), of_size(clusters, size)
  hits = {'clusters': [], 'items': []}
  for _ in range(300):
    value_N = rng.normal(size=clusters)[units.cluster_N] + rng.normal(size=len(units))
    for name, of in (('clusters', units), ('items', alone(len(units)))):
      drawn_B = paired.draws(value_N[:, None], of, 400, rng)[:, 0]
      _, low, high = paired.interval(drawn_B, value_N, of)
      hits[name].append(low <= 0 <= high)
  assert 0.90 <= np.mean(hits['clusters']) <= 0.985
  assert np.mean(hits['items']) < 0.8


def test_one_cluster_has_no_interval():
  units, value_N = of_size(1, 9), np.arange(9.0)
  drawn_B = paired.draws(value_N[:, None], units, 10)[:, 0]
  assert paired.interval(drawn_B, value_N, units)[1:] == (None, None)
  assert (
    estimates.tost(value_N, units, 1.0) is None and estimates.detectable(value_N, units) is None
  )


def test_the_sign_flip_flips_clusters_whole():
  rng = np.random.default_rng(4)
  cluster_N = np.array([0, 0, 1, 2, 2, 2, 3, 4, 4])
  d_N, units = rng.normal(0.4, 1, 9), Units.of(cluster_N.tolist(), [1.0] * 9)
  patterns = itertools.product((1, -1), repeat=5)
  sums = [abs(sum(s[c] * d for c, d in zip(cluster_N, d_N))) for s in patterns]
  known = np.mean([total >= abs(d_N.sum()) - 1e-12 for total in sums])
  assert paired.sign_flip(d_N, units) == known
  many = of_size(40, 2)
  assert paired.sign_flip(np.ones(80), many, 99) == 1 / 100  # drawn: never below 1/(B+1)
  assert paired.sign_flip(np.ones(80), many) == 1 / 10_001


@pytest.mark.parametrize('seed', range(4))
def test_the_sign_flip_is_scipys_permutation_test_of_what_clusters_add(seed):
  rng = np.random.default_rng(seed)
  units = Units.of(rng.integers(9, size=30).tolist(), [1.0] * 30)
  d_N = rng.choice([-1.0, 0.0, 0.5, 1.0], 30)
  known = stats.permutation_test(
    (units.summed(d_N), np.zeros(units.clusters)),
    lambda a, b: np.sum(a - b),
    permutation_type='samples',
    n_resamples=np.inf,
  )
  assert paired.sign_flip(d_N, units) == pytest.approx(known.pvalue)


def test_the_clustered_bootstrap_is_scipys_of_both_sums():
  """A mean of clusters is a ratio: what they add, by how many they are."""
  rng = np.random.default_rng(6)
  cluster_N = np.repeat(np.arange(40), rng.integers(1, 9, 40)).tolist()
  units = Units.of(cluster_N, [1.0] * len(cluster_N))
  value_N = rng.normal(size=40)[units.cluster_N] + rng.normal(size=len(units))
  known = stats.bootstrap(
    (units.summed(value_N), units.summed(np.ones(len(units)))),
    lambda sums, sizes, axis: sums.sum(axis) / sizes.sum(axis),
    paired=True,
    vectorized=True,
    n_resamples=8000,
    method='percentile',
    rng=1,
  )
  drawn_B = paired.draws(value_N[:, None], units, 8000)[:, 0]
  assert drawn_B.std() == pytest.approx(known.standard_error, rel=0.04)
  ends = np.quantile(drawn_B, [0.025, 0.975])
  width = known.confidence_interval.high - known.confidence_interval.low
  assert ends == pytest.approx(tuple(known.confidence_interval), abs=0.04 * width)


def test_the_sign_flip_has_its_size_in_clusters_and_not_in_items():
  rng, units, lone = np.random.default_rng(5), of_size(10, 8), alone(80)
  ps = []
  for _ in range(300):
    d_N = rng.normal(size=10)[units.cluster_N] + 0.5 * rng.normal(size=80)
    ps.append((paired.sign_flip(d_N, units), paired.sign_flip(d_N, lone, 199)))
  rejected = np.mean(np.array(ps) <= 0.05, 0)
  assert rejected[0] <= 0.08 and rejected[1] > 0.3


def test_seeds_and_items_are_drawn_both():
  """It covers where seeds differ; the bootstrap of items alone does not."""
  rng, units, hits = np.random.default_rng(10), alone(40), []
  for _ in range(200):
    x_SN = (
      rng.normal(size=(3, 1)) * 0.3 + rng.normal(size=40) * 0.5 + rng.normal(size=(3, 40)) * 0.3
    )
    found = paired.crossed(x_SN, units, 400, seed=1)
    _, low, high = paired.interval(
      paired.draws(x_SN.mean(0)[:, None], units, 400)[:, 0], x_SN.mean(0), units
    )
    hits.append((found.both.low <= 0 <= found.both.high, low <= 0 <= high, found.p > 0.05))
  both, items, kept = np.mean(hits, 0)
  assert 0.90 <= both <= 0.995 and items < 0.75 and kept > 0.88


def test_seeds_are_told_with_their_own_interval():
  x_SN = np.random.default_rng(11).normal(size=(4, 30))
  found = paired.crossed(x_SN, alone(30))
  known = stats.ttest_1samp(x_SN.mean(1), 0).confidence_interval()
  assert tuple(found.seeds[1:]) == pytest.approx((known.low, known.high))
  assert found.each == pytest.approx(x_SN.mean(1)) and found.both.mean == pytest.approx(x_SN.mean())
  lone = paired.crossed(x_SN[:1], alone(30))
  assert lone.p is None and lone.both[1:] == (None, None)
  same = paired.crossed(np.zeros((2, 30)), alone(30))
  assert same.both == (0, None, None) and same.p == 1
  shifted = paired.crossed(np.full((3, 30), 0.2), alone(30))
  assert shifted.both[1:] == (None, None) and shifted.p == 2 / 2**3  # the signs alone


def test_where_seeds_alone_differ_their_interval_is_ts():
  """A drawn variance of six seeds is 5/6 of the true one, and its tails are not t's."""
  each_S = stats.norm.ppf((np.arange(6) + 0.5) / 6) + 0.3
  found = paired.crossed(np.repeat(each_S[:, None], 40, 1), alone(40))
  half = (found.both.high - found.both.low) / (found.seeds.high - found.seeds.low)
  assert half == pytest.approx(1, abs=0.05)
