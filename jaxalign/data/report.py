"""What became of every row of a source: kept, bad, or dropped by a rule, counted and with examples.

A bad row is skipped, never mended; a source with over one in a hundred of them stops the run.
"""

import collections
import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from jaxalign.config import UserError
from jaxalign.data.records import Record

LIMIT = 0.01  # of the rows read may be bad
_HOPELESS = 1000  # rows after which a source that is mostly bad is not read to its end
_NAMED = 3  # rows shown of each reason
_LISTED = 10_000  # bad rows kept of each reason, for whoever mends them

Counts = collections.Counter[str]


class Fault(Exception):
  """This row is bad; the reason is the same text for every row of its sort."""


class MissingColumn(Fault):
  def __init__(self, column: str, there: Iterable[str], hint: str = ''):
    super().__init__(f'no column {column}')
    self.remedy = f'no column {column}; columns there: {", ".join(there) or "none"}{hint}'


class Unwanted(Exception):
  """Nothing is wrong with this row, but a rule leaves it out."""


@dataclasses.dataclass
class Report:
  name: str = ''
  read: int = 0
  kept: int = 0
  bad: Counts = dataclasses.field(default_factory=collections.Counter)
  dropped: Counts = dataclasses.field(default_factory=collections.Counter)
  noted: Counts = dataclasses.field(default_factory=collections.Counter)  # of rows that were kept
  examples: dict[str, list[str]] = dataclasses.field(default_factory=dict)

  def skip(self, where: str, error: Fault | Unwanted) -> None:
    bad = isinstance(error, Fault)
    counts, most = (self.bad, _LISTED) if bad else (self.dropped, _NAMED)
    self._count(counts, where, str(error), most)

  def give_up(self, where: str, reason: str) -> None:
    """A record that its source had kept is dropped by a rule after it."""
    self.kept -= 1
    self._count(self.dropped, where, reason)

  def _count(self, counts: Counts, where: str, reason: str, most: int = _NAMED) -> None:
    counts[reason] += 1
    examples = self.examples.setdefault(reason, [])
    if len(examples) < most:
      examples.append(where)

  def check(self, limit: float = LIMIT) -> None:
    bad = self.bad.total()
    if bad > limit * self.read:
      named = '; '.join(f'{reason} at {self.examples[reason][0]}' for reason in list(self.bad)[:3])
      raise UserError(
        f'{self.name}: {bad} of {self.read} rows are bad, over {LIMIT:.0%} ({named}): '
        'mend or remove them, or check the kind and the columns'
      )

  def finish(self) -> None:
    if not self.read:
      raise UserError(f'{self.name}: no rows in it; check the path and the split')
    self.check()
    if not self.kept:
      raise UserError(f'{self.name}: none of {self.read} rows is left ({self.why_dropped})')

  @property
  def why_dropped(self) -> str:
    return ', '.join(f'{count} {reason}' for reason, count in self.dropped.most_common())

  def __str__(self) -> str:
    lines = [f'{self.name}: {self.read} rows read, {self.kept} kept']
    for word, counts in (('bad', self.bad), ('dropped', self.dropped), ('noted', self.noted)):
      for reason, count in counts.most_common():
        some = self.examples.get(reason, [])[:_NAMED]
        at = ', '.join('/'.join(where.split('/')[-2:]) for where in some)
        lines.append(f'{count:>9} {word:<7} {reason}' + (f': {at}' if at else ''))
    return '\n'.join(lines)


def sift(
  rows: Iterable[tuple[str, Any]],
  convert: Callable[[Any, Counts], Record],
  report: Report | None,
  name: str,
) -> Iterator[tuple[str, Record]]:
  """The records of those rows that give one; where the rows end, the report is checked."""
  report = report or Report()
  report.name = report.name or name
  for where, row in rows:
    report.read += 1
    try:
      record = convert(row, report.noted)
    except MissingColumn as error:
      if not report.kept:  # a name in the config is wrong, rather than this one row
        raise UserError(f'{where}: {error.remedy}') from error
      report.skip(where, error)
    except (Fault, Unwanted) as error:
      report.skip(where, error)
    else:
      report.kept += 1
      yield where, record
    if report.read == _HOPELESS:
      report.check(limit=0.5)
  report.finish()
