"""Power by simulation against the table that STUDY3.md prints, and against the t test's own."""

import numpy as np
import pytest
from scipy import stats

from jaxalign import statistics
from jaxalign.study.judge import power

# contrast: mean, SD, {seeds: power at Holm's first step of three}
TABLE = {
  'before demonstrations': (9.9, 10.3, {8: 0.37, 16: 0.85, 24: 0.98}),
  'after them': (6.0, 12.9, {8: 0.08, 16: 0.23}),
  'C1 in V': (1.15, 1.04, {8: 0.47, 16: 0.95}),
  'order': (0.2, 0.235, {8: 0.29, 16: 0.76}),
}


@pytest.mark.parametrize('name', TABLE)
def test_it_is_the_designs_table(name):
  mean, sd, known = TABLE[name]
  for seeds, share in known.items():
    found = power.power(mean, sd, seeds, family=3)
    assert found == pytest.approx(share, abs=3 * power.standard_error(max(share, 0.1)) + 0.005)


def test_it_is_the_t_tests_power_but_for_what_ranks_of_patterns_cost():
  """And at a mean of 0 it is the size of the test, half of it on this side."""
  mean, n = 0.8, 12
  edge = stats.t.isf(0.025, n - 1)
  by_t = stats.nct.sf(edge, n - 1, mean * np.sqrt(n))
  assert power.power(mean, 1.0, n) == pytest.approx(by_t, abs=0.05)
  assert power.power(0.0, 1.0, n) == pytest.approx(0.025, abs=0.015)
  assert power.power(0.0, 1.0, n, one_sided=True) == pytest.approx(0.05, abs=0.021)
  assert power.power(mean, 1.0, n, one_sided=True) > power.power(mean, 1.0, n)
  assert power.power(mean, 1.0, 8, family=7) == 0.0  # 2 / 256 x 7 is above .05


def test_the_designs_own_count_of_seeds():
  n = power.seeds_for(1.15, 1.04, family=3, most=16)
  assert n in (11, 12, 13)  # 12 in the table
  of = power.power(1.15, 1.04, n - 1, family=3), power.power(1.15, 1.04, n, family=3)
  assert of[0] < 0.8 <= of[1]
  assert power.seeds_for(1.15, 1.04, family=3, most=n - 1) is None
  floor = statistics.detection_floor(1.04, n, alpha=0.05 / 3)
  assert floor == pytest.approx(1.15, rel=0.1)


def test_a_crossed_study_finds_nothing_where_nothing_is():
  """Half the size of the two-sided test is on this side; counting twice what is in neither factor
  alone makes it rather less."""
  for training, draws in ((3, 3), (2, 4)):
    found = power.crossed_power(0.0, power.Sds.evenly(1.0), training, draws)
    assert found <= 0.025 + 2 * power.standard_error(0.025)


def test_a_crossed_study_has_the_power_of_its_few_draws():
  """Nine seeds that share three draws of documents are no nine observations."""
  of_draws = power.Sds(training=0.0, draw=1.0, rest=0.05)
  shared, own = power.crossed_power(1.5, of_draws, 3, 3), power.power(1.5, 1.0, 9)
  assert shared < 0.6 < 0.9 < own
  assert power.crossed_power(6.0, of_draws, 3, 3) > 0.9
