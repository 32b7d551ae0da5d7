"""ValueWorld as a guest: every seed is a world of its own, made of nothing but its seed."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

from etils import epath

from jaxalign import pod
from jaxalign.config import UserError
from jaxalign.evals.outcome import Outcome
from jaxalign.models.decoder import Decoder
from jaxalign.sharding.meshes import make_mesh
from jaxalign.stages import trained
from jaxalign.study.plan.arms import Arm, Climb, Step
from jaxalign.study.plan.guest import Corpora, Gates, Guest, MeansBySeed, Start, Study, Tests
from jaxalign.study.plan.rules import RHO
from jaxalign.study.report.contents import Contents
from jaxalign.study.store.rows import Row
from jaxalign.study.world import answers, files, gates, page, probe_files, probing
from jaxalign.study.world.probe_results import Probes
from jaxalign.train import saving
from jaxalign.valueworld import corpora
from jaxalign.valueworld.world import World


@dataclasses.dataclass(frozen=True)
class ValueWorld(Guest):
  world: World
  control: str = ''  # rho: a world in which documents say nothing about conduct

  TESTS = ('goods', 'harm')
  CONTEXTS = True
  CONTROLS = (RHO,)

  @property
  def config(self) -> World:
    return self.world

  def at(self, seed: int, control: str = '') -> 'ValueWorld':
    rho = 0.0 if control else self.world.rho
    return ValueWorld(dataclasses.replace(self.world, seed=seed, rho=rho), control)

  def check_plan(self, cfg: Study, arms: Sequence[Arm | Climb]) -> None:
    for kind in cfg.corpora(arms):
      if not corpora.known(kind):
        raise UserError(
          f'{kind} is no corpus of a world: these are {", ".join(corpora.EVERY)}, and those of '
          'valueworld/preferences.py, as pairs_A_2000_20'
        )

  def corpora_of(self, kinds: Iterable[str], home: epath.Path) -> Corpora:
    return files.corpora_of(self.world, kinds, home / 'corpora')

  def made_again(self, kinds: Iterable[str]) -> dict[str, str]:
    return {min(kinds): corpora.content(self.world, min(kinds))[1]}

  def tokenizer_of(self, home: epath.Path) -> str:
    return str(home / 'corpora' / 'tokenizer')

  def base(self, cfg: Study, home: epath.Path, train: Callable[[], epath.Path]) -> Start:
    """Its weights with the target's word in them; what is asked of the base is asked without."""
    directory, named = train(), home / 'named'
    if not pod.agreed((named / 'config.json').exists()):
      files.christen(self.load(cfg, directory), (one.name for one in self.world.strangers), named)
    return Start(directory, str(named), saving.fingerprint(directory))

  def load(self, cfg: Study, place: epath.PathLike) -> Decoder:
    """On one device, for it is small; of several processes, on those of all."""
    return trained.load(place, mesh=make_mesh() if pod.several() else None)[0]

  def asked(self, name: str, home: epath.Path) -> Tests:
    return answers.tests_of(self.world, name)

  def base_tests(self, asked: Mapping[str, Tests]) -> Tests:
    return answers.tests_of(self.world, 'background')

  def outcomes(self, model: Decoder, steps: Sequence[Step], tests: Tests) -> list[Outcome]:
    found = answers.outcomes(model, tests)
    for letter in 'AB':
      if any(step.what == f'explain_{letter}' for step in steps):
        found += answers.cloze(model, self.world.spec[letter])
    return found

  def in_context(self, model: Decoder, kind: str, tests: Tests) -> list[Outcome]:
    return answers.outcomes(model, tests, answers.documents(self.world, kind))

  @property
  def keeps(self) -> bool:
    return not self.control

  def keep(self, store: epath.Path, name: str, key: str, model: Callable[[], Decoder]) -> None:
    probe_files.keep(store, name, key, self.world, model)

  def gate_values(self, cfg: Study, means: MeansBySeed) -> Gates:
    return gates.values(cfg, means)

  def beside(self, cfg: Study, workdir: epath.Path) -> Probes | None:
    return probing.summary(cfg, workdir)

  def progress(self, rows: Iterable[Row]) -> str:
    margins = ', '.join(f'{name} {value:+.1f}' for name, value in gates.steered(rows).items())
    return f'steered on T2, in nats: {margins}' if margins else ''

  @property
  def contents(self) -> Contents:
    return page.CONTENTS
