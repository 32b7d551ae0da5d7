"""Statistics of items that two models answered: every difference is within an item.

Items that are no independent observations share a cluster, which is drawn or flipped as a whole. A
measure may be a difference of two rates, a side each, told by the sign of its weights: the mean of
value times weight is that difference, and a draw takes each side's rate over what it drew of it.
"""

import dataclasses
import functools
import math
from collections.abc import Hashable, Sequence

import numpy as np
from scipy import optimize, special

from jaxalign import statistics
from jaxalign.statistics import Interval

Z = 1.959963984540054  # of 95 %
DRAWS = 10_000  # of a bootstrap, and of sign-flips where they are too many to count
_FEWEST = 5  # clusters below which an interval is t's: there are too few distinct draws
_REJECTING = 6  # discordant items, all one way, that an exact test of .05 needs
_BLOCK = 1 << 22  # clusters drawn at a time


def wilson(hits: float, n: int) -> tuple[float, float]:
  """The interval of a share of which `hits` of n were seen (Wilson 1927); it knows 0 and 1."""
  if n == 0:
    return 0.0, 1.0
  p, w = hits / n, Z * Z / n
  middle = (p + w / 2) / (1 + w)
  half = Z / (1 + w) * math.sqrt(p * (1 - p) / n + w / (4 * n))
  return max(0.0, middle - half), min(1.0, middle + half)


def mcnemar(only_a: int, only_b: int) -> float:
  """Two-sided exact p: of the items that one model alone has right, each has as likely either."""
  n = only_a + only_b
  return min(1.0, 2 * float(special.bdtr(min(only_a, only_b), n, 0.5))) if n else 1.0


def _score_z(only_a: int, only_b: int, n: int, difference: float) -> float:
  """Tango's score statistic (1998) of n pairs, were the true a - b this difference of shares."""
  lacking = only_a - only_b - n * difference
  b = (2 * n - only_a + only_b) * difference - only_a - only_b
  c = -only_b * difference * (1 - difference)
  q = (math.sqrt(max(0.0, b * b - 8 * n * c)) - b) / (4 * n)  # likeliest share that only b has
  variance = n * (2 * q + difference * (1 - difference))
  if variance > 1e-12 * n:
    return lacking / math.sqrt(variance)
  return math.copysign(math.inf, lacking) if abs(lacking) > 1e-9 else 0.0


def tango(only_a: int, only_b: int, n: int) -> Interval:
  """The share of a less that of b, with the score interval of n pairs; it holds in [-1, 1]."""
  mean = (only_a - only_b) / n

  def end(edge, z):
    if abs(_score_z(only_a, only_b, n, edge)) <= Z:
      return edge
    return float(
      optimize.brentq(lambda d: np.clip(_score_z(only_a, only_b, n, d), -1e9, 1e9) - z, edge, mean)
    )

  return Interval(mean, end(-1.0, Z), end(1.0, -Z))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Units:
  """What rows of one measure belong to: their clusters, and what they weigh."""

  cluster_N: np.ndarray  # numbers from 0
  weight_N: np.ndarray

  @classmethod
  def of(cls, cluster_N: Sequence[Hashable], weight_N: Sequence[float]) -> 'Units':
    number = {name: c for c, name in enumerate(dict.fromkeys(cluster_N))}
    numbers = np.array([number[name] for name in cluster_N], np.int64)
    return cls(cluster_N=numbers, weight_N=np.asarray(weight_N, np.float64))

  def __len__(self) -> int:
    return len(self.cluster_N)

  @property
  def clusters(self) -> int:
    return int(self.cluster_N.max()) + 1

  @property
  def independent(self) -> bool:
    """Whether every row is a cluster of its own, and all weigh 1: shares are binomial."""
    return self.clusters == len(self) and bool((self.weight_N == 1).all())

  @functools.cached_property
  def sides(self) -> tuple[tuple[float, np.ndarray], ...]:
    """(weight summed over its rows, by all rows; share of that weight in each row), one a sign."""
    found = []
    for sign in (1, -1):
      side_N = np.where(sign * self.weight_N > 0, np.abs(self.weight_N), 0.0)
      if whole := math.fsum(side_N):
        found.append((sign * whole / len(self), side_N / whole))
    return tuple(found)

  @property
  def bounds(self) -> tuple[float, float]:
    """What a mean of shares can be: 0 and 1, or -1 and 1 of a difference."""
    parts = [total for total, _ in self.sides]
    return sum(min(0.0, part) for part in parts), sum(max(0.0, part) for part in parts)

  def summed(self, value_N: np.ndarray) -> np.ndarray:
    """[clusters]"""
    return np.bincount(self.cluster_N, value_N, self.clusters)

  def part(self, here_N: np.ndarray) -> 'Units':
    """Some of the rows; each side weighs as it did among all."""
    weight_N = np.zeros(len(self))
    for total, share_N in self.sides:
      weight_N += total * int(here_N.sum()) * share_N / (share_N[here_N].sum() or 1.0)
    return Units.of(self.cluster_N[here_N].tolist(), weight_N[here_N])


