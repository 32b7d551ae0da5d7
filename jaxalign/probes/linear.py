"""Linear probes that cannot flatter: types never seen in training, and a control task. Pure numpy.

A probe is ridge regression on one-hot labels, on standardised states. Its accuracy is taken on
items of types (words, say) that it never saw. The control task (Hewitt and Liang 2019,
https://arxiv.org/abs/1909.03368) gives every type a random label: what a probe learns of that is
its own doing, and selectivity is by how much the real labels are easier. It needs types seen in
training, so selectivity compares the two on new items of those.
"""

import dataclasses

import numpy as np

from jaxalign.config import UserError

RIDGES = tuple(10.0**k for k in range(-4, 4))  # per item, on standardised states
SHARES = (0.6, 0.2, 0.2)  # to fit, to choose the ridge by, to test; of types, and of their items
NOISE = 1e-6  # of a layer's size: what varies less is rounding


@dataclasses.dataclass(frozen=True, kw_only=True)
class Probe:
  """Accuracies layer by layer, each a mean over splits."""

  accuracy_L: np.ndarray  # on types never seen
  develop_L: np.ndarray  # on other such types, by which ridge (and layer) are chosen
  chance: float  # of the most frequent label, on the types never seen
  p_L: np.ndarray  # of accuracy_L, against random labels of the types
  seen_L: np.ndarray  # on new items of types seen in training
  control_L: np.ndarray  # the same, for random labels of the types: a mean over draws
  types: int
  items: int
  draws: int

  @property
  def selectivity_L(self):
    return self.seen_L - self.control_L

  @property
  def layer(self):
    """The best one, chosen on the development types; of equals the lowest."""
    return int(np.argmax(self.develop_L))


def probe(x_LND, label_N, type_N, *, draws=100, splits=4, seed=0):
  """How well a linear probe reads the labels (0, 1, ..) of each layer: Probe."""
  x_LND, label_N, type_N = checked(x_LND, label_N, type_N)
  rng = np.random.default_rng(seed)
  label_NP = control_labels(label_N, type_N, draws, rng)
  parts = [split(label_N, type_N, rng) for _ in range(splits)]
  found = np.array([[_one(x_ND, label_NP, part) for part in parts] for x_ND in x_LND]).mean(1)
  accuracy_LP, develop_LP, seen_LP = np.moveaxis(found, 1, 0)
  true_L = accuracy_LP[:, :1]
  chances = [np.bincount(label_N[part['types']]).max() / len(part['types']) for part in parts]
  return Probe(
    accuracy_L=true_L[:, 0],
    develop_L=develop_LP[:, 0],
    chance=float(np.mean(chances)),
    p_L=(1 + (accuracy_LP[:, 1:] >= true_L - 1e-12).sum(1)) / (1 + draws),
    seen_L=seen_LP[:, 0],
    control_L=seen_LP[:, 1:].mean(1),
    types=int(type_N.max()) + 1,
    items=len(label_N),
    draws=draws,
  )


def capacity_gap(found, rate):
  """Capacity against capability: what a probe reads less what the model does.

  rate: the share of the same kind of items on which the model's conduct is right, with the same
  chance as the probe. The probe's layer is the one chosen on the development types.
  """
  if not 0 <= rate <= 1:
    raise UserError(f'rate={rate}: the share of items on which conduct is right, from 0 to 1')
  read = float(found.accuracy_L[found.layer])
  return dict(layer=found.layer, probe=read, conduct=float(rate), gap=read - float(rate))


def checked(x_LND, label_N, type_N):
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


def most_common(label_N, type_N):
  """Each type's label."""
  counts_KC = np.zeros((type_N.max() + 1, label_N.max() + 1))
  np.add.at(counts_KC, (type_N, label_N), 1)
  return counts_KC.argmax(1)


def control_labels(label_N, type_N, draws, rng):
  """[N, 1 + draws]: the labels, then random ones fixed per type, as frequent as the true ones."""
  K = type_N.max() + 1
  place_K = ((np.arange(K) + 0.5) / K * len(label_N)).astype(int)
  label_K = np.sort(label_N)[place_K]
  if len(set(label_K.tolist())) < 2:
    raise UserError(f'{K} types are too few for a control task of labels as uneven as these')
  drawn = [label_N, *(rng.permutation(label_K)[type_N] for _ in range(draws))]
  return np.stack(drawn, axis=1)


def split(label_N, type_N, rng):
  """{part: items}. Types are dealt out within each label, then the items of those to fit on."""
  label_K = most_common(label_N, type_N)
  dealt_K = np.zeros(len(label_K), int)
  for label in np.unique(label_K):
    types = np.flatnonzero(label_K == label)
    if len(types) < 3:
      raise UserError(f'label {label} has {len(types)} types: a probe needs at least 3 of each')
    dealt_K[types] = dealt(len(types), rng)
  of_N = dealt_K[type_N]
  items = np.flatnonzero(of_N == 0)
  if len(items) < 3:
    raise UserError(f'{len(items)} items to fit a probe on: at least 3')
  own = dealt(len(items), rng)
  return dict(
    fit=items[own == 0], develop_seen=items[own == 1], seen=items[own == 2],
    develop=np.flatnonzero(of_N == 1), types=np.flatnonzero(of_N == 2),
  )  # fmt: skip


def dealt(n, rng):
  """[n] of 0, 1, 2: by SHARES, at least one each, in random order."""
  few = [max(1, round(share * n)) for share in SHARES[1:]]
  return rng.permutation(np.repeat([0, 1, 2], [n - sum(few), *few]))


def _one(x_ND, label_NP, part):
  """[3, P] of one layer and split: accuracy on unseen types, on development types, on seen ones."""
  right = _right(x_ND, label_NP, part)  # part -> [ridge, P]
  chosen_P = lambda name: len(RIDGES) - 1 - right[name][::-1].argmax(0)  # of equals the strongest
  at = lambda name, ridge_P: np.take_along_axis(right[name], ridge_P[None], 0)[0]
  by_types_P, by_items_P = chosen_P('develop'), chosen_P('develop_seen')
  return at('types', by_types_P), at('develop', by_types_P), at('seen', by_items_P)


def _right(x_ND, label_NP, part):
  """{part: accuracy [ridge, P]} of probes of every ridge and labelling, by one decomposition."""
  fit_ND = x_ND[part['fit']]
  middle_D, spread_D = fit_ND.mean(0), fit_ND.std(0)
  size = np.sqrt((fit_ND**2).mean())
  scale_D = np.where(spread_D > NOISE * size, 1 / np.maximum(spread_D, 1e-300), 0)
  u, s, vt = np.linalg.svd((fit_ND - middle_D) * scale_D, full_matrices=False)
  C = label_NP.max() + 1
  hot_NPC = np.eye(C)[label_NP[part['fit']]]
  prior_PC = hot_NPC.mean(0)
  target_KPC = np.einsum('NK,NPC->KPC', u, hot_NPC - prior_PC, optimize=True)
  right = {}
  for name in ('develop', 'develop_seen', 'seen', 'types'):
    z_NK = (x_ND[part[name]] - middle_D) * scale_D @ vt.T
    of_ridge = []
    for ridge in RIDGES:
      shrunk_NK = z_NK * (s / (s**2 + ridge * len(fit_ND)))
      score_NPC = np.einsum('NK,KPC->NPC', shrunk_NK, target_KPC, optimize=True) + prior_PC
      of_ridge.append((score_NPC.argmax(2) == label_NP[part[name]]).mean(0))
    right[name] = np.array(of_ridge)
  return right
