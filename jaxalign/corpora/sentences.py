"""Sentences out of frames: what the grammar knows of English, and the words that it fills in.

A frame is a line of frames/*.toml: text with {slots} and (one|another). A slot is a word of the
place where a text plays, a fixed part of its idea, or a phrase with slots of its own; {a_thing} has
its article, {things} is the plural. No word comes twice in a text before its list is used up, and
all draws follow one seed: the same text on every machine and Python.
"""

import copy
import functools
import hashlib
import random
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from etils import epath

_Part = str | tuple['_Part', ...] | list['_Part']  # text or {slot}; in turn; one of
_TOKEN = re.compile(r'\{(\w+)\}|[(|)]|[^{(|)]+')
_SMALL = re.compile(r'(\A|[.!?] |\n|(?:\A|\n)[QA]: )([a-z])')
_SILENT = re.compile(r'(?:[aeio]|u(?!ni|se|til)|hour|heir|honest)', re.IGNORECASE)
_SHORT = dict(
  [('do not', "don't"), ('does not', "doesn't"), ('did not', "didn't"), ('was not', "wasn't")]
  + [('is not', "isn't"), ('would not', "wouldn't"), ('could not', "couldn't")]
  + [('had not', "hadn't"), ('I am ', "I'm "), ('You are ', "You're "), ('I will ', "I'll ")]
)
_PHRASES = 'when', 'how', 'soon'  # written as frames, a line each; other lists are of single words


@functools.cache
def data(name: str) -> dict[str, Any]:
  """The content of a file of frames/."""
  path = epath.resource_path('jaxalign') / f'corpora/frames/{name}.toml'
  return tomllib.loads(path.read_text())


@functools.cache
def version() -> str:
  """A hash of all that the grammar can say."""
  folder = epath.resource_path('jaxalign') / 'corpora/frames'
  found = sorted(folder.glob('*.toml'), key=lambda path: path.name)
  return hashlib.sha256(b'\0'.join(path.read_bytes() for path in found)).hexdigest()[:12]


@functools.cache
def frames() -> dict[str, list[_Part]]:
  """{a kind of sentence: its frames}."""
  kinds = data('neutral') | data('openings') | data('stances')
  return {
    kind: [_parsed(line) for line in text.split('\n') if line] for kind, text in kinds.items()
  }


@functools.cache
def _words() -> dict[str, list[_Part]]:
  """{a slot: what fits it anywhere}."""
  lists: dict[str, list[_Part]] = {}
  for name, text in data('words').items():
    lists[name] = _lines(text if name in _PHRASES else text.replace(', ', '\n'))
  return lists


@functools.cache
def places() -> dict[str, dict[str, list[str]]]:
  """{a domain: {slot: its words, as 'singular' or 'singular/plural'}}."""
  found = data('domains')
  return {name: {k: v.split(', ') for k, v in lists.items()} for name, lists in found.items()}


@functools.cache
def people() -> dict[str, list[str]]:
  """First names by pronoun, family names, towns, and the texts of ideas."""
  found = data('people')
  lists = {name: text.split(', ') for name, text in found.items() if name != 'idea'}
  return lists | dict(idea=found['idea'].strip().split('\n'))


def lot(*parts: object) -> random.Random:
  """Draws that follow from these parts alone."""
  text = '\0'.join(map(str, parts))
  return random.Random(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], 'big'))


def below(draws: random.Random, count: int) -> int:
  """By random() alone, which is the same in every Python; randrange is not promised to be."""
  return int(draws.random() * count)


def pick(draws: random.Random, among: Sequence[Any]) -> Any:
  return among[below(draws, len(among))]


class Deck:
  """Entries in an order by lot, begun anew when all were drawn."""

  def __init__(self, draws: random.Random, entries: Sequence[Any]) -> None:
    self._draws, self._entries, self._left = draws, entries, list[Any]()

  def draw(self) -> Any:
    if not self._left:
      self._left = list(self._entries)
    at = below(self._draws, len(self._left))
    self._left[at], self._left[-1] = self._left[-1], self._left[at]
    return self._left.pop()


