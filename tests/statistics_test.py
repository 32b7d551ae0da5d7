"""Against scipy, against loops that spell the definition out, and on simulated studies."""

import collections
import itertools

import numpy as np
import pytest
from scipy import stats

from jaxalign import statistics
from jaxalign.config import UserError


def draws(n, seed=0, mean=0.0):
  return np.random.default_rng(seed).normal(mean, 1, n)


def coverage(intervals, truth):
  return np.mean([low <= truth <= high for _, low, high in intervals])


def test_an_estimate_is_what_scipy_finds():
  d_S = draws(8, mean=0.7)
  found, known = statistics.paired(d_S, 0.9), stats.ttest_1samp(d_S, 0)
  interval = known.confidence_interval(0.9)
  assert found.p_t == pytest.approx(known.pvalue, rel=1e-12)
  assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-12)
  assert (found.mean, found.sd) == pytest.approx((d_S.mean(), d_S.std(ddof=1)))
  assert found.d_z == pytest.approx(d_S.mean() / d_S.std(ddof=1))
  assert found.differences == tuple(d_S) and found.n == 8
  assert statistics.paired([1.0, 2.0, -1.0, 0.0]).better == (2 + 0.5) / 4


def test_without_a_spread_or_with_one_seed_nothing_is_made_up():
  one = statistics.paired([0.4])
  assert (one.low, one.high, one.sd, one.d_z, one.p_t, one.floor) == (None,) * 6
  assert (one.mean, one.p, one.n) == (0.4, 1.0, 1)
  same = statistics.paired([0.1 + 0.2] * 4 + [0.3] * 4)  # differ by rounding only
  assert (same.sd, same.d_z, same.p_t, same.p) == (0.0, None, 0.0, 2 / 256)
  assert same.low == same.high == same.mean
  none = statistics.paired(np.zeros(8))
  assert (none.p, none.p_t, none.better, none.floor) == (1.0, 1.0, 0.5, 0.0)
  assert statistics.tost([0.4], 0.05) is None
  assert statistics.tost(np.zeros(8), 0.05) == 0 and statistics.tost(np.ones(8), 0.05) == 1
  for bad in ([], [np.nan, 1.0], [[1.0, 2.0]], [np.inf]):
    with pytest.raises(UserError, match='one finite number a seed'):
      statistics.paired(bad)


@pytest.mark.parametrize('n', [1, 2, 5, 8])
def test_the_sign_flip_counts_every_pattern(n):
  rng = np.random.default_rng(n)
  for d_S in (draws(n, n, 0.5), rng.integers(-2, 3, n) / 10, rng.integers(0, 3, n) / 10):
    sums = [abs(np.dot(signs, d_S)) for signs in itertools.product((1, -1), repeat=n)]
    oracle = np.mean([total >= abs(d_S.sum()) - 1e-12 for total in sums])
    assert statistics.sign_flip(d_S) == oracle
    if n > 1:
      same = stats.permutation_test((d_S,), np.mean, permutation_type='samples')
      assert abs(d_S.sum()) < 1e-12 or statistics.sign_flip(d_S) == pytest.approx(same.pvalue)


def test_the_least_p_of_eight_seeds_and_what_is_drawn_above_EXACT(monkeypatch):
  assert [statistics.sign_flip(np.arange(1.0, n + 1)) for n in (6, 7, 8)] == [
    2 / 64, 2 / 128, 2 / 256,
  ]  # fmt: skip
  d_S = draws(21, 3, 0.35)
  exact = statistics.sign_flip(d_S)
  monkeypatch.setattr(statistics, 'EXACT', 20)
  drawn = statistics.sign_flip(d_S)
  assert drawn == statistics.sign_flip(d_S), 'the flips are fixed'
  above = statistics.sign_flip_above(d_S)
  monkeypatch.undo()
  assert above == pytest.approx(exact / 2, abs=4 * np.sqrt(exact / statistics.FLIPS))
  assert 0.02 < exact < 0.5 and exact != drawn
  assert drawn == pytest.approx(exact, abs=4 * np.sqrt(exact / statistics.FLIPS))
  assert statistics.sign_flip(np.concatenate([d_S, np.zeros(50)])) == exact  # and 0s cost nothing


def test_one_side_counts_the_patterns_that_are_as_high():
  for n in (1, 2, 5, 8):
    rng = np.random.default_rng(n)
    for d_S in (draws(n, n, 0.5), draws(n, n, -0.5), rng.integers(-2, 3, n) / 10):
      sums = [np.dot(signs, d_S) for signs in itertools.product((1, -1), repeat=n)]
      oracle = np.mean([total >= d_S.sum() - 1e-12 for total in sums])
      assert statistics.sign_flip_above(d_S) == oracle
  assert statistics.sign_flip_above(np.arange(1.0, 25)) == 2.0**-24  # study 3's seeds, exactly
  assert statistics.sign_flip(np.arange(1.0, 33)) == 2.0**-31
  assert statistics.sign_flip_above([0.0, 0.0]) == 1.0


