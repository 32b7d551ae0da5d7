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
from scipy import special

from jaxalign import proportions, statistics
from jaxalign.proportions import Z
from jaxalign.statistics import Interval

DRAWS = 10_000  # of a bootstrap, and of sign-flips where they are too many to count
FEWEST = 5  # clusters below which an interval is t's: there are too few distinct draws
_BLOCK = 1 << 22  # clusters drawn at a time


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

  def apart(self) -> list[tuple[float, np.ndarray, 'Units']]:
    """(weight of a side in the whole, which rows are of it, its own Units), one a side."""
    found = []
    for total, share_N in self.sides:
      here_N = share_N > 0
      own_N = share_N[here_N] * here_N.sum()
      alike = np.ptp(own_N) < 1e-6  # whole numbers of 2**-30 stand for a share
      weight_N = [1.0] * len(own_N) if alike else own_N.tolist()
      found.append((total, here_N, Units.of(self.cluster_N[here_N].tolist(), weight_N)))
    return found

  def part(self, here_N: np.ndarray) -> 'Units':
    """Some of the rows; each side weighs as it did among all."""
    weight_N = np.zeros(len(self))
    for total, share_N in self.sides:
      weight_N += total * int(here_N.sum()) * share_N / (share_N[here_N].sum() or 1.0)
    return Units.of(self.cluster_N[here_N].tolist(), weight_N[here_N])


def as_pairs(difference_N: np.ndarray, units: Units) -> tuple[int, int, int] | None:
  """(only a, only b, pairs) of independent differences that are 1, 0 or -1, else None."""
  if not units.independent or not np.isin(difference_N, (-1, 0, 1)).all():
    return None
  return int((difference_N > 0).sum()), int((difference_N < 0).sum()), len(difference_N)


def mean(value_N: np.ndarray, units: Units) -> float:
  """Rounding of weights alone is no difference of two rates."""
  found = math.fsum(units.weight_N * value_N) / len(units)
  return found if abs(found) > 1e-12 * float(np.abs(value_N).max(initial=0)) else 0.0


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
  variance is (C-1)/C of the true one and its tails are not t's. Many clusters move nothing. Of one
  cluster, and of numbers that do not spread, nobody knows an interval."""
  middle, clusters, error = mean(value_N, units), units.clusters, standard_error(value_N, units)
  if not error:
    return Interval(middle, None, None)
  t = float(special.stdtrit(clusters - 1, (1 + level) / 2))
  if clusters < FEWEST:
    return Interval(middle, middle - t * error, middle + t * error)
  wider = t / proportions.z_of(level) * math.sqrt(clusters / (clusters - 1))
  ends = np.nanquantile(drawn_B, [(1 - level) / 2, (1 + level) / 2])
  low, high = middle + wider * (ends - middle)
  return Interval(middle, float(low), float(high))


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
  drawn_B = _both_drawn(value_SN, units, count, rng)
  spread = _spread(each_S, error, units.clusters)
  if spread is None:  # the signs alone tell something
    same = Interval(middle, None, None)
    p = statistics.sign_flip(each_S)
    return Crossed(both=same, seeds=alone, p=p, floor=None, each=found)
  edge = float(special.stdtrit(spread.free, 0.975))
  wider, floor = edge / Z, (edge + float(special.stdtrit(spread.free, 0.8))) * spread.error
  low, high = middle + wider * (np.nanquantile(drawn_B, [0.025, 0.975]) - middle)
  both = Interval(middle, float(low), float(high))
  return Crossed(both=both, seeds=alone, p=spread.p(middle), floor=floor, each=found)


def crossed_draws(
  value_SN: np.ndarray, units: Units, count: int = DRAWS, seed: int = 0
) -> np.ndarray:
  """[count] means with seeds and clusters drawn anew at once, as `crossed` takes them."""
  return _both_drawn(value_SN, units, count, np.random.default_rng(seed))


def _both_drawn(value_SN, units, count, rng):
  seeds, drawn_BS = len(value_SN), draws(value_SN.T, units, count, rng)
  picked_BS = np.take_along_axis(drawn_BS, rng.integers(seeds, size=drawn_BS.shape), 1)
  whole_B = drawn_BS.mean(1)
  return whole_B + math.sqrt(seeds / (seeds - 1)) * (picked_BS.mean(1) - whole_B)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spread:
  """Of a mean over seeds and clusters: its standard error, and how many degrees of freedom that
  has (Satterthwaite)."""

  error: float
  free: float

  def p(self, mean: float) -> float:
    """Two-sided, that it is 0."""
    return min(1.0, 2 * self.tail(abs(mean)))

  def tail(self, mean: float) -> float:
    """P(a mean this high or higher | 0), by t."""
    return float(special.stdtr(self.free, -mean / self.error))

  def half(self, level: float) -> float:
    """Half the width of its t interval."""
    return float(special.stdtrit(self.free, (1 + level) / 2)) * self.error


def spread(value_SN: np.ndarray, units: Units) -> Spread | None:
  """Of both variances, as `crossed` adds them; None where one of both is not known, or both are 0.

  What neither factor has alone is in both, and so counted twice: such an error is rather too large.
  """
  error = standard_error(value_SN.mean(0), units)
  if len(value_SN) == 1 or error is None:
    return None
  return _spread(np.array([mean(x_N, units) for x_N in value_SN]), error, units.clusters)


def _spread(each_S, error, clusters):
  seeds, middle = len(each_S), float(each_S.mean())
  of_seeds, of_items = float(each_S.var(ddof=1)) / seeds, error**2
  total = of_seeds + of_items
  if total <= 1e-24 * max(1.0, abs(middle)) ** 2:
    return None
  free = total**2 / (of_seeds**2 / (seeds - 1) + of_items**2 / (clusters - 1))
  return Spread(error=math.sqrt(total), free=free)
