"""Where a study's time goes: seconds of each kind of work, kept beside what it made."""

import collections
import contextlib
import json
import time
from collections.abc import Iterable, Iterator, Mapping

from etils import epath

from jaxalign.files import read_json, write_text

FILE = 'times.json'


class Clock:
  """Charges every moment to the innermost work going on, on top of what earlier calls spent."""

  def __init__(self, home: epath.Path, writes: bool = True):
    self.path, self.writes = home / FILE, writes
    self.spent: collections.Counter[str] = collections.Counter(spent_in(home))
    self.stack: list[str] = []
    self.since = time.perf_counter()

  @contextlib.contextmanager
  def on(self, what: str) -> Iterator[None]:
    self._charge()
    self.stack.append(what)
    try:
      yield
    finally:
      self._charge()
      self.stack.pop()
      if self.writes:
        write_text(json.dumps(self.spent), self.path)

  def _charge(self):
    now = time.perf_counter()
    if self.stack:
      self.spent[self.stack[-1]] += now - self.since
    self.since = now


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
