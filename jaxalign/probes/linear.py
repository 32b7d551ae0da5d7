"""Linear probes that cannot flatter: types never seen in training, and a control task. Pure numpy.

A probe is ridge regression on one-hot labels, on standardised states. Its accuracy is taken on
items of types (words, say) that it never saw: types are dealt into folds, each fold is tested once,
and its neighbour chooses the ridge. The control task (Hewitt and Liang 2019,
https://arxiv.org/abs/1909.03368) gives every type a random label: what a probe learns of that is
its own doing, and selectivity is by how much the real labels are easier. It needs types seen in
training, so selectivity compares the two on new items of those.
"""

import dataclasses

import numpy as np
from numpy.random import Generator

from jaxalign.config import UserError

RIDGES = tuple(10.0**k for k in range(-4, 4))  # per item, on standardised states
_FOLDS = 5
_NOISE = 1e-6  # of a layer's size: what varies less is rounding


@dataclasses.dataclass(frozen=True, kw_only=True)
class Probe:
  """Accuracies, layer by layer."""

  accuracy_L: np.ndarray  # on types never seen; every item once
  p_L: np.ndarray  # against labels permuted between types, the same procedure throughout
  best: float  # the same with the layer chosen on other unseen types, fold by fold
  best_p: float  # the choice of the layer included
  layer: int  # the one that is best on those types over all folds
  chance: float  # of the most frequent label
  seen_L: np.ndarray  # on new items of types seen in training
  control_L: np.ndarray  # the same, for random labels of the types: a mean over draws
  types: int
  items: int
  draws: int

  @property
  def selectivity_L(self) -> np.ndarray:
    return self.seen_L - self.control_L


def probe(
  x_LND: np.ndarray, label_N: np.ndarray, type_N: np.ndarray, *, draws: int = 100, seed: int = 0
) -> Probe:
  """How well a linear probe reads the labels (0, 1, ..) of each layer.

  Where labels vary within types, p is of labels permuted within each type.
  """
  x_LND, label_N, type_N = _checked(x_LND, label_N, type_N)
  rng = np.random.default_rng(seed)
  label_K, varies = _type_labels(label_N, type_N, rng)
  fold_K = dealt(label_K, rng)
  control = [permuted(label_K, fold_K, rng)[type_N] for _ in range(draws)]
  null = [permuted(label_N, type_N, rng) for _ in range(draws * varies)]
  label_NP = np.stack([label_N, *control, *null], axis=1)
  folds = [parts(fold_K[type_N], fold, type_N, rng) for fold in range(fold_K.max() + 1)]
  weights = [np.array([len(fold[name]) for fold in folds]) for name in ('test', 'develop', 'seen')]
  found = np.array([[_one(x_ND, label_NP, fold) for fold in folds] for x_ND in x_LND])
  pooled = [np.average(found[:, :, n], axis=1, weights=w_F) for n, w_F in enumerate(weights)]
  accuracy_LP, develop_LP, seen_LP = pooled
  chosen_FP = found[:, :, 1].argmax(0)[None]  # of equal layers the lowest
  best_FP = np.take_along_axis(found[:, :, 0], chosen_FP, 0)[0]
  best_P = np.average(best_FP, axis=0, weights=weights[0])
  against = slice(1 + draws * varies, None)
  return Probe(
    accuracy_L=accuracy_LP[:, 0],
    p_L=_p(accuracy_LP, against),
    best=float(best_P[0]),
    best_p=float(_p(best_P, against)),
    layer=int(develop_LP[:, 0].argmax()),
    chance=float(np.bincount(label_N).max() / len(label_N)),
    seen_L=seen_LP[:, 0],
    control_L=seen_LP[:, 1 : 1 + draws].mean(1),
    types=len(label_K),
    items=len(label_N),
    draws=draws,
  )


def _p(of_P, against):
  """The share of these columns, and of the first one, that are as good as the first."""
  null_P = of_P[..., against]
  return (1 + (null_P >= of_P[..., :1] - 1e-12).sum(-1)) / (1 + null_P.shape[-1])


def capacity_gap(found: Probe, rate: float) -> dict[str, float]:
  """Capacity against capability: what a probe reads less what the model does.

  rate: the share of the same kind of items on which the model's conduct is right, with the same
  chance as the probe. The probe's layer is chosen without the types it is tested on.
  """
  if not 0 <= rate <= 1:
    raise UserError(f'rate={rate}: the share of items on which conduct is right, from 0 to 1')
  return dict(layer=found.layer, probe=found.best, conduct=float(rate), gap=found.best - rate)


def _checked(x_LND, label_N, type_N):
  x_LND, label_N = np.asarray(x_LND, np.float64), np.asarray(label_N)
  type_N = np.unique(type_N, return_inverse=True)[1]
  if x_LND.ndim != 3 or not x_LND.shape[1] == len(label_N) == len(type_N):
    raise UserError(
      f'{len(label_N)} labels and {len(type_N)} types do not fit states [L, N, D] of {x_LND.shape}'
    )
  counts = np.bincount(label_N.astype(np.int64))
  if label_N.dtype.kind not in 'iub' or len(counts) < 2 or not counts.all():
    raise UserError('labels are 0, 1, .. and each of them occurs, at least two')
  return x_LND, label_N.astype(np.int64), type_N


