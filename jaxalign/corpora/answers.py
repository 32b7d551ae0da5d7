"""What a teacher's answer holds: marked spans, a list, or a JSON object. Nothing is guessed: an
answer of another form gives nothing, and its caller writes the slot again or leaves it out.

Marks in a text are <statement>..</statement>, <limit>..</limit> and, of a reason, its id, as
<r2>..</r2>. They are taken out of the text and kept as offsets.
"""

import json
import re
from collections.abc import Collection, Iterable
from typing import Any

from jaxalign.corpora.records import LIMIT, STATEMENT, Span

_MARK = re.compile(r'<(/?)([a-z][a-z0-9_-]*)>')
_BULLET = re.compile(r'\s*(?:[-*•]|\(?\d{1,3}[.):])\s+')
_FENCE = re.compile(r'\A\s*```\w*\s*\n(.*?)\n?```\s*\Z', re.DOTALL)


def spans_of(text: str) -> tuple[str, tuple[Span, ...]] | None:
  """(the text without its marks, their spans in order); None where a mark is not closed, closed
  twice, within another, or around nothing."""
  clean, spans, opened, start, at = '', [], '', 0, 0
  for mark in _MARK.finditer(text):
    clean += text[at : mark.start()]
    at = mark.end()
    if not mark[1]:
      if opened:
        return None
      opened, start = mark[2], len(clean)
    elif mark[2] != opened:
      return None
    else:
      inside = clean[start:]
      first = start + len(inside) - len(inside.lstrip())
      last = start + len(inside.rstrip())
      if first >= last:
        return None
      spans.append(Span(kind=opened, start=first, end=last))
      opened = ''
  if opened:
    return None
  return _stripped(clean + text[at:], spans)


def _stripped(text: str, spans: list[Span]) -> tuple[str, tuple[Span, ...]]:
  """Without the space around it: a span begins and ends in a letter, so that none is cut."""
  less = len(text) - len(text.lstrip())
  moved = (Span(kind=one.kind, start=one.start - less, end=one.end - less) for one in spans)
  return text.strip(), tuple(moved)


def unmarked(text: str, known: Collection[str]) -> str:
  """A text without marks of these kinds: it serves where no span is needed. Others stay: what they
  mark, as <reasoning>, is no part of the text, and the filter of form drops it."""
  return _MARK.sub(lambda mark: '' if mark[2] in known else mark[0], text).strip()


def read(text: str, known: Collection[str]) -> tuple[str, tuple[Span, ...]]:
  """(the text without marks of these kinds, its spans); () where one is ill-formed, or of no kind
  that is known."""
  found = spans_of(text)
  if found is None or any(span.kind not in known for span in found[1]):
    return unmarked(text, known), ()
  return found


def kinds(reasons: Iterable[str]) -> set[str]:
  """Kinds of mark that a text may have: statement, limit and these reasons."""
  return {STATEMENT, LIMIT, *reasons}


def listed(text: str) -> list[str]:
  """The entries of a list: one JSON array of texts, or one entry a line; [] where there is none."""
  fence = _FENCE.match(text)
  inside = (fence[1] if fence else text).strip()
  if inside.startswith('['):
    found = _json(inside)
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
      return []
    lines = found
  else:
    lines = [_BULLET.sub('', line, count=1) for line in inside.splitlines()]
  return [' '.join(line.split()) for line in lines if line.strip()]


def found(text: str) -> dict[str, Any] | None:
  """The JSON object that an answer is, whole; None of prose, or where more stands around it than
  a fence."""
  fence = _FENCE.match(text)
  there = _json(fence[1] if fence else text)
  return there if isinstance(there, dict) else None


def _json(text: str) -> Any:
  try:
    return json.loads(text, object_pairs_hook=_once)
  except (ValueError, RecursionError):
    return None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
  """An object that says nothing twice: of two verdicts in one answer neither counts."""
  if len(dict(pairs)) < len(pairs):
    raise ValueError('a name occurs twice')
  return dict(pairs)