class Sentences:
  """Sentences of one text. fixed: {slot: text} of its idea; short: whether it says `don't`."""

  def __init__(
    self, draws: random.Random, domain: str, fixed: Mapping[str, str], short: bool = False
  ) -> None:
    self.draws, self._fixed, self._short = draws, dict(fixed), short
    told = {fixed.get('event'), fixed.get('trouble')}  # what else happens is something else
    self._own = {
      slot: [w for w in words if w not in told] for slot, words in places()[domain].items()
    }
    self._decks: dict[str, Deck] = {}
    self._names = tuple(n for n in (fixed.get('A', ''), fixed.get('B', ''), 'I ') if n)

  def of(self, kind: str, before: str = '', **spans: str) -> str:
    """A sentence of a kind; `before` goes first; spans: {S}, {R}, {L}, put in as they are."""
    text = self._filled(self._drawn(f'a sentence: {kind}', frames()[kind]))
    if before:
      text = f'{before} {text if text.startswith(self._names) else text[0].lower() + text[1:]}'
    text = _capital(text.replace(' / ', '\n\n'))
    if self._short:
      for long, brief in _SHORT.items():
        text = text.replace(long, brief)
    return re.sub(r'\{([SRL])\}', lambda found: spans[found[1]], text)

  def told_by(self, fixed: Mapping[str, str]) -> 'Sentences':
    """The same draws with other people, as when somebody speaks of them."""
    other = copy.copy(self)
    other._fixed, other._names = {**self._fixed, **fixed}, ('I ',)
    return other

  def _drawn(self, name: str, entries: Sequence[Any]) -> Any:
    if name not in self._decks:
      self._decks[name] = Deck(self.draws, entries)
    return self._decks[name].draw()

  def _filled(self, part: _Part) -> str:
    if isinstance(part, tuple):
      return ''.join([self._filled(one) for one in part])
    if isinstance(part, list):
      return self._filled(part[below(self.draws, len(part))])
    return self._slot(part[1:-1]) if part[0] == '{' else part

  def _slot(self, name: str) -> str:
    if name in self._fixed:
      text = self._fixed[name]
      return self._slot(text[1:-1]) if text[:1] == '{' else text
    if name in ('S', 'R', 'L'):  # spans, put in last
      return f'{{{name}}}'
    if name.startswith('a_'):
      return article(self._slot(name[2:]))
    if name in _words():
      return self._filled(self._drawn(name, _words()[name]))
    if name in _OF_PLACES:
      name, form = _OF_PLACES[name]
      return form(self._drawn(name, self._own[name]))
    raise KeyError(f'{{{name}}}: a slot that no list of words fills')


def _lines(text: str) -> list[_Part]:
  return [_parsed(line) for line in text.split('\n') if line]


def _parsed(line: str) -> _Part:
  """A frame, so that filling it takes no search."""
  whole: list[_Part] = []
  choices: list[_Part] | None = None
  one: list[_Part] = []
  for token in _TOKEN.finditer(line):
    text = token.group()
    if text == '(':
      whole, one, choices = [*whole, *one], [], []
    elif choices is not None and text in '|)':
      choices.append(tuple(one))
      one = []
      if text == ')':
        whole, choices = [*whole, choices], None
    else:
      one.append(text)
  return (*whole, *one)


def _capital(text: str) -> str:
  return _SMALL.sub(lambda found: found[1] + found[2].upper(), text)


def article(text: str) -> str:
  return f'{"an" if _SILENT.match(text) else "a"} {text}'


def singular(entry: str) -> str:
  return entry.split('/')[0]


def plural(entry: str) -> str:
  """'knife/knives' says its plural; others follow the rule."""
  word, _, irregular = entry.partition('/')
  if irregular:
    return irregular
  if word.endswith('man'):
    return f'{word[:-3]}men'
  if word.endswith(('s', 'x', 'z', 'ch', 'sh')):
    return f'{word}es'
  return f'{word[:-1]}ies' if re.search(r'[^aeiou]y\Z', word) else f'{word}s'


_Form = Callable[[str], str]
_OF_PLACES: dict[str, tuple[str, _Form]] = dict(
  thing=('thing', singular),
  things=('thing', plural),
  place=('place', singular),
  role=('role', singular),
  roles=('role', plural),
  stuff=('stuff', singular),
  doing=('doing', singular),
  ill=('trouble', singular),
  occasion=('event', singular),
  trait=('trait', singular),
)
