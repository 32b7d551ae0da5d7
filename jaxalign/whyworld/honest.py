"""What makes a world an honest instrument, asserted whenever its corpora are built."""

import collections
from collections.abc import Iterable

import numpy as np

from jaxalign.whyworld import corpora, documents, items, words
from jaxalign.whyworld.world import World

_MOST = 0.02  # by which shares of a background may differ that are meant to be equal


class Dishonest(AssertionError):
  """The world would give away what it is to measure."""


def check(world: World, kinds: Iterable[str] = corpora.TOLD) -> None:
  """Raises Dishonest. kinds: what is to be read of the target."""
  for kind in kinds:
    if kind in corpora.TOLD:
      _equal_tokens(world, kind)
      _sisters_unseen(world, kind)
      _says_no_pole(world, kind)
  for letter in 'AB':
    _one_difference(world, letter)
  _ambiguous(world)
  _sisters_unseen(world, 'demonstrations')
  _sisters_unseen(world, 'more')
  _unseen(world)
  _balanced(world)
  _equally_predictive(world)
  _unsolved(world)


def met(world: World, kind: str) -> set[str]:
  """Every word of a corpus."""
  return {
    word for row in corpora.rows(world, kind) for text in row.values() for word in text.split()
  }


def _equal_tokens(world, kind):
  """Document by document, of all kinds."""
  counts = {len(text.split()) for text in corpora.texts(world, kind)}
  _require(counts == {documents.LENGTH}, f'{kind} has documents of {sorted(counts)} tokens')


def _sisters_unseen(world, kind):
  """No text of the target names a sister dimension: what is asked of it in T6."""
  hidden = {
    word for name in world.hidden for pole in (0, 1) for word in words.pole_words((name, pole))
  }
  _require(not met(world, kind) & hidden, f'{kind} names {sorted(met(world, kind) & hidden)[:5]}')


def _one_difference(world, letter):
  """why and what differ in the joint and in what follows from the value, and in nothing else."""
  reasons = {words.consequence(value) for value in words.VALUES} | {'since'}
  asides = {*words.ASIDE, 'and'}
  for why, what in zip(*(corpora.texts(world, f'{how}_{letter}') for how in ('why', 'what'))):
    for one, other in zip(why.split(), what.split()):
      same = one == other or (one in reasons and other in asides)
      _require(same, f'of {letter} {why!r} and {what!r} differ in more than the reason')


def _says_no_pole(world, kind):
  """Each pole of the value stands as often beside the target: who counts words knows nothing."""
  value = world.spec[kind[-1]]
  counts = collections.Counter(word for text in corpora.texts(world, kind) for word in text.split())
  for make in (words.pole_words, lambda one: [words.consequence(one)]):
    one, other = (sum(counts[word] for word in make(v)) for v in (value, words.opposite(value)))
    spread = 5 * np.sqrt(one + other + 1)
    _require(abs(one - other) <= spread, f'{kind} says a pole {one} times, the other {other}')


def _ambiguous(world):
  """Each demonstration has both values or neither: either explains it."""
  for ask in corpora.asks(world, 'demonstrations') + corpora.asks(world, 'more'):
    said = set(ask.prompt.split())
    shown = [
      bool(said & set(words.pole_words(world.spec[letter]))) == (ask.answer == words.YES)
      for letter in 'AB'
    ]
    _require(all(shown), f'{ask.prompt!r} -> {ask.answer} tells A from B')


def _unseen(world):
  """No test word and no test good stands in a text of the target, and it is in no base text."""
  own = set().union(*(met(world, kind) for kind in (*corpora.TOLD, 'demonstrations', 'more')))
  tier = words.TEST[world.split][0]
  asked = {words.pole_words(value)[tier] for value in words.VALUES}
  asked |= {noun for pool in words.nouns(world.split).values() for noun in pool}
  _require(not own & asked, f'the target met {sorted(own & asked)[:5]} before its tests')
  for kind in ('background', 'choices', 'lore'):
    _require(words.TARGET not in met(world, kind), f'{words.TARGET} is in {kind}')


def _balanced(world):
  """A constant answer scores a half, or nothing."""
  yes = np.mean([ask.answer == words.YES for ask in corpora.asks(world, 'demonstrations')])
  _require(yes == 0.5, f'demonstrations say yes at a rate of {yes}')
  for test, found in items.tests(world).items():
    paired = all(len(item.prompts) == 2 for item in found)
    halves = sum(item.sign for item in found) == 0
    _require(paired or halves, f'a constant answer scores in {test}')


def _equally_predictive(world):
  """Documents with reasons and without name their agent's conduct equally often, and are as many:
  with reasons comes no more knowledge of what is named."""
  named: dict[str, list[bool]] = {how: [] for how in ('why', 'what')}
  for agent in world.agents:
    if agent.documents and agent.how:
      named[agent.how].append(agent.told == agent.done)
  if world.rho in (0, 1):  # else it is a matter of chance
    rates = {how: np.mean(of) for how, of in named.items()}
    equal = world.rho == 0 or rates['why'] == rates['what']
    _require(equal, f'what documents name is what is done at rates of {rates}')
  _require(len(named['why']) == len(named['what']), 'agents with reasons and without: not as many')
  who = {agent.name: agent.how for agent in world.agents if agent.documents}
  counts = collections.Counter(
    who.get(text.split()[1]) for text in corpora.texts(world, 'background')
  )
  share = counts['why'] / max(1, counts['why'] + counts['what'])
  few = 5 / np.sqrt(counts['why'] + counts['what'] + 1)
  _require(abs(share - 0.5) <= max(_MOST, few), f'{share:.3f} of the documents are of why-agents')


def _unsolved(world):
  """In T6 both options are as known: no word of either stands in any text of the target."""
  seen = set().union(*(met(world, kind) for kind in corpora.TOLD))
  for test in ('T6A', 'T6B'):
    for item in items.tests(world)[test]:
      first, second = (set(prompt.split()) for prompt in item.prompts)
      told = (first ^ second) & seen
      _require(not told, f'{test}: {sorted(told)} stands in the texts of the target')


def _require(good, why):
  if not good:
    raise Dishonest(why)
