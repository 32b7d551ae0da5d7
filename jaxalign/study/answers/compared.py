"""What `jaxalign compare` found of evaluated models: the fields are those of compare.json."""

import dataclasses
from typing import Literal

_Outcome = Literal['better', 'worse', 'higher', 'lower', 'same', 'not worse', 'not found']
Headline = Literal['better', 'worse', 'mixed', 'no difference found']


@dataclasses.dataclass(frozen=True, kw_only=True)
class Side:
  """An arm's mean of a measure, with its 95 % interval."""

  arm: str
  mean: float
  low: float | None
  high: float | None
  each: tuple[float, ...]  # a mean a run


@dataclasses.dataclass(frozen=True, kw_only=True)
class Difference:
  """An arm less the first one."""

  arm: str
  mean: float
  low: float | None
  high: float | None
  p: float | None
  test: str  # which gave p and the interval
  adjusted: float | None  # Holm's p among what the measure's family holds; None outside of it
  discordant: float  # share of units on which both differ at all
  floor: float | None  # what so many find in 4 studies of 5, with 80 % power
  seed_low: float | None  # interval of training seeds alone, by t
  seed_high: float | None
  each: tuple[float, ...]  # a difference a seed
  margin: float | None  # declared: what may be lost
  margin_low: float | None  # 90 % interval, with which both tests of a margin agree
  margin_high: float | None
  p_same: float | None  # TOST: that it is within the margin both ways
  p_not_worse: float | None  # one side of it: that no more than the margin is lost
  power: float | None  # how often models that are the same pass that one side
  outcome: _Outcome


@dataclasses.dataclass(frozen=True, kw_only=True)
class ComparedMeasure:
  """A measure under one judge."""

  name: str
  title: str
  judge: str
  better: str  # 'more', 'less' or ''
  unit: str
  n: int
  clusters: int
  left_out: int  # units that not every model has
  primary: bool  # declared, under the first of its judges: a member of Holm's family
  sensitivity: bool  # under another judge than the first that the config names
  chance: float | None
  baselines: tuple[tuple[str, float], ...]
  sides: tuple[Side, ...]
  differences: tuple[Difference, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ComparedSlice:
  """A difference on part of a measure's units."""

  measure: str
  judge: str
  by: str  # what is sliced
  part: str
  arm: str
  n: int
  clusters: int
  mean: float
  low: float | None
  high: float | None
  p: float
  q: float | None  # Benjamini and Hochberg's, over an arm's slices of what was declared; else None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Agreement:
  """Cohen's kappa of two judges over an arm's units of a measure."""

  measure: str
  arm: str
  judges: tuple[str, str]
  n: int
  agreed: float  # share
  kappa: float | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class ComparedModel:
  """An arm, and who was asked."""

  arm: str
  models: tuple[str, ...]
  fingerprints: tuple[str, ...]
  seeds: tuple[int | None, ...]
  notes: tuple[tuple[str, str], ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Conclusion:
  """What an arm comes to against the first one, in words."""

  arm: str
  headline: Headline
  found: tuple[str, ...]  # a sentence each
  kept: tuple[str, ...]  # whether what was declared to be kept is lost, a sentence a margin
  cautions: tuple[str, ...]  # what its good numbers may come from


@dataclasses.dataclass(frozen=True, kw_only=True)
class ComparedAnswers:
  """Evaluated models, held against the first of them."""

  against: str
  runs: int  # of training, an arm
  says: tuple[str, ...]  # what all numbers here rest on
  primaries: tuple[str, ...]
  family: tuple[str, ...]  # what Holm corrects over, of each model
  left_out: tuple[str, ...]  # measures that not every model has
  partly: tuple[str, ...]  # measures of which some units were left out, with their number
  models: tuple[ComparedModel, ...]
  measures: tuple[ComparedMeasure, ...]
  slices: tuple[ComparedSlice, ...]
  agreements: tuple[Agreement, ...]
  conclusions: tuple[Conclusion, ...]
