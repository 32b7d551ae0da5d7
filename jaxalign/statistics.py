"""Statistics of studies whose unit is the seed: arms are paired within it. Pure numpy and scipy.

A difference is one number a seed (axis S). What is undefined is None, never NaN: one seed has no
interval. Where a test can be exact it is: eight seeds have 256 sign patterns, and all are counted.
"""

import dataclasses
import functools
import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special, stats

from jaxalign.config import UserError

EXACT = 32  # seeds: up to here every sign pattern is counted
FLIPS = 100_000  # above, so many are drawn
LEAST_DRAWN = 5  # seeds below which a bootstrap has too few distinct draws for an interval
_BLOCK = 1 << 22  # items resampled at a time
_Label = TypeVar('_Label', bound=Hashable)
_Part = Sequence[Sequence[np.ndarray]]  # of each seed, of each cluster: differences item by item


@dataclasses.dataclass(frozen=True, kw_only=True)
class Estimate:
  """A mean paired difference and all that is printed beside it."""

  mean: float
  low: float | None  # t interval
  high: float | None
  n: int
  sd: float | None
  d_z: float | None  # mean / sd
  p: float  # exact two-sided sign-flip
  p_t: float | None
  floor: float | None  # the smallest mean that n such seeds find with 80 % power, two-sided .05
  better: float  # probability of improvement: share of seeds above 0, a tie is half
  differences: tuple[float, ...] | None  # every seed's; None where they are left out


class Interval(NamedTuple):
  mean: float
  low: float | None
  high: float | None


def paired(differences_S: ArrayLike, level: float = 0.95) -> Estimate:
  d_S = _checked(differences_S)
  mean, low, high = t_interval(d_S, level)
  n, sd = len(d_S), spread(d_S)
  return Estimate(
    mean=mean,
    low=low,
    high=high,
    n=n,
    sd=sd,
    d_z=mean / sd if sd else None,
    p=sign_flip(d_S),
    p_t=None if sd is None else min(1.0, 2 * _tail(abs(mean), sd, n)),
    floor=None if sd is None else detection_floor(sd, n),
    better=float(np.mean((np.sign(d_S) + 1) / 2)),
    differences=tuple(map(float, d_S)),
  )


def t_interval(x_S: ArrayLike, level: float = 0.95) -> Interval:
  d_S = _checked(x_S)
  mean, sd, n = float(d_S.mean()), spread(d_S), len(d_S)
  if sd is None:
    return Interval(mean, None, None)
  half = float(special.stdtrit(n - 1, (1 + level) / 2)) * sd / math.sqrt(n)
  return Interval(mean, mean - half, mean + half)


def _checked(differences_S: ArrayLike) -> np.ndarray:
  d_S = np.asarray(differences_S, np.float64)
  if d_S.ndim != 1 or not d_S.size or not np.isfinite(d_S).all():
    raise UserError(f'a paired difference is one finite number a seed, not {differences_S!r}')
  return d_S


def spread(d_S: np.ndarray) -> float | None:
  """Sample SD, of one None; rounding alone is no spread."""
  if len(d_S) == 1:
    return None
  return 0.0 if np.ptp(d_S) <= 1e-12 * np.abs(d_S).max() else float(d_S.std(ddof=1))


def _tail(mean, sd, n):
  """P(a mean this high or higher | 0), by t."""
  t = mean * math.sqrt(n) / sd if sd else math.copysign(math.inf, mean) if mean else 0.0
  return float(special.stdtr(n - 1, -t))


def sign_flip(differences_S: ArrayLike, draws: int = FLIPS, seed: int = 0) -> float:
  """Two-sided p of the mean when every seed's sign is as likely the other one.

  Like scipy.stats.permutation_test(permutation_type='samples'), which goes pattern by pattern in
  Python.
  """
  d_S, rounding = _unequal(differences_S)
  least = abs(d_S.sum()) - rounding
  if len(d_S) <= EXACT:
    return 2 * _exact_tail(d_S, least) if least > 0 else 1.0
  hits = sum(int(np.sum(np.abs(sum_N) >= least)) for sum_N in _drawn_sums(d_S, draws, seed))
  return (1 + hits) / (1 + draws)


def sign_flip_above(differences_S: ArrayLike, draws: int = FLIPS, seed: int = 0) -> float:
  """One-sided p of a mean above 0: the share of sign patterns whose mean is as high, or higher."""
  d_S, rounding = _unequal(differences_S)
  least = d_S.sum() - rounding
  if len(d_S) <= EXACT:
    return _exact_tail(d_S, least)
  hits = sum(int(np.sum(sum_N >= least)) for sum_N in _drawn_sums(d_S, draws, seed))
  return (1 + hits) / (1 + draws)


