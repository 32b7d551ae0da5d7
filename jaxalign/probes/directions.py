"""Differences on paired items, and directions in the residual stream. Pure numpy.

A direction is a difference of means, layer by layer: of what violates a value less what does not,
of negative outcomes less positive ones. Two of them are compared by their cosine, beside the
cosines that chance gives: in a space with a few strong axes any two directions look alike.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from jaxalign.config import UserError

LEVELS = 0.025, 0.25, 0.5, 0.75, 0.975
_NOISE = 1e-6  # of a layer's size: shorter differences are rounding


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Paired:
  """Of each pair, the log-odds of its first item less those of its second."""

  gap_N: np.ndarray
  mean: float
  share: float  # of the pairs whose first item is ahead; a tie is half


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Agreement:
  """How alike two directions are, layer by layer; NaN (p is 1) where one of them is nothing."""

  cosine_L: np.ndarray
  p_L: np.ndarray  # two-sided, of permuted labels
  null_QL: np.ndarray  # quantiles of the permuted cosines at LEVELS
  random_QL: np.ndarray  # of the cosines of the first direction with random ones
  draws: int


def paired(first_N: np.ndarray, second_N: np.ndarray) -> _Paired:
  """The preference of each pair's first item (for refusals: harmful first, its twin second)."""
  first_N, second_N = np.asarray(first_N, np.float64), np.asarray(second_N, np.float64)
  if first_N.shape != second_N.shape or first_N.ndim != 1 or not len(first_N):
    raise UserError(f'pairs are two rows of one length, not {first_N.shape} and {second_N.shape}')
  gap_N = first_N - second_N
  share = (np.sign(gap_N) + 1).mean() / 2
  return _Paired(gap_N=gap_N, mean=float(gap_N.mean()), share=float(share))


def direction(x_LND: np.ndarray, label_N: np.ndarray) -> np.ndarray:
  """v_LD: the mean of the items with label 1 less that of those with label 0; 0 where that is less
  than rounding could make it."""
  x_LND, label_N = _checked(x_LND, label_N)
  return np.stack([_differences(x_ND, label_N[None])[0] for x_ND in x_LND])


def cosine(v_LD: np.ndarray, w_LD: np.ndarray) -> np.ndarray:
  """Layer by layer; NaN where one of them is 0."""
  v, w = np.asarray(v_LD, np.float64), np.asarray(w_LD, np.float64)
  size = np.linalg.norm(v, axis=-1) * np.linalg.norm(w, axis=-1)
  return np.where(size > 0, (v * w).sum(-1) / np.where(size > 0, size, 1), np.nan)


def agreement(
  first: Sequence[np.ndarray], second: Sequence[np.ndarray], *, draws: int = 1000, seed: int = 0
) -> _Agreement:
  """Whether two directions lie together.

  first, second: (x_LND, label_N) or (x_LND, label_N, type_N), each from items of its own; both of
  the same layers. The labels of one are permuted while the other stays, then the other way round,
  and the larger p counts: it is small only if both labellings mean something to the model. They
  are permuted over types, where items share what decides their label (a word, say), for such items
  are no independent witnesses.
  """
  sides = [(*_checked(*side[:2]), side[2] if len(side) > 2 else None) for side in (first, second)]
  if sides[0][0].shape[0::2] != sides[1][0].shape[0::2]:
    shapes = ' and '.join(str(x_LND.shape) for x_LND, *_ in sides)
    raise UserError(f'directions of other layers or widths cannot be compared: {shapes}')
  rng = np.random.default_rng(seed)
  labels = [_permuted(label_N, type_N, draws, rng) for _, label_N, type_N in sides]
  layers = []
  for layer in range(len(sides[0][0])):
    v_PD, w_PD = (_differences(x[layer], label_PN) for (x, *_), label_PN in zip(sides, labels))
    layers.append(_against_chance(v_PD, w_PD))  # the first row: the true labels
  cosine_L, p_L, null_LQ = map(np.array, zip(*layers))
  random_QL = random_null(sides[0][0].shape[2], draws=draws, seed=seed)[:, None].repeat(len(p_L), 1)
  return _Agreement(cosine_L=cosine_L, p_L=p_L, null_QL=null_LQ.T, random_QL=random_QL, draws=draws)


def random_null(width: int, *, draws: int = 1000, seed: int = 0) -> np.ndarray:
  """[Q]: quantiles, at LEVELS, of the cosine of any direction with directions drawn alike on all
  sides. Narrower than the permuted null where states have a few strong axes, as they have."""
  drawn_PD = np.random.default_rng((seed, width)).standard_normal((draws, width))
  return np.quantile(drawn_PD[:, 0] / np.linalg.norm(drawn_PD, axis=1), LEVELS)


def _against_chance(v_PD, w_PD):
  """(cosine, p, quantiles of the wider of the two nulls) of one layer."""
  true = cosine(v_PD[0], w_PD[0])
  nulls = [np.nan_to_num(drawn) for drawn in (cosine(v_PD[1:], w_PD[0]), cosine(v_PD[0], w_PD[1:]))]
  size = 0 if np.isnan(true) else abs(true) - 1e-12  # a tie counts, whatever rounding says
  p = max((1 + (np.abs(null_P) >= size).sum()) / (1 + len(null_P)) for null_P in nulls)
  wider_P = max(nulls, key=lambda null_P: np.abs(null_P).mean())
  return true, p, np.quantile(wider_P, LEVELS)


def _permuted(label_N, type_N, draws, rng):
  """[1 + draws, N]: the labels themselves, then permuted over the types (or items)."""
  if type_N is None:
    type_N = np.arange(len(label_N))
  _, first_K, type_N = np.unique(type_N, return_index=True, return_inverse=True)
  label_K = label_N[first_K]
  if (label_K[type_N] != label_N).any():
    raise UserError('items of one type have both labels: give no types, or finer ones')
  drawn = [label_K, *(rng.permutation(label_K) for _ in range(draws))]
  return np.stack(drawn)[:, type_N]


def _checked(x_LND, label_N):
  x_LND, label_N = np.asarray(x_LND, np.float64), np.asarray(label_N)
  if x_LND.ndim != 3 or label_N.shape != x_LND.shape[1:2]:
    raise UserError(f'{label_N.shape} labels do not fit states [L, N, D] of {x_LND.shape}')
  if set(label_N.tolist()) != {0, 1}:
    raise UserError(f'labels are 0 and 1, and both occur: not {sorted(set(label_N.tolist()))[:5]}')
  return x_LND, label_N.astype(np.int64)


def _differences(x_ND, label_PN):
  """[P,D]: a difference of means for every row of labels."""
  ones_P1 = label_PN.sum(1, keepdims=True)
  zeros_P1 = label_PN.shape[1] - ones_P1
  size = np.sqrt((x_ND**2).sum(1).mean())
  v_PD = np.where(label_PN == 1, 1 / ones_P1, -1 / zeros_P1) @ (x_ND - x_ND.mean(0))
  return np.where(np.linalg.norm(v_PD, axis=1, keepdims=True) > _NOISE * size, v_PD, 0)
