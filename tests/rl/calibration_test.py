"""Every number of the card against its closed form."""

import json
import math

import numpy as np
import pytest

from jaxalign.rl import calibration
from jaxalign.rl.calibration import (
  by_length,
  by_margin,
  card,
  correlation,
  ece,
  reliability,
)


def test_a_tie_is_half_right():
  assert calibration.right([2.0, -1.0, 0.0]).tolist() == [1, 0, 0.5]


def test_sigmoid_is_stable():
  got = calibration.sigmoid([-800.0, 0.0, 800.0])
  np.testing.assert_allclose(got, [0, 0.5, 1], atol=1e-12)


def test_ece_is_the_mean_gap():
  """Two bins: 4 at .55 of which 3 are right, 6 at .95 of which 3 are."""
  confidence = np.array([0.55] * 4 + [0.95] * 6)
  right = np.array([1, 1, 1, 0] + [1, 1, 1, 0, 0, 0], float)
  rows = reliability(confidence, right)
  assert [(row['n'], row['value']) for row in rows] == [(4, 0.75), (6, 0.5)]
  assert ece(rows) == pytest.approx((4 * 0.2 + 6 * 0.45) / 10)


def test_what_is_calibrated_has_a_small_ece():
  random = np.random.default_rng(0)
  delta = random.normal(0, 1.5, 40_000)
  signed = np.where(random.random(40_000) < calibration.sigmoid(delta), delta, -delta)

  def made(d):
    return card(np.stack([d, 0 * d], 1), np.ones((len(d), 2)), ['x'] * len(d))

  assert made(signed)['ece'] < 0.01
  assert made(4 * signed)['ece'] > 0.1  # too sure of itself
  assert made(signed)['accuracy']['value'] == pytest.approx(
    calibration.sigmoid(abs(delta)).mean(), abs=0.01
  )


def test_ends_of_the_scale_have_a_bin():
  rows = reliability(np.array([0.5, 1.0]), np.array([0.5, 1.0]))
  assert [row['n'] for row in rows] == [1, 1]


def test_length_bins_hold_their_edges():
  gaps = np.array([-65, -64, -17, -16, -5, -4, -1, 0, 1, 4, 5, 16, 17, 64, 65])
  rows = by_length(gaps, np.ones(15))
  assert [row['n'] for row in rows] == [1, 2, 2, 2, 1, 2, 2, 2, 1]
  first = [None, -64, -16, -4, 0, 1, 5, 17, 65]
  assert [row['first'] for row in rows] == first
  assert [row['last'] for row in rows] == [*(edge - 1 for edge in first[1:]), None]


def test_margin_bins_hold_equally_many():
  delta = np.linspace(-3, 3, 101)
  rows = by_margin(delta, calibration.right(delta))
  assert sum(row['n'] for row in rows) == 101 and max(r['n'] for r in rows) <= 11
  assert all(a['most'] <= b['least'] for a, b in zip(rows, rows[1:]))


def test_correlation_is_pearson_s():
  random = np.random.default_rng(1)
  x = random.normal(size=50)
  y = 0.5 * x + random.normal(size=50)
  got = correlation(x, y)
  assert got['value'] == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-12)
  half = (math.atanh(got['high']) - math.atanh(got['low'])) / 2
  assert half == pytest.approx(calibration.Z / math.sqrt(47))
  assert correlation(x, 2 * x)['value'] == pytest.approx(1)
  assert correlation(x, np.ones(50))['value'] is None


def test_the_card_is_json_and_adds_up():
  """By hand: four pairs of two subsets, one tie; the longer one wins twice, once it is a draw."""
  rewards = [[1.0, 0.0], [0.0, 2.0], [0.5, 0.5], [3.0, 0.0]]
  made = card(rewards, [[9, 4], [3, 8], [7, 7], [5, 2]], ['b', 'a', 'a', 'b'])
  assert json.loads(json.dumps(made, allow_nan=False)) == made
  assert (made['pairs'], made['ties'], made['accuracy']['value']) == (4, 1, 0.625)
  assert made['subsets']['a']['accuracy']['value'] == 0.25
  assert made['subsets']['b']['longer']['value'] == 1
  assert made['loss'] == pytest.approx(np.mean(np.log1p(np.exp([-1.0, 2.0, 0.0, -3.0]))))
  assert list(made['subsets']) == ['a', 'b']
  for name in ('by_length', 'by_margin', 'reliability'):
    assert sum(row['n'] for row in made[name]) == 4, name


def test_one_pair_makes_a_card():
  made = card([[0.0, 0.0]], [[1, 1]], [''])
  json.dumps(made, allow_nan=False)
  assert made['accuracy']['value'] == 0.5 and made['reward_and_length']['value'] is None
