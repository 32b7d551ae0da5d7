"""Real text as a guest: corpora that a user names, benchmarks that are published, one base.

All seeds share a base, the explanations and their controls; a seed has demonstrations of its own, a
sample of those there are, and its own order of batches.
"""

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
from etils import epath

from jaxalign.config import UserError
from jaxalign.evals import benches
from jaxalign.evals.outcome import Outcome
from jaxalign.models import hub
from jaxalign.models.decoder import Decoder
from jaxalign.sharding.meshes import make_mesh
from jaxalign.stages import trained
from jaxalign.stages.doctors.doctor import Machine, Visit
from jaxalign.study.plan.arms import Arm, Climb, Step
from jaxalign.study.plan.guest import Corpora, Gates, Guest, MeansBySeed, Said, Start, Study, Tests
from jaxalign.study.report.contents import Contents
from jaxalign.study.texts import answering, corpora, examined, page, questions, texts_rules
from jaxalign.study.texts.questions import ALL
from jaxalign.study.texts.settings import Settings
from jaxalign.train import saving

_BLOCKS, _BLOCK = 64, 1 << 16  # of a file of weights, by which it is known again
_LITTLE = dict(documents=64, background=20_000, taught=64, more=64)


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Texts(Settings, Guest):
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
    stages = [recipe.stage for recipe in cfg.recipes]
    starts = {stage.init for stage in stages}
    if cfg.base is None and (len(starts) > 1 or None in starts):
      shown = ', '.join(sorted(map(str, starts)))
      raise UserError(f'recipes start from {shown}: without a base all name one init')
    for recipe in cfg.recipes:
      written = getattr(recipe.stage, 'format', self.format)
      if written != self.format:
        raise UserError(
          f'recipe {recipe.name} writes dialogues as {written.name}, and the benches are asked as '
          f'{self.format.name}: a wrong template alone can fake an effect; take one'
        )

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

  def tokenizer_of(self, home: epath.Path) -> str:
    return self.tokenizer

  def tokens_of(self, home: epath.Path) -> str:
    return str(home.parent / 'tokens')

  def base(self, cfg: Study, home: epath.Path, train: Callable[[], epath.Path]) -> Start:
    """One base for all seeds, which `begin` had trained where the config trains one."""
    if cfg.base is None:
      init = str(cfg.recipes[0].stage.init)  # check_plan: all name one
      return Start(init, init, mark(init))
    directory = home.parent / ALL / 'runs' / 'base'
    return Start(directory, str(directory), saving.fingerprint(directory))

  def load(self, cfg: Study, place: epath.PathLike) -> Decoder:
    """On all devices, as the stages lay it out."""
    stage = cfg.recipes[0].stage
    sizes = stage.mesh.data, stage.mesh.fsdp, stage.mesh.tensor
    mesh = make_mesh(*sizes) if jax.device_count() > 1 else None
    if trained.is_workdir(place):
      return trained.load(place, mesh=mesh)[0]
    return trained.weights_of(place, stage.model.weights, mesh).under(stage.model)

  def asked(self, name: str, home: epath.Path) -> Tests:
    return questions.asked(self, home)

  def base_tests(self, asked: Mapping[str, Tests]) -> Tests:
    """What the arms are asked: there is one base, and its gates are of the same items."""
    return asked['texts']

  def outcomes(self, model: Decoder, steps: Sequence[Step], tests: Tests) -> list[Outcome]:
    return questions.outcomes(self, model, tests)

  def answers_at(self, home: epath.Path, name: str) -> epath.Path | None:
    whose = home.parent / ALL if name == 'base' else home  # there is one base
    return whose / answering.DIRECTORY / name if self.suites else None

  def ask(
    self, cfg: Study, place: epath.Path, key: str, model: Callable[[], epath.PathLike]
  ) -> None:
    answering.ask(self, cfg.recipes[0].stage, place, key, model)

  def said(self, place: epath.Path) -> Said:
    return answering.said(place)

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


def mark(init: str) -> str:
  """A sha256 by which weights are known again wherever they lie, from parts of every file."""
  if trained.is_workdir(init):
    return trained.fingerprint_of(init)
  place = hub.resolve(init)
  paths = [place] if place.is_file() else sorted(place.glob('*.safetensors'))
  digest = hashlib.sha256()
  for path in paths:
    with path.open('rb') as file:
      size = file.seek(0, 2)
      digest.update(f'{path.name} {size} '.encode())
      for n in range(_BLOCKS):
        file.seek(size * n // _BLOCKS)
        digest.update(file.read(_BLOCK))
  return digest.hexdigest()