def as_pairs(difference_N: np.ndarray, units: Units) -> tuple[int, int, int] | None:
  """(only a, only b, pairs) of independent differences that are 1, 0 or -1, else None. Clusters
  whose differences are all one show no spread: each counts as the single pair it may be."""
  if not np.isin(difference_N, (-1, 0, 1)).all() or not (units.weight_N == 1).all():
    return None
  if not units.independent:
    if np.ptp(difference_N):
      return None
    difference_N = difference_N[: units.clusters]
  return int((difference_N > 0).sum()), int((difference_N < 0).sum()), len(difference_N)


def mean(value_N: np.ndarray, units: Units) -> float:
  return math.fsum(units.weight_N * value_N) / len(units)


def draws(
  value_NK: np.ndarray, units: Units, count: int = DRAWS, rng: np.random.Generator | None = None
) -> np.ndarray:
  """[count, K]: means of the columns with the clusters drawn anew, all columns from one draw. One
  that holds no row of a side says nothing, and is NaN."""
  rng = np.random.default_rng(0) if rng is None else rng
  columns = value_NK.shape[1]
  sums = []
  for _, share_N in units.sides:
    sums += [units.summed(share_N * value_N) for value_N in value_NK.T]
    sums.append(units.summed(share_N))
  sums_CK = np.stack(sums, 1)
  drawn = np.concatenate([counted @ sums_CK for counted in _counts(units.clusters, count, rng)])
  drawn_BGK = drawn.reshape(count, len(units.sides), columns + 1)
  with np.errstate(invalid='ignore', divide='ignore'):
    rate_BGK = drawn_BGK[..., :-1] / drawn_BGK[..., -1:]
  return np.einsum('g,bgk->bk', [total for total, _ in units.sides], rate_BGK)


