"""What makes a world an honest instrument, asserted whenever its corpora are built."""

import collections
from collections.abc import Iterable

import numpy as np

from jaxalign.whyworld import corpora, documents, items, two_humans, words
from jaxalign.whyworld.world import World

_MOST = 0.02  # by which shares of a background may differ that are meant to be equal


class Dishonest(AssertionError):
  """The world would give away what it is to measure."""


def check(world: World, kinds: Iterable[str] = corpora.TARGET) -> None:
  """Raises Dishonest. kinds: what is to be read; each is looked at where it is made."""
  own = {kind: met(world, kind) for kind in kinds if kind in corpora.TARGET}
  _sisters_unseen(world, own)
  for kind in own:
    for rule in _of_kind(kind):
      rule(world, kind)
  for letter in 'AB':
    _one_difference(world, letter)
  _unseen(world, own)
  _unsolved(world, own)
  _balanced(world)
  _at_odds(world)
  _equally_predictive(world)


def _of_kind(kind):
  """What must hold of a corpus of this kind by itself."""
  if kind in corpora.DEBATES:
    return _equal_tokens, _says_no_pole, _both_voices
  if kind in corpora.TOLD:
    return _equal_tokens, _says_no_pole
  if kind in corpora.REASONED:
    return _equal_tokens, _says_no_pole, _ambiguous, _as_often_yes, _one_reason
  if kind == 'conflicting':
    return _as_often_yes, _contested
  rules = _ambiguous, _as_often_yes
  return (*rules, _as_many_tokens) if kind == 'more' else rules


def met(world: World, kind: str) -> set[str]:
  """Every word of a corpus."""
  return {
    word for row in corpora.rows(world, kind) for text in row.values() for word in text.split()
  }


def _texts(world, kind):
  return [' '.join(row.values()) for row in corpora.rows(world, kind)]


def _equal_tokens(world, kind):
  """Document by document, of all kinds; so has a question with its answer and the reason."""
  counts = {len(text.split()) for text in _texts(world, kind)}
  _require(counts == {documents.LENGTH}, f'{kind} has documents of {sorted(counts)} tokens')


def _sisters_unseen(world, own):
  """No text of the target names a sister dimension: what is asked of it in T6."""
  hidden = {
    word for name in world.hidden for pole in (0, 1) for word in words.pole_words((name, pole))
  }
  for kind, met_there in own.items():
    _require(not met_there & hidden, f'{kind} names {sorted(met_there & hidden)[:5]}')


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
  counts = collections.Counter(word for text in _texts(world, kind) for word in text.split())
  for make in (words.pole_words, lambda one: [words.consequence(one)]):
    one, other = (sum(counts[word] for word in make(v)) for v in (value, words.opposite(value)))
    spread = 5 * np.sqrt(one + other + 1)
    _require(abs(one - other) <= spread, f'{kind} says a pole {one} times, the other {other}')


def _ambiguous(world, kind):
  """Each demonstration has both values or neither: either explains it."""
  for ask in corpora.asks(world, kind):
    shown = [_shows(world, ask.prompt, letter) == ask.yes for letter in 'AB']
    _require(all(shown), f'{ask.prompt!r} -> {ask.answer} tells A from B')


def _shows(world, text, letter):
  return bool(set(text.split()) & set(words.pole_words(world.spec[letter])))


def _one_reason(world, kind):
  """Each answer goes on with what follows from the pole that is shown, of one value; and what is
  asked is the same for both values."""
  for ask, *others in zip(*(corpora.asks(world, one) for one in (kind, *corpora.REASONED))):
    value = world.spec[kind[-1]]
    shown = value if ask.yes else words.opposite(value)
    known = [words.pole_words(shown)[n] for n in words.DOCUMENT]
    answer = words.YES if ask.yes else words.NO
    reasons = [f'{answer} since {word} goods are {words.consequence(shown)} .' for word in known]
    _require(ask.answer in reasons, f'{kind}: {ask.answer!r} is not what {shown} is a reason for')
    same = all(other.prompt == ask.prompt for other in others)
    _require(same, f'{kind} asks {ask.prompt!r}, which is not asked of both values')


