"""Intervals that stay honest where nothing spreads; tests, and what would be found."""

import numpy as np
import pytest
from scipy import stats

from jaxalign import estimates, paired, proportions, statistics
from jaxalign.paired import Units
from tests.paired_test import alone, of_size
from tests.proportions_test import score


def differences(only_a, only_b, n):
  return np.array([1.0] * only_a + [-1.0] * only_b + [0.0] * (n - only_a - only_b))


def two_sides(clusters, unsafe, safe):
  """Units of J: in each cluster so many items of either side."""
  cluster_N = [*np.repeat(np.arange(clusters), unsafe), *np.repeat(np.arange(clusters), safe)]
  total, sides = len(cluster_N), (clusters * unsafe, -clusters * safe)
  return Units.of(cluster_N, [total / n for n in sides for _ in range(abs(n))])


@pytest.mark.parametrize('refused', [0.0, 1.0])
def test_j_of_who_refuses_all_or_nothing_is_0_and_no_point(refused):
  """Each side is 0 of 8, or 8 of 8: Newcombe's interval of those, whatever stands in a cluster."""
  units = two_sides(8, 25, 31)
  found = estimates.of_one(np.full(len(units), refused), units, shares=True)
  half = proportions.wilson(0, 8)[1]
  assert found == pytest.approx((0, -half, half)) and found.mean == 0
  many = estimates.of_one(np.full(450, refused), two_sides(450 // 9, 4, 5), shares=True)
  assert 0 < many.high == pytest.approx(proportions.wilson(0, 50)[1])


def test_j_of_independent_items_is_newcombes():
  value_N = np.array([1.0] * 56 + [0.0] * 14 + [1.0] * 48 + [0.0] * 32)
  units = Units.of(range(150), [150 / 70] * 70 + [-150 / 80] * 80)
  found = estimates.of_one(value_N, units, shares=True)
  assert (round(found.low, 4), round(found.high, 4)) == (0.0524, 0.3339)


def test_two_models_that_agree_in_all_may_still_differ():
  none = np.zeros(80)
  (_, low, high) = estimates.of_two(none, of_size(10, 8), shares=True)
  assert (low, high) == pytest.approx(tuple(proportions.tango(0, 0, 10)[1:]))
  assert estimates.of_two(none, alone(80), shares=True) == proportions.tango(0, 0, 80)
  units = two_sides(8, 25, 31)
  (mean, low, high) = estimates.of_two(np.zeros(len(units)), units, shares=True)
  assert mean == 0 and high == pytest.approx(np.sqrt(2) * proportions.tango(0, 0, 8).high)
  assert low == pytest.approx(-high)
  # a draw of three may be .5 apart in all, too
  half = estimates.of_two(np.full(40, 0.5), of_size(10, 4), shares=True)
  assert half.low == pytest.approx(proportions.tango(5, 0, 10).low) and half.high > 0.5


def test_one_cluster_is_one_unit():
  value_N, units = np.array([1.0] * 6 + [0.0] * 4), of_size(1, 10)
  assert estimates.of_one(value_N, units, shares=True)[1:] == pytest.approx(
    proportions.wilson(0.6, 1)
  )
  (_, low, high) = estimates.of_two(value_N, units, shares=True)
  assert (low, high) == pytest.approx(tuple(proportions.tango(0.6, 0, 1)[1:]))
  assert estimates.of_one(value_N, units, shares=False)[1:] == (None, None)
  assert estimates.detectable(value_N, units, shares=True) == 1
  assert estimates.beyond(value_N, units, -0.1, 1, shares=True) > 0.1


def test_numbers_that_do_not_spread_have_no_interval_and_only_their_signs():
  same, units = np.full(6, 0.25), alone(6)
  assert estimates.of_two(same, units, shares=False) == (0.25, None, None)
  assert estimates.beyond(same, units, 0.2, 1) == 1 / 2**6 == estimates.tost(same, units, 0.3)
  assert estimates.beyond(same, units, 0.3, 1) == 1 and estimates.tost(same, units, 0.25) == 1
  assert estimates.detectable(same, units) is None


def any_units(rng):
  """Clusters and weights of every kind: a rate, J, one side of it, documents of some length."""
  count = int(rng.integers(1, 40))
  kind, sign_N = rng.integers(4), np.ones(count)
  if kind < 2:
    sign_N = np.where(rng.random(count) < (0.5, 1.0)[kind], -1.0, 1.0)
  weight_N = sign_N * (rng.random(count) + 0.1 if kind == 3 else 1.0)
  for sign in (-1, 1):
    here_N = sign_N == sign
    weight_N[here_N] *= count / (np.abs(weight_N[here_N]).sum() or 1)
  return Units.of(rng.integers(1, count + 1, count).tolist(), weight_N.tolist())


def test_every_interval_of_shares_holds_its_middle_and_is_no_point():
  rng = np.random.default_rng(5)
  for _ in range(400):
    units, kind = any_units(rng), rng.integers(4)
    first_N, other_N = (
      np.full(len(units), rng.random())
      if kind == 3
      else rng.integers(0, (2, 1, 4)[kind], len(units)) / max(1, (1, 1, 3)[kind])
      for _ in range(2)
    )
    least, most = units.bounds
    one = estimates.of_one(first_N, units, True)
    two = estimates.of_two(other_N - first_N, units, True)
    for (mean, low, high), reach in ((one, (least, most)), (two, (least - most, most - least))):
      assert reach[0] <= low < high <= reach[1] and low <= mean + 1e-9 and mean <= high + 1e-9
    assert 0 < estimates.detectable(other_N - first_N, units, True) <= 2
    assert 0 <= estimates.beyond(other_N - first_N, units, -0.1, 1, True) <= 1


def simulated(clusters, unsafe, safe, shares, rho, rng):
  """What is refused of both sides, whose shares differ from cluster to cluster."""
  rate_SC = [rng.beta(p * (1 / rho - 1), (1 - p) * (1 / rho - 1), clusters) for p in shares]
  rate_N = [*np.repeat(rate_SC[0], unsafe), *np.repeat(rate_SC[1], safe)]
  return (rng.random(len(rate_N)) < rate_N).astype(float)


@pytest.mark.parametrize(
  'shares, rho', [((0.98, 0.02), 0.2), ((0.9, 0.1), 0.05), ((0.6, 0.3), 0.1)]
)
def test_the_interval_of_j_covers_where_draws_do_not(shares, rho):
  rng, units = np.random.default_rng(0), two_sides(8, 25, 31)
  true, covered, drawn = shares[0] - shares[1], [], []
  for _ in range(250):
    value_N = simulated(8, 25, 31, shares, rho, rng)
    _, low, high = estimates.of_one(value_N, units, shares=True)
    covered.append(low <= true <= high)
    drawn_B = paired.draws(value_N[:, None], units, 300, rng)[:, 0]
    _, low, high = paired.interval(drawn_B, value_N, units)
    drawn.append(low is not None and low <= true <= high)
  assert 0.91 <= np.mean(covered) <= 0.99 and np.mean(drawn) <= np.mean(covered) + 0.02
  assert rho < 0.2 or np.mean(drawn) < 0.85


@pytest.mark.parametrize('clusters, size', [(8, 25), (40, 4)])
def test_the_interval_of_a_rate_and_of_a_difference_covers_in_clusters(clusters, size):
  rng, units, hits = np.random.default_rng(1), of_size(clusters, size), []
  for _ in range(300):
    a, b = (rng.beta(p * 9, (1 - p) * 9, clusters)[units.cluster_N] for p in (0.3, 0.05))
    a_N, b_N = ((rng.random(len(a)) < p).astype(float) for p in (a, b))
    one, two = estimates.of_one(b_N, units, True), estimates.of_two(a_N - b_N, units, True)
    hits.append((one.low <= 0.05 <= one.high, two.low <= 0.25 <= two.high))
  assert (np.mean(hits, 0) >= 0.92).all() and (np.mean(hits, 0) <= 0.995).all()


def test_sides_that_move_together_leave_a_narrower_interval_and_no_point():
  """Clusters of which all or nothing is refused, on both sides: J is 0 in each of them."""
  rng, units = np.random.default_rng(6), two_sides(20, 5, 5)
  each_C = np.repeat([0.0, 1.0], 10)
  together = estimates.of_one(np.tile(np.repeat(each_C, 5), 2), units, True)
  turned = np.concatenate([np.repeat(each_C, 5), np.repeat(each_C[::-1], 5)])
  apart = estimates.of_one(turned, units, True)
  other = np.concatenate([np.repeat(each_C, 5), np.repeat(rng.permutation(each_C), 5)])
  between = estimates.of_one(other, units, True)
  wide = [one.high - one.low for one in (together, between, apart)]
  assert together.mean == 0 and 0.1 < wide[0] < 0.7 * wide[1] < 0.7 * wide[2]
  known = proportions.tango(0, 0, 20)
  assert wide[0] == pytest.approx(known.high - known.low, rel=0.35)


def test_effective_units_are_those_of_the_design_effect():
  """Items that repeat their cluster are as many as there are clusters, at any number of them."""
  each = np.random.default_rng(2).random(400) < 0.3
  value_N, units = np.repeat(each, 5).astype(float), of_size(400, 5)
  found = estimates.of_one(value_N, units, shares=True)
  known = proportions.wilson(each.sum(), 400)
  assert (found.low, found.high) == pytest.approx(known, abs=1e-3)
  shuffled = np.random.default_rng(3).permutation(value_N)  # no cluster tells of the next
  found = estimates.of_one(shuffled, units, shares=True)
  assert found.high - found.low == pytest.approx(
    np.ptp(proportions.wilson(shuffled.sum(), 2000)), rel=0.08
  )


def test_a_test_against_a_margin_agrees_with_its_interval():
  """p = .05 just where the margin is an end of the 90 % interval: of one rate, and of J's."""
  rng = np.random.default_rng(4)
  for units in (alone(60), of_size(12, 5), two_sides(10, 3, 4)):
    d_N = rng.choice([-1.0, 0.0, 0.0, 1.0], len(units))
    found = estimates.of_two(d_N, units, True, level=0.9)
    assert estimates.beyond(d_N, units, found.low, 1, True) == pytest.approx(0.05, abs=1e-6)
    assert estimates.beyond(d_N, units, found.high, -1, True) == pytest.approx(0.05, abs=1e-6)
    assert estimates.tost(d_N, units, 0.9, True) < 0.05


def test_equivalence_is_two_t_tests_over_clusters():
  rng, units = np.random.default_rng(7), of_size(12, 3)
  d_N = rng.normal(0.02, 0.1, 36)
  means_C = d_N.reshape(12, 3).mean(1)
  above = stats.ttest_1samp(means_C, -0.1, alternative='greater').pvalue
  below = stats.ttest_1samp(means_C, 0.1, alternative='less').pvalue
  assert estimates.tost(d_N, units, 0.1) == pytest.approx(max(above, below))
  assert estimates.beyond(d_N, units, -0.1, 1) == pytest.approx(above)
  assert estimates.tost(d_N + 0.5, units, 0.1) > 0.99


def test_equivalence_of_shares_needs_items_not_only_agreement():
  few, many = (estimates.tost(np.zeros(n), alone(n), 0.05, shares=True) for n in (20, 200))
  assert few > 0.1 and many < 0.01
  assert few == pytest.approx(stats.norm.sf(-score(0, 0, 20, 0.05)), abs=1e-3)


def test_equivalence_has_its_size_at_the_margin():
  rng, claimed = np.random.default_rng(8), []
  for _ in range(500):
    a, b, _ = rng.multinomial(200, [0.10, 0.05, 0.85])  # a true difference of .05
    d_N = differences(int(a), int(b), 200)
    claimed.append(estimates.tost(d_N, alone(200), 0.05, shares=True) < 0.05)
  assert np.mean(claimed) <= 0.08


def test_what_can_be_detected_is_the_table_of_the_design():
  table = {
    100: (8.9, 12.5, 15.3), 313: (5.0, 7.1, 8.7), 450: (4.2, 5.9, 7.2), 520: (3.9, 5.5, 6.7),
    790: (3.2, 4.5, 5.5), 2312: (1.8, 2.6, 3.2),
  }  # fmt: skip
  for n, known in table.items():
    found = [100 * proportions.detectable_share(n, share) for share in (0.1, 0.2, 0.3)]
    assert found == pytest.approx(known, abs=0.051)
  d_N = differences(30, 15, 450)
  assert estimates.detectable(d_N, alone(450), True) == proportions.detectable_share(450, 0.1)
  assert proportions.detectable_share(100, 0.0) == 0.06  # six discordant items, all one way


def test_what_can_be_detected_is_detected_in_four_studies_of_five():
  rng, n, found = np.random.default_rng(9), 400, []
  share = proportions.detectable_share(n, 0.2)
  for _ in range(500):
    a, b, _ = rng.multinomial(n, [(0.2 + share) / 2, (0.2 - share) / 2, 0.8])
    found.append(proportions.mcnemar(int(a), int(b)) <= 0.05)
  assert 0.72 <= np.mean(found) <= 0.85  # an exact test finds a little less
  x_N = rng.normal(size=50)
  spread = statistics.detection_floor(float(x_N.std(ddof=1)), 50)
  assert estimates.detectable(x_N, alone(50)) == pytest.approx(spread)
