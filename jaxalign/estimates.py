"""What paired rows come to: intervals and tests of one model, and of what two differ by.

Shares have the intervals of proportions.py, for as many independent items as have the error of
these clusters (Rao and Scott 1992, Korn and Graubard 1998). Where nothing spreads there is no such
error, and each cluster counts as one: 80 refusals in ten clusters are 10 of 10. All else has the
bootstrap's of paired.py, and where it does not spread none.
"""

import math

import numpy as np
from scipy import special

from jaxalign import paired, proportions, statistics
from jaxalign.paired import Units
from jaxalign.proportions import Z
from jaxalign.statistics import Interval

_ONE_SIDED = 0.9  # level of the interval that a one-sided test of .05 agrees with
_POWER = float(special.ndtri(0.8))


def of_one(
  value_N: np.ndarray,
  units: Units,
  shares: bool,
  drawn: Interval | None = None,
  level: float = 0.95,
) -> Interval:
  """What one model comes to: of shares Wilson's interval, of a difference of two rates MOVER's of
  both; of other numbers the bootstrap's, `drawn` where it is known."""
  return _told(value_N, units, shares, drawn, level, _one_rate)


def of_two(
  difference_N: np.ndarray,
  units: Units,
  shares: bool,
  drawn: Interval | None = None,
  level: float = 0.95,
) -> Interval:
  """What two models differ by: of shares Tango's interval, of two such differences MOVER's of both;
  of other numbers the bootstrap's."""
  return _told(difference_N, units, shares, drawn, level, _two_rates)


def _told(value_N, units, shares, drawn, level, rate):
  if shares:
    found = _of_sides(value_N, units, level, rate)
    least, most = units.bounds
    if rate is _two_rates:
      least, most = least - most, most - least
    return found._replace(low=max(found.low, least), high=min(found.high, most))
  if drawn is None:
    drawn_B = paired.draws(value_N[:, None], units)[:, 0]
    drawn = paired.interval(drawn_B, value_N, units, level)
  return drawn


def _of_sides(value_N, units, level, rate):
  """The interval of shares; its middle is the mean to the last bit."""
  sides = [(total, rate(value_N[here_N], own, level)) for total, here_N, own in units.apart()]
  found = proportions.mover(sides, _correlation(value_N, units))
  middle = paired.mean(value_N, units)
  return Interval(middle, min(found.low, middle), max(found.high, middle))


def _one_rate(value_N: np.ndarray, units: Units, level: float) -> Interval:
  share = min(1.0, max(0.0, paired.mean(value_N, units)))
  n = _effective(value_N, units, share * (1 - share), level)
  return Interval(share, *proportions.wilson(share * n, n, level))


def _two_rates(difference_N: np.ndarray, units: Units, level: float) -> Interval:
  only_a, only_b, n = _counts_of(difference_N, units, level)
  return proportions.tango(only_a, only_b, n, level)


def _counts_of(difference_N, units, level):
  """(only a, only b, pairs), of an effective number of pairs."""
  only_a, only_b = (paired.mean(np.maximum(0.0, s * difference_N), units) for s in (1, -1))
  n = _effective(difference_N, units, only_a + only_b - (only_a - only_b) ** 2, level)
  return only_a * n, only_b * n, n


def _effective(value_N, units, variance, level):
  """So many independent units have the error of these, of which one would have this variance; with
  t for few clusters. Units that are yes or no tell no more than as many as they are."""
  whole = np.isin(value_N, (-1, 0, 1)).all()
  if whole and units.independent:
    return len(units)
  error = paired.standard_error(value_N, units)
  if not error:
    return units.clusters
  t = float(special.stdtrit(units.clusters - 1, (1 + level) / 2))
  n = variance / error**2
  return (min(n, len(units)) if whole else n) * (proportions.z_of(level) / t) ** 2


def _correlation(value_N, units):
  """Of both sides' rates, by what each cluster adds to them; 0 where few clusters tell. One that
  makes the interval narrower counts for less, so that sides which always agreed leave no point."""
  if len(units.sides) < 2 or units.clusters < paired.FEWEST:
    return 0.0
  one_C, other_C = (
    units.summed(share_N * (value_N - share_N @ value_N)) for _, share_N in units.sides
  )
  size = math.sqrt(float(one_C @ one_C) * float(other_C @ other_C))
  found = float(one_C @ other_C) / size if size > 1e-24 else 0.0
  return min(found, found * units.clusters / (units.clusters + Z * Z))


def _is_one_rate(units):
  """Whether these are no difference of two rates, nor the side of one that is taken away."""
  return [total > 0 for total, _ in units.sides] == [True]


def beyond(
  difference_N: np.ndarray, units: Units, bound: float, sign: int, shares: bool = False
) -> float | None:
  """One-sided p against `sign * mean <= sign * bound`: small where the mean is surely past it.
  Shares are tested by what their interval is made of, which knows that no discordant item of a few
  is no proof; all else by t over clusters. None where one cluster has no error."""
  past = sign * (paired.mean(difference_N, units) - bound)
  if shares:
    if _is_one_rate(units):
      only_a, only_b, n = _counts_of(difference_N, units, _ONE_SIDED)
      z = proportions.score_z(only_a, only_b, n, bound)
      return float(special.ndtr(-sign * z))
    middle, low, high = _of_sides(difference_N, units, _ONE_SIDED, _two_rates)
    reach = middle - low if sign > 0 else high - middle
    return float(special.ndtr(-past / reach * proportions.z_of(_ONE_SIDED))) if reach else 1.0
  error = paired.standard_error(difference_N, units)
  if error is None:
    return None
  if not error:  # of what does not spread only the signs tell anything: flipped, all but one lose
    return 0.5**units.clusters if past > 0 else 1.0
  return float(special.stdtr(units.clusters - 1, -past / error))


def tost(
  difference_N: np.ndarray, units: Units, margin: float, shares: bool = False
) -> float | None:
  """p that the mean is not within +-margin: small where both are surely the same."""
  above, below = (beyond(difference_N, units, -s * margin, s, shares) for s in (1, -1))
  return None if above is None or below is None else max(above, below)


def detectable(difference_N: np.ndarray, units: Units, shares: bool = False) -> float | None:
  """The smallest mean that such units find in 4 studies of 5: shares by discordance, or by their
  interval where clusters or two sides have one; else by their spread, None where there is none."""
  error = paired.standard_error(difference_N, units)
  if shares:
    if _is_one_rate(units) and (units.independent or not error):
      only_a, only_b, n = _counts_of(difference_N, units, 0.95)
      return proportions.detectable_share(n, (only_a + only_b) / n)
    _, low, high = _of_sides(difference_N, units, 0.95, _two_rates)
    return min(units.bounds[1] - units.bounds[0], (high - low) / 2 * (1 + _POWER / Z))
  if not error:
    return None
  clusters = units.clusters
  return statistics.detection_floor(error * math.sqrt(clusters), clusters)


def passing(low: float | None, high: float | None, margin: float) -> float | None:
  """How often two that are the same are shown to lose no more than the margin, by the width of the
  90 % interval that was found; None where there is none."""
  if low is None or high is None or high <= low:
    return None
  z = proportions.z_of(_ONE_SIDED)
  return float(special.ndtr(margin * 2 * z / (high - low) - z))
