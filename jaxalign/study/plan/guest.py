"""A Guest: what a study runs in. A kind of study is one folder, in which one class extends this.

The study asks a guest for corpora, for where arms start, for what they are asked and for its page;
it knows nothing else of worlds or of texts. A guest is the `world` of a study's config, or made of
it. `home` is the directory of one seed, and holds all that is made for it.
"""

import abc
import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from etils import epath

from jaxalign.config import UserError
from jaxalign.evals.outcome import Outcome
from jaxalign.models.decoder import Decoder
from jaxalign.stages import explain
from jaxalign.stages.doctors.doctor import Machine, Visit
from jaxalign.study.plan.arms import Arm, Climb, Recipe, Stage, Step
from jaxalign.study.plan.rules import Rules
from jaxalign.study.store.rows import Row
from jaxalign.study.store.table import Means
from jaxalign.valueworld.world import World

if TYPE_CHECKING:
  from jaxalign.study.report.contents import Contents

Corpora = dict[str, tuple[str, str]]  # of each kind of corpus: its path, its sha256
Tests = Mapping[str, Sequence[Any]]  # of each test: its items, of a class that the guest knows
Cell = tuple[str, str]  # an arm, and the test that it was asked
MeansBySeed = Mapping[int, Mapping[Cell, Means]]
Gates = dict[str, dict[int, float | None]]  # of each gate: a number a seed, or None


class Study(Protocol):
  """A study's config, which study/stage.py declares and its guest is asked about."""

  world: 'World | Guest'
  base: explain.Config | None
  recipes: tuple[Recipe, ...]
  arms: tuple[Arm, ...]
  seeds: tuple[int, ...]
  control_seeds: tuple[int, ...]
  controls: tuple[str, ...]
  rl_arms: tuple[Arm, ...]
  climbs: tuple[Climb, ...]
  rl_seeds: tuple[int, ...]
  rules: Rules
  workers: int
  slices: int
  slice: int

  @property
  def first(self) -> Stage: ...

  def stage_of(self, step: Step) -> Stage: ...

  def corpora(self, arms: Iterable[Arm | Climb]) -> list[str]: ...


@dataclasses.dataclass(frozen=True)
class Start:
  """A base: where it was trained, what the next step starts from, and the hash of its weights."""

  trained: epath.PathLike
  init: str
  hash: str


@dataclasses.dataclass(frozen=True)
class Said:
  """What an arm wrote, as it was judged. how: {test: a hash of how it was asked and judged}."""

  outcomes: tuple[Outcome, ...]
  how: Mapping[str, str]


class Guest(abc.ABC):
  """What a study runs in."""

  TESTS: tuple[str, ...] = ()  # the names that an arm's `tests` may take
  CONTEXTS = False  # whether a document can stand before a question: in_context
  CONTROLS: tuple[str, ...] = ()  # what can be 0 in its worlds: names that `at` takes
  SHARED: bool = False  # whether all seeds start from one base, which `begin` has made

  @property
  def config(self) -> Any:
    """The config by which a finished study is known again."""
    return self

  @property
  def keeps(self) -> bool:
    """Whether something is kept beside an arm's outcomes: keep."""
    return False

  @abc.abstractmethod
  def at(self, seed: int, control: str = '') -> 'Guest':
    """This guest for a seed. control: one of CONTROLS, or '' for the study itself."""

  def order_of(self, seed: int) -> int:
    """The number by which a seed's batches are ordered: seeds of other texts may share it."""
    return seed

  def factors_of(self, seeds: Iterable[int]) -> Mapping[int, tuple[int, int]]:
    """{seed: (training seed, draw of what it reads)} of a study whose seeds stand for two random
    factors; {}: a seed is one draw of everything."""
    return {}

  @abc.abstractmethod
  def check_plan(self, cfg: Study, arms: Sequence[Arm | Climb]) -> None:
    """Refuses a study whose corpora, tests or starts this guest cannot serve."""

  @abc.abstractmethod
  def corpora_of(self, kinds: Iterable[str], home: epath.Path) -> Corpora:
    """What the arms of a seed read, made where it is not there."""

  @abc.abstractmethod
  def made_again(self, kinds: Iterable[str]) -> dict[str, str]:
    """{kind: sha256} of some corpora, made anew: a changed source or grammar is seen by it."""

  @abc.abstractmethod
  def tokenizer_of(self, home: epath.Path) -> str:
    """A path or name, as a stage's `tokenizer` takes it."""

  @abc.abstractmethod
  def base(self, cfg: Study, home: epath.Path, train: Callable[[], epath.Path]) -> Start:
    """Where arms begin. train(): trains the config's base under `home`, and gives its directory."""

  @abc.abstractmethod
  def load(self, cfg: Study, place: epath.PathLike) -> Decoder:
    """The model that a run left at `place`."""

  @abc.abstractmethod
  def asked(self, name: str, home: epath.Path) -> Tests:
    """The tests called `name`; an item has a `hash`."""

  @abc.abstractmethod
  def base_tests(self, asked: Mapping[str, Tests]) -> Tests:
    """Those of the base; asked: {name: those of the arms}."""

  @abc.abstractmethod
  def outcomes(self, model: Decoder, steps: Sequence[Step], tests: Tests) -> Iterable[Outcome]:
    """Answers to the tests, of a model that took these steps."""

  @abc.abstractmethod
  def gate_values(self, cfg: Study, means: MeansBySeed) -> Gates:
    """What the bars judge, from {seed: {(arm, test): its means}}."""

  @property
  @abc.abstractmethod
  def contents(self) -> 'Contents':
    """What the study's page has, in order."""

  def begin(self, workdir: epath.Path) -> tuple[epath.Path, Corpora] | None:
    """(home, corpora) of what all seeds share, or None where each has its own."""
    return None

  def tokens_of(self, home: epath.Path) -> str:
    """A path: where tokenised corpora are kept."""
    return str(home / 'tokens')

  def in_context(self, model: Decoder, kind: str, tests: Tests) -> Iterable[Outcome]:
    """Answers with a document of this kind before each question."""
    raise UserError(f'{type(self).__name__} has no documents to put before a question')

  def keep(self, store: epath.Path, name: str, key: str, model: Callable[[], Decoder]) -> None:
    """Keeps what is looked at later beside an arm's outcomes. model(): the model."""
    return None

  def answers_at(self, home: epath.Path, name: str) -> epath.Path | None:
    """Where the answers of an arm are kept that is asked to write some; None where none is."""
    return None

  def ask(
    self, cfg: Study, place: epath.Path, key: str, model: Callable[[], epath.PathLike]
  ) -> None:
    """Has what is missing there written and judged. key: of all that made the model; model():
    where it lies, trained by then."""
    return None

  def said(self, place: epath.Path) -> Said:
    """What is there."""
    raise UserError(f'{type(self).__name__} asks nobody to write')

  def beside(self, cfg: Study, workdir: epath.Path) -> Any:
    """What results.json says of what was kept, a dataclass, or None."""
    return None

  def progress(self, rows: Iterable[Row]) -> str:
    """A few words about a finished seed, or ''."""
    return ''

  def little(self) -> 'Guest':
    """This guest with as little of everything as a doctor needs to see."""
    return self

  def examine(self, visit: Visit, cfg: Study, workdir: Any, machine: Machine) -> None:
    """Checks of --doctor that only this guest has."""
    return None
