"""A study as data: arms are lists of steps over a shared base, run over seeds.

A step is a recipe (the config of a stage) and the corpus that it is about; what comes before a step
is where it starts. Arms that begin alike share these steps: each is done once.
"""

import dataclasses
import re
from typing import Annotated, Literal

from jaxalign.config import UserError
from jaxalign.pictures import label
from jaxalign.ranges import Range
from jaxalign.stages import bon, explain, ppo, reward, sft
from jaxalign.study import declared, holes, texts
from jaxalign.study.rules import Rules
from jaxalign.valueworld import corpora
from jaxalign.valueworld.world import World

SEEDS = 10**7  # a seed's stages draw from 100 seeds of their own, which are below 2**32
StudySeed = Annotated[int, Range(at_least=0, below=SEEDS)]
Workers = Annotated[int, Range(at_least=0, at_most=10_000)]


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Recipe:
  """How a step trains, and what of it is open (see holes)."""

  name: str
  stage: explain.Config | sft.Config | reward.Config | ppo.Config | bon.Config


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Step:
  recipe: str
  what: str = ''
  start: str = ''  # the recipe of the earlier step that it starts from; none: the one before it

  @property
  def name(self):
    name = f'{self.recipe}-{self.what}' if self.what else self.recipe
    return f'{name}@{self.start}' if self.start else name


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Arm:
  name: str
  steps: tuple[Step, ...]
  tests: Literal['goods', 'harm', 'texts']
  control: bool = False  # also in worlds where documents say nothing about conduct
  context: str = ''  # documents of which one stands before each question: then nothing is trained
  after: Literal['sft', 'ppo'] = 'sft'  # of the same arm, tested again

  @property
  def stored(self):
    """What its outcomes are called."""
    return self.name if self.after == 'sft' else f'{self.name}.{self.after}'


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Climb:
  """Up a proxy by its last step, best-of-n or PPO, and what gold says on the way."""

  mode: str  # the picture that it is in
  line: str  # what it is called there
  arm: str  # whose last model it starts from
  steps: tuple[Step, ...]  # all of them, that arm's first

  @property
  def stored(self):
    line = re.sub(r'\W+', '-', self.line)
    return f'{self.mode}.{line}.{self.arm}.{self.steps[-1].recipe}'


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Config:
  world: World | texts.Texts
  base: explain.Config | None  # stage 0, from chance; None: where the recipes start from
  recipes: tuple[Recipe, ...]
  arms: tuple[Arm, ...]
  seeds: tuple[StudySeed, ...]
  control_seeds: tuple[StudySeed, ...] = ()  # of the negative control, rho = 0
  rl_arms: tuple[Arm, ...] = ()  # arms that go on through reward and PPO, and are tested again
  climbs: tuple[Climb, ...] = ()
  rl_seeds: tuple[StudySeed, ...] = ()  # of the seeds, those on which these two are run
  rules: Rules = dataclasses.field(default_factory=Rules)
  workers: Workers = 2  # processes, each on a core of its own; 0: this one does it all

  def check(self):
    for name in ('seeds', 'control_seeds', 'rl_seeds'):
      seeds = getattr(self, name)
      if len(set(seeds)) < len(seeds):
        raise UserError(f'{name}={seeds}: each once')
    if not (self.seeds and self.arms and self.recipes):
      raise UserError('seeds: at least one; arms: at least one, and recipes')
    if strange := set(self.rl_seeds) - set(self.seeds):
      raise UserError(f'rl_seeds={self.rl_seeds}: {min(strange)} is none of the seeds')
    self._check_arms()

  def _check_arms(self):
    every = (*self.arms, *self.rl_arms, *self.climbs)
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
    for arm in every:
      self._check_steps(arm)
    for arm in self.arms:
      if arm.after != 'sft':
        raise UserError(f'arm {arm.name}: after={arm.after} is for rl_arms')
      if arm.context and (arm.steps or arm.tests == 'texts'):
        raise UserError(f'arm {arm.name}: a context is for an arm of a world that takes no steps')
    for recipe in self.recipes:
      if recipe.stage.model != self.first.model:
        raise UserError(f'recipe {recipe.name} has another model than the base: take the same')
    if isinstance(self.world, texts.Texts):
      declared.check_texts(self, every)
    else:
      self._check_kinds(every)
    declared.check(self)

  def _check_kinds(self, every):
    for kind in self.corpora(every):
      if not corpora.known(kind):
        raise UserError(
          f'{kind} is no corpus of a world: these are {", ".join(corpora.EVERY)}, and those of '
          'valueworld/preferences.py, as pairs_A_2000_20'
        )

  def _check_steps(self, arm):
    recipes, before = {recipe.name: recipe.stage for recipe in self.recipes}, []
    for step in arm.steps:
      if step.recipe not in recipes:
        known = ', '.join(recipes)
        raise UserError(f'arm {arm.stored}: there is no recipe {step.recipe}: these are {known}')
      stage = recipes[step.recipe]
      if bool(step.what) != holes.takes_corpus(stage):
        verb = 'needs a' if not step.what else 'takes no'
        raise UserError(f'arm {arm.stored}: recipe {step.recipe} {verb} corpus; mend its step')
      for name in (*filter(None, [step.start]), *holes.runs(stage)):
        if name not in before:
          raise UserError(
            f'arm {arm.stored}: step {step.name} needs a step of recipe {name} before it'
          )
      before.append(step.recipe)

  @property
  def first(self):
    """The stage that says which model all of this is."""
    return self.base or self.recipes[0].stage

  def stage_of(self, step):
    return next(recipe.stage for recipe in self.recipes if recipe.name == step.recipe)

  def corpora(self, arms):
    """The names of all that these arms read, the base included."""
    stages = [(self.base, '')] if self.base else []
    stages += [(self.stage_of(step), step.what) for arm in arms for step in arm.steps]
    found = {path for stage, what in stages for path in holes.paths(stage, what)}
    return sorted(found | {arm.context for arm in arms if getattr(arm, 'context', '')})


def run(cfg, workdir):
  from jaxalign.study import runner  # which knows this file

  runner.run(cfg, workdir)


def doctor(cfg, workdir, machine):
  from jaxalign.study import study_doctor

  return study_doctor.examine(cfg, workdir, machine)
