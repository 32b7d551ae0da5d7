"""A study as a stage: its Config, and how it is run and examined.

A study is a plan over one of its guests: ValueWorld, whose worlds are made from a seed, or real
texts. What it does is in run/; this file is the only one that knows both the plan and who runs it.
"""

import dataclasses
import re
from collections.abc import Iterable
from typing import Annotated

from etils import epath

from jaxalign.config import UserError
from jaxalign.pictures import label
from jaxalign.ranges import Range
from jaxalign.sealing import YOUNG
from jaxalign.stages import explain
from jaxalign.stages.doctors.doctor import Check, Machine
from jaxalign.study.plan import directories, equal_budgets, placeholders
from jaxalign.study.plan.arms import Arm, Climb, Recipe, Stage, Step
from jaxalign.study.plan.guest import Guest
from jaxalign.study.plan.rules import RHO, Rules
from jaxalign.study.run import guests, runner, study_doctor
from jaxalign.valueworld.world import World

_SEEDS = 10**7  # a seed's stages draw from 100 seeds of their own, which are below 2**32
_StudySeed = Annotated[int, Range(at_least=0, below=_SEEDS)]
_Workers = Annotated[int, Range(at_least=0, at_most=10_000)]
_Slices = Annotated[int, Range(at_least=1, at_most=10_000)]
_Slice = Annotated[int, Range(at_least=0, below=10_000)]


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Config:
  world: World | Guest  # what it runs in; a World is the config of ValueWorld
  base: explain.Config | None  # stage 0, from chance; None: where the recipes start from
  recipes: tuple[Recipe, ...]
  arms: tuple[Arm, ...]
  seeds: tuple[_StudySeed, ...]
  control_seeds: tuple[_StudySeed, ...] = ()  # of the negative controls
  # What is 0 in them, one after the other: their guest knows these names
  controls: tuple[str, ...] = dataclasses.field(default=(RHO,), metadata=YOUNG)
  rl_arms: tuple[Arm, ...] = ()  # arms that go on through reward and PPO, and are tested again
  climbs: tuple[Climb, ...] = ()
  rl_seeds: tuple[_StudySeed, ...] = ()  # of the seeds, those on which these two are run
  rules: Rules = dataclasses.field(default_factory=Rules)
  workers: _Workers = 2  # processes, each on a core of its own; 0: this one does it all
  # How many commands share the worlds of this study in one workdir, and which of them this is
  slices: _Slices = dataclasses.field(default=1, metadata=YOUNG)
  slice: _Slice = dataclasses.field(default=0, metadata=YOUNG)

  def check(self) -> None:
    for name in ('seeds', 'control_seeds', 'rl_seeds'):
      seeds = getattr(self, name)
      if len(set(seeds)) < len(seeds):
        raise UserError(f'{name}={seeds}: each once')
    if not (self.seeds and self.arms and self.recipes):
      raise UserError('seeds: at least one; arms: at least one, and recipes')
    if strange := set(self.rl_seeds) - set(self.seeds):
      raise UserError(f'rl_seeds={self.rl_seeds}: {min(strange)} is none of the seeds')
    self._check_controls()
    self._check_slices()
    self._check_arms()

  def _check_controls(self) -> None:
    known = guests.of(self.world).CONTROLS
    if len(set(self.controls)) < len(self.controls):
      raise UserError(f'controls={self.controls}: each once')
    strange = [control for control in self.controls if control not in known]
    if strange and self.control_seeds:
      here = f'these are {", ".join(known)}' if known else 'it has none, so leave control_seeds out'
      raise UserError(f'controls: {type(self.world).__name__} has no {strange[0]} to be 0: {here}')

  def _check_slices(self) -> None:
    worlds = len(directories.worlds_of(self))
    if self.slices > worlds:
      raise UserError(f'slices={self.slices}: there are {worlds} worlds to share, a seed each')
    if self.slice >= self.slices:
      raise UserError(f'slice={self.slice}: of {self.slices} the last is {self.slices - 1}')

  def own(self, workdir: epath.Path) -> epath.Path:
    """Where no second command may be meanwhile: the workdir, but for slices that share it."""
    return directories.own_of(self, workdir)

  def _check_arms(self) -> None:
    every: list[Arm | Climb] = [*self.arms, *self.rl_arms, *self.climbs]
    names = [arm.stored for arm in every]
    for name in names:
      if names.count(name) > 1 or name == 'base':  # whose outcomes lie beside
        raise UserError(f'arm {name}: a name that no other arm has, nor the base')
    for name in (*names, *(recipe.name for recipe in self.recipes)):
      if not re.fullmatch(r'\w[\w.,@+=-]{0,99}', name):
        raise UserError(
          f'{label(name)!r}: arms and recipes are called by letters, digits and . , _ @ + = - (a '
          'letter first, 100 at most), for files are called by them'
        )
    guest = guests.of(self.world)
    for arm in (*self.arms, *self.rl_arms):
      if arm.tests not in guest.TESTS:
        known = ', '.join(guest.TESTS)
        raise UserError(f'arm {arm.name}: tests={arm.tests}: here these are {known}')
    for one in every:
      self._check_steps(one)
    for arm in self.arms:
      if arm.after != 'sft':
        raise UserError(f'arm {arm.name}: after={arm.after} is for rl_arms')
      if arm.context and (arm.steps or not guest.CONTEXTS):
        why = 'arm that takes no steps' if guest.CONTEXTS else 'arm of ValueWorld'
        raise UserError(f'arm {arm.name}: a context is for an {why}')
    for recipe in self.recipes:
      if recipe.stage.model != self.first.model:
        raise UserError(f'recipe {recipe.name} has another model than the base: take the same')
    guest.check_plan(self, every)
    equal_budgets.check(self)

  def _check_steps(self, arm: Arm | Climb) -> None:
    recipes, before = {recipe.name: recipe.stage for recipe in self.recipes}, []
    for step in arm.steps:
      if step.recipe not in recipes:
        known = ', '.join(recipes)
        raise UserError(f'arm {arm.stored}: there is no recipe {step.recipe}: these are {known}')
      stage = recipes[step.recipe]
      if bool(step.what) != placeholders.takes_corpus(stage):
        verb = 'needs a' if not step.what else 'takes no'
        raise UserError(f'arm {arm.stored}: recipe {step.recipe} {verb} corpus; mend its step')
      for name in (*filter(None, [step.start]), *placeholders.runs(stage)):
        if name not in before:
          raise UserError(
            f'arm {arm.stored}: step {step.name} needs a step of recipe {name} before it'
          )
      before.append(step.recipe)

  @property
  def first(self) -> Stage:
    """The stage that says which model all of this is."""
    return self.base or self.recipes[0].stage

  def stage_of(self, step: Step) -> Stage:
    return next(recipe.stage for recipe in self.recipes if recipe.name == step.recipe)

  def corpora(self, arms: Iterable[Arm | Climb]) -> list[str]:
    """The names of all that these arms read, the base included."""
    stages: list[tuple[Stage, str]] = [(self.base, '')] if self.base else []
    stages += [(self.stage_of(step), step.what) for arm in arms for step in arm.steps]
    found = {path for stage, what in stages for path in placeholders.paths(stage, what)}
    return sorted(found | {arm.context for arm in arms if isinstance(arm, Arm) and arm.context})


def run(cfg: Config, workdir: epath.Path) -> None:
  runner.run(cfg, workdir)


def doctor(cfg: Config, workdir: epath.Path, machine: Machine) -> list[Check]:
  return study_doctor.examine(cfg, workdir, machine)