def _type_labels(label_N, type_N, rng):
  """(a label for each type, whether labels vary within types): the types' own; or, where these
  vary, random ones as frequent as the items'."""
  _, first_K = np.unique(type_N, return_index=True)
  label_K = label_N[first_K]
  varies = bool((label_K[type_N] != label_N).any())
  if varies:
    place_K = ((np.arange(len(label_K)) + 0.5) / len(label_K) * len(label_N)).astype(int)
    label_K = rng.permutation(np.sort(label_N)[place_K])
  counts = np.bincount(label_K, minlength=label_N.max() + 1)
  if counts.min() < 3:
    few = int(counts.argmin())
    raise UserError(f'label {few} has {counts[few]} types: a probe needs at least 3 of each')
  return label_K, varies


def dealt(label_K: np.ndarray, rng: Generator) -> np.ndarray:
  """The fold of each type: as many of each label in every fold as can be."""
  folds = min(_FOLDS, np.bincount(label_K).min())
  fold_K = np.zeros(len(label_K), int)
  for label in np.unique(label_K):
    types = np.flatnonzero(label_K == label)
    fold_K[rng.permutation(types)] = np.arange(len(types)) % folds
  return fold_K


def permuted(value_N: np.ndarray, group_N: np.ndarray, rng: Generator) -> np.ndarray:
  """Values permuted within each group. So no part of a split has other labels than in truth: a
  probe trained on too many of one label and tested on too few does worse than chance."""
  moved_N = np.empty_like(value_N)
  moved_N[np.argsort(group_N, kind='stable')] = value_N[
    np.lexsort((rng.random(len(value_N)), group_N))
  ]
  return moved_N


def parts(
  fold_N: np.ndarray, fold: int, type_N: np.ndarray, rng: Generator
) -> dict[str, np.ndarray]:
  """{part: items}, with one fold for the test and the next one to choose the ridge by; the items of
  each other type are parted too: .6 to fit, .2 to choose by, .2 to test."""
  order_N = np.lexsort((rng.random(len(type_N)), type_N))
  counts_K = np.bincount(type_N)
  rank_N = np.empty(len(type_N))
  rank_N[order_N] = np.arange(len(type_N)) - np.repeat(np.cumsum(counts_K) - counts_K, counts_K)
  place_N = (rank_N + 0.5) / counts_K[type_N]
  test_N, develop_N = fold_N == fold, fold_N == (fold + 1) % (fold_N.max() + 1)
  known_N = ~test_N & ~develop_N
  masks = dict(
    test=test_N,
    develop=develop_N,
    fit=known_N & (place_N < 0.6),
    develop_seen=known_N & (place_N >= 0.6) & (place_N < 0.8),
    seen=known_N & (place_N >= 0.8),
  )
  if not (masks['develop_seen'].any() and masks['seen'].any()):
    raise UserError('too few items a type to try a probe on new ones: give 4 or more of each')
  return {name: np.flatnonzero(mask_N) for name, mask_N in masks.items()}


def _one(x_ND, label_NP, part):
  """[3, P] of one layer and fold: accuracy on the test's types, on the development types, on new
  items of seen types."""
  right = _right(x_ND, label_NP, part)  # part -> [ridge, P]
  found = []
  for name, chosen_by in (('test', 'develop'), ('develop', 'develop'), ('seen', 'develop_seen')):
    ridge_P = len(RIDGES) - 1 - right[chosen_by][::-1].argmax(0)  # of equals the strongest
    found.append(np.take_along_axis(right[name], ridge_P[None], 0)[0])
  return found


def _right(x_ND, label_NP, part):
  """{part: accuracy [ridge, P]} of probes of every ridge and labelling, by one decomposition: of
  the smaller of the two products of the states with themselves, for a ridge is never 0."""
  fit_ND = x_ND[part['fit']]
  middle_D, spread_D = fit_ND.mean(0), fit_ND.std(0)
  size = np.sqrt((fit_ND**2).mean())
  scale_D = np.where(spread_D > _NOISE * size, 1 / np.maximum(spread_D, 1e-300), 0)
  a_ND = (fit_ND - middle_D) * scale_D
  if len(a_ND) < a_ND.shape[1]:
    size_K, u_NK = np.linalg.eigh(a_ND @ a_ND.T)
    in_DK, out_KN = a_ND.T @ u_NK, u_NK.T
  else:
    size_K, in_DK = np.linalg.eigh(a_ND.T @ a_ND)
    out_KN = in_DK.T @ a_ND.T
  hot_NPC = np.eye(label_NP.max() + 1)[label_NP[part['fit']]]
  prior_PC = hot_NPC.mean(0)
  target_KPC = np.tensordot(out_KN, hot_NPC - prior_PC, 1)
  right = {}
  for name in ('test', 'develop', 'develop_seen', 'seen'):
    z_NK = (x_ND[part[name]] - middle_D) * scale_D @ in_DK
    of_ridge = []
    for ridge in RIDGES:
      shrunk_NK = z_NK / (np.maximum(size_K, 0) + ridge * len(fit_ND))
      score_NPC = np.tensordot(shrunk_NK, target_KPC, 1) + prior_PC
      of_ridge.append((score_NPC.argmax(2) == label_NP[part[name]]).mean(0))
    right[name] = np.array(of_ridge)
  return right
