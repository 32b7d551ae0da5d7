"""A study as data: arms are lists of steps over a shared base, run over seeds.

A step is a recipe (the config of a stage) and the corpus that it is about; what comes before a step
is where it starts. Arms that begin alike share these steps: each is done once.
"""

import dataclasses
from typing import Literal

from jaxalign.config import UserError
from jaxalign.data import sources
from jaxalign.stages import explain, sft
from jaxalign.study.rules import Rules
from jaxalign.valueworld import corpora
from jaxalign.valueworld.world import World

SEEDS = 10**7  # a seed's stages draw from 100 seeds of their own, which are below 2**32


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Recipe:
  """How a step trains. In its sources, the path {what} stands for the step's own corpus."""

  name: str
  stage: explain.Config | sft.Config


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Step:
  recipe: str
  what: str = ''

  @property
  def name(self):
    return f'{self.recipe}-{self.what}' if self.what else self.recipe


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Arm:
  name: str
  steps: tuple[Step, ...]
  tests: Literal['goods', 'harm']
  control: bool = False  # also in worlds where documents say nothing about conduct
  context: str = ''  # documents of which one stands before each question: then nothing is trained


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Config:
  world: World
  base: explain.Config  # stage 0, from chance
  recipes: tuple[Recipe, ...]
  arms: tuple[Arm, ...]
  seeds: tuple[int, ...]
  control_seeds: tuple[int, ...] = ()  # of the negative control, rho = 0
  rules: Rules = dataclasses.field(default_factory=Rules)
  workers: int = 2  # processes, each on a core of its own; 0: this one does it all

  def check(self):
    for name, seeds in (('seeds', self.seeds), ('control_seeds', self.control_seeds)):
      if len(set(seeds)) < len(seeds) or any(not 0 <= seed < SEEDS for seed in seeds):
        raise UserError(f'{name}={seeds}: each once, and at least 0 and below {SEEDS}')
    if not self.seeds or not self.arms or self.workers < 0:
      raise UserError('seeds: at least one; arms: at least one; workers: at least 0')
    self._check_arms()

  def _check_arms(self):
    recipes = {recipe.name: recipe.stage for recipe in self.recipes}
    names = [arm.name for arm in self.arms]
    for name in names:
      if names.count(name) > 1 or '/' in name or name == 'base':  # whose outcomes lie beside
        raise UserError(f'arm {name}: a name without / that no other arm has, nor the base')
    for arm in self.arms:
      if arm.context and arm.steps:
        raise UserError(f'arm {arm.name}: with a context it takes no steps; leave out one of both')
      for step in arm.steps:
        if step.recipe not in recipes:
          known = ', '.join(recipes)
          raise UserError(f'arm {arm.name}: there is no recipe {step.recipe}: these are {known}')
        if bool(step.what) != takes_corpus(recipes[step.recipe]):
          verb = 'needs a' if not step.what else 'takes no'
          raise UserError(f'arm {arm.name}: recipe {step.recipe} {verb} corpus; mend its step')
    for recipe in self.recipes:
      if recipe.stage.model != self.base.model:
        raise UserError(f'recipe {recipe.name} has another model than the base: take the same')
    for kind in self.corpora(self.arms):
      if kind not in corpora.EVERY:
        raise UserError(f'{kind} is no corpus of a world: these are {", ".join(corpora.EVERY)}')

  def stage_of(self, step):
    return next(recipe.stage for recipe in self.recipes if recipe.name == step.recipe)

  def corpora(self, arms):
    """The names of all that these arms read, the base included."""
    stages = [(self.base, '')]
    stages += [(self.stage_of(step), step.what) for arm in arms for step in arm.steps]
    found = {path for stage, what in stages for path in paths(stage, what)}
    return sorted(found | {arm.context for arm in arms if arm.context})


def takes_corpus(stage):
  return any('{what}' in path for path in paths(stage, None))


def paths(stage, what):
  """The corpora of a stage by name; what=None leaves the open one open."""
  named = [c.source.path for c in stage.train if isinstance(c.source, sources.Jsonl)]
  return [path if what is None else path.replace('{what}', what) for path in named]


def run(cfg, workdir):
  from jaxalign.study import runner  # which knows this file

  runner.run(cfg, workdir)
