"""Real text as a guest: corpora that a user names, benchmarks that are published, one base.

All seeds share a base, the explanations and their controls; a seed has demonstrations of its own, a
sample of those there are, and its own order of batches.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from etils import epath

from jaxalign.config import UserError
from jaxalign.evals import benches
from jaxalign.evals.outcome import Outcome
from jaxalign.models.decoder import Decoder
from jaxalign.stages.doctors.doctor import Machine, Visit
from jaxalign.study.plan.arms import Arm, Climb, Step
from jaxalign.study.plan.guest import Corpora, Gates, MeansBySeed, Study, Tests
from jaxalign.study.report.contents import Contents
from jaxalign.study.texts import answering, corpora, examined, page, questions, texts_rules
from jaxalign.study.texts.on_model import OnModel, refuse_starts
from jaxalign.study.texts.questions import ALL
from jaxalign.study.texts.settings import Settings

_LITTLE = dict(documents=64, background=20_000, taught=64, more=64)


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Texts(Settings, OnModel):
  """What the study does with what a user named."""

  TESTS = ('texts',)
  SHARED = True

  @property
  def config(self) -> 'Texts':
    """Without what arms write, which has its own store: a study that is done may be asked more."""
    return dataclasses.replace(self, suites=(), judges=(), rows=16)

  def at(self, seed: int, control: str = '') -> 'Texts':
    if control:
      raise UserError('control_seeds: real text has no rho; its controls are arms')
    return dataclasses.replace(self, seed=seed)

  def check_plan(self, cfg: Study, arms: Sequence[Arm | Climb]) -> None:
    """Of its corpora, one start and one way to write dialogues."""
    for kind in cfg.corpora(arms):
      if kind not in corpora.EVERY:
        raise UserError(f'{kind} is no corpus of a world: these are {", ".join(corpora.EVERY)}')
    refuse_starts(cfg, self.format)

  def begin(self, workdir: epath.Path) -> tuple[epath.Path, Corpora]:
    """The corpora that seeds share, made before any of them; what is missing is said first."""
    benches.asked(self.benches)
    answering.refuse(self)
    home = workdir / ALL
    return home, corpora.written(self, corpora.SHARED, home / 'corpora')

  def corpora_of(self, kinds: Iterable[str], home: epath.Path) -> Corpora:
    there = corpora.written(self, corpora.SHARED, home.parent / ALL / 'corpora')
    there |= corpora.written(self, corpora.SEEDED, home / 'corpora')
    return {kind: there[kind] for kind in kinds}

  def made_again(self, kinds: Iterable[str]) -> dict[str, str]:
    sources = {'explain', 'demonstrations'} & {*kinds}
    return {kind: corpora.content(self, kind)[1] for kind in sources}

  def asked(self, name: str, home: epath.Path) -> Tests:
    return questions.asked(self, home)

  def base_tests(self, asked: Mapping[str, Tests]) -> Tests:
    """What the arms are asked: there is one base, and its gates are of the same items."""
    return asked['texts']

  def outcomes(self, model: Decoder, steps: Sequence[Step], tests: Tests) -> list[Outcome]:
    return questions.outcomes(self, model, tests)

  def gate_values(self, cfg: Study, means: MeansBySeed) -> Gates:
    return texts_rules.gate_values(cfg, means)

  @property
  def contents(self) -> Contents:
    return page.contents(self.suites)

  def little(self) -> 'Texts':
    least = {name: min(n, getattr(self, name)) for name, n in _LITTLE.items()}
    return dataclasses.replace(self, benches=(), suites=(), judges=(), **least)

  def examine(self, visit: Visit, cfg: Study, workdir: Any, machine: Machine) -> None:
    visit.check('init', examined.start, cfg)
    visit.check('benches', examined.asked, self)
    examined.written(visit, cfg, self, workdir, machine)
