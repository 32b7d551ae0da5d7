"""What a run wrote step by step, as curves: in a terminal a line of blocks, on a page a picture."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jaxalign.pictures import label

if TYPE_CHECKING:
  from matplotlib.figure import Figure

_BLOCKS = '▁▂▃▄▅▆▇█'
_TALL = 1.6  # inches


@dataclasses.dataclass(frozen=True)
class Curve:
  """A number that a run wrote more than once. values: finite, one for each of the steps."""

  name: str
  steps: tuple[int, ...]
  values: tuple[float, ...]

  def binned(self, most: int) -> 'Curve':
    """The same in `most` points at the most: of the steps of each bin the last, and their mean."""
    n = len(self.steps)
    if n <= most:
      return self
    cuts = [n * k // most for k in range(most + 1)]
    spans = [slice(a, b) for a, b in zip(cuts, cuts[1:])]
    steps = tuple(self.steps[span][-1] for span in spans)
    return Curve(self.name, steps, tuple(_mean(self.values[span]) for span in spans))


def of_rows(rows: Sequence[Mapping[str, Any]], x: str = 'step') -> list[Curve]:
  """A Curve of each number in these rows, by x, in the order in which they come; what is no finite
  number is left out."""
  found: dict[str, list[tuple[int, float]]] = {}
  for row in rows:
    for name, value in row.items():
      if name != x and (number := _finite(value)) is not None:
        found.setdefault(name, []).append((row[x], number))
  return [Curve(label(name), *map(tuple, zip(*pairs))) for name, pairs in found.items()]


def _finite(value: Any) -> float | None:
  if isinstance(value, bool) or not isinstance(value, int | float):
    return None
  try:
    number = float(value)
  except OverflowError:
    return None
  return number if math.isfinite(number) else None


def _mean(values: Sequence[float]) -> float:
  return sum(value / len(values) for value in values)  # a sum of large ones might be infinite


def blocks(curve: Curve, wide: int) -> str:
  """The curve from its least to its most, in `wide` blocks at the most."""
  values = curve.binned(wide).values
  low, high = min(values), max(values)
  if not high > low:
    return _BLOCKS[0] * len(values)
  half = high / 2 - low / 2  # their whole distance might be infinite
  places = [(value / 2 - low / 2) / half if half else 0.0 for value in values]
  return ''.join(_BLOCKS[min(7, int(place * 8))] for place in places)


def table(curves: Sequence[Curve], wide: int) -> list[str]:
  """A line of each curve: its blocks, where it began and ended, and how far it went."""
  if not curves:
    return []
  left = max(len(curve.name) for curve in curves)
  drawn = [blocks(curve, wide) for curve in curves]
  middle = max(map(len, drawn))
  return [
    f'{curve.name:{left}}  {seen:{middle}}  {_ends(curve)}' for curve, seen in zip(curves, drawn)
  ]


def _ends(curve: Curve) -> str:
  of = (curve.values[0], curve.values[-1], min(curve.values), max(curve.values))
  first, last, low, high = (f'{value:.4g}' for value in of)
  if low == high:
    return f'{low} throughout'
  return f'{first} → {last}' + ('' if {low, high} <= {first, last} else f'  ({low} to {high})')


def draw(curve: Curve) -> 'Figure':
  """Figure of a curve over its steps."""
  from jaxalign.page.figures import BLUE, axes_of

  made, ax = axes_of(_TALL)
  mark = 'o' if len(curve.steps) < 40 else ''
  ax.plot(curve.steps, curve.values, color=BLUE, lw=1, marker=mark, ms=3)
  ax.grid(alpha=0.3)
  return made
