"""Over-optimisation: how reward grows, and turns, with the distance from where a policy began.

Distance is d = sqrt(KL in nats per sequence), reward the gain over d = 0. Gao et al. 2022
(https://arxiv.org/abs/2210.10760) found R(d) = d (a - b d) for best-of-n and d (a - b log d) for
RL. Both are linear in (a, b). A turn is only claimed where the data reach it.
"""

import dataclasses
import math

import numpy as np

from jaxalign.config import UserError
from jaxalign.rl.bon import interval

BON, RL = 'best-of-n', 'RL'
NOT_SEEN = 'not seen within the data'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fit:
  kind: str  # BON or RL
  a: float
  b: float
  a_interval: tuple[float, float]
  b_interval: tuple[float, float]
  turn: float | None  # the d where R is largest; None: not seen within the data
  turn_interval: tuple[float, float] | None  # inf where some resampled curves do not turn
  why: str  # what is said of the turn
  r2: float
  points: int
  reach: tuple[float, float]  # the smallest and the largest d above 0

  def __call__(self, d):
    return columns(d, self.kind) @ np.array([self.a, self.b])


def columns(d, kind):
  """[.., 2]: what (a, b) are multiplied by."""
  if kind not in (BON, RL):
    raise UserError(f"kind={kind!r}: a fit is of '{BON}' or of '{RL}'")
  d = np.asarray(d, np.float64)
  bend = d if kind == BON else np.log(np.where(d > 0, d, 1))  # d log d is 0 at 0
  return np.stack([d, -d * bend], axis=-1)


def solve(d, gain, kind, weight=None):
  """(a, b) by weighted least squares; leading axes are curves of their own. NaN: no one answer."""
  weight = 1.0 if weight is None else weight
  d, gain, weight = np.broadcast_arrays(*(np.asarray(x, np.float64) for x in (d, gain, weight)))
  x = columns(d, kind)
  scale = np.maximum(np.abs(x).max(-2, keepdims=True), 1e-300)  # so that the test below has no unit
  x = x / scale
  gram = np.einsum('...ni,...n,...nj->...ij', x, weight, x)
  right = np.einsum('...ni,...n,...n->...i', x, weight, gain)
  good = np.linalg.det(gram) > 1e-10 * (np.trace(gram, axis1=-2, axis2=-1) ** 2)
  gram = np.where(good[..., None, None], gram, np.eye(2))
  found = np.linalg.solve(gram, right[..., None])[..., 0] / scale[..., 0, :]
  return np.where(good[..., None], found, np.nan)


def _turning(a, b, kind):
  """The d where R is largest: inf where it only grows (b <= 0)."""
  a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
  b_safe = np.where(b > 0, b, 1)
  with np.errstate(over='ignore'):
    at = np.maximum(a, 0) / (2 * b_safe) if kind == BON else np.exp(a / b_safe - 1)
  return np.where(b > 0, at, np.inf)


def fit(d, gain, kind, *, weight=None, drawn=None, draws=1000, seed=0, level=0.95):
  """The fit of one curve, with intervals.

  drawn: (d, gain) of resampled curves, [draws, points] each, where prompts were resampled; without,
  the points themselves are. Points at d = 0 say nothing and are no harm.
  """
  d, gain = np.asarray(d, np.float64), np.asarray(gain, np.float64)
  weight = np.ones_like(d) if weight is None else np.asarray(weight, np.float64)
  _check(d, gain, weight)
  a, b = solve(d, gain, kind, weight)
  if np.isnan(a):
    raise UserError(f'{kind}: a fit needs at least two distances that differ, d={np.round(d, 3)}')
  if drawn is None:
    again = np.random.default_rng(seed).multinomial(len(d), np.full(len(d), 1 / len(d)), draws)
    ab = solve(d, gain, kind, again * weight)
  else:
    ab = solve(*drawn, kind, weight)
  ab = ab[~np.isnan(ab).any(-1)]
  low, high = interval(ab, level) if len(ab) else (np.full(2, -np.inf), np.full(2, np.inf))
  turn, why = _turn(a, b, low[1], kind, d[d > 0])
  rest = gain - columns(d, kind) @ np.array([a, b])
  spread = gain - np.average(gain, weights=weight)
  total = (weight * spread**2).sum()
  edges = _whole_interval(_turning(*ab.T, kind), level) if turn is not None else None
  return Fit(
    kind=kind, a=float(a), b=float(b),
    a_interval=(float(low[0]), float(high[0])), b_interval=(float(low[1]), float(high[1])),
    turn=turn, turn_interval=edges and tuple(float(x) for x in edges), why=why,
    r2=float(1 - (weight * rest**2).sum() / total) if total > 0 else 0.0,
    points=len(d), reach=(float(d[d > 0].min()), float(d.max())),
  )  # fmt: skip


