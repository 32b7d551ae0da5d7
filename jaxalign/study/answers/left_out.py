"""Units that not every model has: what is left out of all, told by name and number."""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence

from jaxalign.config import UserError
from jaxalign.evals.evaluated import Evaluated
from jaxalign.evals.item import Row
from jaxalign.pictures import label

_LONG = 80  # characters of an example


@dataclasses.dataclass(frozen=True, kw_only=True)
class LeftOut:
  """Units of a measure that some runs have and others lack."""

  shared: tuple[str, ...]
  total: int  # units that any run has
  lacks: tuple[tuple[str, ...], ...]  # of each run

  @classmethod
  def of(cls, found: Sequence[Mapping[str, Row]]) -> 'LeftOut':
    every = sorted({unit for rows in found for unit in rows})
    return cls(
      shared=tuple(unit for unit in every if all(unit in rows for rows in found)),
      total=len(every),
      lacks=tuple(tuple(unit for unit in every if unit not in rows) for rows in found),
    )

  @property
  def count(self) -> int:
    return self.total - len(self.shared)

  def said(self, runs: Sequence[Evaluated]) -> str:
    """How many there are, and of each run how many it lacks, with an example."""
    parts = [
      f'{len(lacks)} not in {label(run.label)}{_example(lacks, runs)}'
      for lacks, run in zip(self.lacks, runs)
      if lacks
    ]
    return f'{self.count} of {self.total} units are not in all, {", ".join(parts)}'

  def refuse(self, name: str, runs: Sequence[Evaluated], most: float) -> None:
    if self.count and (self.count > most * self.total or not self.shared):
      share = f'above {most:.2%} of them'.replace('.00%', '%')
      raise UserError(
        f'{name}: {self.said(runs)}; that is {share}: ask both the same items, or leave them out '
        f'by --most_left_out={math.ceil(1e4 * self.count / self.total) / 1e4:g}'
        if self.shared
        else f'{name}: {self.said(runs)}, and none is shared: ask both the same items'
      )


def sentences(lost: Mapping[str, LeftOut], runs: Sequence[Evaluated]) -> Iterator[str]:
  """A sentence for each set of units that is left out, with the measures that lack it."""
  names: dict[LeftOut, list[str]] = {}
  for name, one in lost.items():
    if one.count:
      names.setdefault(one, []).append(name)
  for one, measures in names.items():
    yield f'{", ".join(measures)}: {one.said(runs)}: left out'


def _example(units: Sequence[str], runs: Sequence[Evaluated]) -> str:
  """What one of these units asks, where an item says so."""
  for run in runs:
    for text in _questions(units, run):
      return f' ({label(text, _LONG)!r} is one)'
  return f' (unit {units[0][:12]} is one)'


def _questions(units: Sequence[str], run: Evaluated) -> Iterator[str]:
  wanted = set(units)
  for name, item in run.items.items():
    if (name in wanted or item.unit in wanted) and item.question:
      yield item.question