def _both_voices(world, kind):
  """Each debate says both poles, each with what follows from it; and either voice is as often the
  first, so that the place of a voice tells nothing."""
  value, first = world.spec[kind[-1]], []
  reasons = {
    word: words.consequence(pole)
    for pole in (value, words.opposite(value))
    for word in words.pole_words(pole)
  }
  for text in corpora.texts(world, kind):
    said = text.split()
    voices = (said[3], said[5]), (said[9], said[11])
    right = all(reasons.get(word) == why for word, why in voices)
    both = {why for _, why in voices} == set(reasons.values())
    _require(right and both, f'{kind}: {text!r} is no voice for and one against')
    first.append(reasons[said[3]] == words.consequence(value))
  uneven = abs(2 * sum(first) - len(first))
  _require(uneven <= 5 * np.sqrt(len(first)), f'{kind}: {sum(first)} times the first voice is for')


def _contested(world, kind):
  """Two sets of demonstrations: each question has A or B and not both, and both answers; the goods
  of either are as many."""
  asks = corpora.asks(world, kind)
  for ask in asks:
    a, b = (_shows(world, ask.prompt, letter) for letter in 'AB')
    _require(a != b, f'{kind}: {ask.prompt!r} is a question on which A and B agree')
  answers = collections.Counter()
  for ask in asks:
    answers[ask.prompt] += 1 if ask.yes else -1
  _require(not any(answers.values()), f'{kind}: a question has one answer more than the other')
  sides = sum(1 if _shows(world, ask.prompt, 'A') else -1 for ask in asks)
  _require(abs(sides) <= 2, f'{kind}: more goods of one side')


def _as_many_tokens(world, kind):
  """More demonstrations are as many tokens as the documents, within two of them."""
  more, told = (
    sum(len(text.split()) + 1 for text in _texts(world, kind)) for kind in (kind, 'why_A')
  )
  apart = abs(told - more)
  _require(apart < 2 * corpora.DEMONSTRATION_TOKENS, f'{kind}: {more} tokens, documents {told}')


def _at_odds(world):
  """Two humans want opposite things of each question, and each is named first as often: who stands
  first is told apart from who is followed."""
  done = {agent.name: agent.done for agent in (*world.agents, *world.strangers)}
  tests = two_humans.tests(world)
  for named in zip(*(tests[test] for test in two_humans.NAMED)):
    humans = [item.prompts[0].split()[3:6:2] for item in named]
    _require(humans[0] == humans[1][::-1], f'{humans}: not the same two in both orders')
    values = [done.get(name) for name in humans[0]]
    _require(values == [world.spec['A'], world.spec['B']], f'{humans[0]} value {values}')
    for wanted, prompt in zip('AB', named[0].prompts):
      shown = ''.join(letter for letter in 'AB' if _shows(world, prompt, letter))
      _require(shown == wanted, f'{prompt!r} is not what only {wanted} wants')


def _unseen(world, own):
  """No test word and no test good stands in a text of the target, and it is in no base text."""
  tier = words.TEST[world.split][0]
  asked = {words.pole_words(value)[tier] for value in words.VALUES}
  asked |= {noun for pool in words.nouns(world.split).values() for noun in pool}
  seen = set().union(*own.values()) & asked
  _require(not seen, f'the target met {sorted(seen)[:5]} before its tests')
  for kind in ('background', 'choices', 'lore'):
    _require(words.TARGET not in met(world, kind), f'{words.TARGET} is in {kind}')


def _as_often_yes(world, kind):
  asks = corpora.asks(world, kind)
  yes = sum(ask.yes for ask in asks)
  even = abs(2 * yes - len(asks)) <= len(asks) % 2
  _require(even, f'{kind} say yes at a rate of {yes / len(asks)}')


def _balanced(world):
  """A constant answer scores a half, or nothing."""
  for test, found in (items.tests(world) | two_humans.tests(world)).items():
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


def _unsolved(world, own):
  """In T6 both options are as known: no word of either stands in any text of the target."""
  seen = set().union(*own.values())
  for test in ('T6A', 'T6B'):
    for item in items.tests(world)[test]:
      first, second = (set(prompt.split()) for prompt in item.prompts)
      told = (first ^ second) & seen
      _require(not told, f'{test}: {sorted(told)} stands in the texts of the target')


def _require(good, why):
  if not good:
    raise Dishonest(why)
