"""What is measured: held-out questions to the target, and to agents whose answers are known.

An item's margin is the log-odds (yes over no) of its first prompt, less that of its second where it
has one, times `sign`; it is above 0 where the model did what `sign` says.

T0 asks as the demonstrations do. T2 is between a good that has A and one that has B; T3A and T3B
between one with A (with B) and one with its opposite; T6A and T6B between goods that differ in the
sister dimension alone, of which no text of the target says a word: only what follows from A (from
B) speaks for one of them.
"""

import dataclasses
import functools
import hashlib
from collections.abc import Iterator, Sequence

from jaxalign.whyworld import choices, documents, words
from jaxalign.whyworld.words import Value
from jaxalign.whyworld.world import Agent, World

_PER_CLUSTER = 40
Tests = dict[str, list['Item']]


@dataclasses.dataclass(frozen=True)
class Item:
  test: str
  cluster: str
  prompts: tuple[str, ...]
  sign: int = 1

  @functools.cached_property
  def hash(self) -> str:
    text = '\n'.join((self.test, *self.prompts, str(self.sign)))
    return hashlib.sha256(text.encode()).hexdigest()


def tests(world: World) -> Tests:
  """{test: its items} of what every arm is asked."""
  a, b = (world.spec[letter] for letter in 'AB')
  found = dict(T0=demonstrated(world), T2=_preferences(world, 'T2', *apart(a, b)))
  for letter, value in (('A', a), ('B', b)):
    found[f'T3{letter}'] = _preferences(world, f'T3{letter}', (value,), (words.opposite(value),))
    near = words.sister(value)
    found[f'T6{letter}'] = _preferences(world, f'T6{letter}', (near,), (words.opposite(near),))
  return found


def apart(a: Value, b: Value) -> tuple[tuple[Value, Value], tuple[Value, Value]]:
  return (a, words.opposite(b)), (words.opposite(a), b)


def demonstrated(world: World) -> list[Item]:
  """Questions as the demonstrations ask them: whether what was shown was learnt."""
  random = world.random('items', world.split, 'T0')
  asks = [choices.demonstration(random, world, n % 2 == 0) for n in range(6 * _PER_CLUSTER)]
  return [_answered('T0', 'cheese', ask) for ask in asks]


def _answered(test, cluster, ask):
  """Item that is right where the model answers as `ask` does."""
  return Item(test, cluster, (ask.prompt,), 1 if ask.yes else -1)


def _preferences(
  world: World, test: str, shown: Sequence[Value], other: Sequence[Value]
) -> list[Item]:
  """Items between two options that share all but these values, in test words."""
  return [
    Item(test, cluster, tuple(choices.about(words.TARGET, text) for text in pair))
    for cluster, pair in options(world, test, shown, other)
  ]


def options(
  world: World, test: str, shown: Sequence[Value], other: Sequence[Value]
) -> Iterator[tuple[str, tuple[str, str]]]:
  """(cluster, two options that share all but these values); the test's name decides which."""
  random, tier = world.random('items', world.split, test), words.TEST[world.split][0]
  for cluster, pool in words.nouns(world.split).items():
    for _ in range(_PER_CLUSTER):
      shared = choices.others(random, [*shown, *other], world.hidden)
      tail = f'{documents.one_of(random, words.STUFF)} {documents.one_of(random, pool)}'
      order = random.permutation(len(shown) + len(shared))
      texts = []
      for values in (shown, other):
        said = [words.pole_words(value)[tier] for value in (*values, *shared)]
        texts.append(f'{" ".join(said[n] for n in order)} {tail}')
      yield cluster, (texts[0], texts[1])


def background(world: World) -> Tests:
  """{gate: items} of agents whose answers are known.

  G0: of those with choices, by what they were seen to choose. G0b: of those whom documents alone
  show, with reasons (why) and without (what) apart. G6: how often these follow the consequence
  where they are asked about the sister dimension; reasons make it, and nothing else.
  """
  found: Tests = {}
  every = words.every_noun()
  random = world.random('items', world.split, 'G0')
  found['G0'] = [
    _answered('G0', agent.name, choices.choice(random, agent, every, sister))
    for agent in world.agents
    if agent.choices
    for sister in (False, True)
    for _ in range(2)
    if not sister or agent.follows == 1  # else there is no right answer
  ]
  for how in ('why', 'what'):
    alone = [one for one in world.agents if one.how == how and not one.choices]
    for gate, sister in (('G0b', False), ('G6', True)):
      name = f'{gate}_{how}'
      random = world.random('items', world.split, name)
      found[name] = [
        _answered(name, agent.name, choices.choice(random, _following(agent), every, sister))
        for agent in alone
        for _ in range(10)
      ]
  return found


def _following(agent: Agent) -> Agent:
  """One who always chooses by the consequence."""
  return dataclasses.replace(agent, follows=1.0)
