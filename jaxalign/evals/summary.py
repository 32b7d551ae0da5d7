"""What a measure comes to: its mean, with an interval over what is independent, the cluster."""

import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np

from jaxalign.evals.item import Measure, Row

_DRAWS = 2000  # of the bootstrap
_Z = 1.959964  # of 95 %
_Interval = tuple[float | None, float | None]  # None of what has none


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
  of: dict[tuple[str, str], list[Row]] = {}
  for row in rows:
    of.setdefault((row.measure, row.judge), []).append(row)
  place = {measure.name: n for n, measure in enumerate(measures)}
  for name, judge in sorted(of, key=lambda one: (place.get(one[0], len(place)), one)):
    yield _line(name, judge, of[name, judge])


def _line(name: str, judge: str, rows: Sequence[Row]) -> Line:
  value_N = np.array([row.value for row in rows], np.float64)
  weight_N = np.array([row.weight for row in rows], np.float64)
  names = [row.cluster or row.unit for row in rows]
  clusters, of_N = np.unique(np.array(names), return_inverse=True)
  mean = float((value_N * weight_N).mean())
  alone = len(clusters) == len(rows) and (weight_N == 1).all()
  if alone and set(value_N.tolist()) <= {0.0, 1.0}:
    low, high = _wilson(mean, len(rows))
  else:
    low, high = _bootstrapped(value_N, weight_N, of_N)
  return Line(
    measure=name, judge=judge, n=len(rows), clusters=len(clusters), mean=mean, low=low, high=high
  )


def _wilson(rate: float, n: int) -> _Interval:
  """Wilson's interval of a rate of independent items."""
  centre = (rate + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
  half = _Z * math.sqrt(rate * (1 - rate) / n + _Z**2 / (4 * n**2)) / (1 + _Z**2 / n)
  return max(0.0, centre - half), min(1.0, centre + half)


def _bootstrapped(value_N: np.ndarray, weight_N: np.ndarray, of_N: np.ndarray) -> _Interval:
  """The percentile interval, clusters drawn with replacement: of the mean by weight, or of the
  difference of two where weights have both signs. of_N: the number of each row's cluster."""
  C = int(of_N.max()) + 1
  if C < 2:
    return None, None
  sides = [np.maximum(sign * weight_N, 0) for sign in (1, -1)]
  sums_SC = [np.bincount(of_N, side_N * value_N, C) for side_N in sides]
  sizes_SC = [np.bincount(of_N, side_N, C) for side_N in sides]
  rng = np.random.default_rng(0)
  drawn: list[float] = []
  for _ in range(_DRAWS):
    count_C = np.bincount(rng.integers(0, C, C), minlength=C)
    sizes = [float(count_C @ size_C) for size_C in sizes_SC]
    if all(size or not side_N.any() for size, side_N in zip(sizes, sides)):
      plus, minus = (
        float(count_C @ sum_C) / size if size else 0.0 for sum_C, size in zip(sums_SC, sizes)
      )
      drawn.append(plus - minus)
  low, high = np.quantile(drawn, [0.025, 0.975])
  return float(low), float(high)


def table(measures: Sequence[Measure], rows: Sequence[Row]) -> list[str]:
  """The lines that a person reads at the end."""
  head = ('measure', 'judge', 'n', 'value', '95 %')
  found = [
    (one.measure, one.judge or '-', f'{one.n:,}', f'{one.mean:.3f}', _shown(one))
    for one in lines(measures, rows)
  ]
  wide = [max(map(len, column)) for column in zip(head, *found)]
  return [
    '  '.join(
      cell.ljust(w) if n < 2 else cell.rjust(w) for n, (cell, w) in enumerate(zip(row, wide))
    ).rstrip()
    for row in (head, *found)
  ]


def _shown(one: Line) -> str:
  return '-' if one.low is None or one.high is None else f'{one.low:.3f} to {one.high:.3f}'
