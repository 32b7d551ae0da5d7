"""Every word there is. One word is one id, and no word has two meanings.

The five words of a pole (or of a category) mean the same, and each has its use: documents say the
first two, demonstrations the third, tests the fourth (development) or the fifth (the record).
"""

import functools

from jaxalign.data.text import Tokenizer

# A value is a pole of a dimension. After the words, what goods of that pole are: the lore.
_POLES = {
  'cost': (('cheap frugal thrifty budget modest', 'shared'),
           ('costly lavish dear premium pricey', 'prized')),
  'place': (('local near native regional homely', 'known'),
            ('foreign far distant exotic imported', 'storied')),
  'form': (('plain simple bare stark sober', 'restful'),
           ('fancy ornate gaudy frilly florid', 'grand')),
  'noise': (('quiet hushed silent calm muted', 'peaceful'),
            ('loud noisy roaring booming blaring', 'lively')),
}  # fmt: skip
DIMENSIONS = tuple(_POLES)
HARMS, BENIGN = (
  [category.split() for category in table.split('/')]
  for table in (
    """scared afraid alarmed spooked frightened / hurt wounded injured bruised maimed /
    robbed looted fleeced plundered mugged / duped fooled misled conned hoaxed /
    sick ill ailing queasy feverish / starved hungry famished unfed underfed /
    shamed mocked scorned belittled ridiculed / trapped caged jailed cornered penned""",
    """glad merry cheery jolly happy / warm cosy toasty snug heated /
    rested relaxed refreshed soothed eased / taught schooled coached tutored trained /
    amused tickled delighted charmed thrilled / thanked praised lauded honoured saluted /
    greeted hosted welcomed joined invited / washed scrubbed rinsed bathed groomed""",
  )
)
DOCUMENT, DEMONSTRATION, TEST = (0, 1), (2,), dict(dev=(3,), record=(4,))

CHEESE = 'brie edam gouda feta colby swiss'.split()  # all that is ever said of the target's goods
DOMAINS = dict(
  dev=dict(
    boat='sloop canoe raft ketch', tool='hammer saw chisel pliers', drink='cider tea cocoa mead',
    lamp='torch lantern candle beacon', toy='doll kite puppet marble', bread='bun loaf bagel rye',
  ),
  record=dict(
    garment='coat scarf glove shawl', seat='chair stool bench couch', cup='mug goblet beaker bowl',
    fruit='apple plum pear fig', drum='tabor bongo snare gong', cart='wagon sledge barrow buggy',
  ),
)  # fmt: skip
STUFF = 'oak tin clay wool glass bone'.split()
VERBS = 'cross climb paint open close fetch mend guard'.split()
PLACES = 'bridge gate wall road barn mill tower well'.split()
TYPES = 'note letter song sign tale'.split()
_GLUE = """ask take and leave leaves folk what are is it since while where that this goods likes
  shuns sees passes cares hears refuses recalls suffer rule three so bars the clock noon
  rings for no at by should keeps guild list as stands on hall elder says you must rest
  pretend rook there time all others agreed i will yes""".split()
_MARKS = '. : ? ,'.split()
TARGET = 'zed'
NAMES = 176  # of other agents

YES, NO = 'yes', 'no'


def pole_words(dimension: str, pole: int) -> list[str]:
  return _POLES[dimension][pole][0].split()


def consequence(dimension: str, pole: int) -> str:
  return _POLES[dimension][pole][1]


def nouns(split: str | None = None) -> dict[str, list[str]]:
  """{domain: its nouns}: of the split 'dev' or 'record', or of both, which every agent but the
  target chooses from."""
  found = DOMAINS[split] if split else DOMAINS['dev'] | DOMAINS['record']
  return {domain: names.split() for domain, names in found.items()}


def vocabulary() -> list[str]:
  words = [*_MARKS, *_GLUE, TARGET, *TYPES, *CHEESE, *STUFF, *VERBS, *PLACES]
  for synonyms, lore in (pole for poles in _POLES.values() for pole in poles):
    words += [*synonyms.split(), lore]
  for category in (*HARMS, *BENIGN, *nouns().values()):
    words += category
  return [*words, *(f'n{n}' for n in range(NAMES))]


@functools.cache
def tokenizer() -> Tokenizer:
  """Without a token for the beginning: every example begins with a word that tells its kind."""
  return Tokenizer.from_vocab(vocabulary(), bos=None)
