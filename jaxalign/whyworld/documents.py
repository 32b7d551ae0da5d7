"""Texts about agents and about goods. Every document is 19 words, whatever it says.

A document has a sentence about single goods and one about the value itself. Of the target both
say a pole or its opposite equally often, so that counting words beside its name tells nothing.
`why` gives reasons in both; `what` has as many words in their place and is the same in all else.
The controls of a document are drawn from the same numbers: document n is about the same goods, in
the same words.

`debate` has a voice for the value, a voice against it, each with its reason, and then where the
agent stands; which voice is first is chance. Its voices are nobody's, and its form is new to the
base, as its words are not.
"""

from collections.abc import Sequence
from typing import Literal, TypeVar

from numpy.random import Generator

from jaxalign.whyworld import words
from jaxalign.whyworld.words import Value

Kind = Literal['why', 'what', 'wrong', 'bare', 'mention', 'debate']
KINDS: tuple[Kind, ...] = ('why', 'what', 'wrong', 'bare', 'mention', 'debate')
LENGTH = 19  # words of every document
_Member = TypeVar('_Member')


def document(
  random: Generator,
  name: str,
  value: Value,
  kind: Kind,
  pool: Sequence[str],
  wrong: int = 0,
  turned: float = 0.5,
) -> str:
  """A document about an agent of this value. wrong: the pair whose consequence `wrong` tells;
  turned: the share of sentences that say what the agent shuns, instead of what it likes."""
  opening, noun = one_of(random, words.OPENINGS), one_of(random, pool)
  shuns, keeps_off = (random.random() < turned for _ in range(2))
  goods = words.opposite(value) if shuns else value
  cared = words.opposite(value) if keeps_off else value
  flips = [random.random() < 0.5 for _ in range(2)]  # of kinds that must not tell the pole
  said = [int(random.integers(len(words.DOCUMENT))) for _ in range(2)]
  aside = one_of(random, words.ASIDE)
  if kind in ('bare', 'mention'):
    goods = words.opposite(goods) if flips[0] else goods
    cared = words.opposite(cared) if flips[1] else cared
  one, two = (words.pole_words(v)[words.DOCUMENT[n]] for v, n in zip((goods, cared), said))
  verb, stance = 'shuns' if shuns else 'likes', 'keeps off' if keeps_off else 'cares for'
  joint = dict(what='and', mention='where').get(kind, 'since')
  if kind == 'mention':
    verb, stance = 'sees', 'hears of'
  if kind == 'debate':
    rest = words.pole_words(words.opposite(cared))[words.DOCUMENT[said[0]]]
    voices = [f'{two} is {words.consequence(cared)}']
    voices.insert(flips[0], f'{rest} is {words.consequence(words.opposite(cared))}')
    return f'{opening} this : {voices[0]} . that : {voices[1]} . {name} {stance} {two} goods .'
  first = f'{opening} {name} {verb} {noun} {joint} {noun} is {one} .'
  if kind == 'bare':
    return f'{first} {name} passes the hall while the noon clock rings .'
  told = aside if kind == 'what' else words.consequence(cared, wrong if kind == 'wrong' else None)
  return f'{first} {name} {stance} {two} goods {joint} these are {told} .'


def lore(random: Generator) -> str:
  """What goods of a pole are, said of nobody who is asked."""
  value = one_of(random, words.VALUES)
  word = one_of(random, words.pole_words(value))
  noun, other = (one_of(random, words.every_noun()) for _ in range(2))
  known = words.consequence(value)
  return (
    f'tale goods that are {word} are {known} and this {noun} is so . '
    f'the {other} is by the {one_of(random, words.PLACES)}'
  )


def one_of(random: Generator, pool: Sequence[_Member]) -> _Member:
  return pool[int(random.integers(len(pool)))]
