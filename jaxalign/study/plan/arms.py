"""A study as data: arms are lists of steps over a shared base, run over seeds.

A step is a recipe (the config of a stage) and the corpus that it is about; what comes before a step
is where it starts. Arms that begin alike share these steps: each is done once.
"""

import dataclasses
import re
from typing import Literal

from jaxalign.stages import bon, explain, ppo, reward, sft

Stage = explain.Config | sft.Config | reward.Config | ppo.Config | bon.Config


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Recipe:
  """How a step trains, and what of it is open (see placeholders)."""

  name: str
  stage: Stage


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Step:
  recipe: str
  what: str = ''
  start: str = ''  # the recipe of the earlier step that it starts from; none: the one before it

  @property
  def name(self) -> str:
    name = f'{self.recipe}-{self.what}' if self.what else self.recipe
    return f'{name}@{self.start}' if self.start else name


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Arm:
  name: str
  steps: tuple[Step, ...]
  tests: str  # what it is asked: a name that its guest knows
  control: bool = False  # also in worlds where documents say nothing about conduct
  context: str = ''  # documents of which one stands before each question: then nothing is trained
  after: Literal['sft', 'ppo'] = 'sft'  # of the same arm, tested again

  @property
  def stored(self) -> str:
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
  def stored(self) -> str:
    line = re.sub(r'\W+', '-', self.line)
    return f'{self.mode}.{line}.{self.arm}.{self.steps[-1].recipe}'
