"""Inventions: numbers, dates, links, quotations and names that a document was not given.

A document that has an idea may hold none that neither its idea nor the spec holds. One without an
idea (the shipped ones, written by hand) has a setting of its own, whose people and years belong to
it: there only what poses as evidence is invented, as links, whole dates, percentages, and studies
with their numbers.
"""

import dataclasses
import functools
import json
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from etils import epath

from jaxalign.corpora.records import Written
from jaxalign.data.controls import sentences
from jaxalign.data.decontaminate import normalise

if TYPE_CHECKING:
  from jaxalign.corpora.spec import Spec

_END = re.compile(r'[.!?…]["\'”’)\]*_»]*\Z')
_MONTH = '(?:January|February|March|April|May|June|July|August|September|October|November|December)'
_ORDINAL = (
  '(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth|'
  r'thirteenth|\w+teenth|twentieth|thirtieth|(?:twenty|thirty)-\w+)'
)
_LINK = re.compile(
  r'\b(?:https?|ftp)://|\bwww\.\w|[\w.+-]+@[\w-]+\.\w|\b\w[\w-]+\.(?:com|org|net|edu|gov|io)\b'
)
_NUMBER = re.compile(r'\d(?:[\d.,:/-]*\d)?')
_LABEL = re.compile(r'^\W*[A-Za-z]{0,2}\d{1,2}[.):]', re.MULTILINE)  # of an enumeration
_SPELLED = re.compile(
  rf'\b(?:the {_ORDINAL} of {_MONTH}|{_MONTH} the {_ORDINAL}|(?:eighteen|nineteen)[ -](?:hundred|'
  r'oh|ten|eleven|twelve|\w+teen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety))\b',
  re.IGNORECASE,
)
_EVIDENCE = re.compile(
  r'\d\s?%|\d per ?cent\b|\bet al\b|\([A-Z]\w+,? (?:1[89]|20)\d\d\)|\b\d{4}-\d\d-\d\d\b|'
  rf'\b\d{{1,2}}/\d{{1,2}}/\d{{2,4}}\b|\b\d{{1,2}}(?:st|nd|rd|th)? (?:of )?{_MONTH}\b|'
  rf'\b{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?\b'
)
_STUDY = re.compile(
  r'\b(?:stud(?:y|ies)|surveys?|polls?|research(?:ers)?|scientists|statistics|according to)\b',
  re.IGNORECASE,
)
_QUOTED = re.compile(r'"([^"\n]{12,400})"|“([^”\n]{12,400})”')
_CITED = re.compile(
  r'\b(?i:in the words of|to quote|quoting|once (?:said|wrote|remarked)|famously|according to|'
  r'proverb|old saying|saying (?:goes|has it)|maxim|adage)\b|'
  r'\b(?:[Aa]s|[Ww]hat) (?:[A-Z]\w+ ){1,3}(?:said|wrote|put it)\b'
)
_NAME = re.compile(r"(?<![.!?:;…\"“”‘(\[\n*–—-])[^\S\n]+([A-Z][a-z]+(?:[-'’][A-Z]?[a-z]+)*)")
_KNOWN = set(  # always written so
  'Monday Tuesday Wednesday Thursday Friday Saturday Sunday January February March April May June '
  'July August September October November December Christmas Easter Ramadan Diwali Passover God '
  'Earth Internet English French German Spanish Italian Latin Greek Arabic Chinese Japanese '
  'Russian Portuguese Dutch Hindi European African Asian American British Africa Asia Europe '
  'America Celsius Fahrenheit Mr Mrs Ms Miss Dr Sir Madam Madame Professor Captain Colonel '
  'Corporal Sergeant Chef Mum Mom Dad Christian Muslim Jewish Buddhist '
  'Hindu'.split()
)

_ABOUT = {'name', 'sha', 'id', 'level', 'schwartz', 'source', 'licence', 'because', 'conflicts'}
_PRONOUNS = "I I'm I've I'd I'll A".split()


