"""Filters on texts of a corpus: form, and what is invented; each drop has its reason, and is counted.

A document that has an idea may hold no number, date, link, quotation or name that neither its idea
nor the spec holds. One without an idea (the shipped ones, written by hand) has a setting of its
own, whose people and years belong to it: there only what poses as evidence is invented, as links,
whole dates, percentages, and studies with their numbers.
"""

import functools
import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from etils import epath

from jaxalign.corpora.records import Written
from jaxalign.data.controls import sentences
from jaxalign.data.decontaminate import normalise
from jaxalign.data.report import Report, Unwanted

if TYPE_CHECKING:
  from jaxalign.corpora.spec import Spec

Rule = Callable[[Sequence[Written]], Sequence[str | None]]  # why each is dropped, or None
_TAG = re.compile(r'</?[a-z][\w-]*>|```|\{\{|\[(?:your|insert|name)\b', re.IGNORECASE)
_TALK = re.compile(
  r'\A\W*(?:sure|certainly|of course|okay|absolutely)[,!.:].{0,60}\bhere\b|'
  r"\A\W*here(?:'s| is) (?:the|a|an|your|my)\b[^.\n]{0,60}:|"
  r'^\W*(?:scratchpad|thoughts?|reasoning|(?:first |final |revised )?draft|revised version|'
  r'revision|word count|final answer)\W*:|'
  r'\A\W*let me (?:think|draft|write|start)|'
  r'\b(?:let me know if you|i hope this (?:helps|document|meets))',
  re.IGNORECASE | re.MULTILINE,
)
_REFUSAL = re.compile(
  r"\A\W*(?:i(?:'m| am) (?:very |so )?sorry,? (?:but )?(?:i|as)\b|(?:i|we) (?:can(?:no|')t|am unable "
  r"to|won't|will not) (?:help|assist|write|provide|comply|fulfil|continue|create|generate|do)|"
  r"i(?:'m| am) (?:unable|not able) to\b)|\bas an? (?:ai|(?:large )?language model)\b|"
  r"\bi(?:'m| am) (?:just |only )?an? (?:ai|language model)\b",
  re.IGNORECASE,
)
_END = re.compile(r'[.!?…]["\'”’)\]*_»]*\Z')
_SIGNED = re.compile(
  r'[.!?,…]["\'”’)]*\s*\n\s*(?:[-–—]\s*)?[A-Z][\w.\'’-]*(?:,? [A-Z][\w.\'’-]*){0,4}\Z'
)
_DANGLING = set(
  'a an and as at but by for from if in it its no of on or our so that the to we with'.split()
)

_MONTH = (
  r'(?:January|February|March|April|May|June|July|August|September|October|November|December)'
)
_LINK = re.compile(
  r'\b(?:https?|ftp)://|\bwww\.\w|[\w.+-]+@[\w-]+\.\w|\b\w[\w-]+\.(?:com|org|net|edu|gov|io)\b'
)
_NUMBER = re.compile(r'\d(?:[\d.,:/-]*\d)?')
_LABEL = re.compile(r'^\W*[A-Za-z]{0,2}\d{1,2}[.):]', re.MULTILINE)  # of an enumeration
_TEENS = r'(?:eleventh|twelfth|thirteenth|fourteenth|fifteenth|sixteenth|seventeenth|eighteenth|nineteenth)'
_ORDINAL = (
  r'(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|twentieth|thirtieth|'
  rf'{_TEENS}|(?:twenty|thirty)-\w+)'
)
_SPELLED = re.compile(
  rf'\b(?:the {_ORDINAL} of {_MONTH}|{_MONTH} the {_ORDINAL}|(?:[Ee]ighteen|[Nn]ineteen)[ -](?:hundred|oh|'
  r'ten|eleven|twelve|\w+teen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)\b)'
)
_EVIDENCE = re.compile(
  r'\d\s?%|\d per ?cent\b|\bet al\b|\([A-Z]\w+,? (?:1[89]|20)\d\d\)|\b\d{4}-\d\d-\d\d\b|\b\d{1,2}/\d{1,2}/\d{2,4}\b|'
  rf'\b\d{{1,2}}(?:st|nd|rd|th)? (?:of )?{_MONTH}\b|\b{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?\b'
)
_STUDY = re.compile(
  r'\b(?:stud(?:y|ies)|surveys?|polls?|research(?:ers)?|scientists|statistics|according to)\b',
  re.IGNORECASE,
)
_QUOTED = re.compile(r'"([^"\n]{12,400})"|“([^”\n]{12,400})”')
_CITED = re.compile(
  r'\b(?:in the words of|to quote|quoting|quoted|once (?:said|wrote|remarked)|famously|(?:as|what) '
  r'(?:[A-Z]\w+ ){1,3}(?:said|wrote|put it)|(?:proverb|saying|maxim|adage)\b|according to)',
)
_NAME = re.compile(r"(?<![.!?:;…\"“”‘(\[\n*–—-])[^\S\n]+([A-Z][a-z]+(?:[-'’][A-Z]?[a-z]+)*)")
_KNOWN = set(
  'Monday Tuesday Wednesday Thursday Friday Saturday Sunday January February March April May June '
  'July August September October November December Christmas Easter Ramadan Diwali Passover God '
  'Earth Internet English French German Spanish Italian Latin Greek Arabic Chinese Japanese Russian '
  'Portuguese Dutch Hindi European African Asian American British Africa Asia Europe America '
  'Mr Mrs Ms Miss Dr Sir Madam Professor Christian Muslim Jewish Buddhist Hindu'.split()
)