def _whole_interval(drawn, level):
  """Percentiles that are members, rounded outwards: between two infinities lies no number."""
  low, high = (1 - level) / 2, (1 + level) / 2
  return np.quantile(drawn, low, method='lower'), np.quantile(drawn, high, method='higher')


def _check(d, gain, weight):
  if d.ndim != 1 or d.shape != gain.shape or d.shape != weight.shape:
    raise UserError(f'a curve has as many gains as distances: {d.shape}, {gain.shape}')
  if not np.isfinite([d, gain, weight]).all() or (d < 0).any() or (weight < 0).any():
    raise UserError('a curve holds finite numbers, and distances and weights of at least 0')
  if (d[weight > 0] > 0).sum() < 2:
    raise UserError(f'a fit needs at least two points with KL above 0: there are {(d > 0).sum()}')


def _turn(a, b, low, kind, d):
  """(where it turns or None, in words)."""
  at = float(_turning(a, b, kind))
  if b <= 0:
    return None, f'{NOT_SEEN}: the fitted curve only grows (b = {b:.3g})'
  if low <= 0:
    return None, f'{NOT_SEEN}: the interval of b begins at {low:.3g}, which allows no turn'
  if not d.min() <= at <= d.max():
    side = 'beyond the last' if at > d.max() else 'before the first'
    span = f'{d.min():.3g} to {d.max():.3g}'
    return None, f'{NOT_SEEN}: the fit turns at d = {at:.3g}, {side} point (d = {span})'
  return at, f'd = {at:.3g} (KL {at**2:.3g} nats a sequence)'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
  """When a flag goes up. `window` iterations are compared with the first `window`."""

  window: int = 10
  slope: float = 2.0  # standard errors by which proxy must rise and gold must fall
  kl: float = 1.5  # times the target
  length: float = 1.5  # times the first length, or 1/1.5 of it
  entropy: float = 0.5  # of the first entropy
  distinct: float = 0.7  # of the first share of distinct pairs of words
  truncated: float = 0.2  # of all answers, above the first share


FLAGS = ('proxy_up_gold_down', 'kl', 'length_drift', 'entropy_collapse', 'repetition', 'truncated')


def warnings(history, *, kl_target=None, limits=None):
  """{flag: bool} for the newest iteration. history: a dict of floats per iteration, the oldest
  first; a name that is missing (gold between evaluations) is skipped, one never there raises none.

  Read are reward_raw, gold, kl_sequence, length, entropy, distinct_2 and truncated.
  """
  limits = limits or Limits()
  w = limits.window
  series = lambda name: [row[name] for row in history if _number(row.get(name))]

  def against_start(name):
    """(mean of the first window, mean of the last), or None while they overlap."""
    x = series(name)
    return (np.mean(x[:w]), np.mean(x[-w:])) if len(x) >= 2 * w else None

  length, entropy, distinct, truncated = map(
    against_start, ('length', 'entropy', 'distinct_2', 'truncated')
  )
  kl, drift = series('kl_sequence')[-w:], limits.length
  scored = [row for row in history if _number(row.get('gold'))][-w:]
  proxy = [row['reward_raw'] for row in scored if _number(row.get('reward_raw'))]
  gold = [row['gold'] for row in scored]
  found = (
    _slope_t(proxy) > limits.slope and _slope_t(gold) < -limits.slope,
    kl_target is not None and len(kl) == w and np.mean(kl) > limits.kl * kl_target,
    length is not None and not length[0] / drift <= length[1] <= length[0] * drift,
    entropy is not None and entropy[1] < limits.entropy * entropy[0],
    distinct is not None and distinct[1] < limits.distinct * distinct[0],
    truncated is not None and truncated[1] > truncated[0] + limits.truncated,
  )
  return dict(zip(FLAGS, map(bool, found)))


def needed(history, limits=None):
  """The part of a history that `warnings` reads, however long the run: its start, its end, and
  its last evaluations."""
  w = (limits or Limits()).window
  scored = [i for i, row in enumerate(history) if _number(row.get('gold'))][-w:]
  kept = {*range(w), *range(len(history) - w, len(history)), *scored}
  return [row for i, row in enumerate(history) if i in kept]


def _number(x):
  return isinstance(x, int | float) and math.isfinite(x)


def distinct_2(ids):
  """The share of an answer's pairs of neighbours that are different ones; 1 where there is none."""
  pairs = list(zip(ids, ids[1:]))
  return len(set(pairs)) / len(pairs) if pairs else 1.0


def _slope_t(values):
  """The slope of a series in its own standard errors; 0 for fewer than 5 values."""
  y = np.asarray(values, np.float64)
  n = len(y)
  if n < 5:
    return 0.0
  x = np.arange(n) - (n - 1) / 2
  slope = (x * y).sum() / (x**2).sum()
  error = np.sqrt(((y - y.mean() - slope * x) ** 2).sum() / (n - 2) / (x**2).sum())
  return float(slope / max(error, 1e-12 * max(1.0, np.abs(y).max())))
