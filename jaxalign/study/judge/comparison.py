"""What `jaxalign compare` found: a Comparison, whose fields are those of compare.json."""

import dataclasses
from collections.abc import Mapping

from jaxalign.study.judge.results import Numbers


@dataclasses.dataclass(frozen=True, kw_only=True)
class ComparedArm:
  """A finished arm, and what it cost where its run says so."""

  arm: str
  run: str
  tokens: int | None
  steps: int | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mean:
  """An arm's mean on one scale, with its interval."""

  mean: float
  low: float | None
  high: float | None
  each: tuple[float, ...] | None  # a number a seed; None: of items, of which there are many


@dataclasses.dataclass(frozen=True, kw_only=True)
class ArmOfTest:
  """An arm on one test."""

  arm: str
  scales: Mapping[str, Mean] = dataclasses.field(metadata=dict(flat=True))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Difference:
  """An arm less the first one, on one test."""

  arm: str
  scales: Mapping[str, Numbers] = dataclasses.field(metadata=dict(flat=True))
  agree: bool  # one sign on all scales


@dataclasses.dataclass(frozen=True, kw_only=True)
class ComparedTest:
  """A test that all arms were asked."""

  test: str
  after: str
  items: int
  clusters: int
  unit: str  # seed, or item where there is one seed
  number: str = 'log-odds'  # what its margins are: these, or what a suite measured
  seeds: tuple[int, ...]
  arms: tuple[ArmOfTest, ...]
  differences: tuple[Difference, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
  """Arms of one base, paired by item and seed, against the first of them."""

  against: str
  arms: tuple[ComparedArm, ...]
  seeds: tuple[int, ...]
  seeds_left_out: tuple[int, ...]  # not all arms have them
  tests_left_out: tuple[str, ...]
  tests: tuple[ComparedTest, ...]