def _unequal(differences_S):
  d_S = _checked(differences_S)
  d_S = d_S[d_S != 0]  # flipped or not, a 0 is the same
  return d_S, 1e-9 * np.abs(d_S).sum()  # by so much equal sums may differ


def _exact_tail(d_S, least):
  """The share of all sign patterns whose sum is at least this. Sums of one half of the seeds meet
  the sorted sums of the other half: 32 seeds have 2**32 patterns, and 2 x 2**16 sums."""
  half = len(d_S) // 2
  one_N, other_M = _signed_sums(d_S[:half]), np.sort(_signed_sums(d_S[half:]))
  below = np.searchsorted(other_M, np.sort(least - one_N), 'left')
  return float(np.sum(len(other_M) - below)) / 2.0 ** len(d_S)


def _signed_sums(d_S):
  sums = np.zeros(1)
  for d in d_S:
    sums = np.concatenate([sums + d, sums - d])
  return sums


def _drawn_sums(d_S, draws, seed):
  rng = np.random.default_rng(seed)
  for size in _blocks(draws, len(d_S)):
    bytes_NB = rng.integers(0, 256, (size, -(-len(d_S) // 8)), np.uint8)
    plus_NS = np.unpackbits(bytes_NB, axis=1, count=len(d_S))
    yield 2 * (plus_NS @ d_S) - d_S.sum()


def detection_floor(sd: float, n: int, power: float = 0.8, alpha: float = 0.05) -> float:
  """The smallest mean difference that a two-sided t test of n seeds finds so often."""
  return sd * _floor_in_sd(n, power, alpha)


@functools.cache
def _floor_in_sd(n, power, alpha):
  edge = float(special.stdtrit(n - 1, 1 - alpha / 2))

  def lacking(d):
    shift = d * math.sqrt(n)
    wrong_way = np.nan_to_num(stats.nct.cdf(-edge, n - 1, shift))  # NaN where it rounds to 0
    return stats.nct.sf(edge, n - 1, shift) + wrong_way - power

  return float(optimize.brentq(lacking, 1e-9, 4 * edge / math.sqrt(n) + 10))


def tost(differences_S: ArrayLike, sesoi: float) -> float | None:
  """p of the paired test of equivalence: that the mean is not within +-sesoi. None for one seed."""
  d_S = _checked(differences_S)
  if sesoi <= 0:
    raise UserError(f'sesoi={sesoi}: the smallest effect of interest is above 0')
  if len(d_S) == 1:
    return None
  mean, sd, n = float(d_S.mean()), spread(d_S), len(d_S)
  return max(_tail(mean + sesoi, sd, n), _tail(sesoi - mean, sd, n))


def holm(ps: ArrayLike) -> tuple[float, ...]:
  """Holm's adjusted p-values, in the order given."""
  p_N = np.asarray(ps, np.float64)
  order_N = np.argsort(p_N, kind='stable')
  stepped_N = p_N[order_N] * (len(p_N) - np.arange(len(p_N)))
  adjusted_N = np.empty_like(p_N)
  adjusted_N[order_N] = np.minimum(1, np.maximum.accumulate(stepped_N))
  return tuple(map(float, adjusted_N))


def benjamini_hochberg(ps: ArrayLike) -> tuple[float, ...]:
  """Adjusted p-values in the order given: false discovery rates at which each is found."""
  p_N = np.asarray(ps, np.float64)
  order_N = np.argsort(p_N, kind='stable')[::-1]  # the largest first
  stepped_N = p_N[order_N] * len(p_N) / np.arange(len(p_N), 0, -1)
  adjusted_N = np.empty_like(p_N)
  adjusted_N[order_N] = np.minimum(1, np.minimum.accumulate(stepped_N))
  return tuple(map(float, adjusted_N))


def kappa(confusion: Mapping[tuple[_Label, _Label], float]) -> float | None:
  """Cohen's kappa of {(one's label, the other's): how many}: agreement beyond what their own rates
  make by chance; None where each says one thing alone, and so has nothing to agree on."""
  total = sum(confusion.values())
  labels = {label for pair in confusion for label in pair}
  agreed = sum(confusion.get((label, label), 0.0) for label in labels) / total
  of_one = {one: sum(n for (a, _), n in confusion.items() if a == one) for one in labels}
  of_other = {one: sum(n for (_, b), n in confusion.items() if b == one) for one in labels}
  by_chance = sum(of_one[label] * of_other[label] for label in labels) / total**2
  return None if by_chance > 1 - 1e-12 else (agreed - by_chance) / (1 - by_chance)


def on_scales(rate: ArrayLike, items: int) -> dict[str, np.ndarray]:
  """A rate of so many items on the scales that an interaction is judged on: its sign must be one on
  all of them, so that another scale makes fewer claims hold.

  Half an item is added to either side before the logit, which has no 0 and no 1.
  """
  rate = np.asarray(rate, np.float64)
  logit = np.log((rate * items + 0.5) / ((1 - rate) * items + 0.5))
  return dict(rate=rate, logit=logit, arcsine=2 * np.arcsin(np.sqrt(rate)))


def agree(estimates: Iterable[Estimate]) -> bool:
  """Whether the means have one sign, and none is 0."""
  signs = {np.sign(estimate.mean) for estimate in estimates}
  return len(signs) == 1 and 0 not in signs


def bootstrap(
  *parts_SCI: _Part, draws: int = 10_000, seed: int = 0, level: float = 0.95
) -> Interval:
  """Hierarchical paired bootstrap: seeds, then clusters in the seed, then items in the cluster.

  A part holds differences a - b item by item, so that both sides see the same draw; its clusters
  and items may be ragged lists. The statistic is the mean over seeds of the sum of the parts' item
  means (harm and benign are two parts). The parts share the draw of the seeds.

  Plain percentiles are wrong both ways: a resampled variance lacks (S-1)/S and its tails are not
  t's, so few seeds are read too short; resampled items add what the seeds' spread already holds.
  So the percentiles are moved from the mean by what makes a normal shape the seeds' t interval: the
  draws give the shape, lop-sided as it is, and the seeds the scale.
  """
  parts = [[[np.asarray(x_I, np.float64) for x_I in x_CI] for x_CI in x_SCI] for x_SCI in parts_SCI]
  seeds = len(parts[0])
  seed_S = np.array([sum(np.concatenate(part[s]).mean() for part in parts) for s in range(seeds)])
  mean = float(_checked(seed_S).mean())
  if seeds < LEAST_DRAWN:
    return Interval(mean, None, None)
  return around_t(seed_S, resampled(parts, draws, np.random.default_rng(seed)), level)


def around_t(seed_S: np.ndarray, drawn_N: np.ndarray, level: float) -> Interval:
  """The seeds' mean with percentiles of its draws, scaled as `bootstrap` says."""
  mean, seeds = float(seed_S.mean()), len(seed_S)
  width = drawn_N.std()
  if width <= 1e-12 * np.abs(seed_S).max():
    return Interval(mean, mean, mean)
  t = special.stdtrit(seeds - 1, (1 + level) / 2)
  scale = t * seed_S.std(ddof=1) / math.sqrt(seeds) / (special.ndtri((1 + level) / 2) * width)
  low, high = mean + scale * (np.quantile(drawn_N, [(1 - level) / 2, (1 + level) / 2]) - mean)
  return Interval(mean, float(low), float(high))


def resampled(parts: Sequence[_Part], draws: int, rng: np.random.Generator) -> np.ndarray:
  seeds = len(parts[0])
  seed_NS = rng.integers(seeds, size=(draws, seeds))
  value_NS = np.zeros((draws, seeds))
  for part in parts:
    for s, clusters in enumerate(part):
      here_NS = seed_NS == s
      value_NS[here_NS] += resampled_seed(clusters, int(here_NS.sum()), rng)
  return value_NS.mean(1)


def resampled_seed(
  clusters: Sequence[np.ndarray], draws: int, rng: np.random.Generator
) -> np.ndarray:
  """[draws]: item means of one seed with its clusters drawn anew, and in each its items."""
  cluster_NC = rng.integers(len(clusters), size=(draws, len(clusters)))
  total_NC = np.zeros(cluster_NC.shape)
  for c, x_I in enumerate(clusters):
    here_NC = cluster_NC == c
    total_NC[here_NC] = _resampled_total(x_I, int(here_NC.sum()), rng)
  size_C = np.array([len(x_I) for x_I in clusters])
  return total_NC.sum(1) / size_C[cluster_NC].sum(1)


def _resampled_total(x_I, draws, rng):
  sizes = _blocks(draws, len(x_I))
  totals = [x_I[rng.integers(len(x_I), size=(size, len(x_I)))].sum(1) for size in sizes]
  return np.concatenate([np.zeros(0), *totals])


def _blocks(draws, width):
  """So many draws in turns that fit in memory, each `width` numbers."""
  step = max(1, _BLOCK // width)
  return [min(step, draws - start) for start in range(0, draws, step)]