def test_the_floor_is_the_designs_and_is_found_in_four_studies_of_five():
  floors = [statistics.detection_floor(sd, 8) for sd in (0.05, 0.10, 0.15)]
  assert np.round(floors, 3) == pytest.approx([0.058, 0.116, 0.173], abs=6e-4)
  for n in (2, 3, 8, 100):
    floor = statistics.detection_floor(2.0, n)
    d_NS = floor + 2 * np.random.default_rng(n).normal(size=(40_000, n))
    found = np.mean(stats.ttest_1samp(d_NS, 0, axis=1).pvalue < 0.05)
    assert found == pytest.approx(0.8, abs=0.008), n
  more = statistics.detection_floor(1.0, 8, power=0.9), statistics.detection_floor(1, 8, alpha=0.01)
  assert min(more) > statistics.detection_floor(1.0, 8)


def test_equivalence_is_two_t_tests():
  for mean in (-0.3, 0.0, 0.2):
    d_S = draws(10, 1, mean)
    above = stats.ttest_1samp(d_S, -0.5, alternative='greater').pvalue
    below = stats.ttest_1samp(d_S, 0.5, alternative='less').pvalue
    assert statistics.tost(d_S, 0.5) == pytest.approx(max(above, below), rel=1e-12)
  with pytest.raises(UserError, match='above 0'):
    statistics.tost(d_S, 0.0)


def test_holm_is_the_closed_test_by_bonferroni():
  """A hypothesis is rejected where every set that holds it is: its p is the worst."""
  for seed in range(5):
    ps = np.random.default_rng(seed).beta(0.4, 2, 5).round(3)
    sets = [s for k in range(1, 6) for s in itertools.combinations(range(5), k)]
    worst = [max(len(s) * min(ps[list(s)]) for s in sets if i in s) for i in range(5)]
    assert statistics.holm(ps) == pytest.approx(np.minimum(1, worst), rel=1e-12)
  assert statistics.holm([0.01, 0.04, 0.03]) == pytest.approx((0.03, 0.06, 0.06))  # by hand
  assert statistics.holm([0.5, 0.0078125]) == pytest.approx((0.5, 0.015625))


def test_an_interaction_is_claimed_on_all_scales_or_not():
  """.50 to .60 and .90 to .98: less on the rate, more on the logit, more on the arcsine."""
  rate_AS = np.array([[0.98], [0.90], [0.60], [0.50]]) + np.zeros((4, 3))
  weight_A = np.array([1, -1, -1, 1])
  scales = statistics.on_scales(rate_AS, items=1000)
  by_scale = {name: statistics.paired(weight_A @ x_AS) for name, x_AS in scales.items()}
  assert by_scale['rate'].mean == pytest.approx(-0.02)
  logit = [np.log((r * 1000 + 0.5) / ((1 - r) * 1000 + 0.5)) for r in (0.98, 0.9, 0.6, 0.5)]
  arcsine = [2 * np.arcsin(np.sqrt(r)) for r in (0.98, 0.9, 0.6, 0.5)]
  for scale, x in (('logit', logit), ('arcsine', arcsine)):
    assert by_scale[scale].mean == pytest.approx(x[0] - x[1] - x[2] + x[3]) and x[0] - x[1] > 0.1
  assert not statistics.agree(by_scale.values())
  assert statistics.agree([by_scale['logit'], by_scale['arcsine']])
  assert not statistics.agree([statistics.paired([0.0, 0.0])] * 2)
  assert np.isfinite(statistics.on_scales([0.0, 1.0], 240)['logit']).all()


def test_the_bootstrap_resamples_seeds_clusters_and_items():
  """Its variance, level by level, as it can be worked out; a second part shares the seeds."""
  rng = np.random.default_rng(0)
  a_SCI = rng.normal(size=(5, 3, 4)) + rng.normal(size=(5, 3, 1)) + rng.normal(size=(5, 1, 1))
  b_SCI = 2 * rng.normal(size=(5, 2, 6)) + rng.normal(size=(5, 1, 1))

  def within(x_SCI):
    _, clusters, items = x_SCI.shape
    return ((x_SCI.var(2).mean(1) / items + x_SCI.mean(2).var(1)) / clusters).mean()

  both_S = a_SCI.mean((1, 2)) + b_SCI.mean((1, 2))
  for parts, seed_S in (([a_SCI], a_SCI.mean((1, 2))), ([a_SCI, b_SCI], both_S)):
    known = (seed_S.var() + sum(map(within, parts))) / 5
    drawn_N = statistics.resampled(parts, 20_000, np.random.default_rng(1))
    assert drawn_N.var() == pytest.approx(known, rel=0.04)
    assert drawn_N.mean() == pytest.approx(seed_S.mean(), abs=4 * np.sqrt(known / 20_000))
    assert statistics.bootstrap(*parts).mean == pytest.approx(seed_S.mean())


