"""Best-of-n: of n answers the one the proxy likes best. What it is expected to score, and its KL.

From N scored answers to a prompt the value of best-of-n is known for every n up to N, without
drawing subsets: among all subsets of n, the i-th answer of the order is the best in C(i-1, n-1) of
C(N, n). That average over all subsets is unbiased, and of all such estimates the steadiest.

Arrays here are [prompts, answers]; a curve is [prompts, sizes]. Everything is float64.
"""

import numpy as np
from numpy.typing import ArrayLike

from jaxalign.config import UserError

MOST = 1024  # answers to a prompt


def kl(n: ArrayLike) -> np.ndarray:
  """Nats from the policy that answers once: log n - (n-1)/n. Exact where no two answers are alike,
  else a bound from above (Beirami et al. 2024)."""
  n = np.asarray(n, np.float64)
  return np.log(n) - (n - 1) / n


def sizes(most: int) -> np.ndarray:
  """1, 2, 3, 4, 6, 8, 12, .. up to `most`: even steps of log n, as KL sees it."""
  steps = {start << k for start in (1, 3) for k in range(most.bit_length())}
  return np.array(sorted({n for n in steps if n <= most} | {most}))


def chances(n: int, many: int) -> np.ndarray:
  """For each rank in an ascending order of `many`: that a random n have their best there."""
  log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, many + 1)))])

  def log_choose(a, b):
    return log_factorial[a] - log_factorial[b] - log_factorial[a - b]

  found = np.zeros(many)
  rank = np.arange(n, many + 1)  # counted from 1: below n, there are too few that are worse
  found[n - 1 :] = np.exp(log_choose(rank - 1, n - 1) - log_choose(many, n))
  return found / found.sum()  # 1 but for rounding


def curve(proxy: np.ndarray, value: np.ndarray, ns: np.ndarray) -> np.ndarray:
  """[prompts, ns]: the expected `value` of the answer that the proxy picks out of n.

  Of answers that the proxy holds equal each is as likely to be picked.
  """
  proxy, value, ns = _checked(proxy, value, ns)
  order = np.argsort(proxy, axis=1, kind='stable')
  proxy, value = (np.take_along_axis(x, order, axis=1) for x in (proxy, value))
  fair = np.stack([_even_in_ties(p, v) for p, v in zip(proxy, value)])
  return fair @ np.stack([chances(int(n), proxy.shape[1]) for n in ns], axis=1)


def _checked(proxy, value, ns):
  proxy, value = (np.asarray(x, np.float64) for x in (proxy, value))
  if proxy.ndim != 2 or not proxy.size or proxy.shape != value.shape:
    raise UserError(
      f'scores of shapes {proxy.shape} and {value.shape}: both are [prompts, answers], and alike'
    )
  for name, x in (('proxy', proxy), ('value', value)):
    if not np.isfinite(x).all():
      row, column = np.argwhere(~np.isfinite(x))[0]
      raise UserError(f'{name} score of prompt {row}, answer {column} is {x[row, column]}')
  ns = np.atleast_1d(ns)
  if not np.issubdtype(ns.dtype, np.integer) or ns.min() < 1 or ns.max() > proxy.shape[1]:
    raise UserError(
      f'n from {ns.min()} to {ns.max()}: 1 to {proxy.shape[1]}, the answers there are'
    )
  return proxy, value, ns


def _even_in_ties(proxy, value):
  """Each value of a sorted row, as the mean of those whose proxy is the same."""
  _, group, count = np.unique(proxy, return_inverse=True, return_counts=True)
  return (np.bincount(group, value) / count)[group]


def resampled(curves: ArrayLike, draws: int = 1000, seed: int = 0) -> np.ndarray:
  """[draws, sizes]: means over prompts that were drawn again, with replacement."""
  curves = np.asarray(curves, np.float64)
  prompts = len(curves)
  even = np.full(prompts, 1 / prompts)
  return np.random.default_rng(seed).multinomial(prompts, even, draws) @ curves / prompts


def interval(drawn: np.ndarray, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
  """(low, high) percentiles along the first axis."""
  low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
  return low, high
