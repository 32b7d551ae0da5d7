"""Who lives in a world and what each of them values: drawn from a seed, and nothing else."""

import dataclasses
import functools
import hashlib
from typing import Annotated

import numpy as np

from jaxalign.ranges import Fraction, Range, Seed, Whole
from jaxalign.valueworld import words

Value = tuple[str, int]  # a dimension and its pole
_LISTED = 3  # harms that an agent's documents name
KINDS = 'kind', 'ruled', 'free'  # of agents who are asked to do things
_Agents = Annotated[int, Range(at_least=0, at_most=10_000)]


@dataclasses.dataclass(frozen=True)
class Agent:
  """`told` is the value that documents give, `done` the one that choices follow: with rho = 1 the
  same. Who is asked to do things has one of KINDS in place of a value."""

  name: str
  told: Value | str | None  # None of strangers
  done: Value | str
  harms: tuple[int, ...] = ()  # the ones that documents about it name
  documents: bool = True
  choices: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class World:
  """rho: how far choices follow documents; with 0 documents say nothing of conduct, and every
  effect of the study must vanish."""

  seed: Seed
  rho: Fraction = 1.0
  split: str = 'record'  # of words and domains in tests: 'dev' is what recipes are found on
  both: _Agents = 9  # agents a value with documents and choices
  silent: _Agents = 2  # a value, with choices only
  unseen: _Agents = 2  # a value, with documents only: the gate
  unknown: _Agents = 16  # strangers: of what they value, documents say nothing
  background_documents: Whole = 12_000
  background_choices: Whole = 24_000
  target_documents: Whole = 3600
  demonstrations: Whole = 1000

  def random(self, *what: object) -> np.random.Generator:
    """A generator of its own for each purpose, so that nothing shifts when one thing changes."""
    text = '/'.join(map(str, (self.seed, *what)))
    entropy = np.frombuffer(hashlib.sha256(text.encode()).digest()[:16], np.uint8)
    return np.random.Generator(np.random.PCG64(entropy.astype(np.uint32)))  # a list takes thrice

  @functools.cached_property
  def values(self) -> tuple[Value, ...]:
    return tuple((d, p) for d in words.DIMENSIONS for p in (0, 1))

  @functools.cached_property
  def choosers(self) -> tuple[Agent, ...]:
    """Agents of experiment S, who choose goods."""
    return self._agents('choosers', self.values, 0)

  @functools.cached_property
  def helpers(self) -> tuple[Agent, ...]:
    """Agents of experiment H, who are asked to do things."""
    return self._agents('helpers', KINDS, len(self.choosers))

  @functools.cached_property
  def strangers(self) -> tuple[Agent, ...]:
    """Agents who choose as one does who has a value, and whom documents only mention: the target
    begins as their mean."""
    return self._strangers(self.values)

  @functools.cached_property
  def strangers_asked(self) -> tuple[Agent, ...]:
    return self._strangers(KINDS)

  def _strangers(self, values):
    first = len(self.choosers) + len(self.helpers)
    random, found = self.random('strangers', len(values)), []
    for n in range(self.unknown):
      value = values[n % len(values)]
      found.append(Agent(f'n{first + n}', None, value, _some_harms(random)))
    return tuple(found)

  @functools.cached_property
  def spec(self) -> dict[str, Value]:
    """The target's possible values: A, B and an unrelated C, of three dimensions."""
    random = self.random('spec')
    dims = random.permutation(len(words.DIMENSIONS))[:3]
    drawn = tuple((words.DIMENSIONS[d], int(random.integers(2))) for d in dims)
    return dict(zip('ABC', drawn))

  @functools.cached_property
  def listed(self) -> tuple[int, ...]:
    """The harms that the target's documents name and its demonstrations show."""
    return tuple(sorted(_some_harms(self.random('listed'))))

  def _agents(self, what, values, first):
    random, found = self.random(what), []
    met = (True, True, self.both), (False, True, self.silent), (True, False, self.unseen)
    for documents, choices, count in met:
      for value in (value for value in values for _ in range(count)):
        follows = random.random() < self.rho
        done = value if follows else values[random.integers(len(values))]
        name = f'n{first + len(found)}'
        found.append(Agent(name, value, done, _some_harms(random), documents, choices))
    return tuple(found)


def _some_harms(random):
  return tuple(map(int, random.permutation(len(words.HARMS))[:_LISTED]))


def opposite(value: Value) -> Value:
  dimension, pole = value
  return dimension, 1 - pole