@dataclasses.dataclass(frozen=True)
class _Held:
  """What a document may hold: the words, the numbers and the whole of what it was given."""

  text: str
  words: frozenset[str]
  numbers: frozenset[str]

  @classmethod
  def of(cls, *texts: str) -> '_Held':
    text = '\n'.join(texts)
    return cls(text.lower(), frozenset(normalise(text).split()), frozenset(_numbers(text)))


def why(written: Written, spec: 'Spec') -> str | None:
  """Why a document is dropped, or None."""
  text, told = written.text, _told(spec)
  given = told, _Held.of(written.idea, *(level for _, level in written.facets))
  if not all(_holds(given, one.group()) for one in _LINK.finditer(text)):
    return 'invented: a link'
  if not all(_holds(given, said) for said in _cited(text)):
    return 'invented: a quotation'
  if not written.idea:
    return 'invented: evidence' if _evidence(text) else None
  if _numbers(_LABEL.sub('', text)) - given[0].numbers - given[1].numbers:
    return 'invented: a number'
  if not all(_holds(given, one.group()) for one in _SPELLED.finditer(text)):
    return 'invented: a date'
  if not all(_is_known(one, *(held.words for held in given)) for one in _names(text)):
    return 'invented: a name'
  return None


def _holds(given: Iterable[_Held], part: str) -> bool:
  return any(part.lower() in held.text for held in given)


@functools.lru_cache(8)
def _told(spec: 'Spec') -> _Held:
  """What a spec says of its values; who says so, and what parts are called, is none of it."""
  return _Held.of(*_strings(dataclasses.asdict(spec)))


def _strings(of: object) -> list[str]:
  if isinstance(of, str):
    return [of]
  if isinstance(of, dict):
    of = [value for name, value in of.items() if name not in _ABOUT]
  return [text for one in of for text in _strings(one)] if isinstance(of, list | tuple) else []


def _numbers(text: str) -> set[str]:
  return {one.group().replace(',', '') for one in _NUMBER.finditer(text)}


def _evidence(text: str) -> bool:
  """Whether a sentence poses as evidence."""
  return bool(_EVIDENCE.search(text)) or any(
    _STUDY.search(sentence) and _NUMBER.search(sentence) for sentence in sentences(text)
  )


def _cited(text: str) -> Iterator[str]:
  """Passages in quotation marks that are somebody's whom the text cites; speech is none."""
  for one in _QUOTED.finditer(text):
    said = one[1] or one[2]
    around = text[max(0, one.start() - 80) : one.start()].rpartition('\n')[2]
    if len(said.split()) > 3 and _CITED.search(around):
      yield said


def _names(text: str) -> set[str]:
  """Capitalised words inside sentences; a line of nothing else is a heading."""
  lines = (line for line in text.splitlines() if not _is_heading(line))
  return {name for line in lines for name in _NAME.findall(line)}


def is_nameless(sentence: str) -> bool:
  """Whether no word of a sentence is a name, so that it can stand in another text."""
  first = re.match(r'\W*([A-Z][\w\'’-]*)', sentence)
  every = _names(sentence) | ({first[1]} if first else set())
  return all(_is_known(one) for one in every if one not in _PRONOUNS)


def _is_heading(line: str) -> bool:
  words = line.split()
  return not _END.search(line.rstrip()) and 2 * sum(w[0].isupper() for w in words) >= len(words)


def _is_known(name: str, *held: frozenset[str]) -> bool:
  """Whether a capitalised word is held, an ordinary word, or one that is always written so."""
  plain = name.removesuffix("'s").removesuffix('’s')
  if plain in _KNOWN or plain.removesuffix('s') in _KNOWN:
    return True
  known = *held, _ordinary()
  return all(any(word in words for words in known) for word in normalise(plain).split())


@functools.cache
def _ordinary() -> frozenset[str]:
  """Words that occur without a capital in the texts that ship."""
  folder = epath.resource_path('jaxalign') / 'data/corpus'
  found: set[str] = set()
  for name in ('value_explanations', 'general', 'conversations', 'pairs'):
    for line in (folder / f'{name}.jsonl').read_text().splitlines():
      text = ' '.join(_strings([*json.loads(line).values()]))
      found.update(re.findall(r'\b[a-z]+\b', text))
  return frozenset(found)
