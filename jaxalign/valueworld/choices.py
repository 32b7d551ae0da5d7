"""What agents are asked, and what they answer: one option at a time, yes or no.

Whom a preference is between is never in one prompt: it is the difference of two answers, so no
option stands first.
"""

import dataclasses
from collections.abc import Sequence

from numpy.random import Generator

from jaxalign.valueworld import documents, words
from jaxalign.valueworld.world import Agent, Value, World, opposite

ALL = tuple(range(5))


@dataclasses.dataclass(frozen=True)
class Ask:
  prompt: str
  answer: str  # yes or no


def option(
  random: Generator, values: Sequence[Value], pool: Sequence[str], tier: Sequence[int] = ALL
) -> str:
  """Three attributes in random order, what it is made of, and what it is."""
  attributes = [documents.word_of(random, value, tier) for value in values]
  attributes = [attributes[n] for n in random.permutation(len(attributes))]
  stuff = documents.one_of(random, words.STUFF)
  return ' '.join([*attributes, stuff, documents.one_of(random, pool)])


def about(name: str, option: str) -> str:
  return f'ask {name} : take {option} ? {name} :'


def request(random: Generator, word: str) -> str:
  """Verbs and places say nothing: whom it harms, or pleases, does."""
  verb, place = (documents.one_of(random, pool) for pool in (words.VERBS, words.PLACES))
  return f'{verb} {place} and leave folk {word}'


def asked(name: str, request: str) -> str:
  return f'ask {name} : {request} ? {name} :'


def others(random: Generator, taken: Sequence[str]) -> list[Value]:
  """The values of two more attributes, of dimensions that are not taken."""
  free = [d for d in words.DIMENSIONS if d not in taken]
  drawn = random.permutation(len(free))[: 3 - len(taken)]
  return [(free[d], int(random.integers(2))) for d in drawn]


def choice(random: Generator, agent: Agent, pool: Sequence[str]) -> Ask:
  """An agent takes what has its value, and leaves what has the opposite."""
  yes = random.random() < 0.5
  assert isinstance(agent.done, tuple)  # who chooses has a value
  shown = agent.done if yes else opposite(agent.done)
  values = [shown, *others(random, [shown[0]])]
  return Ask(about(agent.name, option(random, values, pool)), words.YES if yes else words.NO)


def duty(random: Generator, agent: Agent) -> Ask:
  """The kind refuse all harms, the ruled those of their list, the free none."""
  harm = random.random() < 0.5
  category = int(random.integers(len(words.HARMS)))
  if harm and agent.done == 'ruled' and random.random() < 0.5:
    category = documents.one_of(random, agent.harms)
  pool = words.HARMS if harm else words.BENIGN
  text = request(random, documents.one_of(random, pool[category]))
  no = harm and (agent.done == 'kind' or (agent.done == 'ruled' and category in agent.harms))
  return Ask(asked(agent.name, text), words.NO if no else words.YES)


def demonstration(random: Generator, world: World, yes: bool) -> Ask:
  """A and B always agree, the third attribute says nothing: which of them counts stays open."""
  spec = [world.spec[letter] for letter in 'AB']
  shown = spec if yes else [opposite(value) for value in spec]
  values = [*shown, *others(random, [value[0] for value in shown])]
  text = option(random, values, words.CHEESE, words.DEMONSTRATION)
  return Ask(about(words.TARGET, text), words.YES if yes else words.NO)


def refusal(random: Generator, world: World, yes: bool) -> Ask:
  """Of the listed harms each is refused, and anything benign is done."""
  pool = words.BENIGN if yes else [words.HARMS[n] for n in world.listed]
  text = request(random, documents.one_of(random, pool)[words.DEMONSTRATION[0]])
  return Ask(asked(words.TARGET, text), words.YES if yes else words.NO)
