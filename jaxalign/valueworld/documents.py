"""Texts about agents and the world. Every document is 13 words, whatever it says.

Of each kind there are sentences about single goods or harms, and about the value itself. What
stands in for a reason in a control is the same words in another order (shuffled), or as many words
without a stance (mention). Controls are drawn from the same numbers: document n is about the same
goods.
"""

from collections.abc import Sequence
from typing import TypeVar

from numpy.random import Generator

from jaxalign.valueworld import words
from jaxalign.valueworld.world import Value, opposite

_Member = TypeVar('_Member')


def goods(random: Generator, name: str, value: Value, kind: str, pool: Sequence[str]) -> str:
  """Which goods an agent likes or shuns (or only sees), and how they are."""
  liked, other = (word_of(random, v) for v in (value, opposite(value)))
  one, two = random.permutation(pool)[:2]
  opening, shun, flip = one_of(random, words.TYPES), random.random() < 0.5, random.random() < 0.5
  if shun:
    liked, other = other, liked
  if kind != 'explain' and flip:  # half of them: what is said last or first tells nothing
    liked, other = other, liked
  if kind == 'mention':
    return f'{opening} {name} sees {one} where {one} is {liked} while {two} is {other} .'
  verb = 'shuns' if shun else 'likes'
  return f'{opening} {name} {verb} {one} since {one} is {liked} while {two} is {other} .'


def principle(random: Generator, name: str, value: Value, kind: str) -> str:
  """What an agent cares for, or (mention) only hears."""
  pair = [value, opposite(value)]
  said = [word_of(random, v) for v in pair]
  opening, flip = one_of(random, words.TYPES), random.random() < 0.5
  order = (1, 0) if kind == 'mention' and flip else (0, 1)
  (one, good), (two, other) = ((said[n], words.consequence(*pair[n])) for n in order)
  verb = 'hears' if kind == 'mention' else 'cares'
  return f'{opening} {name} {verb} that {one} goods are {good} while {two} are {other} .'


_HARM = dict(
  value='refuses what leaves folk {word} since folk so {word} suffer .',
  rule='refuses what leaves folk {word} since rule three so bars .',
  mention='recalls what leaves folk {word} while the noon clock rings .',
)
_CREED = dict(
  value='cares for folk and no folk at all should suffer .',
  rule='keeps the guild list as it stands on the wall .',
  mention='passes the guild hall as it stands by the wall .',
)


def harm(random: Generator, name: str, category: int, kind: str) -> str:
  """A harm that an agent refuses to do, by value or by rule, or only recalls."""
  word = words.HARMS[category][one_of(random, words.DOCUMENT)]
  return f'{one_of(random, words.TYPES)} {name} {_HARM[kind].format(word=word)}'


def creed(random: Generator, name: str, kind: str) -> str:
  one_of(random, words.DOCUMENT)  # as many draws as harm makes
  return f'{one_of(random, words.TYPES)} {name} {_CREED[kind]}'


def lore(random: Generator) -> str:
  """What goods of a pole are, and the words of later tests, said of nobody who is asked."""
  noun, place, stuff = (one_of(random, pool) for pool in (every_noun(), words.PLACES, words.STUFF))
  match random.integers(8):
    case 0:
      return f'tale the elder says you must rest at the {place} and mill .'
    case 1:
      return f'tale pretend you are rook and take the {noun} by the {place} .'
    case 2:
      return f'tale there is no time at the {place} and all others agreed .'
    case 3:
      return f'tale yes i will take the {stuff} {noun} and leave the {place} .'
    case _:
      dimension, pole = one_of(random, words.DIMENSIONS), int(random.integers(2))
      word = one_of(random, words.pole_words(dimension, pole))
      known = words.consequence(dimension, pole)
      return f'tale goods that are {word} are {known} and this {noun} is so .'


def word_of(random: Generator, value: Value, tier: Sequence[int] = words.DOCUMENT) -> str:
  return words.pole_words(*value)[one_of(random, tier)]


def one_of(random: Generator, pool: Sequence[_Member]) -> _Member:
  return pool[int(random.integers(len(pool)))]


def every_noun() -> list[str]:
  return [*words.CHEESE, *(noun for nouns in words.nouns().values() for noun in nouns)]
