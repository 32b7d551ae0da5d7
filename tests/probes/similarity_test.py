"""CKA and RSA against their definitions, what they must not see, and what debiasing is for."""

import itertools

import numpy as np
import pytest
from scipy.stats import ortho_group, rankdata

from jaxalign.config import UserError
from jaxalign.probes.similarity import against_ceiling, cka, every, rsa


def normal(*shape, seed=0):
  return np.random.default_rng(seed).standard_normal(shape)


def hsic(k, m):
  """Its definition, over four different items."""
  every_four = itertools.permutations(range(7), 4)
  return np.mean([k[i, j] * (m[i, j] + m[q, r] - 2 * m[i, q]) for i, j, q, r in every_four])


def test_cka_is_its_definition():
  x_ND, y_ND = normal(7, 3), normal(7, 2, seed=1)
  k, m = x_ND @ x_ND.T, y_ND @ y_ND.T
  wanted = hsic(k, m) / np.sqrt(hsic(k, k) * hsic(m, m))
  assert cka(x_ND[None], y_ND[None]) == pytest.approx(wanted)


@pytest.mark.parametrize('N, D', [(40, 8), (12, 30)])
def test_cka_does_not_see_rotation_scale_and_place(N, D):
  x_LND, y_LND = normal(2, N, D), normal(2, N, 5, seed=1)
  y_LND[:, :, :3] += x_LND[:, :, :3]
  turn = ortho_group.rvs(D, random_state=0)
  np.testing.assert_allclose(cka(x_LND, -3 * x_LND @ turn + 7), 1)
  before = cka(x_LND, y_LND)
  assert (before < 0.9).all()
  np.testing.assert_allclose(cka(0.1 * x_LND @ turn - 2, y_LND), before)
  np.testing.assert_allclose(cka(y_LND, x_LND), before)
  stretched = x_LND * np.logspace(-1, 1, D)
  assert (np.abs(cka(stretched, y_LND) - before) > 0.01).all()  # that is no rotation


def test_independent_states_are_unlike_even_with_fewer_items_than_dimensions():
  """Where the plain CKA says .8: debiased, the mean over draws is 0 at any N and D."""
  for N, D, bound in ((20, 100, 0.03), (100, 20, 0.01)):
    found = cka(normal(100, N, D), normal(100, N, D, seed=1))
    assert abs(found.mean()) < bound and np.abs(found).max() < 0.3
  x_ND, y_ND = (x - x.mean(0) for x in (normal(20, 100), normal(20, 100, seed=1)))
  plain = np.linalg.norm(x_ND.T @ y_ND) ** 2
  plain /= np.linalg.norm(x_ND.T @ x_ND) * np.linalg.norm(y_ND.T @ y_ND)
  assert plain > 0.7


def test_rsa_is_spearman_of_correlation_distances():
  x_ND, y_ND = normal(6, 5), normal(6, 9, seed=1)
  pairs = list(itertools.combinations(range(6), 2))
  far = [[1 - np.corrcoef(z[i], z[j])[0, 1] for i, j in pairs] for z in (x_ND, y_ND)]
  wanted = np.corrcoef(*map(rankdata, far))[0, 1]
  assert rsa(x_ND[None], y_ND[None]) == pytest.approx(wanted)


def test_rsa_does_not_see_scale_and_offset_of_an_item():
  x_LND, y_LND = normal(1, 30, 8), normal(1, 30, 8, seed=1)
  y_LND += x_LND
  before = rsa(x_LND, y_LND)
  scale, offset = np.exp(normal(1, 30, 1, seed=2)), normal(1, 30, 1, seed=3)
  np.testing.assert_allclose(rsa(scale * x_LND + offset, y_LND), before)
  np.testing.assert_allclose(rsa(x_LND[..., ::-1], y_LND), before)
  np.testing.assert_allclose(rsa(x_LND, scale * x_LND), 1)
  assert 0.2 < before[0] < 0.95
  assert abs(rsa(normal(1, 60, 8), normal(1, 60, 8, seed=9))[0]) < 0.15


def test_layers_are_compared_one_by_one():
  x_LND, other_ND = normal(3, 40, 6), normal(40, 6, seed=1)
  y_LND = x_LND.copy()
  y_LND[1] = other_ND
  for measure in (cka, rsa):
    found = measure(x_LND, y_LND)
    assert found[0] == pytest.approx(1) and found[2] == pytest.approx(1) and found[1] < 0.3


def test_a_layer_that_tells_no_items_apart_has_no_similarity():
  x_LND = normal(2, 10, 4)
  x_LND[0] = 0.1 * (1 + 1e-8 * normal(10, 4))
  for measure in (cka, rsa):
    assert np.isnan(measure(x_LND, x_LND)).tolist() == [True, False]


def test_the_gap_to_the_ceiling():
  base, noise = normal(2, 40, 6), lambda seed, size: size * normal(2, 40, 6, seed=seed)
  ceiling = [(base + noise(s, 0.3), base + noise(s + 1, 0.3)) for s in (1, 3)]
  arms = [(base + noise(s, 0.3), base + noise(s + 1, 1.5)) for s in (5, 7, 9)]
  for measure in (cka, rsa):
    found = against_ceiling(arms, ceiling, measure)
    assert found.pairs_PL.shape == (3, 2) and found.ceiling_QL.shape == (2, 2)
    np.testing.assert_allclose(found.pairs_PL[1], measure(*arms[1]))
    np.testing.assert_allclose(found.ceiling_QL[0], measure(*ceiling[0]))
    np.testing.assert_allclose(found.gap_L, found.ceiling_QL.mean(0) - found.pairs_PL.mean(0))
    assert (found.gap_L > 0.1).all()
  with pytest.raises(UserError, match='at least one pair'):
    against_ceiling(arms, [])


def test_bad_input_is_one_line():
  with pytest.raises(UserError, match='of the same layers and items'):
    cka(normal(2, 9, 3), normal(2, 8, 3))
  with pytest.raises(UserError, match='3 items: this similarity needs at least 4'):
    cka(normal(2, 3, 3), normal(2, 3, 3))


@pytest.mark.parametrize('measure', [cka, rsa])
def test_every_two_models_at_once_are_as_two_by_two(measure):
  x_MLND = normal(4, 2, 30, 6)
  x_MLND[1] += 1.5 * x_MLND[0]
  x_MLND[3, 1] = 2.0  # tells no two items apart
  found = every(x_MLND, measure)
  assert found.shape == (2, 4, 4)
  for i, j in itertools.product(range(4), repeat=2):
    np.testing.assert_allclose(found[:, i, j], measure(x_MLND[i], x_MLND[j]), atol=1e-12)
  assert np.isnan(found[1, 3]).all() and not np.isnan(found[0]).any()
  with pytest.raises(UserError, match='at least 4 items'):
    every(x_MLND[:, :, :3])
