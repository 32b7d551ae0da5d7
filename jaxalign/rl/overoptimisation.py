"""Over-optimisation: how reward grows, and turns, with the distance from where a policy began.

Distance is d = sqrt(KL in nats per sequence), reward the gain over d = 0. Gao et al. 2022
(https://arxiv.org/abs/2210.10760) found R(d) = d (a - b d) for best-of-n and d (a - b log d) for
RL. Both are linear in (a, b). A turn is only claimed where the data reach it.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

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

  def __call__(self, d: ArrayLike) -> np.ndarray:
    return columns(d, self.kind) @ np.array([self.a, self.b])


def columns(d: ArrayLike, kind: str) -> np.ndarray:
  """[.., 2]: what (a, b) are multiplied by."""
  if kind not in (BON, RL):
    raise UserError(f"kind={kind!r}: a fit is of '{BON}' or of '{RL}'")
  d = np.asarray(d, np.float64)
  bend = d if kind == BON else np.log(np.where(d > 0, d, 1))  # d log d is 0 at 0
  return np.stack([d, -d * bend], axis=-1)


def solve(d: ArrayLike, gain: ArrayLike, kind: str, weight: ArrayLike = 1.0) -> np.ndarray:
  """(a, b) by weighted least squares; leading axes are curves of their own. NaN: no one answer."""
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


def fit(
  d: np.ndarray,
  gain: np.ndarray,
  kind: str,
  *,
  drawn: tuple[np.ndarray, np.ndarray] | None = None,
  draws: int = 1000,
) -> Fit:
  """The fit of one curve, with intervals.

  drawn: (d, gain) of resampled curves, [draws, points] each, where prompts were resampled; without,
  the points themselves are. Points at d = 0 say nothing and are no harm.
  """
  d, gain = np.asarray(d, np.float64), np.asarray(gain, np.float64)
  _check(d, gain)
  once = np.ones_like(d)
  a, b = solve(d, gain, kind, once)
  if np.isnan(a):
    raise UserError(f'{kind}: a fit needs at least two distances that differ, d={np.round(d, 3)}')
  if drawn is None:
    again = np.random.default_rng(0).multinomial(len(d), np.full(len(d), 1 / len(d)), draws)
    ab = solve(d, gain, kind, again * once)
  else:
    ab = solve(*drawn, kind, once)
  ab = ab[~np.isnan(ab).any(-1)]
  low, high = interval(ab) if len(ab) else (np.full(2, -np.inf), np.full(2, np.inf))
  turn, why = _turn(a, b, low[1], kind, d[d > 0])
  rest = gain - columns(d, kind) @ np.array([a, b])
  total = ((gain - gain.mean()) ** 2).sum()
  return Fit(
    kind=kind,
    a=float(a),
    b=float(b),
    a_interval=(float(low[0]), float(high[0])),
    b_interval=(float(low[1]), float(high[1])),
    turn=turn,
    turn_interval=None if turn is None else _whole_interval(_turning(ab[:, 0], ab[:, 1], kind)),
    why=why,
    r2=float(1 - (rest**2).sum() / total) if total > 0 else 0.0,
    points=len(d),
    reach=(float(d[d > 0].min()), float(d.max())),
  )


def _whole_interval(drawn):
  """Percentiles that are members, rounded outwards: between two infinities lies no number."""
  ends = ((1 - 0.95) / 2, 'lower'), ((1 + 0.95) / 2, 'higher')
  return tuple(float(np.quantile(drawn, share, method=method)) for share, method in ends)


def _check(d, gain):
  if d.ndim != 1 or d.shape != gain.shape:
    raise UserError(f'a curve has as many gains as distances: {d.shape}, {gain.shape}')
  if not np.isfinite([d, gain]).all() or (d < 0).any():
    raise UserError('a curve holds finite numbers, and distances and weights of at least 0')
  if (d > 0).sum() < 2:
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


# When a flag goes up, where the last iterations of a window are compared with the first.
_SLOPE = 2.0  # standard errors by which proxy must rise and gold must fall
_KL = 1.5  # times the target
_LENGTH = 1.5  # times the first length, or 1/1.5 of it
_ENTROPY = 0.5  # of the first entropy
_DISTINCT = 0.7  # of the first share of distinct pairs of words
_TRUNCATED = 0.2  # of all answers, above the first share
_WINDOW = 10

FLAGS = ('proxy_up_gold_down', 'kl', 'length_drift', 'entropy_collapse', 'repetition', 'truncated')


def warnings(
  history: Sequence[Mapping[str, Any]], *, kl_target: float | None = None, window: int = _WINDOW
) -> dict[str, bool]:
  """{flag: whether it is up} for the newest iteration. history: a dict of floats per iteration, the
  oldest first; a name that is missing (gold between evaluations) is skipped, one never there raises
  none. Read are reward_raw, gold, kl_sequence, length, entropy, distinct_2 and truncated."""
  length, entropy, distinct, truncated = (
    _start_and_end(_series(history, name), window)
    for name in ('length', 'entropy', 'distinct_2', 'truncated')
  )
  kl = _series(history, 'kl_sequence')[-window:]
  scored = [row for row in history if _number(row.get('gold'))][-window:]
  proxy, gold = _series(scored, 'reward_raw'), _series(scored, 'gold')
  found = (
    _slope_t(proxy) > _SLOPE and _slope_t(gold) < -_SLOPE,
    kl_target is not None and len(kl) == window and np.mean(kl) > _KL * kl_target,
    length[1] < length[0] / _LENGTH or length[1] > length[0] * _LENGTH,
    entropy[1] < _ENTROPY * entropy[0],
    distinct[1] < _DISTINCT * distinct[0],
    truncated[1] > truncated[0] + _TRUNCATED,
  )
  return dict(zip(FLAGS, map(bool, found)))


def needed(history: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
  """The part of a history that `warnings` reads, however long the run: its start, its end, and
  its last evaluations."""
  w = _WINDOW
  scored = [i for i, row in enumerate(history) if _number(row.get('gold'))][-w:]
  wanted = {*range(w), *range(len(history) - w, len(history)), *scored}
  return [row for i, row in enumerate(history) if i in wanted]


def _series(history, name):
  return [row[name] for row in history if _number(row.get(name))]


def _start_and_end(x, window):
  """Means of the first and the last window; NaN, which raises no flag, while they overlap."""
  return (np.mean(x[:window]), np.mean(x[-window:])) if len(x) >= 2 * window else (np.nan, np.nan)


def _number(x):
  return isinstance(x, int | float) and math.isfinite(x)


def distinct_2(ids: Sequence[int]) -> float:
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