def test_the_bootstrap_takes_ragged_clusters_and_repeats_itself():
  ragged = [[[0.1, 0.4], [0.3]], [[1.0], [0.0, 2.0, 0.5]], [[0.3]], [[-1.0, 1.0]], [[0.2], [0.6]]]
  found = statistics.bootstrap(ragged)
  means = [np.mean(np.concatenate(seed)) for seed in ragged]
  assert found.mean == pytest.approx(np.mean(means)) and found.low < found.mean < found.high
  assert found == statistics.bootstrap(ragged)
  assert found != statistics.bootstrap(ragged, seed=1)
  assert statistics.bootstrap(np.full((6, 2, 3), 0.4)) == pytest.approx((0.4, 0.4, 0.4))
  assert statistics.bootstrap(ragged[:4])[1:] == (None, None), 'four seeds have too few draws'


def test_a_seed_of_ragged_clusters_is_the_mean_of_the_items_drawn():
  drawn_N = statistics.resampled_seed(
    [np.zeros(1), np.full(3, 6.0)], 4000, np.random.default_rng(0)
  )
  values, counts = np.unique(drawn_N, return_counts=True)
  assert list(values) == [0.0, 4.5, 6.0]
  assert counts / 4000 == pytest.approx([0.25, 0.5, 0.25], abs=0.03)


def test_the_bootstrap_of_a_normal_shape_is_the_t_interval():
  """Whether the spread is the seeds' or their items'; and what is lop-sided stays so."""
  seed_S = stats.norm.ppf((np.arange(8) + 0.5) / 8)
  item_I = stats.norm.ppf((np.arange(50) + 0.5) / 50)
  for d_SCI in (seed_S[:, None, None] + np.zeros((8, 2, 2)), seed_S[:, None, None] + 3 * item_I):
    t, found = statistics.t_interval(seed_S, 0.9), statistics.bootstrap(d_SCI, level=0.9)
    assert (found.low, found.high) == pytest.approx((t.low, t.high), rel=0.05)
  _, low, high = statistics.bootstrap(np.exp(2 * seed_S)[:, None, None])
  mean = np.exp(2 * seed_S).mean()
  assert high - mean > 1.3 * (mean - low)


def test_the_false_discovery_rate_by_hand_and_by_scipy():
  found = statistics.benjamini_hochberg([0.01, 0.04, 0.03, 0.005])
  assert found == pytest.approx([0.02, 0.04, 0.04, 0.02])
  p_N = np.random.default_rng(6).uniform(size=40) ** 2
  known = stats.false_discovery_control(p_N)
  assert statistics.benjamini_hochberg(p_N) == pytest.approx(known.tolist())
  assert statistics.benjamini_hochberg([]) == ()


def test_kappa_by_hand():
  # Of 50: both yes 20, both no 15; by chance .5 * .6 + .5 * .4 = .5; agreed .7.
  table = {('y', 'y'): 20, ('y', 'n'): 5, ('n', 'y'): 10, ('n', 'n'): 15}
  assert statistics.kappa(table) == pytest.approx(0.4)
  assert statistics.kappa({('a', 'a'): 3, ('b', 'b'): 4, ('c', 'c'): 1}) == pytest.approx(1.0)
  assert statistics.kappa({('y', 'n'): 5, ('n', 'y'): 5}) == pytest.approx(-1.0)
  assert statistics.kappa({('y', 'y'): 9}) is None
  pairs = collections.Counter(zip('yyyyynnnnn', 'yyyynnnnny'))  # agree in 8 of 10, by chance in 5
  assert statistics.kappa(pairs) == pytest.approx((0.8 - 0.5) / 0.5)


STUDIES = [  # seeds; the spread between seeds, between clusters of a seed, between items; plain is
  (8, 1.0, 0.2, 0.5, 'too short'),
  (8, 0.0, 0.0, 1.0, 'too long'),
  (16, 0.5, 0.5, 1.0, None),
]


@pytest.mark.parametrize('seeds, by_seed, by_cluster, by_item, plain', STUDIES)
def test_the_bootstrap_covers_in_simulated_studies(seeds, by_seed, by_cluster, by_item, plain):
  """And plain percentiles do not: seeds alone make them too short, items alone too long."""
  rng, found, raw = np.random.default_rng(seeds), [], []
  for _ in range(600):
    d_SCI = 0.3 + by_item * rng.normal(size=(seeds, 2, 3))
    d_SCI += by_cluster * rng.normal(size=(seeds, 2, 1)) + by_seed * rng.normal(size=(seeds, 1, 1))
    found.append(statistics.bootstrap(d_SCI, draws=500))
    if plain:
      drawn_N = statistics.resampled([d_SCI], 200, rng)
      raw.append((0, *np.quantile(drawn_N, [0.025, 0.975])))
  assert 0.93 <= coverage(found, 0.3) <= 0.97
  if plain:
    assert coverage(raw, 0.3) < 0.92 if plain == 'too short' else coverage(raw, 0.3) > 0.975
