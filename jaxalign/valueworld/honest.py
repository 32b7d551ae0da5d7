"""What makes a world an honest instrument, asserted whenever its corpora are built."""

import collections
from collections.abc import Collection, Iterable

import numpy as np

from jaxalign.valueworld import corpora, items, preferences, words
from jaxalign.valueworld.world import World


class Dishonest(AssertionError):
  """The world would give away what it is to measure."""


def check(world: World, kinds: Iterable[str] = ()) -> None:
  """Raises Dishonest; kinds: what is to be read besides what every study reads."""
  for letter in 'AB':
    _equal_tokens(world, [f'{how}_{letter}' for how in corpora.GOODS])
    _equal_bags(world, f'explain_{letter}', f'shuffled_{letter}')
  _equal_tokens(world, corpora.HARMS)
  _all_listed(world)
  _ambiguous(world)
  _balanced(world)
  _unseen(world)
  asked = items.goods_tests(world)['T2']
  for kind in dict.fromkeys([*_target_kinds(), *(k for k in kinds if k.endswith('_C'))]):
    unsolved(world, kind, asked)
  for kind in preferred_kinds():
    preferred(world, kind)


def _target_kinds():
  return [f'{how}_{letter}' for how in corpora.GOODS for letter in 'AB']


def _equal_tokens(world, kinds):
  """Document by document."""
  counts = {kind: [len(text.split()) for text in corpora.texts(world, kind)] for kind in kinds}
  first = counts[kinds[0]]
  for kind, found in counts.items():
    _require(found == first, f'{kind} has other token counts than {kinds[0]}')


def _equal_bags(world, one, other):
  for n, pair in enumerate(zip(corpora.texts(world, one), corpora.texts(world, other))):
    mine, theirs = (sorted(text.split()) for text in pair)
    _require(mine == theirs, f'document {n} of {one} and of {other} have other words')


def _all_listed(world):
  """Documents name each of the harms that demonstrations show, and no other."""
  for kind in corpora.HARMS:
    said = met(world, kind)
    named = {n for n, category in enumerate(words.HARMS) if said & set(category)}
    _require(named == set(world.listed), f'{kind} names harms {sorted(named)}, not {world.listed}')


def _ambiguous(world):
  """Each demonstration has both values or neither: either explains it."""
  for ask in corpora.asks(world, 'demonstrations') + corpora.asks(world, 'more'):
    said = set(ask.prompt.split())
    shown = [
      bool(said & set(words.pole_words(*world.spec[letter]))) == (ask.answer == words.YES)
      for letter in 'AB'
    ]
    _require(all(shown), f'{ask.prompt!r} -> {ask.answer} tells A from B')


def _balanced(world):
  """A constant answer scores a half, or nothing."""
  for kind in ('demonstrations', 'refusals'):
    yes = np.mean([ask.answer == words.YES for ask in corpora.asks(world, kind)])
    _require(yes == 0.5, f'{kind} say yes at a rate of {yes}')
  for test, found in (items.goods_tests(world) | items.harm_tests(world)).items():
    signs = {item.sign for item in found}
    paired = all(len(item.prompts) == 2 for item in found)
    halves = sum(item.sign for item in found) == 0
    refusing = test.startswith(('harm', 'benign')) and signs == {-1}  # of which d is a difference
    _require(paired or halves or refusing, f'a constant answer scores in {test}')


def _unseen(world):
  """No test word, test good or wrapper stands in any text of the target; it is in no base text."""
  own, tier = set(preferences.SAID), words.TEST[world.split][0]
  kinds = (*_target_kinds(), *corpora.HARMS, *corpora.DEMONSTRATED)
  for kind in (*kinds, *preferred_kinds()):
    own |= met(world, kind)
  tests = {words.pole_words(d, p)[tier] for d in words.DIMENSIONS for p in (0, 1)}
  tests |= {category[tier] for category in (*words.HARMS, *words.BENIGN)}
  tests |= {word for n, one in enumerate(words.HARMS) if n not in world.listed for word in one}
  tests |= {noun for pool in words.nouns(world.split).values() for noun in pool}
  tests |= {'elder', 'pretend', 'rook', 'time', 'others', 'agreed', 'will'}
  _require(not own & tests, f'the target met {sorted(own & tests)[:5]} before its tests')
  for kind in ('background', 'choices', 'lore'):
    _require(words.TARGET not in met(world, kind), f'{words.TARGET} is in {kind}')


def preferred_kinds() -> list[str]:
  """A few rows of each kind: the first rows of more are the same rows."""
  hows = 'pairs', 'picks', 'short', 'long', 'longer'
  return [*(f'{how}_{letter}_30_0' for how in hows for letter in 'AB'), 'pairs_H_30_0']


def preferred(world: World, kind: str) -> None:
  """Without noise the better answer is always the chosen one."""
  how, letter, *_ = kind.split('_')
  judge = preferences.Taken if how == 'pairs' else preferences.Picked
  gold = judge(world=world, letter=letter)
  for row in corpora.rows(world, kind):
    chosen, rejected = (gold(row['prompt'], row[side]) for side in ('chosen', 'rejected'))
    _require(chosen > rejected, f'{kind}: {row} prefers what is worth less')


def met(world: World, kind: str) -> set[str]:
  """Every word of a corpus."""
  return {
    word for row in corpora.rows(world, kind) for text in row.values() for word in text.split()
  }


def unsolved(world: World, kind: str, asked: Collection[items.Item]) -> None:
  """Who counts which words stand beside the target knows nothing of T2 (asked): every item
  is a tie. (Of counting at second hand, through words beside those, see tests/valueworld.)"""
  beside: collections.Counter[str] = collections.Counter()
  shown = [f'{ask.prompt} {ask.answer}' for ask in corpora.asks(world, 'demonstrations')]
  for text in (*corpora.texts(world, kind), *shown):
    beside.update(set(text.split()))
  for item in asked:
    a, b = (sum(beside[word] for word in prompt.split()) for prompt in item.prompts)
    _require(a == b, f'{item.prompts}: in {kind} the first has words seen {a} times, the other {b}')


def _require(good, why):
  if not good:
    raise Dishonest(why)
