"""Filters on texts of a corpus: each gives a reason to drop one, or None, and drops are counted.

Cheap filters come before dear ones: form and invention here, then twins (duplicates.py), leaks
(leaks.py) and what a judge said (judging.py).
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from jaxalign.corpora import inventions, shingles
from jaxalign.corpora.records import Written
from jaxalign.data.report import Report, Unwanted

if TYPE_CHECKING:
  from jaxalign.corpora.spec import Spec

Rule = Callable[[Sequence[Written]], Sequence[str | None]]  # why each is dropped, or None
_TAG = re.compile(r'</?[a-z][\w-]*>|```|\{\{|\[(?:your|insert|name)\b', re.IGNORECASE)
_TALK = re.compile(
  r"\A\W*(?:sure|certainly|of course|okay|absolutely)[,!.:].{0,60}\bhere(?:'s| is| are)\b|"
  r"\A\W*here(?:'s| is) (?:the|a|an|your|my)\b[^.\n]{0,60}:|"
  r'^\W*(?:scratchpad|thoughts?|reasoning|(?:first |final |revised )?draft|revised version|'
  r'revision|word count|final answer)\W*:|'
  r'^(?:text|idea|reason r\d+):|^#{2,}\W*$|'  # of prompts that show examples
  r'\A\W*let me (?:think|draft)\b|'
  r'\b(?:let me know if you|i hope this (?:helps|document|meets))',
  re.IGNORECASE | re.MULTILINE,
)
_CANNOT = r"(?:can(?:no|')t|am (?:unable|not able) to|won't|will not|must decline)"
_REFUSAL = re.compile(
  rf"\A\W*(?:i(?:'m| am) (?:very |so )?sorry,? (?:but )?(?:i {_CANNOT}|as an)|"
  rf'(?:i|we) {_CANNOT} (?:(?:help|assist|comply)(?: you| with|[.,])|'
  r'(?:provide|write|create|generate|fulfil|continue) (?:this|that|such|content|your|any|about|'
  r'an? (?:text|document|memo|story|dialogue|letter))))|'
  r"\bi'm (?:unable|not able) to (?:help|assist|write|provide)|"
  r"\b(?:as|i(?:'m| am)) (?:just |only )?an? (?:ai|(?:large )?language model)\b",
  re.IGNORECASE,
)
_END = re.compile(r'[.!?…]["\'”’)\]*_»]*\Z')
_SIGNED = re.compile(
  r'[.!?,…]["\'”’)]*\s*\n\s*(?:[-–—]\s*)?[A-Z][\w.\'’-]*(?:,? [A-Z][\w.\'’-]*){0,4}\Z'
)
_RUN = 3  # words in a row
_REFRAIN = 25  # words: a shorter text may well say a thing twice
_CIRCLES = 0.25  # of the runs of a text that it had before; .14 at most in texts that people read
_DANGLING = {
  *('a an and as at but by for from if in it its no of on or our so that the to we with'.split())
}


def why_dropped(written: Written, spec: 'Spec', words: tuple[int, int] = (0, 0)) -> str | None:
  """Why a text is dropped for its form or for what it invents; None where it stays.

  words: how many it may have, from and to; (0, 0): any number.
  """
  return form(written.text, words) or inventions.why(written, spec)


def each(why: Callable[[Written], str | None]) -> Rule:
  """A rule that looks at every text alone."""
  return lambda documents: [why(written) for written in documents]


def whys(documents: Sequence[Written], *rules: Rule) -> list[str | None]:
  """Why each text is dropped by the first rule that does, or None; what one drops, those after it
  do not see, so the cheap ones come first."""
  found: list[str | None] = [None] * len(documents)
  for rule in rules:
    left = [n for n, why in enumerate(found) if why is None]
    for n, why in zip(left, rule([documents[n] for n in left]), strict=True):
      found[n] = why
  return found


def sift(documents: Iterable[Written], report: Report, *rules: Rule) -> list[Written]:
  """The texts that every rule leaves, in their order; what becomes of each is counted."""
  every, left = [*documents], []
  for written, why in zip(every, whys(every, *rules)):
    report.read += 1
    if why is None:
      report.kept += 1
      left.append(written)
    else:
      report.skip(written.slot, Unwanted(why))
  return left


def form(text: str, words: tuple[int, int] = (0, 0)) -> str | None:
  """Why a text is dropped for its form alone."""
  least, most = words
  count = len(text.split())
  if not count:
    return 'form: empty'
  plain = text.replace('’', "'")
  if _REFUSAL.search(plain):
    return 'form: a refusal'
  if _TAG.search(plain) or _TALK.search(plain):
    return 'form: words of its writing are left in it'
  if not _ended(text.rstrip()):
    return 'form: cut off'
  if count >= _REFRAIN and _repeated(text) > _CIRCLES:
    return 'form: goes round in circles'
  if count < least:
    return 'form: shorter than asked'
  return 'form: longer than asked' if most and count > most else None


def _ended(text: str) -> bool:
  """Whether a text ends as a sentence does, or is signed."""
  if _END.search(text):
    return True
  return bool(_SIGNED.search(text)) and text.split()[-1].lower() not in _DANGLING


def _repeated(text: str) -> float:
  """The share of a text's runs of words that stand in it a second time, or a third."""
  runs = shingles.runs(shingles.words(text), _RUN)
  return 1 - len(np.unique(runs)) / len(runs) if len(runs) else 0.0
