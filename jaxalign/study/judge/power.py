"""How often a contrast is found that is there: by simulation, with the test that judges it."""

import dataclasses
import math

import numpy as np

from jaxalign import statistics
from jaxalign.study.judge import factors

_STUDIES = 1000


def power(
  mean: float,
  sd: float,
  seeds: int,
  family: int = 1,
  alpha: float = 0.05,
  one_sided: bool = False,
  studies: int = _STUDIES,
) -> float:
  """The share of simulated studies whose exact sign-flip p passes Holm's first step.

  A seed's difference is drawn from a normal of this mean and SD. family: how many contrasts Holm
  runs over; one_sided: as an interaction is tested. Its standard error is at most .016.
  """
  test = statistics.sign_flip_above if one_sided else statistics.sign_flip
  random = np.random.default_rng(0)
  found = 0
  for d_S in mean + sd * random.normal(size=(studies, seeds)):
    # the wrong way is no find, and the two-sided test's lower half hardly ever happens
    found += bool(d_S.mean() > 0) and test(d_S) < alpha / family
  return found / studies


def seeds_for(
  mean: float,
  sd: float,
  family: int = 1,
  wanted: float = 0.8,
  alpha: float = 0.05,
  one_sided: bool = False,
  most: int = statistics.EXACT,
) -> int | None:
  """The least number of seeds that finds such a contrast so often; None: more than `most`.
  Power rises with the seeds, so the search halves what is left."""
  low, high = 2, most + 1
  while low < high:
    n = (low + high) // 2
    if power(mean, sd, n, family, alpha, one_sided) >= wanted:
      high = n
    else:
      low = n + 1
  return low if low <= most else None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sds:
  """SDs of a study's differences by where they come from, where its seeds stand for two factors."""

  training: float
  draw: float
  rest: float  # of this training seed with this draw

  @classmethod
  def evenly(cls, sd: float) -> 'Sds':
    """A third of the variance each: what is assumed where only the SD of all together is known."""
    part = sd / math.sqrt(3)
    return cls(training=part, draw=part, rest=part)


def crossed_power(
  mean: float, sds: Sds, training: int, draws: int, alpha: float = 0.05, studies: int = _STUDIES
) -> float:
  """The same where each training seed reads each draw of documents: p by t of both variances, of
  the fewer degrees of freedom."""
  random, found = np.random.default_rng(0), 0
  for _ in range(studies):
    of_S, of_D = sds.training * random.normal(size=training), sds.draw * random.normal(size=draws)
    x_SD = mean + of_S[:, None] + of_D + sds.rest * random.normal(size=(training, draws))
    spread = factors.spread_of(x_SD)
    found += bool(x_SD.mean() > 0) and spread is not None and spread.p(float(x_SD.mean())) < alpha
  return found / studies


def standard_error(share: float, studies: int = _STUDIES) -> float:
  """Of a power that was simulated."""
  return math.sqrt(share * (1 - share) / studies)
