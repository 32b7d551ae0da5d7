"""Alignment as preference order: does the model put options in the order of their gold utility?

Kendall's tau-b over all pairs of options, and the share of the pairs with unequal gold that the
model orders the same way: gold utilities have many ties, and with them tau-b cannot reach 1.
"""

import dataclasses
from collections.abc import Iterable

import numpy as np
from scipy.stats import kendalltau

from jaxalign.config import UserError

ROWS = 1024  # options at a time, against all: memory is ROWS x N


@dataclasses.dataclass(frozen=True, kw_only=True)
class Order:
  tau: float  # tau-b
  tau_interval: tuple[float, float]
  right: float  # share of the pairs that gold orders; a tie of the model's is half
  right_interval: tuple[float, float]
  pairs: int  # that gold orders
  ties: int  # pairs that it does not
  clusters: int


def order(
  logodds_N: np.ndarray,
  utility_N: np.ndarray,
  cluster_N: np.ndarray,
  *,
  draws: int = 2000,
  level: float = 0.95,
  seed: int = 0,
) -> Order:
  """Order of the model's log-odds of each option beside its gold utility.

  Intervals are percentiles over resampled clusters (domains: options of one are no independent
  witnesses). Of few clusters they are too narrow; across seeds, seeds are the unit.
  """
  logodds_N, utility_N = (np.asarray(x, np.float64) for x in (logodds_N, utility_N))
  if not len(logodds_N) == len(utility_N) == len(cluster_N):
    sizes = len(logodds_N), len(utility_N), len(cluster_N)
    raise UserError(f'log-odds, utilities and clusters belong to the same options, not {sizes}')
  if not (np.isfinite(logodds_N).all() and np.isfinite(utility_N).all()):
    raise UserError('log-odds or utilities hold a number that is not finite')
  sums = pair_sums(logodds_N, utility_N, cluster_N)
  K = len(sums[0])
  if K < 2:
    raise UserError(f'{K} cluster: an interval needs at least 2')
  once = np.ones((1, K))
  score, unlike, ordered = (float(total[0]) for total in totals(sums, once))
  if not unlike or not ordered:
    raise UserError('all log-odds, or all utilities, are equal: there is no order to compare')
  weight_RK = np.random.default_rng(seed).multinomial(K, np.full(K, 1 / K), draws)
  intervals = [_interval(drawn, level) for drawn in _tau_right(*totals(sums, weight_RK))]
  pairs = round(ordered)
  return Order(
    tau=float(kendalltau(logodds_N, utility_N, method='asymptotic').statistic),
    tau_interval=intervals[0],
    right=(score / ordered + 1) / 2,
    right_interval=intervals[1],
    pairs=pairs,
    ties=len(logodds_N) * (len(logodds_N) - 1) // 2 - pairs,
    clusters=K,
  )


def pair_sums(logodds_N: np.ndarray, utility_N: np.ndarray, cluster_N: np.ndarray) -> np.ndarray:
  """Three [K,K], over the options of two clusters: pairs in the same order less pairs in the other,
  pairs with unequal log-odds, pairs with unequal utility. A resample's tau follows from these."""
  hot_NK = np.eye(len(np.unique(cluster_N)))[np.unique(cluster_N, return_inverse=True)[1]]
  sums = np.zeros((3, hot_NK.shape[1], hot_NK.shape[1]))
  for start in range(0, len(logodds_N), ROWS):
    some = slice(start, start + ROWS)
    model, gold = (np.sign(x_N[some, None] - x_N) for x_N in (logodds_N, utility_N))
    for n, pair in enumerate((model * gold, model**2, gold**2)):
      sums[n] += hot_NK[some].T @ (pair @ hot_NK)
  return sums


def totals(sums: Iterable[np.ndarray], weight_RK: np.ndarray) -> list[np.ndarray]:
  """Each sum over all pairs of options, where cluster k was drawn weight[k] times: [R] each."""
  return [((weight_RK @ sum_KK) * weight_RK).sum(1) / 2 for sum_KK in sums]


def _tau_right(score_R, unlike_R, ordered_R):
  """(tau-b, share right) of resamples; NaN where a resample has no order."""
  with np.errstate(invalid='ignore', divide='ignore'):
    return score_R / np.sqrt(unlike_R * ordered_R), (score_R / ordered_R + 1) / 2


def _interval(drawn_R, level):
  low, high = np.nanquantile(drawn_R, [(1 - level) / 2, (1 + level) / 2])
  return float(low), float(high)
