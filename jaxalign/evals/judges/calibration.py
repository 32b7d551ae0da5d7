"""How far a judge can be trusted, from a person's labels of a stratified sample; numbers alone.

A stratum holds the answers of one arm to which the judges gave the same labels: its size is known,
and a few of it are labelled. The share that a person would label so is then the mean over strata:
the prediction-powered estimate, whose error comes from the labels alone. Rogan and Gladen's reads
the judge's two error rates out of the same labels; on one sample the two agree. The interval of the
second is wider: it takes the error rates for independent of each other and of the judge's rate.
Answers count as independent, which templates of one behaviour are not.
"""

import dataclasses
import math
from collections.abc import Sequence

from scipy import special

from jaxalign.config import UserError
from jaxalign.statistics import Interval

_TELLS = (
  0.05  # sensitivity + specificity - 1 of a judge, at least, before its rate is divided by it
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stratum:
  """Answers that the judge labelled alike: how many there are, are labelled, and bear the label."""

  size: int
  judged: bool  # whether the judge gave the label that is asked about
  labelled: int
  found: int  # of the labelled, those to which the person gave it


@dataclasses.dataclass(frozen=True, kw_only=True)
class Corrected:
  """A rate as the judge has it, and as a person would."""

  judged: float
  powered: Interval  # prediction-powered
  rogan_gladen: Interval | None  # None where the judge tells nothing
  sensitivity: float | None  # of what the person labels so, the judge's share; None: there is none
  specificity: float | None


def corrected(strata: Sequence[Stratum], level: float = 0.95) -> Corrected:
  """The rate of one label in one arm, by the labels of that arm."""
  total = sum(one.size for one in strata)
  judged = sum(one.size for one in strata if one.judged) / total
  # (weight of a labelled answer, the judge's word, the person's, how many)
  cells = [
    (one.size / one.labelled, one.judged, yes, count)
    for one in strata
    for yes, count in ((True, one.found), (False, one.labelled - one.found))
  ]
  sides = [_weighted_share([c for c in cells if c[2] is yes], yes) for yes in (True, False)]
  sensitivity, specificity = (None if side is None else side[0] for side in sides)
  return Corrected(
    judged=judged,
    powered=prediction_powered(strata, level),
    rogan_gladen=None if None in sides else rogan_gladen(judged, total, sides[0], sides[1], level),
    sensitivity=sensitivity,
    specificity=specificity,
  )


def _weighted_share(cells, yes):
  """(share on which judge and person agree, labels that are worth as much unweighted) or None."""
  total = sum(weight * count for weight, _, _, count in cells)
  if not total:
    return None
  agreed = sum(weight * count for weight, judged, _, count in cells if judged is yes)
  return agreed / total, total**2 / sum(weight**2 * count for weight, _, _, count in cells)


def prediction_powered(strata: Sequence[Stratum], level: float = 0.95) -> Interval:
  """Share of answers that a person would label so.

  The judge's rate and the mean of what it got wrong add up to the mean over strata, for within one
  the judge says one thing. The interval is of answers to other prompts of the kind; no share is
  taken for 0 or 1 in its width because a few labels agree.
  """
  total = sum(one.size for one in strata)
  if not total or any(one.size and not one.labelled for one in strata):
    raise UserError('a stratum has no label: label at least one answer of each, or draw anew')
  share = [one.size / total for one in strata]
  rate = [one.found / one.labelled for one in strata]
  mean = sum(w * r for w, r in zip(share, rate))
  smooth = [(one.found + 1) / (one.labelled + 2) for one in strata]
  within = sum(w**2 * r * (1 - r) / one.labelled for w, r, one in zip(share, smooth, strata))
  between = sum(w * (r - mean) ** 2 for w, r in zip(share, rate)) / total
  half = _z(level) * math.sqrt(within + between)
  return Interval(mean, max(0.0, mean - half), min(1.0, mean + half))


def rogan_gladen(
  judged: float,
  total: int,
  sensitivity: tuple[float, float],
  specificity: tuple[float, float],
  level: float = 0.95,
) -> Interval | None:
  """A judge's rate over `total` answers, less its errors; (a share, labels it is from) each.

  The interval is Lang and Reiczigel's. None where the judge says the same of either kind.
  """
  (se, se_n), (sp, sp_n) = sensitivity, specificity
  if se + sp - 1 < _TELLS:
    return None
  z = _z(level)
  p = (total * judged + z**2 / 2) / (total + z**2)
  se2, sp2 = (se_n * se + 1) / (se_n + 2), (sp_n * sp + 1) / (sp_n + 2)
  gain = se2 + sp2 - 1
  if gain < _TELLS:
    return None
  middle = (p + sp2 - 1) / gain
  of_se, of_sp = se2 * (1 - se2) / (se_n + 2), sp2 * (1 - sp2) / (sp_n + 2)
  shift = 2 * z**2 * (middle * of_se - (1 - middle) * of_sp)
  spread = p * (1 - p) / (total + z**2) + (1 - middle) ** 2 * of_sp + middle**2 * of_se
  half = z * math.sqrt(spread) / gain
  low, high = (min(1.0, max(0.0, middle + shift + side * half)) for side in (-1, 1))
  mean = min(1.0, max(0.0, (judged + sp - 1) / (se + sp - 1)))
  return Interval(mean, min(low, mean), max(high, mean))


def _z(level: float) -> float:
  return float(special.ndtri((1 + level) / 2))
