"""What probes found, as objects: the part of results.json that only a study in ValueWorld has."""

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True, kw_only=True)
class Estimate:
  """A measure's mean over the seeds that have it, with its t interval."""

  mean: float | None
  low: float | None
  high: float | None
  n: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class SeedsEstimate(Estimate):
  """The same with every seed's number: of layers there would be too many."""

  seeds: Mapping[int, float | None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProbeContrast:
  """The planned weights of arms on a measure of the probes; not judged."""

  name: str
  what: str
  measure: str
  mean: float
  low: float | None
  high: float | None
  n: int
  sd: float | None
  d_z: float | None
  p: float
  p_t: float | None
  floor: float | None
  better: float
  seeds: Mapping[int, float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Likeness:
  """How alike two arms are at one layer."""

  cross: float | None  # across seeds
  ceiling: float | None  # one arm, two seeds
  within: float | None  # one seed, both arms
  gap: float | None  # the ceiling less across, with its interval
  low: float | None
  high: float | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Similarity:
  """How alike two arms are by one measure, layer by layer."""

  measure: str
  arms: tuple[str, ...]
  layers: tuple[Likeness, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Probes:
  """Every measure over seeds, contrasts of them, and how alike arms are."""

  items: Mapping[str, int]  # {part of the battery: how many}
  arms: Mapping[str, Mapping[str, SeedsEstimate]]  # {arm: {measure: over seeds}}
  layers: Mapping[str, Mapping[str, tuple[Estimate, ...]]]  # {arm: {measure: layer by layer}}
  contrasts: tuple[ProbeContrast, ...]
  similarity: tuple[Similarity, ...]
