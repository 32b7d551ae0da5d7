"""How well a linear probe orders two sorts of items in wordings that it never saw. Pure numpy.

Rows of one template are no independent witnesses, so templates are dealt into folds, and each fold
is ordered by a probe that was fitted on the others: ridge regression on standardised states. The
control task gives every content (an act, say) a random label that it keeps in all templates; what a
probe makes of that it has learned by heart.
"""

import dataclasses

import numpy as np
from scipy.stats import rankdata

from jaxalign.config import UserError

_RIDGE = 1.0  # an item, on standardised states
_FOLDS = 5
_NOISE = 1e-6  # of a layer's size: what varies less is rounding


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Auroc:
  """Areas under the curve, layer by layer: .5 is chance."""

  auroc_L: np.ndarray
  control_L: np.ndarray  # of random labels of the contents: a mean over draws
  p_L: np.ndarray  # the share of random labels, and of the true ones, that are ordered as well
  templates: int
  draws: int

  @property
  def selectivity_L(self) -> np.ndarray:
    return self.auroc_L - self.control_L


def auroc(
  x_LND: np.ndarray,
  label_N: np.ndarray,
  template_N: np.ndarray,
  content_N: np.ndarray,
  *,
  draws: int = 100,
  seed: int = 0,
) -> _Auroc:
  """Of states with labels 0 and 1, in templates that the probe has not seen. content_N: what each
  item is about, by which labels go together in the control task."""
  x_LND, label_N = np.asarray(x_LND, np.float64), np.asarray(label_N)
  template_N, content_N = (np.unique(x, return_inverse=True)[1] for x in (template_N, content_N))
  if x_LND.ndim != 3 or not x_LND.shape[1] == len(label_N) == len(template_N) == len(content_N):
    raise UserError(
      f'{len(label_N)} labels, {len(template_N)} templates and {len(content_N)} contents do not '
      f'fit states [L, N, D] of {x_LND.shape}'
    )
  if set(label_N.tolist()) != {0, 1}:
    raise UserError('labels are 0 and 1, and both occur')
  templates = int(template_N.max()) + 1
  if templates < 2:
    raise UserError('one template: a probe that is tried on another wording needs at least two')
  rng = np.random.default_rng(seed)
  label_NP = np.stack([label_N, *_controls(label_N, content_N, draws, rng)], axis=1)
  fold_N = (rng.permutation(templates) % min(_FOLDS, templates))[template_N]
  for fold in np.unique(fold_N):
    if len(np.unique(label_N[fold_N == fold])) < 2:
      raise UserError('a template has one label alone: put both sorts of items in each')
  area_LP = np.array([_area(x_ND, label_NP, fold_N) for x_ND in x_LND])
  as_good_LP = area_LP[:, 1:] >= area_LP[:, :1] - 1e-12
  return _Auroc(
    auroc_L=area_LP[:, 0],
    control_L=area_LP[:, 1:].mean(1),
    p_L=(1 + as_good_LP.sum(1)) / (1 + draws),
    templates=templates,
    draws=draws,
  )


def _controls(label_N, content_N, draws, rng):
  """Labels of contents at random, as many of each as there are in truth, nearly."""
  count = int(content_N.max()) + 1
  ones = min(max(round(float(label_N.mean()) * count), 1), count - 1)
  for _ in range(draws):
    yield (rng.permutation(count) < ones).astype(int)[content_N]


def _area(x_ND, label_NP, fold_N):
  """[P]: the mean over folds, each ordered by a probe of the others."""
  found = []
  for fold in range(int(fold_N.max()) + 1):
    fit_N = fold_N != fold
    score_NP = _scores(x_ND[fit_N], label_NP[fit_N], x_ND[~fit_N])
    found.append(_of_scores(score_NP, label_NP[~fit_N]))
  return np.nanmean(found, axis=0)  # a fold may have one random label alone


def _scores(fit_ND, label_NP, test_ND):
  middle_D, spread_D = fit_ND.mean(0), fit_ND.std(0)
  size = np.sqrt((fit_ND**2).mean())
  scale_D = np.where(spread_D > _NOISE * size, 1 / np.maximum(spread_D, 1e-300), 0)
  a_ND, b_ND = (fit_ND - middle_D) * scale_D, (test_ND - middle_D) * scale_D
  target_NP = label_NP - label_NP.mean(0)
  k_NN = a_ND @ a_ND.T + _RIDGE * len(a_ND) * np.eye(len(a_ND))
  return b_ND @ (a_ND.T @ np.linalg.solve(k_NN, target_NP))


def _of_scores(score_NP, label_NP):
  """[P]: how often an item labelled 1 is above one labelled 0; a tie is half."""
  rank_NP = rankdata(score_NP, axis=0)
  ones_P = label_NP.sum(0)
  pairs_P = ones_P * (len(label_NP) - ones_P)
  above_P = (rank_NP * label_NP).sum(0) - ones_P * (ones_P + 1) / 2
  return np.where(pairs_P > 0, above_P / np.maximum(pairs_P, 1), np.nan)
