"""Directions with known cosines, and a null that holds its level where it is easy to be fooled."""

import numpy as np
import pytest

from jaxalign.config import UserError
from jaxalign.probes import directions
from jaxalign.probes.directions import LEVELS, agreement, cosine, direction, paired


def test_paired_gaps_by_hand():
  found = paired([2.0, 1.0, 0.5, 3.0], [1.0, 3.0, 0.5, -1.0])
  np.testing.assert_allclose(found.gap_N, [1, -2, 0, 4])
  assert found.mean == 0.75 and found.share == (1 + 0 + 0.5 + 1) / 4
  for wrong in ([1.0], []):
    with pytest.raises(UserError, match='pairs are two rows of one length'):
      paired(wrong, wrong[:0])


def test_a_direction_is_a_difference_of_means_of_each_layer():
  x_LND = np.array([[[1, 0], [3, 2], [0, 5], [4, 9]], [[2, 2], [2, 2], [1, 1], [3, 3]]], float)
  v_LD = direction(x_LND, [1, 1, 0, 1])
  np.testing.assert_allclose(v_LD, [[8 / 3, 11 / 3 - 5], [4 / 3, 4 / 3]])
  np.testing.assert_allclose(direction(x_LND, [0, 0, 1, 0]), -v_LD)


def test_cosines_by_hand():
  v_LD, w_LD = np.array([[1, 0], [3, 4], [0, 0.0]]), np.array([[2, 2], [-3, -4], [1, 1.0]])
  np.testing.assert_allclose(cosine(v_LD, w_LD), [np.sqrt(0.5), -1, np.nan])


def planted(rng, axis, N=60, D=16, size=2.0):
  label_N = rng.permutation(np.arange(N) % 2)
  return (rng.standard_normal((N, D)) + size * label_N[:, None] * axis)[None], label_N


def test_planted_directions_are_found_with_their_sign():
  rng = np.random.default_rng(0)
  e, f = np.eye(16)[:2]
  same, turned, other = (
    agreement(planted(rng, e), planted(rng, axis), draws=199) for axis in (e, -e, f)
  )
  assert same.cosine_L[0] > 0.8 and turned.cosine_L[0] < -0.8
  assert same.p_L[0] == turned.p_L[0] == 1 / 200
  assert abs(other.cosine_L[0]) < 0.4 and other.p_L[0] > 0.05


def test_the_null_of_round_noise_is_that_of_random_vectors():
  """A cosine with a random direction in D dimensions has variance 1 / D; here 1 / 100."""
  rng = np.random.default_rng(1)
  given = [(rng.standard_normal((2, 1500, 100)), np.arange(1500) % 2) for _ in range(2)]
  found = agreement(*given, draws=1000)
  assert found.null_QL.shape == (len(LEVELS), 2) and found.draws == 1000
  np.testing.assert_allclose(found.null_QL[::2, 0], [-0.196, 0, 0.196], atol=0.025)
  again = agreement(*given, draws=1000)
  np.testing.assert_array_equal(again.null_QL, found.null_QL)
  np.testing.assert_array_equal(again.p_L, found.p_L)
  other = agreement(*given, draws=1000, seed=1)
  assert (other.null_QL != found.null_QL).any()


def false_alarms(make, reps=150):
  rng = np.random.default_rng(2)
  p_R = [agreement(*make(rng), draws=39).p_L[0] for _ in range(reps)]
  return np.mean(np.array(p_R) <= 0.05)


@pytest.mark.parametrize('turn', [1, -1])
def test_one_real_direction_and_one_of_noise_are_no_agreement(turn):
  """Though it lies along the strongest axis of the other space, where a difference of anything
  points: cosines are large every time."""

  def make(rng):
    real = planted(rng, np.eye(16)[0])
    noise_LND = rng.standard_normal((1, 60, 16)) * ([12.0] + [1.0] * 15)
    return (real, (noise_LND, np.arange(60) % 2))[::turn]

  assert false_alarms(make) <= 0.09  # 3 standard errors above .05 is .103


def worded(rng, typed):
  """Two sets of 10 words x 6 items, whose labels go by word and mean nothing to the states."""
  sides = []
  for _ in range(2):
    type_N = np.repeat(np.arange(10), 6)
    x_ND = rng.standard_normal((10, 4))[type_N] + 0.1 * rng.standard_normal((60, 4))
    x_ND += 0.7 * rng.standard_normal((60, 1)) * [0, 0, 0, 6]  # within words, another axis is wide
    sides.append((x_ND[None], rng.permutation(np.arange(10) % 2)[type_N], *[type_N] * typed))
  return sides


def test_labels_are_permuted_over_types():
  """Words, not items, are what was drawn; over items the null is of another space."""
  assert false_alarms(lambda rng: worded(rng, typed=True)) <= 0.09
  sides = worded(np.random.default_rng(0), typed=True)
  few = agreement(*[(x[:, ::30], y[::30], t[::30]) for x, y, t in sides[:1] * 2], draws=50)
  assert set(np.round(few.null_QL[[0, -1], 0], 9)) == {-1, 1}  # two words: only the sign is left
  assert few.cosine_L[0] == pytest.approx(1) and few.p_L[0] == 1  # and a sign is no evidence


def test_random_directions_lie_apart_by_the_width_alone():
  low, *_, high = directions.random_null(400, draws=4000)
  assert high == pytest.approx(1.96 / 20, abs=0.01) and low == pytest.approx(-high, abs=0.015)
  x_LND, label_N = planted(np.random.default_rng(0), np.eye(16)[0])
  found = agreement((x_LND, label_N), (x_LND, label_N), draws=200)
  assert found.random_QL.shape == found.null_QL.shape
  assert (found.random_QL[-1] > 0.3).all() and (found.random_QL[-1] < 0.7).all()


def test_a_layer_that_holds_nothing_says_nothing():
  """As the embedding does where all prompts end with the same token, but for rounding."""
  rng = np.random.default_rng(3)
  x_LND, label_N = planted(rng, np.eye(16)[0])
  flat_LND = np.full_like(x_LND, 0.1) * (1 + 1e-8 * rng.standard_normal(x_LND.shape))
  both_LND = np.concatenate([flat_LND, x_LND])
  assert not direction(both_LND, label_N)[0].any() and direction(both_LND, label_N)[1].any()
  found = agreement((both_LND, label_N), (both_LND, label_N), draws=99)
  assert np.isnan(found.cosine_L[0]) and found.p_L[0] == 1
  assert found.cosine_L[1] == pytest.approx(1) and found.p_L[1] == 0.01
  assert not found.null_QL[:, 0].any()


def test_bad_input_is_one_line():
  x_LND, label_N = np.ones((2, 4, 3)), [0, 1, 0, 1]
  with pytest.raises(UserError, match='labels do not fit states'):
    direction(x_LND, [0, 1])
  with pytest.raises(UserError, match='labels are 0 and 1, and both occur'):
    direction(x_LND, [1, 1, 1, 1])
  with pytest.raises(UserError, match='of other layers or widths'):
    agreement((x_LND, label_N), (x_LND[:1], label_N))
  with pytest.raises(UserError, match='items of one type have both labels'):
    agreement((x_LND, label_N, list('aabb')), (x_LND, label_N))
