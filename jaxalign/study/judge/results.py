"""What a study found, as objects: `Results`, whose fields are the sections of results.json in their
order. results_file.py is the only writer and reader of that file.

A mapping is by names that are data: of arms, tests, scales and seeds. The keys of a field that is
`flat` stand in the file beside the other fields.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

from jaxalign.sealing import YOUNG
from jaxalign.statistics import Estimate, Interval
from jaxalign.study.plan.rules import RHO, Rules
from jaxalign.study.store.table import Means

ArmMeans = Mapping[str, Mapping[str, Mapping[int, Means]]]  # {arm: {test: {seed: its means}}}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Numbers(Estimate):
  """A difference on one scale, and what is computed beside it. differences: None of items."""

  tost: float | None = None
  bootstrap: Interval | None = None


class LeastMass(NamedTuple):
  """The mass of yes and no where the answers of a contrast are least one of both."""

  mass: float
  arm: str
  test: str
  seed: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Factors:
  """Two random factors that a study's seeds stand for, and what they make of one contrast."""

  training: int  # how many training seeds
  draws: int  # how many draws of documents
  crossed: bool  # each with each: then the contrast's interval, p, floor and tost are over both
  how: str  # which interval decides and why, in words
  over_seeds: Interval  # by t on the primary scale, as if all the study's seeds were independent
  p_over_seeds: float  # by sign-flip, likewise
  half: float | None  # of the interval at 1 - 2 alpha over both; None: not crossed


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contrast:
  """A contrast of arms on every scale; in results.json its primary numbers stand at the top."""

  group: str = ''  # of a contrast that is only shown; '' of one that is judged
  name: str
  what: str
  scale: str  # the primary one
  p_holm: float | None = None  # None: not judged
  holds: bool | None = None
  agree: bool  # one sign on all scales: else a bound, not the arms, may have made the difference
  seeds: Mapping[int, float]  # {seed: its difference on the primary scale}
  scales: Mapping[str, Numbers]
  mass: LeastMass | None = None  # of a contrast that is only shown, where masses are measured
  # of a study whose seeds stand for two random factors
  factors: Factors | None = dataclasses.field(default=None, metadata=YOUNG)

  @property
  def primary(self) -> Numbers:
    return self.scales[self.scale]


@dataclasses.dataclass(frozen=True, kw_only=True)
class InteractionResult:
  """A contrast less the same in a control's worlds, on every scale."""

  contrast: str
  control: str
  scale: str  # the primary one
  p: float  # exact and one-sided, that it is above 0; the scales' own are two-sided
  agree: bool  # one sign on all scales
  holds: bool
  seeds: Mapping[int, float]  # {seed: its difference on the primary scale}
  scales: Mapping[str, Numbers]
  gates: tuple['Gate', ...] = ()  # of the control's worlds

  @property
  def primary(self) -> Numbers:
    return self.scales[self.scale]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gate:
  """A number that each seed must reach, and whether enough of them did."""

  name: str
  what: str
  least: float | None
  most: float | None
  passed: int
  of: int
  needed: float  # the share of seeds that must pass
  ok: bool
  seeds: Mapping[int, float | None]  # None: not measured


@dataclasses.dataclass(frozen=True, kw_only=True)
class Point:
  """A point of a climb: how far from its start, and what proxy and gold say there."""

  seed: int
  mode: str
  line: str
  arm: str
  way: str
  proxy_sd: float
  gold_sd: float
  r: float | None
  at: int
  d: float
  # proxy, gold, length and what else was measured of the answers
  means: Mapping[str, float] = dataclasses.field(metadata=dict(flat=True))

  @property
  def proxy(self) -> float:
    return self.means['proxy']

  @property
  def gold(self) -> float:
    return self.means['gold']

  @property
  def length(self) -> float:
    return self.means['length']


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fit:
  """Gao's form through the points of all seeds; where there is none, `why` alone."""

  a: float | None = None
  a_interval: tuple[float | None, ...] | None = None
  b: float | None = None
  b_interval: tuple[float | None, ...] | None = None
  r2: float | None = None
  points: int | None = None
  turn: float | None = None
  turn_interval: tuple[float | None, ...] | None = None
  why: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClimbOutcome:
  """Gains of one seed at the far end of a climb and at a distance that all reach."""

  d: float
  proxy: float
  gold: float
  best_gold: float
  best_d: float
  lost: float
  proxy_at_equal: float
  gold_at_equal: float
  r: float | None
  length: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClimbResult:
  """A climb over all its seeds."""

  mode: str
  line: str
  arm: str
  way: str
  seeds: Mapping[int, ClimbOutcome]
  fits: Mapping[str, Fit]  # of proxy and gold


@dataclasses.dataclass(frozen=True, kw_only=True)
class Goodhart:
  """All climbs, and every point by which they can be drawn again."""

  points: tuple[Point, ...]
  climbs: tuple[ClimbResult, ...]
  equal_d: Mapping[str, float]  # {mode: the distance that all its climbs reach}


@dataclasses.dataclass(frozen=True, kw_only=True)
class AfterPpo:
  """Arms that went on through PPO, tested again, and how far it moved them."""

  arms: ArmMeans
  kl: Mapping[str, Mapping[int, float | None]]  # {arm: {seed: nats a sequence}}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Results:
  """results.json: the verdict, what it rests on, and all that is shown beside it."""

  verdict: str
  sentence: str
  reasons: tuple[str, ...]
  contrasts: tuple[Contrast, ...]
  control: tuple[Contrast, ...] | None  # of the rho = 0 worlds; None: not run
  gates: tuple[Gate, ...]
  rules: Rules
  arms: ArmMeans
  seeds: tuple[int, ...]
  control_seeds: tuple[int, ...] = ()
  seconds: float
  probes: Any = None  # the guest's own section: what it is, its own code knows
  secondary: tuple[Contrast, ...] = ()  # contrasts that are only shown
  goodhart: Goodhart | None = None
  after_ppo: AfterPpo | None = None
  where: Mapping[str, float] = dataclasses.field(default_factory=dict)  # {kind of work: seconds}
  # of controls other than rho; these two stand in the file where there are any
  more_controls: Mapping[str, tuple[Contrast, ...]] = dataclasses.field(
    default_factory=dict, metadata=YOUNG
  )
  interactions: tuple[InteractionResult, ...] = dataclasses.field(default=(), metadata=YOUNG)

  @property
  def controls(self) -> Mapping[str, tuple[Contrast, ...]]:
    """{control: its contrasts} of all that were run."""
    first = {} if self.control is None else {RHO: self.control}
    return {**first, **self.more_controls}
