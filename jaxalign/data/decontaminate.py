"""Leaves out of a training corpus what an evaluation will ask.

Prompts are compared whole, but for case, Unicode form, spacing and punctuation: no paraphrase is
found, and no question that a document quotes.
"""

import dataclasses
import functools
import hashlib
import sys
import unicodedata
from collections.abc import Iterable, Iterator

from jaxalign.config import UserError
from jaxalign.data.records import Conversation, Document, Pair, Record, Turn
from jaxalign.data.report import Report
from jaxalign.data.sources import Source


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Decontaminated:
  """`source` without every record that shares a prompt with one of the sets in `against`."""

  source: Source
  against: tuple[Source, ...]

  def check(self) -> None:
    if not self.against:
      raise UserError('against is empty: name the evaluation sets, or take the source itself')

  @property
  def name(self) -> str:
    return self.source.name

  def read(self, report: Report | None = None) -> Iterator[tuple[str, Record]]:
    self.check()
    report = report or Report()
    held = self._held()
    for where, record in self.source.read(report):
      found = {name for key in keys(record) for name in held.get(key, ())}
      if found:
        report.give_up(where, f'shares a prompt with {", ".join(sorted(found))}')
      else:
        yield where, record

  def _held(self) -> dict[bytes, tuple[str, ...]]:
    """Each prompt of the evaluation sets -> the sets that hold it."""
    held: dict[bytes, tuple[str, ...]] = {}
    for evaluation in self.against:
      report = Report()
      for _, record in evaluation.read(report):
        for key in keys(record):
          names = held.get(key, ())
          held[key] = names if report.name in names else (*names, report.name)
    return held


def keys(record: Record) -> Iterator[bytes]:
  """One for each prompt to which the record holds an answer, or is one."""
  if isinstance(record, Document):
    yield _key([normalise(record.text)])
  elif isinstance(record, Conversation):
    turns = _without_system(record.turns)
    said = [normalise(turn.text) for turn in turns]
    yield from (_key(said[:n]) for n, turn in enumerate(turns) if turn.role == 'assistant')
  else:
    turns = _without_system(record.prompt if isinstance(record, Pair) else record.turns)
    yield _key([normalise(turn.text) for turn in turns])


def _without_system(turns: Iterable[Turn]) -> list[Turn]:
  """A question is the same question under another system prompt."""
  return [turn for turn in turns if turn.role != 'system']


def _key(texts: list[str]) -> bytes:
  return hashlib.blake2b('\0'.join(texts).encode(), digest_size=16).digest()


def normalise(text: str) -> str:
  """The same for a retyped text; nothing but punctuation stays as it is, or it would equal any."""
  folded = unicodedata.normalize('NFKC', unicodedata.normalize('NFKC', text).casefold())
  return ' '.join(folded.translate(_blanks()).split()) or text


@functools.cache
def _blanks() -> dict[int, str]:
  """Punctuation, spaces and control characters; letters' marks and signs like + or emoji stay."""
  blank = {'Cc', 'Cf', 'Zs', 'Zl', 'Zp', 'Pc', 'Pd', 'Pe', 'Pf', 'Pi', 'Po', 'Ps'}
  points = range(sys.maxunicode + 1)
  return {point: ' ' for point in points if unicodedata.category(chr(point)) in blank}
