"""What an evaluation measured before, and what of it stays when it is judged anew.

A config may name fewer suites than were asked, or other judges: what it does not touch is kept, and
what it measures replaces what was there. A judge is known by its name, so that one name stands for
one fingerprint throughout.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence

from jaxalign.config import UserError
from jaxalign.evals import read
from jaxalign.evals.evaluated import About, AskedSuite
from jaxalign.evals.item import Measure, Row
from jaxalign.stages.contract import Workdir


@dataclasses.dataclass(frozen=True)
class _Earlier:
  """What stays of an evaluation, beside suites that are judged now."""

  about: About | None  # None where nothing was measured before
  rows: tuple[Row, ...]
  now: tuple[AskedSuite, ...]  # what is judged now

  def refuse_two_of_a_name(self, judges: Mapping[str, str]) -> None:
    """UserError where a judge of now ({name: fingerprint}) judged what stays by other rules."""
    if self.about is None:
      return
    for name, mark in judges.items():
      if self.about.judges.get(name, mark) == mark:
        continue
      left = sorted({_suite_of(row.measure) for row in self._elsewhere() if row.judge == name})
      if left:
        raise UserError(
          f'judge {name} judged {", ".join(left)} by other rules than it has now: name these '
          'suites in the config too, or give the judge another name'
        )

  def joined(
    self, about: About, judges: Mapping[str, str], measures: Sequence[Measure], rows: Sequence[Row]
  ) -> tuple[About, list[Row]]:
    """about, judges, measures and rows of now, with what stays behind them."""
    kept = self._kept(judges)
    before = self.about
    if before is None or not kept:
      return dataclasses.replace(about, judges=dict(judges), measures=tuple(measures)), list(rows)
    others = [one for one in before.suites if one.name not in self._names]
    known = {measure.name for measure in measures}
    used = {name for row in kept for name in row.judge.split('+')}
    return (
      dataclasses.replace(
        about,
        suites=(*about.suites, *others),
        judges=dict(judges) | {k: v for k, v in before.judges.items() if k in used - judges.keys()},
        measures=(*measures, *(one for one in before.measures if one.name not in known)),
        primaries=tuple(dict.fromkeys((*about.primaries, *self._of_others(before.primaries)))),
        margins=(
          *about.margins,
          *(one for one in before.margins if self._of_others((one.measure,))),
        ),
      ),
      [*rows, *kept],
    )

  @property
  def _names(self) -> set[str]:
    return {one.name for one in self.now}

  def _of_others(self, measures: Sequence[str]) -> list[str]:
    """Those of suites that are not judged now."""
    return [name for name in measures if _suite_of(name) not in self._names]

  def _elsewhere(self) -> list[Row]:
    return [row for row in self.rows if _suite_of(row.measure) not in self._names]

  def _kept(self, judges: Mapping[str, str]) -> list[Row]:
    """Rows of suites that are not judged now; and, of a suite that is asked as it was, of judges
    that do not judge now."""
    if self.about is None:
      return []
    before = list(map(_as_kept, self.about.suites))
    same = {one.name for one in self.now if _as_kept(one) in before}
    return self._elsewhere() + [
      row
      for row in self.rows
      if _suite_of(row.measure) in same and row.judge and not {*row.judge.split('+')} & {*judges}
    ]


def of(workdir: Workdir, about: About) -> _Earlier:
  """about: of what is judged now; another model's measures are none of these."""
  found = read.measured(workdir)
  if found is None or found[0].fingerprint != about.fingerprint:
    return _Earlier(None, (), about.suites)
  return _Earlier(found[0], tuple(found[1]), about.suites)


def _as_kept(suite: AskedSuite) -> str:
  return json.dumps(dataclasses.asdict(suite), sort_keys=True)


def _suite_of(measure: str) -> str:
  return measure.partition('/')[0]
