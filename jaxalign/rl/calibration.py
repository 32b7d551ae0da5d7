"""How good a reward model is, in numbers with intervals: accuracy, calibration, length. Pure numpy.

A pair is two rewards, of the chosen and of the rejected answer; delta is their difference. Right is
delta > 0, and a tie is half right. Intervals are 95 %. What is undefined is None, never NaN.
"""

import math

import numpy as np

Z = 1.959963984540054  # of 95 %
_LENGTHS = (-64, -16, -4, 0, 1, 5, 17, 65)  # edges in tokens: .. -65 | -64 .. -17 | .. | 0 | 1 .. 4
_BINS = 10


def right(delta_N):
  return (np.sign(np.asarray(delta_N, np.float64)) + 1) / 2


def sigmoid(x):
  x = np.asarray(x, np.float64)
  return np.exp(-np.logaddexp(0, -x))


def wilson(hits, n, z=Z):
  """The interval of a share of which `hits` of n were seen (Wilson 1927); it knows 0 and 1."""
  if n == 0:
    return 0.0, 1.0
  p, w = hits / n, z * z / n
  middle = (p + w / 2) / (1 + w)
  half = z / (1 + w) * math.sqrt(p * (1 - p) / n + w / (4 * n))
  return max(0.0, middle - half), min(1.0, middle + half)


def share(hit_N):
  """A share with its n and interval."""
  n = len(hit_N)
  low, high = wilson(float(np.sum(hit_N)), n)
  return dict(n=n, value=float(np.mean(hit_N)) if n else None, low=low, high=high)


def correlation(x_N, y_N):
  """Pearson's, with Fisher's interval; without variance there is none."""
  x_N, y_N = (np.asarray(a, np.float64) for a in (x_N, y_N))
  n = len(x_N)
  x_N, y_N = x_N - x_N.mean(), y_N - y_N.mean()
  size = math.sqrt(float(x_N @ x_N) * float(y_N @ y_N))
  if size == 0:
    return dict(n=n, value=None, low=None, high=None)
  r = min(1.0, max(-1.0, float(x_N @ y_N) / size))
  if n < 4 or abs(r) == 1:
    return dict(n=n, value=r, low=r if abs(r) == 1 else -1.0, high=r if abs(r) == 1 else 1.0)
  middle, half = math.atanh(r), Z / math.sqrt(n - 3)
  return dict(n=n, value=r, low=math.tanh(middle - half), high=math.tanh(middle + half))


def _equal_counts(x_N, bins=_BINS):
  """The members of each bin, where bins hold equally many in the order of x."""
  return [part for part in np.array_split(np.argsort(x_N, kind='stable'), bins) if len(part)]


def reliability(confidence_N, right_N, bins=_BINS):
  """Bins of equal width over .5 to 1: what was claimed, and what was right."""
  place_N = np.minimum((np.asarray(confidence_N) - 0.5) * 2 * bins, bins - 1).astype(int)
  rows = []
  for b in range(bins):
    here = place_N == b
    if here.any():
      rows.append(dict(claimed=float(confidence_N[here].mean()), **share(right_N[here])))
  return rows


def ece(rows):
  """Expected calibration error: the mean gap between claimed and right, by the bins' counts."""
  n = sum(row['n'] for row in rows)
  return sum(row['n'] * abs(row['claimed'] - row['value']) for row in rows) / n


def by_length(gap_N, right_N):
  """By chosen minus rejected tokens."""
  place_N = np.digitize(gap_N, _LENGTHS)
  edges = [None, *_LENGTHS, None]
  rows = []
  for b in range(len(_LENGTHS) + 1):
    first, last = edges[b], None if edges[b + 1] is None else edges[b + 1] - 1
    rows.append(dict(first=first, last=last, **share(right_N[place_N == b])))
  return rows


def by_margin(delta_N, right_N, bins=_BINS):
  """By how far apart the rewards are, in bins of equal counts."""
  size_N = np.abs(delta_N)
  rows = []
  for part in _equal_counts(size_N, bins):
    low, high = float(size_N[part].min()), float(size_N[part].max())
    rows.append(dict(least=low, most=high, **share(right_N[part])))
  return rows


def reward_by_length(reward_M, length_M, bins=_BINS):
  """Over single texts: mean reward with its interval, and its 10 % and 90 % points."""
  rows = []
  for part in _equal_counts(length_M, bins):
    here = reward_M[part]
    error = Z * float(here.std(ddof=1)) / math.sqrt(len(part)) if len(part) > 1 else 0.0
    mean = float(here.mean())
    row = dict(n=len(part), length=float(length_M[part].mean()), value=mean)
    row |= dict(low=mean - error, high=mean + error)
    rows.append(row | dict(p10=float(np.quantile(here, 0.1)), p90=float(np.quantile(here, 0.9))))
  return rows


def card(reward_N2, length_N2, subset_N):
  """All of it, as JSON holds it. Columns: chosen, rejected; subset_N: the name of each pair's."""
  reward_N2, length_N2 = np.asarray(reward_N2, np.float64), np.asarray(length_N2, np.int64)
  delta_N, gap_N = reward_N2[:, 0] - reward_N2[:, 1], length_N2[:, 0] - length_N2[:, 1]
  right_N, longer_N = right(delta_N), right(gap_N)
  rows = reliability(sigmoid(np.abs(delta_N)), right_N)
  subsets = {}
  for name in sorted(set(subset_N)):
    here = np.asarray(subset_N) == name
    subsets[str(name)] = dict(accuracy=share(right_N[here]), longer=share(longer_N[here]))
  return dict(
    pairs=len(delta_N),
    accuracy=share(right_N),
    longer=share(longer_N),
    ties=int((delta_N == 0).sum()),
    loss=float(np.logaddexp(0, -delta_N).mean()),
    subsets=subsets,
    by_length=by_length(gap_N, right_N),
    by_margin=by_margin(delta_N, right_N),
    reliability=rows,
    ece=ece(rows),
    reward=dict(mean=float(reward_N2.mean()), std=float(reward_N2.std())),
    reward_by_length=reward_by_length(reward_N2.reshape(-1), length_N2.reshape(-1)),
    reward_and_length=correlation(reward_N2.reshape(-1), length_N2.reshape(-1)),
    delta_and_length=correlation(delta_N, gap_N),
  )
