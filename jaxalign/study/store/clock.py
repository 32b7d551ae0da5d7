"""Where a study's time goes: seconds of each kind of work, kept beside what it made."""

import collections
import contextlib
import dataclasses
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from etils import epath

from jaxalign.files import read_json, write_text
from jaxalign.study.store import compiling

FILE = 'times.json'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lap:
  """A piece of work that begins or has ended in a process, told while it goes on.

  seconds: of it alone, less what it waited for that is a piece of its own; compiling: of these,
  those in which programs were made.
  """

  worker: int  # its process
  name: str  # of the piece, in its world
  begins: bool = False
  seconds: float = 0.0
  compiling: float = 0.0


@dataclasses.dataclass
class _Open:
  """Work that is going on."""

  what: str
  seconds: float = 0.0
  compiling: float = 0.0


class Clock:
  """Charges every moment to the innermost work going on, on top of what earlier calls spent.
  tell(lap): is told of work that has a name, when it begins and when it is done."""

  def __init__(
    self, home: epath.Path, writes: bool = True, tell: Callable[[Lap], None] | None = None
  ):
    self.path, self.writes, self.tell = home / FILE, writes, tell
    self.spent: collections.Counter[str] = collections.Counter(spent_in(home))
    self.stack: list[_Open] = []
    self.since, self.compiled = time.perf_counter(), compiling.of_this_process().seconds

  @contextlib.contextmanager
  def on(self, what: str, name: str = '') -> Iterator[None]:
    self._charge()
    self.stack.append(_Open(what))
    self._told(name, begins=True)
    try:
      yield
    except BaseException:
      name = ''  # it is not done
      raise
    finally:
      self._charge()
      done = self.stack.pop()
      if self.writes:
        write_text(json.dumps(self.spent), self.path)
      self._told(name, seconds=done.seconds, compiling=done.compiling)

  def _told(self, name, **lap):
    if name and self.tell:
      self.tell(Lap(worker=os.getpid(), name=name, **lap))

  def _charge(self):
    now, compiled = time.perf_counter(), compiling.of_this_process().seconds
    if self.stack:
      inner, seconds = self.stack[-1], now - self.since
      self.spent[inner.what] += seconds
      inner.seconds += seconds
      inner.compiling += compiled - self.compiled
    self.since, self.compiled = now, compiled


def spent_in(home: epath.Path) -> dict[str, float]:
  """{kind of work: seconds} of one world."""
  path = home / FILE
  return read_json(path, 'remove it: it only counts seconds') if path.exists() else {}


def total(homes: Iterable[epath.Path]) -> dict[str, float]:
  """{kind of work: seconds of all worlds}, the longest first."""
  found: collections.Counter[str] = collections.Counter()
  for home in homes:
    found.update(spent_in(home))
  return {what: round(seconds, 1) for what, seconds in found.most_common()}


def said(spent: Mapping[str, float]) -> str:
  """'explain 31 %, base 22 %, ...' of all that was spent."""
  whole = sum(spent.values()) or 1
  parts = ', '.join(f'{what} {seconds / whole:.0%}' for what, seconds in spent.items())
  return f'where {whole:.0f} s of work went: {parts}'
