"""What a measure comes to: its mean, with an interval over what is independent, the cluster; over
all of a suite, and over the slices of it that the measure names.
"""

import dataclasses
import json
from collections.abc import Iterator, Sequence

import numpy as np
from etils import epath

from jaxalign import estimates, paired
from jaxalign.evals.item import RATES, Measure, Row
from jaxalign.files import write_text
from jaxalign.paired import Units

_Key = tuple[str, str]  # (measure, judge)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Line:
  """A measure under one judge."""

  measure: str
  judge: str
  n: int  # rows
  clusters: int
  mean: float
  low: float | None  # of 95 %; None of a single cluster
  high: float | None
  by: str = ''  # what is sliced, and which part of it this is; '' of all
  part: str = ''


def lines(measures: Sequence[Measure], rows: Sequence[Row]) -> Iterator[Line]:
  """A Line of every measure and judge that has rows, in the order of the measures."""
  unit = {measure.name: measure.unit for measure in measures}
  for (name, judge), value_N, units in _parted(measures, rows):
    shares = unit.get(name, '') in RATES and bool(((value_N >= 0) & (value_N <= 1)).all())
    mean, low, high = estimates.of_one(value_N, units, shares)
    n, clusters = len(units), units.clusters
    yield Line(measure=name, judge=judge, n=n, clusters=clusters, mean=mean, low=low, high=high)


def parts(measures: Sequence[Measure], rows: Sequence[Row]) -> Iterator[Line]:
  """The same of each part of what a measure names as sliced: measure by measure, judge by judge."""
  for measure in measures:
    own = [row for row in rows if row.measure == measure.name]
    for judge in dict.fromkeys(row.judge for row in own):
      mine = [row for row in own if row.judge == judge]
      for by in measure.sliced:
        of: dict[str, list[Row]] = {}
        for row in mine:
          if part := dict(row.slices).get(by, ''):
            of.setdefault(part, []).append(row)
        for part, some in of.items():
          (line,) = lines([measure], some)
          yield dataclasses.replace(line, by=by, part=part)


def means(measures: Sequence[Measure], rows: Sequence[Row]) -> dict[_Key, float]:
  """The means alone: nothing is drawn."""
  return {key: paired.mean(value_N, units) for key, value_N, units in _parted(measures, rows)}


def _parted(
  measures: Sequence[Measure], rows: Sequence[Row]
) -> Iterator[tuple[_Key, np.ndarray, Units]]:
  """The rows of each measure and judge, by unit, as they are where two models are compared."""
  of: dict[_Key, list[Row]] = {}
  for row in sorted(rows, key=lambda row: row.unit):
    of.setdefault((row.measure, row.judge), []).append(row)
  place = {measure.name: n for n, measure in enumerate(measures)}
  for key in sorted(of, key=lambda key: (place.get(key[0], len(place)), key)):
    some = of[key]
    units = Units.of([row.cluster or row.unit for row in some], [row.weight for row in some])
    yield key, np.array([row.value for row in some], np.float64), units


def parts_table(found: Sequence[Line]) -> list[str]:
  """The lines that a person reads of the slices; none where nothing is sliced."""
  cells = [(one.measure, one.judge or '-', f'{one.by}={one.part}', *_numbers(one)) for one in found]
  head = ('measure', 'judge', 'slice', 'n', 'value', '95 %')
  return _laid((head, *cells), '<<<>><') if found else []


def table(measures: Sequence[Measure], found: Sequence[Line]) -> list[str]:
  """The lines that a person reads at the end; beside a number what it is held against."""
  known = {measure.name: baselines(measure.chance, measure.baselines) for measure in measures}
  head = ('measure', 'judge', 'n', 'value', '95 %', 'baselines')
  cells = [
    (one.measure, one.judge or '-', *_numbers(one), known.get(one.measure, '')) for one in found
  ]
  return _laid((head, *cells), '<<>>><')


def _numbers(one: Line) -> tuple[str, str, str]:
  return f'{one.n:,}', f'{one.mean:.3f}', _shown(one)


def _laid(cells: Sequence[tuple[str, ...]], sides: str) -> list[str]:
  """Columns as wide as their longest cell; sides: to which of its two each stands."""
  wide = [max(map(len, column)) for column in zip(*cells)]
  return [
    '  '.join(f'{cell:{side}{w}}' for cell, side, w in zip(row, sides, wide)).rstrip()
    for row in cells
  ]


def write(text: str, found: Sequence[Line], workdir: epath.Path) -> None:
  """summary.txt, for a person, and summary.json, whose lines have the slices too."""
  write_text(text, workdir / 'summary.txt')
  lines = [dataclasses.asdict(line) for line in found]
  write_text(json.dumps(lines, indent=1, ensure_ascii=False) + '\n', workdir / 'summary.json')


def baselines(chance: float | None, known: Sequence[tuple[str, float]]) -> str:
  """What a model that knows nothing gets, and rules that read no question."""
  every = known if chance is None else (('chance', chance), *known)
  return ', '.join(f'{name} {value:.3f}' for name, value in every)


def _shown(one: Line) -> str:
  return '-' if one.low is None or one.high is None else f'{one.low:.3f} to {one.high:.3f}'
