"""Best-of-n against every subset there is, against closed forms, and where answers tie."""

import itertools

import numpy as np
import pytest

from jaxalign.config import UserError
from jaxalign.rl import bon


def by_enumeration(proxy, value, n):
  """The mean over all subsets of n; of equal bests, the mean of them."""
  picked = []
  for subset in itertools.combinations(range(len(proxy)), n):
    top = max(proxy[i] for i in subset)
    picked.append(np.mean([value[i] for i in subset if proxy[i] == top]))
  return np.mean(picked)


@pytest.mark.parametrize('tied', [False, True])
def test_agrees_with_every_subset(tied):
  rng = np.random.default_rng(tied)
  proxy, gold = rng.normal(size=(2, 3, 8))
  if tied:
    proxy = np.round(proxy)
    assert len(np.unique(proxy[0])) < 8
  ns = np.arange(1, 9)
  for value in (proxy, gold):
    expected = [[by_enumeration(p, v, n) for n in ns] for p, v in zip(proxy, value)]
    np.testing.assert_allclose(bon.curve(proxy, value, ns), expected, rtol=0, atol=1e-12)


def test_uniform_scores_have_the_closed_form():
  """The best of n out of 1..N is (N+1) n/(n+1), by symmetry of the gaps."""
  ranks = np.arange(1, 1025, dtype=float)[None]
  ns = bon.sizes(1024)
  np.testing.assert_allclose(bon.curve(ranks, ranks, ns)[0], 1025 * ns / (ns + 1), rtol=1e-11)


def test_kl_and_sizes():
  np.testing.assert_allclose(bon.kl([1, 2, 1024]), [0, np.log(2) - 0.5, np.log(1024) - 1023 / 1024])
  # From the law of the best answer's rank itself: the closed form is its limit.
  p = bon.chances(4, 1000)
  p = p[p > 0]
  assert abs((p * np.log(p * 1000)).sum() - bon.kl(4)) < 2e-3
  assert bon.sizes(16).tolist() == [1, 2, 3, 4, 6, 8, 12, 16]
  assert bon.sizes(10).tolist() == [1, 2, 3, 4, 6, 8, 10] and bon.sizes(1).tolist() == [1]


def test_interval_covers_the_truth_about_as_often_as_it_says():
  rng, covered = np.random.default_rng(3), 0
  for trial in range(200):
    means = rng.normal(size=(60, 1))
    low, high = bon.interval(bon.resampled(means, 200, seed=trial), 0.9)
    covered += low[0] <= 0 <= high[0]
  assert 165 <= covered <= 194
  one, two = (bon.resampled(means, 20, seed=5) for _ in range(2))
  assert (one == two).all()


@pytest.mark.parametrize(
  'proxy, ns, says',
  [
    ([1.0, 2.0], [1], 'prompts, answers'),
    ([[1.0, np.nan]], [1], 'prompt 0, answer 1 is nan'),
    ([[1.0, 2.0]], [3], 'n from 3 to 3: 1 to 2'),
    ([[1.0, 2.0]], [0], 'n from 0'),
  ],
)
def test_bad_scores_are_one_line(proxy, ns, says):
  with pytest.raises(UserError, match=says):
    bon.curve(proxy, proxy, ns)
