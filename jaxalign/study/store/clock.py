"""Where a study's time goes: seconds of each kind of work, kept beside what it made."""

import collections
import contextlib
import json
import time

from jaxalign.files import read_json, write_text

FILE = 'times.json'


class Clock:
  """Charges every moment to the innermost work going on, on top of what earlier calls spent."""

  def __init__(self, home, writes=True):
    self.path, self.writes = home / FILE, writes
    self.spent, self.stack = collections.Counter(kept(home)), []
    self.since = time.perf_counter()

  @contextlib.contextmanager
  def on(self, what):
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


def kept(home):
  path = home / FILE
  return read_json(path, 'remove it: it only counts seconds') if path.exists() else {}


def total(homes):
  """{kind of work: seconds of all worlds}, the longest first."""
  found = collections.Counter()
  for home in homes:
    found.update(kept(home))
  return {what: round(seconds, 1) for what, seconds in found.most_common()}


def said(spent):
  """'explain 31 %, base 22 %, ...' of all that was spent."""
  whole = sum(spent.values()) or 1
  parts = ', '.join(f'{what} {seconds / whole:.0%}' for what, seconds in spent.items())
  return f'where {whole:.0f} s of work went: {parts}'
