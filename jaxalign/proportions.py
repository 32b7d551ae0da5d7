"""Shares that were counted: intervals that know 0 and 1, and tests of pairs that are yes or no.

The counts may be those of an effective number of units, which is no whole number.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy import optimize, special

from jaxalign.statistics import Interval

Z = 1.959963984540054  # of 95 %
_REJECTING = 6  # discordant items, all one way, that an exact test of .05 needs


def z_of(level: float) -> float:
  """The normal's quantile at which a two-sided interval of this level ends."""
  return Z if level == 0.95 else float(special.ndtri((1 + level) / 2))


def wilson(hits: float, n: float, level: float = 0.95) -> tuple[float, float]:
  """The interval of a share of which `hits` of n were seen (Wilson 1927); it knows 0 and 1."""
  if n == 0:
    return 0.0, 1.0
  z = z_of(level)
  p, w = hits / n, z * z / n
  middle = (p + w / 2) / (1 + w)
  half = z / (1 + w) * math.sqrt(p * (1 - p) / n + w / (4 * n))
  return max(0.0, middle - half), min(1.0, middle + half)


def mcnemar(only_a: int, only_b: int) -> float:
  """Two-sided exact p: of the items that one model alone has right, each has as likely either."""
  n = only_a + only_b
  return min(1.0, 2 * float(special.bdtr(min(only_a, only_b), n, 0.5))) if n else 1.0


def score_z(only_a: float, only_b: float, n: float, difference: float) -> float:
  """Tango's score statistic (1998) of n pairs, were the true a - b this difference of shares."""
  lacking = only_a - only_b - n * difference
  b = (2 * n - only_a + only_b) * difference - only_a - only_b
  c = -only_b * difference * (1 - difference)
  q = (math.sqrt(max(0.0, b * b - 8 * n * c)) - b) / (4 * n)  # likeliest share that only b has
  variance = n * (2 * q + difference * (1 - difference))
  if variance > 1e-12 * n:
    return lacking / math.sqrt(variance)
  return math.copysign(math.inf, lacking) if abs(lacking) > 1e-9 else 0.0


def tango(only_a: float, only_b: float, n: float, level: float = 0.95) -> Interval:
  """The share of a less that of b, with the score interval of n pairs; it holds in [-1, 1]."""
  mean, most = (only_a - only_b) / n, z_of(level)

  def end(edge, z):
    if abs(score_z(only_a, only_b, n, edge)) <= most:
      return edge
    return float(
      optimize.brentq(lambda d: np.clip(score_z(only_a, only_b, n, d), -1e9, 1e9) - z, edge, mean)
    )

  return Interval(mean, end(-1.0, most), end(1.0, -most))


def mover(sides: Sequence[tuple[float, Interval]], correlation: float = 0.0) -> Interval:
  """Interval of a sum of weighted estimates, of (weight, Interval of one): each end takes from
  every interval the reach that leads there (Newcombe 1998, method 10; Zou and Donner 2008).
  correlation: of the first two estimates."""
  middle = math.fsum(weight * one.mean for weight, one in sides)
  below, above = (_reach(sides, up, correlation) for up in (False, True))
  return Interval(middle, middle - below, middle + above)


def _reach(sides, up, correlation):
  reaches = []
  for weight, (mean, low, high) in sides:
    reaches.append(weight * ((high - mean) if (weight > 0) == up else (mean - low)))
  square = math.fsum(reach**2 for reach in reaches)
  if len(reaches) > 1:
    square += 2 * correlation * reaches[0] * reaches[1]
  return math.sqrt(max(0.0, square))


def detectable_share(n: float, discordant: float, power: float = 0.8, alpha: float = 0.05) -> float:
  """The smallest difference of shares that n pairs find so often, where so many of them differ at
  all; an exact test finds nothing in fewer than six."""
  z = float(special.ndtri(1 - alpha / 2) + special.ndtri(power))
  return min(1.0, max(z * math.sqrt(discordant / n), _REJECTING / n))
