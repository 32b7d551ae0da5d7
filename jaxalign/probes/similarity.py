"""How alike two models hold the same items, layer by layer: linear CKA and RSA.

CKA (Kornblith et al. 2019, https://arxiv.org/abs/1905.00414) with the unbiased HSIC of Song et al.
2012: without it any two models look alike when items are fewer than dimensions. NaN where a layer
tells no two items apart. Give both models the same items, in the same order.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from scipy.spatial.distance import pdist
from scipy.stats import rankdata

from jaxalign.config import UserError

_Pairs = Sequence[tuple[np.ndarray, np.ndarray]]
_Measure = Callable[[np.ndarray, np.ndarray], np.ndarray]
_NOISE = 1e-6  # of a layer's size: what varies less is rounding


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Against:
  """Similarities of pairs [P,L], and of the pairs that are the ceiling [Q,L]."""

  pairs_PL: np.ndarray
  ceiling_QL: np.ndarray

  @property
  def gap_L(self) -> np.ndarray:
    """How far below the ceiling, in the mean."""
    return self.ceiling_QL.mean(0) - self.pairs_PL.mean(0)


def cka(x_LND: np.ndarray, y_LND: np.ndarray) -> np.ndarray:
  """[L]: debiased linear CKA; 1 for equal up to rotation and scale, about 0 for independent."""
  return np.array([np.dot(*_units(both, cka)) for both in zip(*_checked(x_LND, y_LND, least=4))])


def rsa(x_LND: np.ndarray, y_LND: np.ndarray) -> np.ndarray:
  """[L]: Spearman's correlation of which items lie far apart, by correlation distance.

  It does not see scale, nor a number added to all features of an item; a rotation it does see.
  """
  return np.array([np.dot(*_units(both, rsa)) for both in zip(*_checked(x_LND, y_LND, least=3))])


def every(x_MLND: np.ndarray, measure: _Measure = cka) -> np.ndarray:
  """[L,M,M]: the similarity of every two of M models; as `measure` (cka or rsa) of them one by one,
  at the price of one product of matrices. NaN where a model tells no two items apart."""
  x_MLND = np.asarray(x_MLND, np.float64)
  if x_MLND.ndim != 4 or x_MLND.shape[2] < 4:
    raise UserError(f'states [M, L, N, D] of at least 4 items, not {x_MLND.shape}')
  unit_LME = [_units(x_MND, measure) for x_MND in np.moveaxis(x_MLND, 1, 0)]
  return np.stack([unit_ME @ unit_ME.T for unit_ME in unit_LME])


def _units(x_MND, measure):
  """[M,E]: vectors of length 1, the product of two of which is the measure of their models."""
  n = len(x_MND[0])
  unit, size = {cka: (_centred, n * n), rsa: (_ranked, n * (n - 1) // 2)}[measure]
  return np.stack([np.full(size, np.nan) if _flat(x_ND) else unit(x_ND) for x_ND in x_MND])


def _centred(x_ND):
  """The Gram matrix with the means taken off so that the product of two is the unbiased HSIC
  (Szekely and Rizzo 2014), at length 1."""
  n, x_ND = len(x_ND), x_ND - x_ND.mean(0)  # changes nothing but the rounding
  k_NN = x_ND @ x_ND.T / (x_ND**2).sum()
  k_NN = k_NN - np.diag(np.diag(k_NN))
  k_N = k_NN.sum(0)
  k_NN = k_NN - (k_N + k_N[:, None]) / (n - 2) + k_N.sum() / ((n - 1) * (n - 2))
  k_NN = k_NN - np.diag(np.diag(k_NN))
  return (k_NN / np.linalg.norm(k_NN)).ravel()


def _ranked(x_ND):
  """Ranks of the distances, so that the product of two is Spearman's correlation."""
  rank_E = rankdata(pdist(x_ND, 'correlation'))
  rank_E -= rank_E.mean()
  return rank_E / np.linalg.norm(rank_E)


def against_ceiling(pairs: _Pairs, ceiling_pairs: _Pairs, measure: _Measure = cka) -> _Against:
  """Similarity between arms, beside what two seeds of one arm have.

  Both are lists of (x_LND, y_LND). Pair arms across seeds as the ceiling's are: two arms that grew
  from one seed's base are alike for that reason alone, and may lie above this ceiling.
  """
  if not pairs or not ceiling_pairs:
    raise UserError('against_ceiling takes at least one pair, and one pair for the ceiling')
  pairs_PL, ceiling_QL = (np.stack([measure(*two) for two in of]) for of in (pairs, ceiling_pairs))
  return _Against(pairs_PL=pairs_PL, ceiling_QL=ceiling_QL)


def _checked(x_LND, y_LND, least):
  x_LND, y_LND = (np.asarray(x, np.float64) for x in (x_LND, y_LND))
  if x_LND.ndim != 3 or x_LND.shape[:2] != y_LND.shape[:2]:
    raise UserError(f'states [L, N, D] of the same layers and items: {x_LND.shape}, {y_LND.shape}')
  if x_LND.shape[1] < least:
    raise UserError(f'{x_LND.shape[1]} items: this similarity needs at least {least}')
  return x_LND, y_LND


def _flat(x_ND):
  """Whether all items are one, but for rounding."""
  return np.abs(x_ND - x_ND.mean(0)).max() <= _NOISE * np.abs(x_ND).max()