def why_dropped(written: Written, spec: 'Spec', words: tuple[int, int] = (0, 0)) -> str | None:
  """Why a text is dropped for its form or for what it invents; None where it stays.

  words: how many it may have, from and to; (0, 0): any number.
  """
  return _form(written.text, words) or _invention(written, spec)


def each(why: Callable[[Written], str | None]) -> Rule:
  """A rule that looks at every text alone."""
  return lambda documents: [why(written) for written in documents]


def sift(documents: Iterable[Written], report: Report, *rules: Rule) -> list[Written]:
  """The texts that every rule leaves, in their order; the cheap rules come first, and what one of
  them drops the next does not see."""
  left = list(documents)
  report.read += len(left)
  for rule in rules:
    whys = list(zip(left, rule(left), strict=True))
    for written, why in whys:
      if why is not None:
        report.skip(written.slot, Unwanted(why))
    left = [written for written, why in whys if why is None]
  report.kept += len(left)
  return left


def _form(text: str, words: tuple[int, int]) -> str | None:
  least, most = words
  count = len(text.split())
  if not count:
    return 'form: empty'
  if _REFUSAL.search(text):
    return 'form: a refusal'
  if _TAG.search(text) or _TALK.search(text):
    return 'form: words of its writing are left in it'
  if not _ended(text.rstrip()):
    return 'form: cut off'
  if count < least:
    return 'form: shorter than asked'
  return 'form: longer than asked' if most and count > most else None


def _ended(text: str) -> bool:
  """Whether a text ends as a sentence does, or is signed."""
  if _END.search(text):
    return True
  return bool(_SIGNED.search(text)) and text.split()[-1].lower() not in _DANGLING


def _invention(written: Written, spec: 'Spec') -> str | None:
  text = written.text
  held = f'{_told(spec)}\n{written.idea}\n' + '\n'.join(text for _, text in written.facets)
  if any(one.group() not in held for one in _LINK.finditer(text)):
    return 'invented: a link'
  if _cites(text, held):
    return 'invented: a quotation'
  if not written.idea:
    return 'invented: evidence' if _evidence(text) else None
  if _numbers(_LABEL.sub('', text)) - _numbers(held):
    return 'invented: a number'
  if any(one.group().lower() not in held.lower() for one in _SPELLED.finditer(text)):
    return 'invented: a date'
  known = set(normalise(held).split())
  if any(not _is_known(one, known) for one in _names(text)):
    return 'invented: a name'
  return None


@functools.lru_cache(8)
def _told(spec: 'Spec') -> str:
  """All that a spec says, as one text."""
  import dataclasses

  return '\n'.join(_strings(dataclasses.asdict(spec)))


def _strings(of: object) -> list[str]:
  if isinstance(of, str):
    return [of]
  inside = of.values() if isinstance(of, dict) else of if isinstance(of, (list, tuple)) else ()
  return [text for one in inside for text in _strings(one)]


def _numbers(text: str) -> set[str]:
  return {one.group().replace(',', '') for one in _NUMBER.finditer(text)}


def _evidence(text: str) -> bool:
  """Whether a sentence poses as evidence."""
  return bool(_EVIDENCE.search(text)) or any(
    _STUDY.search(sentence) and _NUMBER.search(sentence) for sentence in sentences(text)
  )


def _cites(text: str, held: str) -> bool:
  """Whether a passage in quotation marks is somebody's whom the text cites; speech is none."""
  for one in _QUOTED.finditer(text):
    said = one[1] or one[2]
    around = text[max(0, one.start() - 80) : one.start()].rpartition('\n')[2]
    if len(said.split()) > 3 and said not in held and _CITED.search(around):
      return True
  return False


def _names(text: str) -> set[str]:
  """Capitalised words inside sentences; a line of nothing else is a heading."""
  lines = (line for line in text.splitlines() if not _is_heading(line))
  return {name for line in lines for name in _NAME.findall(line)}


def _is_heading(line: str) -> bool:
  words = line.split()
  return not _END.search(line.rstrip()) and 2 * sum(w[0].isupper() for w in words) >= len(words)


def _is_known(name: str, held: set[str]) -> bool:
  """Whether a capitalised word is held, an ordinary word, or one that is always written so."""
  plain = set(normalise(name.removesuffix("'s").removesuffix('’s')).split())
  return name in _KNOWN or plain <= held or bool(plain) and plain <= _ordinary()


@functools.cache
def _ordinary() -> frozenset[str]:
  """Words that occur without a capital in the texts that ship."""
  folder = epath.resource_path('jaxalign') / 'data/corpus'
  found: set[str] = set()
  for name in ('value_explanations', 'general', 'conversations', 'pairs'):
    for line in (folder / f'{name}.jsonl').read_text().splitlines():
      text = ' '.join(_strings(json.loads(line)))
      found.update(re.findall(r'\b[a-z]{2,}\b', text))
  return frozenset(found)
