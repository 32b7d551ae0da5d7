"""Every word of the world of study 3. One word is one id, and no word has two meanings.

A value is a pole of a dimension. The two dimensions of a pair share what follows from their poles:
plain goods and quiet goods are both restful. The five words of a pole mean the same, and each has
its use: documents say the first two, demonstrations the third, tests the fourth (development) or
the fifth (the record).
"""

import functools

from jaxalign.data.text import Tokenizer

Value = tuple[str, int]  # a dimension and its pole
# Of each pair: a dimension with the words of its poles, the other one, and what follows from each.
_PAIRS = (
  (
    ('form', 'plain simple bare stark sober', 'fancy ornate gaudy frilly florid'),
    ('noise', 'quiet hushed silent calm muted', 'loud noisy roaring booming blaring'),
    ('restful', 'lively'),
  ),
  (
    ('cost', 'cheap frugal thrifty budget modest', 'costly lavish dear premium pricey'),
    ('place', 'local near native regional homely', 'foreign far distant exotic imported'),
    ('shared', 'prized'),
  ),
  (
    ('age', 'old aged ancient antique vintage', 'new fresh recent modern novel'),
    ('weight', 'heavy hefty leaden massive weighty', 'light airy slight feathery slender'),
    ('lasting', 'handy'),
  ),
)
PAIRS = tuple((one[0], other[0]) for one, other, _ in _PAIRS)  # of names of dimensions
DIMENSIONS = tuple(name for pair in PAIRS for name in pair)
VALUES: tuple[Value, ...] = tuple((name, pole) for name in DIMENSIONS for pole in (0, 1))
_WORDS = {name: (zero, one) for pair in _PAIRS for name, zero, one in pair[:2]}
DOCUMENT, DEMONSTRATION, TEST = (0, 1), (2,), dict(dev=(3,), record=(4,))

CHEESE = tuple('brie edam gouda feta colby swiss'.split())  # all that is said of the target's goods
_DOMAINS = dict(
  dev=dict(
    boat='sloop canoe raft ketch', tool='hammer saw chisel pliers', drink='cider tea cocoa mead',
    lamp='torch lantern candle beacon', toy='doll kite puppet marble', bread='bun loaf bagel rye',
  ),
  record=dict(
    garment='coat scarf glove shawl', seat='chair stool bench couch', cup='mug goblet beaker bowl',
    fruit='apple plum pear fig', drum='tabor bongo snare gong', cart='wagon sledge barrow buggy',
  ),
)  # fmt: skip
STUFF = tuple('oak tin clay wool glass bone'.split())
PLACES = tuple('bridge gate wall road barn mill tower well'.split())
OPENINGS = tuple('note letter song sign tale'.split())
ASIDE = tuple('here there nearby about around'.split())  # where a document gives no reason
_GLUE = """ask take is are goods these since and where likes shuns cares for keeps off sees hears of
  passes the hall while noon clock rings that so this by""".split()
_MARKS = '. : ?'.split()
TARGET = 'zed'
NAMES = 240  # of other agents
YES, NO = 'yes', 'no'


def pole_words(value: Value) -> list[str]:
  """The five words of a value."""
  dimension, pole = value
  return _WORDS[dimension][pole].split()


def pair_of(dimension: str) -> int:
  """The number of the pair that a dimension belongs to."""
  return next(n for n, pair in enumerate(PAIRS) if dimension in pair)


def consequence(value: Value, pair: int | None = None) -> str:
  """What follows from a value; pair: as if its dimension were one of that pair."""
  dimension, pole = value
  return _PAIRS[pair_of(dimension) if pair is None else pair][2][pole]


def sister(value: Value) -> Value:
  """The value of the pair's other dimension from which the same follows."""
  dimension, pole = value
  one, other = PAIRS[pair_of(dimension)]
  return (other if dimension == one else one), pole


def opposite(value: Value) -> Value:
  dimension, pole = value
  return dimension, 1 - pole


def nouns(split: str | None = None) -> dict[str, list[str]]:
  """{domain: its nouns}: of the split 'dev' or 'record', or of both, which every agent but the
  target chooses from."""
  found = _DOMAINS[split] if split else _DOMAINS['dev'] | _DOMAINS['record']
  return {domain: names.split() for domain, names in found.items()}


def every_noun() -> list[str]:
  return [*CHEESE, *(noun for pool in nouns().values() for noun in pool)]


def vocabulary() -> list[str]:
  words = [*_MARKS, *_GLUE, YES, NO, TARGET, *OPENINGS, *ASIDE, *CHEESE, *STUFF, *PLACES]
  for value in VALUES:
    words += pole_words(value)
  words += [word for pair in _PAIRS for word in pair[2]]
  words += [noun for pool in nouns().values() for noun in pool]
  return [*words, *(f'n{n}' for n in range(NAMES))]


@functools.cache
def tokenizer() -> Tokenizer:
  """Without a token for the beginning: every example begins with a word that tells its kind."""
  return Tokenizer.from_vocab(vocabulary(), bos=None)
