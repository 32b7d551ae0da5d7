"""Rows of one test as aligned arrays: arms, seeds, items."""

import collections
import dataclasses
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np

from jaxalign import statistics
from jaxalign.config import UserError
from jaxalign.study.store.rows import Row


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
  """One test, arms x seeds x items, with nothing missing: every arm was asked the same."""

  test: str
  after: str
  arms: tuple[str, ...]
  seeds: tuple[int, ...]
  items: tuple[int, ...]
  margin_ASN: np.ndarray
  right_ASN: np.ndarray  # 0.0 or 1.0
  cluster_SN: np.ndarray  # labels; a seed's items may be others than another seed's
  unit: str = 'nats'  # of the margins

  def on(self, scale: str) -> np.ndarray:
    """[A, S, N] of the items on 'margin' or 'rate'."""
    return dict(margin=self.margin_ASN, rate=self.right_ASN)[scale]

  def of(self, *arms: str) -> 'Table':
    """A Table of these arms alone, in this order."""
    at = [self.arms.index(arm) for arm in arms]
    cut = {name: x[at] for name, x in vars(self).items() if name.endswith('_ASN')}
    return dataclasses.replace(self, arms=arms, **cut)

  def on_scales(self) -> dict[str, np.ndarray]:
    """{scale: [A, S]}, the items' mean on every scale of a contrast."""
    of_rate = statistics.on_scales(self.right_ASN.mean(-1), len(self.items))
    return dict(margin=self.margin_ASN.mean(-1)) | of_rate

  def cells(self, x_SN: np.ndarray) -> list[list[np.ndarray]]:
    """A list of each seed's clusters' items: what the bootstrap draws from."""
    return [
      [x_N[label_N == label] for label in dict.fromkeys(label_N)]
      for x_N, label_N in zip(x_SN, self.cluster_SN)
    ]


def table(
  rows: Iterable[Row],
  test: str,
  arms: Collection[str] | None = None,
  seeds: Collection[int] | None = None,
  after: str = 'sft',
) -> Table:
  """The rows of a test as a Table, of the arms (in their order) and seeds asked for, or of all."""
  wanted = [
    row
    for row in rows
    if (row.test, row.after) == (test, after)
    and (arms is None or row.arm in arms)
    and (seeds is None or row.seed in seeds)
  ]
  arms = tuple(arms or dict.fromkeys(row.arm for row in wanted))
  seeds = tuple(sorted(seeds or {row.seed for row in wanted}))
  items = tuple(sorted({row.item for row in wanted}))
  at = {}
  for row in wanted:
    key = row.arm, row.seed, row.item
    if key in at:
      raise UserError(f'{_where(test, after, *key)} is in the store twice: run that arm again')
    at[key] = row
  _refuse_holes(at, test, after, arms, seeds, items)
  grid = [[[at[arm, seed, item] for item in items] for seed in seeds] for arm in arms]
  _refuse_other_prompts(grid, test, after)

  def array(field):
    return np.array(
      [[[getattr(row, field) for row in rows] for rows in part] for part in grid], float
    )

  margin_ASN = array('margin')
  for a, s, n in np.argwhere(~np.isfinite(margin_ASN))[:1]:
    where = _where(test, after, arms[a], seeds[s], items[n])
    raise UserError(f'{where}: the margin is {margin_ASN[a, s, n]}: that run diverged')
  cluster_SN = np.array([[row.cluster for row in rows] for rows in grid[0]])
  arrays = dict(margin_ASN=margin_ASN, right_ASN=array('right'), cluster_SN=cluster_SN)
  about: dict[str, Any] = dict(test=test, after=after, unit=wanted[0].unit)
  return Table(arms=arms, seeds=seeds, items=items, **about, **arrays)


def _where(test, after, arm, seed, item):
  return f'{test} after {after}, arm {arm}, seed {seed}, item {item}'


def _refuse_holes(at, test, after, arms, seeds, items):
  if not (arms and seeds and items):
    wanted = f' of {", ".join(arms)}' if arms else ''
    raise UserError(f'the store has no rows for {test} after {after}{wanted}: run it first')
  count = collections.Counter((arm, seed) for arm, seed, _ in at)
  for arm in arms:
    for seed in seeds:
      if count[arm, seed] != len(items):
        first = next(item for item in items if (arm, seed, item) not in at)
        raise UserError(
          f'{_where(test, after, arm, seed, first)} is missing ({count[arm, seed]} of {len(items)} '
          'items are there): finish that run, or leave the seed out'
        )


def _refuse_other_prompts(grid, test, after):
  for part in grid[1:]:
    for first, other in zip(grid[0], part):
      for a, b in zip(first, other):
        if (a.prompt, a.cluster) != (b.prompt, b.cluster):
          where = _where(test, after, b.arm, b.seed, b.item)
          raise UserError(f'{where} is another prompt than in {a.arm}: they cannot be paired')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Means:
  """Means over the items of a test, of one arm and seed: of numbers that each Outcome has. A page
  and its download show every field."""

  margin: float
  rate: float  # of what is right
  yes: float
  mass: float | None
  loss: float | None


def means(rows: Iterable[Row]) -> dict[tuple[str, str], Means]:
  """{(arm, test): its means}, of one seed's rows."""
  grouped = collections.defaultdict(list)
  for row in rows:
    grouped[row.arm, row.test].append(row)
  return {key: _means(found) for key, found in grouped.items()}


def _means(rows):
  names = {field.name: field.name for field in dataclasses.fields(Means)} | dict(rate='right')
  return Means(
    **{mean: _mean([getattr(row, name) for row in rows]) for mean, name in names.items()}
  )


def _mean(values):
  return None if values[0] is None else float(np.mean(values))
