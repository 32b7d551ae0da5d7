"""How good a reward model is, in numbers with intervals: accuracy, calibration, length. Pure numpy.

A pair is two rewards, of the chosen and of the rejected answer; delta is their difference. Right is
delta > 0, and a tie is half right. Intervals are 95 %. What is undefined is None, never NaN.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from jaxalign.proportions import Z, wilson

_LENGTHS = (-64, -16, -4, 0, 1, 5, 17, 65)  # edges in tokens: .. -65 | -64 .. -17 | .. | 0 | 1 .. 4
_BINS = 10
_Row = dict[str, Any]  # numbers by name, as card.json holds them


def right(delta_N: ArrayLike) -> np.ndarray:
  return (np.sign(np.asarray(delta_N, np.float64)) + 1) / 2


def sigmoid(x: ArrayLike) -> np.ndarray:
  return np.exp(-np.logaddexp(0, -np.asarray(x, np.float64)))


def _share(hit_N):
  """A share with its n and interval."""
  n = len(hit_N)
  low, high = wilson(float(np.sum(hit_N)), n)
  return dict(n=n, value=float(np.mean(hit_N)) if n else None, low=low, high=high)


def correlation(x_N: np.ndarray, y_N: np.ndarray) -> _Row:
  """Pearson's, with Fisher's interval; without variance there is none."""
  n, x_N, y_N = len(x_N), x_N - x_N.mean(), y_N - y_N.mean()
  size = math.sqrt(float(x_N @ x_N) * float(y_N @ y_N))
  if size == 0:
    return dict(n=n, value=None, low=None, high=None)
  r = min(1.0, max(-1.0, float(x_N @ y_N) / size))
  low, high = (r, r) if abs(r) == 1 else (-1.0, 1.0)
  if n >= 4 and abs(r) < 1:
    middle, half = math.atanh(r), Z / math.sqrt(n - 3)
    low, high = math.tanh(middle - half), math.tanh(middle + half)
  return dict(n=n, value=r, low=low, high=high)


def _equal_counts(x_N):
  """The members of each bin, where bins hold equally many in the order of x."""
  return [part for part in np.array_split(np.argsort(x_N, kind='stable'), _BINS) if len(part)]


def reliability(confidence_N: np.ndarray, right_N: np.ndarray) -> list[_Row]:
  """Bins of equal width over .5 to 1: what was claimed, and what was right."""
  bin_N = np.minimum((confidence_N - 0.5) * 2 * _BINS, _BINS - 1).astype(int)
  members = (bin_N == b for b in np.unique(bin_N))
  return [
    dict(claimed=float(confidence_N[here].mean()), **_share(right_N[here])) for here in members
  ]


def ece(rows: Sequence[_Row]) -> float:
  """Expected calibration error: the mean gap between claimed and right, by the bins' counts."""
  n = sum(row['n'] for row in rows)
  return sum(row['n'] * abs(row['claimed'] - row['value']) for row in rows) / n


def by_length(gap_N: np.ndarray, right_N: np.ndarray) -> list[_Row]:
  """By chosen minus rejected tokens."""
  bin_N = np.digitize(gap_N, _LENGTHS)
  spans = zip((None, *_LENGTHS), (*(edge - 1 for edge in _LENGTHS), None))
  return [
    dict(first=first, last=last, **_share(right_N[bin_N == b]))
    for b, (first, last) in enumerate(spans)
  ]


def by_margin(delta_N: np.ndarray, right_N: np.ndarray) -> list[_Row]:
  """By how far apart the rewards are, in bins of equal counts."""
  size_N = np.abs(delta_N)
  return [
    dict(least=float(size_N[part].min()), most=float(size_N[part].max()), **_share(right_N[part]))
    for part in _equal_counts(size_N)
  ]


def _reward_by_length(reward_M, length_M):
  """Over single texts: mean reward with its interval, and its 10 % and 90 % points."""
  rows = []
  for part in _equal_counts(length_M):
    here = reward_M[part]
    error = Z * float(here.std(ddof=1)) / math.sqrt(len(part)) if len(part) > 1 else 0.0
    mean = float(here.mean())
    row = dict(n=len(part), length=float(length_M[part].mean()), value=mean)
    row |= dict(low=mean - error, high=mean + error)
    rows.append(row | dict(p10=float(np.quantile(here, 0.1)), p90=float(np.quantile(here, 0.9))))
  return rows


def card(reward_N2: ArrayLike, length_N2: ArrayLike, subset_N: Sequence[str]) -> _Row:
  """All of it, as JSON holds it. Columns: chosen, rejected; subset_N: the name of each pair's."""
  reward_N2, length_N2 = np.asarray(reward_N2, np.float64), np.asarray(length_N2, np.int64)
  delta_N, gap_N = reward_N2[:, 0] - reward_N2[:, 1], length_N2[:, 0] - length_N2[:, 1]
  right_N, longer_N = right(delta_N), right(gap_N)
  rows = reliability(sigmoid(np.abs(delta_N)), right_N)
  subsets = {}
  for name in sorted(set(subset_N)):
    here = np.asarray(subset_N) == name
    subsets[str(name)] = dict(accuracy=_share(right_N[here]), longer=_share(longer_N[here]))
  every = reward_N2.reshape(-1), length_N2.reshape(-1)
  return dict(
    pairs=len(delta_N),
    accuracy=_share(right_N),
    longer=_share(longer_N),
    ties=int((delta_N == 0).sum()),
    loss=float(np.logaddexp(0, -delta_N).mean()),
    subsets=subsets,
    by_length=by_length(gap_N, right_N),
    by_margin=by_margin(delta_N, right_N),
    reliability=rows,
    ece=ece(rows),
    reward=dict(mean=float(reward_N2.mean()), std=float(reward_N2.std())),
    reward_by_length=_reward_by_length(*every),
    reward_and_length=correlation(*every),
    delta_and_length=correlation(delta_N, gap_N),
  )
