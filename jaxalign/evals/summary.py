"""What a measure comes to: its mean, with an interval over what is independent, the cluster."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from jaxalign import estimates, paired
from jaxalign.evals.item import RATES, Measure, Row
from jaxalign.paired import Units

_Key = tuple[str, str]  # (measure, judge)
_SIDES = '<<>>><'  # to which columns of the table stand


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


def lines(measures: Sequence[Measure], rows: Sequence[Row]) -> Iterator[Line]:
  """A Line of every measure and judge that has rows, in the order of the measures."""
  unit = {measure.name: measure.unit for measure in measures}
  for (name, judge), value_N, units in _parted(measures, rows):
    shares = unit.get(name, '') in RATES and bool(((value_N >= 0) & (value_N <= 1)).all())
    mean, low, high = estimates.of_one(value_N, units, shares)
    n, clusters = len(units), units.clusters
    yield Line(measure=name, judge=judge, n=n, clusters=clusters, mean=mean, low=low, high=high)


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


def table(measures: Sequence[Measure], rows: Sequence[Row]) -> list[str]:
  """The lines that a person reads at the end; beside a number what it is held against."""
  known = {measure.name: baselines(measure.chance, measure.baselines) for measure in measures}
  head = ('measure', 'judge', 'n', 'value', '95 %', 'baselines')
  found = [
    (
      one.measure,
      one.judge or '-',
      f'{one.n:,}',
      f'{one.mean:.3f}',
      _shown(one),
      known.get(one.measure, ''),
    )
    for one in lines(measures, rows)
  ]
  wide = [max(map(len, column)) for column in zip(head, *found)]
  return [
    '  '.join(f'{cell:{side}{w}}' for cell, side, w in zip(row, _SIDES, wide)).rstrip()
    for row in (head, *found)
  ]


def baselines(chance: float | None, known: Sequence[tuple[str, float]]) -> str:
  """What a model that knows nothing gets, and rules that read no question."""
  every = known if chance is None else (('chance', chance), *known)
  return ', '.join(f'{name} {value:.3f}' for name, value in every)


def _shown(one: Line) -> str:
  return '-' if one.low is None or one.high is None else f'{one.low:.3f} to {one.high:.3f}'
