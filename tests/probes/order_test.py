"""Order by hand, against scipy, and an interval that knows of clusters."""

import numpy as np
import pytest
from scipy.stats import kendalltau, somersd

from jaxalign.config import UserError
from jaxalign.probes import order as orders
from jaxalign.probes.order import order


def test_a_worked_example():
  """Six pairs, one of equal utility; of the other five the model has three, one tied, one wrong."""
  found = order([1.0, 2.0, 2.0, 0.0], [0, 1, 2, 0], [0, 0, 1, 1], draws=50)
  # (a,b) right, (a,c) right, (b,c) tied, (b,d) right, (c,d) right, (a,d) of equal utility
  assert found.right == (4 + 0.5) / 5 and found.pairs == 5 and found.ties == 1
  assert found.tau == pytest.approx(4 / np.sqrt(5 * 5)) and found.clusters == 2


def test_a_perfect_order_and_its_reverse():
  utility_N, cluster_N = np.arange(12) // 2, np.arange(12) % 3
  for sign in (1, -1):
    found = order(sign * np.arange(12.0), utility_N, cluster_N, draws=100)
    assert found.right == (sign + 1) / 2
    assert found.right_interval == (found.right, found.right)
    assert abs(found.tau) < 1 and np.sign(found.tau) == sign  # which ties of gold's forbid
  assert order(utility_N, utility_N, cluster_N, draws=50).tau == pytest.approx(1)


def data(seed, K=6, each=7):
  rng = np.random.default_rng(seed)
  cluster_N = np.repeat(np.arange(K), each)
  utility_N = rng.integers(-1, 2, K * each)
  return np.round(utility_N + rng.standard_normal(K * each), 1), utility_N, cluster_N


def test_it_is_scipys_with_ties():
  for seed in range(5):
    logodds_N, utility_N, cluster_N = data(seed)
    found = order(logodds_N, utility_N, cluster_N, draws=10)
    assert found.right == pytest.approx((somersd(utility_N, logodds_N).statistic + 1) / 2)
    assert found.tau == kendalltau(logodds_N, utility_N).statistic
    sums = orders.pair_sums(logodds_N, utility_N, cluster_N)
    tau, right = orders._tau_right(*orders.totals(sums, np.ones((1, 6))))
    assert tau[0] == pytest.approx(found.tau) and right[0] == pytest.approx(found.right)


def test_a_resample_is_what_its_options_give(monkeypatch):
  """Clusters drawn twice or never, put together in full; read in small pieces."""
  monkeypatch.setattr(orders, 'ROWS', 5)
  logodds_N, utility_N, cluster_N = data(0)
  sums = orders.pair_sums(logodds_N, utility_N, cluster_N)
  for weight in ([2, 0, 1, 1, 2, 0], [0, 0, 6, 0, 0, 0], [1, 3, 0, 0, 1, 1]):
    some = np.concatenate([np.flatnonzero(cluster_N == k) for k in np.repeat(np.arange(6), weight)])
    tau, right = orders._tau_right(*orders.totals(sums, np.array([weight])))
    assert tau[0] == pytest.approx(kendalltau(logodds_N[some], utility_N[some]).statistic)
    wanted = (somersd(utility_N[some], logodds_N[some]).statistic + 1) / 2
    assert right[0] == pytest.approx(wanted)


def test_the_same_seed_the_same_interval():
  first, again = (order(*data(1), draws=200) for _ in range(2))
  assert first == again
  assert order(*data(1), draws=200, seed=1).tau_interval != first.tau_interval
  names = np.array(list('abcdef'))[data(1)[2]]
  assert order(*data(1)[:2], names, draws=200) == first


def test_the_interval_covers_where_clusters_count():
  """No order in truth, but what a cluster likes goes with its utility: options taken for
  independent witnesses find one far too often."""
  rng = np.random.default_rng(2)
  by_cluster, by_option = [], []
  for _ in range(150):
    cluster_N = np.repeat(np.arange(30), 5)
    logodds_N, utility_N = (
      rng.standard_normal(30)[cluster_N] + 0.5 * rng.standard_normal(150) for _ in range(2)
    )
    for covered, clusters in ((by_cluster, cluster_N), (by_option, np.arange(150))):
      low, high = order(logodds_N, utility_N, clusters, draws=200).tau_interval
      covered.append(low <= 0 <= high)
  assert 0.88 <= np.mean(by_cluster) <= 0.99
  assert np.mean(by_option) < 0.8


def test_bad_input_is_one_line():
  for given, says in (
    (([1.0, 2.0], [1, 2], [0]), 'belong to the same options'),
    (([1.0, np.nan], [1, 2], [0, 1]), 'not finite'),
    (([1.0, 2.0], [1, 2], [0, 0]), '1 cluster'),
    (([1.0, 2.0], [1, 1], [0, 1]), 'there is no order'),
    (([1.0, 1.0], [1, 2], [0, 1]), 'there is no order'),
  ):
    with pytest.raises(UserError, match=says):
      order(*given)
