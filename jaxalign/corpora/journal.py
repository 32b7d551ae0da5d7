"""The journal of a corpus: every answer that was paid for, one JSON line each, for good.

All money and all chance of a corpus are in here, so that a run that was killed goes on, one with
other filters asks nothing, and anybody can look up what was said. A line is written in one piece as
its call ends; a tail that a kill tore is cut off at the start. A call that failed is never an
answer: a line of its own says what it cost all the same, and one more where it was given up, so
that every later run does without it too.
"""

import dataclasses
import json
import os
import time
from typing import Any

from absl import logging

from jaxalign.config import UserError
from jaxalign.corpora.records import Answer, Failure
from jaxalign.files import Place, content

_SYNC = 1.0  # seconds between two waits for the disk
_VERSION = 1
_FIELDS = {field.name for field in dataclasses.fields(Answer)}


class Journal:
  """The answers of one plan by their calls' ids; a context manager. One run at a time writes it:
  see workdir.alone."""

  def __init__(self, path: Place, plan: str):
    """plan: a hash of what decides the calls. The journal of another plan is refused."""
    self._path = os.fspath(path)
    if '://' in self._path:
      raise UserError(
        f'{self._path}: a journal is appended to, which buckets cannot: --workdir=DIR'
      )
    self._plan = plan
    self._answers: dict[str, Answer] = {}
    self.failed = 0
    self.given_up: set[str] = set()  # calls whose answer is empty, as none ever came
    self.spent = 0.0  # of all that was paid, for answers and for calls that failed
    there = content(self._path) if os.path.exists(self._path) else b''
    whole = there[: there.rfind(b'\n') + 1]
    if whole:
      self._read(whole)
    self._file = self._opened(len(whole), len(there))
    self._synced = time.monotonic()
    if not whole:
      self._append(dict(journal=_VERSION, plan=plan))

  def __enter__(self) -> 'Journal':
    return self

  def __exit__(self, *error: object) -> None:
    self.close()

  def __len__(self) -> int:
    return len(self._answers)

  def get(self, call: str) -> Answer | None:
    return self._answers.get(call)

  def add(self, answer: Answer) -> None:
    """Keeps one more, at once; a call that has its answer keeps it."""
    if answer.call in self._answers:
      return
    self._append({name: value for name, value in vars(answer).items() if name in _FIELDS})
    self._keep(answer)

  def lost(self, failure: Failure) -> None:
    """Counts a call that failed: it is asked again, and what it cost is spent."""
    self._append(dict(failed=failure.call, why=failure.why, cost=failure.cost))
    self._count(failure.cost)

  def give_up(self, call: str, why: str) -> None:
    """Does without an answer from now on: a text of it is as good as empty."""
    self._append(dict(given_up=call, why=why))
    self._leave(call)

  def _leave(self, call: str) -> None:
    self.given_up.add(call)
    self._keep(Answer(call=call, text='', cost=0.0))

  def _keep(self, answer: Answer) -> None:
    if answer.call not in self._answers:
      self._answers[answer.call] = answer
      self.spent += answer.cost or 0.0

  def _count(self, cost: float | None) -> None:
    self.failed += 1
    self.spent += cost or 0.0

  def close(self) -> None:
    """All of it is on the disk."""
    if self._file >= 0:
      os.fsync(self._file)
      os.close(self._file)
    self._file = -1

  def _opened(self, whole: int, there: int) -> int:
    os.makedirs(os.path.dirname(self._path) or '.', exist_ok=True)
    file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    if there > whole:
      logging.warning('%s: a torn last line of %d bytes is cut off', self._path, there - whole)
      os.ftruncate(file, whole)
    return file

  def _append(self, record: dict[str, Any]) -> None:
    line = (json.dumps(record, ensure_ascii=False, allow_nan=False) + '\n').encode(
      errors='backslashreplace'
    )
    before = os.fstat(self._file).st_size
    try:
      written = os.write(self._file, line)
      while written < len(line):  # a disk that is nearly full takes half, and then says so
        written += os.write(self._file, line[written:])
      if time.monotonic() - self._synced >= _SYNC:
        os.fsync(self._file)
        self._synced = time.monotonic()
    except OSError as error:
      os.ftruncate(self._file, before)  # half a line helps nobody
      error.filename = error.filename or self._path
      raise

  def _read(self, whole: bytes) -> None:
    first, *lines = whole.split(b'\n')[:-1]
    self._refuse_other(_parsed(first))
    damaged = 0
    for line in lines:
      record = _parsed(line)
      answer = _answer(record)
      if answer is not None:
        self._keep(answer)
      elif isinstance(record.get('given_up'), str):
        self._leave(record['given_up'])
      elif isinstance(record.get('failed'), str):
        cost = record.get('cost')
        self._count(cost if isinstance(cost, int | float) else None)
      else:
        damaged += 1
    if damaged:
      logging.warning('%s: %d damaged lines; their calls are asked again', self._path, damaged)

  def _refuse_other(self, head: dict[str, Any]) -> None:
    if head.get('journal') != _VERSION or not isinstance(head.get('plan'), str):
      raise UserError(f'{self._path} is no journal of this version: take another --workdir')
    if head['plan'] != self._plan:
      raise UserError(
        f'{self._path} is the journal of another plan ({head["plan"][:12]} there, '
        f'{self._plan[:12]} here): the spec, the recipe, a prompt, the seed or a teacher is not '
        'what it was; put it back, or take another --workdir'
      )


def _parsed(line: bytes) -> dict[str, Any]:
  """A JSON object; {} of a line that is none."""
  try:
    found = json.loads(line)
  except (ValueError, RecursionError):
    return {}
  return found if isinstance(found, dict) else {}


def _answer(record: dict[str, Any]) -> Answer | None:
  texts = isinstance(record.get('call'), str) and isinstance(record.get('text'), str)
  return Answer(**record) if texts and record.keys() <= _FIELDS else None
