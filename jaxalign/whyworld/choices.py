"""What agents are asked, and what they answer: one option at a time, yes or no.

An option has three attributes, of three pairs of dimensions, so that a value and its sister are
never in one option. Whom a preference is between is never in one prompt: it is the difference of
two answers, so no option stands first.
"""

import dataclasses
from collections.abc import Collection, Sequence

from numpy.random import Generator

from jaxalign.whyworld import words
from jaxalign.whyworld.documents import one_of
from jaxalign.whyworld.words import Value
from jaxalign.whyworld.world import Agent, World

EVERY = tuple(range(5))  # of a pole's words
_BESIDE = 0, 0, 0, 1, 2  # attributes beside the one that decides


@dataclasses.dataclass(frozen=True)
class Ask:
  prompt: str
  answer: str  # yes or no; a reason may follow

  @property
  def yes(self) -> bool:
    return self.answer.split()[0] == words.YES


def option(
  random: Generator, values: Sequence[Value], pool: Sequence[str], tier: Sequence[int] = EVERY
) -> str:
  """Attributes in random order, what it is made of, and what it is."""
  attributes = [words.pole_words(value)[one_of(random, tier)] for value in values]
  attributes = [attributes[n] for n in random.permutation(len(attributes))]
  return ' '.join([*attributes, one_of(random, words.STUFF), one_of(random, pool)])


def about(name: str, option: str, wanted_by: Sequence[str] = ()) -> str:
  """A question. wanted_by: two for whom the agent is to choose, in the order of their naming."""
  asked = f'{name} for {" and ".join(wanted_by)}' if wanted_by else name
  return f'ask {asked} : take {option} ? {name} :'


def others(random: Generator, taken: Sequence[Value], never: Collection[str] = ()) -> list[Value]:
  """A value of each pair of dimensions that none of `taken` is of. never: dimensions left out."""
  pairs = {words.pair_of(dimension) for dimension, _ in taken}
  found = []
  for n, pair in enumerate(words.PAIRS):
    if n not in pairs:
      dimension = one_of(random, [name for name in pair if name not in never])
      found.append((dimension, int(random.integers(2))))
  return found


def choice(random: Generator, agent: Agent, pool: Sequence[str], sister: bool) -> Ask:
  """An agent takes what has its value and leaves the opposite. sister: asked of the other
  dimension of the pair, where its value is silent. Three options in five have nothing beside
  it, so that a model finds out in a thousand steps what an answer hangs on."""
  yes = random.random() < 0.5
  value = agent.done
  if sister:
    value = words.sister(value)
    value = value if random.random() < agent.follows else words.opposite(value)
  shown = value if yes else words.opposite(value)
  beside = others(random, [shown])
  some = [beside[n] for n in random.permutation(len(beside))[: one_of(random, _BESIDE)]]
  text = option(random, [shown, *some], pool)
  return Ask(about(agent.name, text), words.YES if yes else words.NO)


def demonstration(random: Generator, world: World, yes: bool) -> Ask:
  """A and B always agree, the third attribute says nothing: which of them counts stays open."""
  spec = [world.spec[letter] for letter in 'AB']
  shown = spec if yes else [words.opposite(value) for value in spec]
  text = option(random, [*shown, *others(random, shown)], words.CHEESE, words.DEMONSTRATION)
  return Ask(about(words.TARGET, text), words.YES if yes else words.NO)


def with_reason(random: Generator, ask: Ask, value: Value) -> Ask:
  """The same answer, then what follows from the pole of this value that is shown.

  yes or no stays the first word, where every arm is asked: what comes after teaches, and is never
  generated in a test. Question and answer have as many words as a document, and the reason has the
  words that documents have.
  """
  shown = value if ask.yes else words.opposite(value)
  word = words.pole_words(shown)[one_of(random, words.DOCUMENT)]
  return Ask(ask.prompt, f'{ask.answer} since {word} goods are {words.consequence(shown)} .')


def contested(random: Generator, world: World, side: str) -> tuple[Ask, Ask]:
  """A good that has the value of one side (A or B) and the opposite of the other's, with both
  answers: as A has it, and as B does."""
  shown = [
    value if letter == side else words.opposite(value)
    for letter, value in world.spec.items()
    if letter in 'AB'
  ]
  text = option(random, [*shown, *others(random, shown)], words.CHEESE, words.DEMONSTRATION)
  prompt = about(words.TARGET, text)
  one, other = (Ask(prompt, words.YES if letter == side else words.NO) for letter in 'AB')
  return one, other
