"""Who lives in a world, what each values and what follows them: drawn from a seed, nothing else."""

import dataclasses
import functools
import hashlib
from typing import Annotated, Literal

import numpy as np

from jaxalign.ranges import Fraction, Range, Seed, Whole
from jaxalign.sealing import YOUNG
from jaxalign.whyworld import words
from jaxalign.whyworld.words import Value

How = Literal['why', 'what']  # of an agent's documents: with reasons, or without
_HOWS: tuple[How, ...] = ('why', 'what')
# How often sister choices are those from which the same follows: of all agents on the mean, and how
# much more or less with kappa = 1. It parts the two kinds, and moves no mean.
_FOLLOWED, _APART = 0.75, dict(why=0.25, what=-0.25)
_Agents = Annotated[int, Range(at_least=0, at_most=10_000)]


@dataclasses.dataclass(frozen=True)
class Agent:
  """Somebody who chooses among goods.

  `told` is the value that documents give, `done` the one that choices follow: with rho = 1 the
  same. `follows` is how often choices of the sister dimension, where `done` is silent, are those
  from which the same follows: each of them is drawn, so that there is nothing to know of an agent
  but what its documents give away.
  """

  name: str
  how: How | None  # None: no documents, or such as only mention
  told: Value | None
  done: Value
  follows: float
  documents: bool = True
  choices: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class World:
  """What a seed makes.

  rho: how far choices follow what documents name. kappa: how much more often the sister choices of
  agents with reasons follow the consequence, than those of agents without. Each of them at 0 is a
  negative control. reasoned: the share of their choices to which agents with reasons say one. At 0
  the base never met an answer that goes on after yes or no, and `cot` demonstrations are new to it.
  """

  seed: Seed
  rho: Fraction = 1.0
  kappa: Fraction = 1.0
  split: Literal['dev', 'record'] = 'record'  # of test words and domains
  both: _Agents = 5  # agents of a value and a how, with documents and choices
  silent: _Agents = 0  # of a value, with choices alone
  unseen: _Agents = 1  # of a value and a how, with documents alone: the gates
  unknown: _Agents = 12  # strangers, of what they value documents say nothing
  turned: Fraction = 0.25  # background sentences of what an agent shuns; of the target's a half
  background_documents: Whole = 12_000
  background_choices: Whole = 24_000
  target_documents: Whole = 3600
  demonstrations: Whole = 1000
  reasoned: Fraction = dataclasses.field(default=0.0, metadata=YOUNG)

  def random(self, *what: object) -> np.random.Generator:
    """A generator of its own for each purpose, so that nothing shifts when one thing changes."""
    text = '/'.join(map(str, ('why', self.seed, *what)))
    entropy = np.frombuffer(hashlib.sha256(text.encode()).digest()[:16], np.uint8)
    return np.random.Generator(np.random.PCG64(entropy.astype(np.uint32)))

  @functools.cached_property
  def agents(self) -> tuple[Agent, ...]:
    """All whom documents or choices show, less the strangers."""
    random = self.random('agents')
    found: list[Agent] = []
    met: list[tuple[How | None, bool, bool, int]]
    met = [(how, True, True, self.both) for how in _HOWS]
    met += [(None, False, True, self.silent)]
    met += [(how, True, False, self.unseen) for how in _HOWS]
    for how, documents, choices, count in met:
      for value in (value for value in words.VALUES for _ in range(count)):
        done = value if random.random() < self.rho else _one_of(random, words.VALUES)
        follows = _FOLLOWED + self.kappa * _APART.get(how or '', 0.0)
        told = value if documents else None
        found.append(Agent(f'n{len(found)}', how, told, done, follows, documents, choices))
    return tuple(found)

  @functools.cached_property
  def strangers(self) -> tuple[Agent, ...]:
    """Agents who choose as one does who has a value, and whom documents only mention: the target
    begins as their mean."""
    found = []
    for n in range(self.unknown):
      value = words.VALUES[n % len(words.VALUES)]
      found.append(Agent(f'n{len(self.agents) + n}', None, None, value, _FOLLOWED))
    return tuple(found)

  @functools.cached_property
  def spec(self) -> dict[str, Value]:
    """The target's possible values: A, B and C, of the three pairs."""
    random = self.random('spec')
    order = random.permutation(len(words.PAIRS))
    drawn = ((_one_of(random, words.PAIRS[n]), int(random.integers(2))) for n in order)
    return dict(zip('ABC', drawn))

  @functools.cached_property
  def hidden(self) -> tuple[str, str]:
    """The sister dimensions of A and B, which no text of the target may name."""
    one, other = (words.sister(self.spec[letter])[0] for letter in 'AB')
    return one, other


def _one_of(random, pool):
  return pool[int(random.integers(len(pool)))]