def _counts(clusters, count, rng):
  """How often each cluster was drawn, in blocks of draws."""
  step = max(1, _BLOCK // clusters)
  for start in range(0, count, step):
    size = min(step, count - start)
    drawn = rng.integers(clusters, size=(size, clusters)) + clusters * np.arange(size)[:, None]
    counted = np.bincount(drawn.reshape(-1), minlength=size * clusters)
    yield counted.reshape(size, clusters).astype(np.float64)


def interval(
  drawn_B: np.ndarray, value_N: np.ndarray, units: Units, level: float = 0.95
) -> Interval:
  """The mean with the percentiles of its draws, moved from it by what few clusters lack: a drawn
  variance is (C-1)/C of the true one and its tails are not t's. Many clusters move nothing."""
  middle, clusters, error = mean(value_N, units), units.clusters, standard_error(value_N, units)
  if error is None:
    return Interval(middle, None, None)
  t = float(special.stdtrit(clusters - 1, (1 + level) / 2))
  if clusters < _FEWEST:
    return Interval(middle, middle - t * error, middle + t * error)
  wider = t / float(special.ndtri((1 + level) / 2)) * math.sqrt(clusters / (clusters - 1))
  ends = np.nanquantile(drawn_B, [(1 - level) / 2, (1 + level) / 2])
  low, high = middle + wider * (ends - middle)
  return Interval(middle, float(low), float(high))


def of_one(
  value_N: np.ndarray, units: Units, shares: bool, drawn: Interval | None = None
) -> Interval:
  """What one model comes to: Wilson's interval of shares that are binomial, else the bootstrap's,
  `drawn` where it is known; within what such a number can be."""
  if shares and (pairs := as_pairs(value_N, units)):
    return Interval(mean(value_N, units), *wilson(pairs[0], pairs[2]))
  found = drawn or interval(draws(value_N[:, None], units)[:, 0], value_N, units)
  if not shares or found.low is None or found.high is None:
    return found
  least, most = units.bounds
  return found._replace(low=max(found.low, least), high=min(found.high, most))


def standard_error(value_N: np.ndarray, units: Units) -> float | None:
  """Of the mean, by what each cluster adds to it (linearised); of one cluster there is none."""
  clusters = units.clusters
  if clusters == 1:
    return None
  added_N = np.zeros(len(units))
  for total, share_N in units.sides:
    added_N += total * share_N * (value_N - share_N @ value_N)
  variance = clusters / (clusters - 1) * float(np.sum(units.summed(added_N) ** 2))
  rounding = 1e-12 * float(np.abs(value_N).max(initial=0))
  return 0.0 if math.sqrt(variance) <= rounding else math.sqrt(variance)


def sign_flip(difference_N: np.ndarray, units: Units, count: int = DRAWS, seed: int = 0) -> float:
  """Two-sided p when a cluster's differences are as likely the other way round, all together. All
  patterns of up to 20 clusters are counted; of more, so many are drawn: p >= 1/(count + 1)."""
  return statistics.sign_flip(units.summed(difference_N * units.weight_N), count, seed)


def beyond(
  difference_N: np.ndarray, units: Units, bound: float, sign: int, shares: bool = False
) -> float | None:
  """One-sided p against `sign * mean <= sign * bound`: small where the mean is surely past it.
  Pairs of shares are tested by their score, which knows that no discordant item of a few is no
  proof; all else by t over clusters. None where one cluster has no error."""
  if shares and (pairs := as_pairs(difference_N, units)):
    return float(special.ndtr(-sign * _score_z(*pairs, bound)))
  error = standard_error(difference_N, units)
  if error is None:
    return None
  past = sign * (mean(difference_N, units) - bound)
  t = past / error if error else math.copysign(math.inf, past)
  return float(special.stdtr(units.clusters - 1, -t))


def tost(
  difference_N: np.ndarray, units: Units, margin: float, shares: bool = False
) -> float | None:
  """p that the mean is not within +-margin: small where both are surely the same."""
  above, below = (beyond(difference_N, units, -s * margin, s, shares) for s in (1, -1))
  return None if above is None or below is None else max(above, below)


def detectable_share(n: int, discordant: float, power: float = 0.8, alpha: float = 0.05) -> float:
  """The smallest difference of shares that n pairs find so often, where so many of them differ at
  all; an exact test finds nothing in fewer than six."""
  z = float(special.ndtri(1 - alpha / 2) + special.ndtri(power))
  return min(1.0, max(z * math.sqrt(discordant / n), _REJECTING / n))


def detectable(difference_N: np.ndarray, units: Units, shares: bool = False) -> float | None:
  """The same for what these differences are: shares by discordance, else by their spread."""
  if shares and (pairs := as_pairs(difference_N, units)):
    return detectable_share(pairs[2], float(np.mean(difference_N != 0)))
  error = standard_error(difference_N, units)
  if not error:
    return None
  clusters = units.clusters
  return statistics.detection_floor(error * math.sqrt(clusters), clusters)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Crossed:
  """A mean over training seeds and items, both drawn anew."""

  both: Interval
  seeds: Interval  # by t over the seeds' means alone
  p: float | None  # two-sided, by t
  floor: float | None  # the smallest mean that as much is found of in 4 studies of 5
  each: tuple[float, ...]  # a mean a seed


def crossed(value_SN: np.ndarray, units: Units, count: int = DRAWS, seed: int = 0) -> Crossed:
  """Bootstrap of seeds and clusters at once (Owen 2007): each draw takes seeds, and of all the same
  clusters. Their deviations are wider by S/(S-1), ends by t of both variances (Satterthwaite)."""
  seeds, rng = len(value_SN), np.random.default_rng(seed)
  each_S = np.array([mean(value_N, units) for value_N in value_SN])
  alone = statistics.t_interval(each_S)
  middle, found = alone.mean, tuple(map(float, each_S))
  average_N = value_SN.mean(0)
  error = standard_error(average_N, units)
  if seeds == 1 or error is None:
    return Crossed(both=Interval(middle, None, None), seeds=alone, p=None, floor=None, each=found)
  drawn_BS = draws(value_SN.T, units, count, rng)
  picked_BS = np.take_along_axis(drawn_BS, rng.integers(seeds, size=drawn_BS.shape), 1)
  whole_B = drawn_BS.mean(1)
  drawn_B = whole_B + math.sqrt(seeds / (seeds - 1)) * (picked_BS.mean(1) - whole_B)
  of_seeds, of_items = float(each_S.var(ddof=1)) / seeds, error**2
  total = of_seeds + of_items
  if total <= 1e-24 * max(1.0, abs(middle)) ** 2:
    same = Interval(middle, middle, middle)
    p = 1.0 if middle == 0 else 0.0
    return Crossed(both=same, seeds=alone, p=p, floor=None, each=found)
  free = total**2 / (of_seeds**2 / (seeds - 1) + of_items**2 / (units.clusters - 1))
  edge = float(special.stdtrit(free, 0.975))
  wider, floor = edge / Z, (edge + float(special.stdtrit(free, 0.8))) * math.sqrt(total)
  low, high = middle + wider * (np.nanquantile(drawn_B, [0.025, 0.975]) - middle)
  p = min(1.0, 2 * float(special.stdtr(free, -abs(middle) / math.sqrt(total))))
  both = Interval(middle, float(low), float(high))
  return Crossed(both=both, seeds=alone, p=p, floor=floor, each=found)
