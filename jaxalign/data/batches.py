"""Batches: functions of (seed, step), of which any process computes any row in any order.

So nothing is saved of the data but the step, and hosts never wait for one another.
"""

import dataclasses
import os
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from absl import logging

from jaxalign.config import UserError
from jaxalign.data import packing
from jaxalign.data.order import InOrder, Matched, Mixture, Once, located
from jaxalign.data.prepared import Prepared
from jaxalign.data.shards import Kind, refuse_other_kind

Rows = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
  """A corpus and its weight in a mixture: its share of the rows."""

  prepared: Prepared
  weight: float = 1.0


class Batches:
  """Packed rows of a mixture, for next-token training, forever.

  rows: tokens_BT; weight_BT (1 where the token is to be predicted from those before it);
  segment_BT (1, 2, .. for the examples of a row, 0 for padding); position_BT (in the example).
  """

  def __init__(self, parts: Sequence[Part], length: int, batch: int, seed: int, pack: bool = True):
    self.length, self.batch = length, batch
    self.tables = _tables([part.prepared for part in parts], length, pack)
    sizes = [len(table.plan) for table in self.tables]
    self.order = Mixture(sizes, [part.weight for part in parts], batch, seed)

  def rows(self, step: int, indices: Iterable[int]) -> Rows:
    return _fill(self.tables, [self.order.at(step, int(i)) for i in indices], self.length)


class Pass:
  """Every example once, in a fixed order, for evaluation; rows past the end weigh nothing."""

  def __init__(self, corpora: Sequence[Prepared], length: int, batch: int, pack: bool = True):
    self.length, self.batch = length, batch
    self.tables = _tables(corpora, length, pack)
    self.order = Once([len(table.plan) for table in self.tables], batch)

  @property
  def steps(self) -> int:
    return self.order.steps

  def rows(self, step: int, indices: Iterable[int]) -> Rows:
    return _fill(self.tables, [self.order.at(step, int(i)) for i in indices], self.length)

  def __iter__(self) -> Iterator[Rows]:
    return (self.rows(step, range(self.batch)) for step in range(self.steps))


class Pairs:
  """Chosen and rejected side by side, one pair a row: chosen_BT, chosen_weight_BT (1 for the last
  answer), chosen_segment_BT, and the same of rejected; margin_B; weight_B, 0 for padding.

  Pairs of similar length share a batch, and T is the smallest of `widths` that holds it: little is
  padding, and programs are few. Without a seed: one pass, the shortest first.
  """

  def __init__(self, corpora: Sequence[Prepared], length: int, batch: int, seed: int | None):
    self.length, self.batch = length, batch
    self.tables = _tables(corpora, length, False, 'pair')
    self.ends = np.cumsum([len(prepared) // 2 for prepared in corpora])
    self.lengths = np.concatenate([np.reshape(c.lengths, (-1, 2)) for c in corpora])
    self.margin = np.concatenate([c.pairs['margin'] for c in corpora])
    named = [np.array(c.manifest['subsets'])[c.pairs['subset']] for c in corpora]
    self.subset = np.concatenate(named)
    longest = self.lengths.max(1)
    self.order: InOrder | Matched = (
      InOrder(longest, batch) if seed is None else Matched(longest, batch, seed)
    )

  def rows(self, step: int, indices: Iterable[int]) -> Rows:
    longest = self.lengths[self.order.rows(step)].max()
    T = next(width for width in widths(self.length) if width >= longest)
    found = [self.order.at(step, int(i)) for i in indices]
    both: Rows = {}
    for side, name in enumerate(('chosen', 'rejected')):
      rows = _fill(self.tables, [self._place(n, side) for n in found], T)
      both[f'{name}_BT'] = rows['tokens_BT']
      both[f'{name}_weight_BT'] = rows['weight_BT']
      both[f'{name}_segment_BT'] = rows['segment_BT']
    both['margin_B'] = np.array([0 if n is None else self.margin[n] for n in found], np.float32)
    both['weight_B'] = np.array([n is not None for n in found], np.float32)
    return both

  def _place(self, n: int | None, side: int) -> tuple[int, int] | None:
    """(corpus, example) of one side of a pair, by the pair's number among all."""
    if n is None:
      return None
    part, row = located(self.ends, n)
    return part, 2 * row + side


def widths(length: int) -> list[int]:
  """The lengths that rows of pairs may have: few, for each is a program to compile."""
  return sorted({-(-length * part // 8) for part in (1, 2, 4, 6, 8)})


class Prompts:
  """Prompts that all end at the right: tokens_BT, segment_BT (0 for padding), position_BT."""

  def __init__(self, prepared: Prepared, length: int, batch: int, seed: int | None):
    self.length, self.batch = length, batch
    self.tables = _tables([prepared], length, False, 'prompt')
    size = len(prepared)
    self.order: Once | Mixture = (
      Once([size], batch) if seed is None else Mixture([size], [1], batch, seed)
    )

  def rows(self, step: int, indices: Iterable[int]) -> Rows:
    found = [self.order.at(step, int(i)) for i in indices]
    rows = _fill(self.tables, found, self.length, left=True)
    return {name: rows[name] for name in ('tokens_BT', 'segment_BT', 'position_BT')}


def check_fits(
  corpora: Sequence[Prepared], *, length: int, vocab: int, context: int | None = None
) -> None:
  """Whether a model has a vector for every id, and positions for every token."""
  for prepared in corpora:
    largest = prepared.manifest['largest_id']
    if largest >= vocab:
      raise UserError(
        f'{prepared} holds id {largest}, and the model has {vocab}: prepare it with the '
        "model's own tokenizer"
      )
  if context is not None and length > context:
    raise UserError(f'length={length}: the model reads {context} tokens; lower length')


@dataclasses.dataclass(frozen=True, eq=False)
class _Table:
  prepared: Prepared
  plan: packing.Plan


def _tables(
  corpora: Sequence[Prepared], length: int, pack: bool, kind: Kind = 'example'
) -> list[_Table]:
  if not corpora:
    raise UserError('no corpus to make batches of: name at least one')
  for prepared in corpora:
    if prepared.kind != kind:
      refuse_other_kind(prepared, prepared.kind, kind)
    longest = int(prepared.lengths.max())
    if longest > length:
      raise UserError(
        f'{prepared} holds an example of {longest} tokens: rows have {length}; prepare it with '
        f'length={length}, or make rows longer'
      )
  if len({prepared.manifest['tokenizer'] for prepared in corpora}) > 1:
    raise UserError(f'{list(corpora)} have different tokenizers: prepare all with one')
  return [_Table(prepared, _plan(prepared, length, pack)) for prepared in corpora]


def _plan(prepared: Prepared, length: int, pack: bool) -> packing.Plan:
  """Made once, and kept beside the corpus where that can be written."""
  if not pack:
    return packing.one_each(prepared.lengths)
  path = prepared.directory / f'packing-{packing.VERSION}-{length}.npy'
  if path.is_file():
    try:
      return packing.Plan.load(path)
    except (OSError, ValueError, EOFError, IndexError) as error:  # torn: it is made again
      logging.warning('%s cannot be read (%s)', os.fspath(path), error)
  plan = packing.pack(prepared.lengths, length)
  try:
    plan.save(path)
  except OSError as error:  # it takes a second to make again
    logging.warning('%s is not kept (%s)', os.fspath(path), error)
  return plan


def _fill(
  tables: Sequence[_Table], picks: Sequence[tuple[int, int] | None], length: int, left: bool = False
) -> Rows:
  shape = (len(picks), length)
  names = 'tokens_BT', 'weight_BT', 'segment_BT', 'position_BT'
  rows = {name: np.zeros(shape, np.float32 if name == 'weight_BT' else np.int32) for name in names}
  for part, table in enumerate(tables):
    mine = [(n, pick[1]) for n, pick in enumerate(picks) if pick and pick[0] == part]
    if mine:
      places, row_numbers = zip(*mine)
      _fill_from(table, np.array(places), row_numbers, rows, left)
  return rows


def _fill_from(
  table: _Table, places: np.ndarray, row_numbers: Sequence[int], rows: Rows, left: bool
) -> None:
  """All examples of these rows in one read, and each array in one assignment."""
  examples = [table.plan.row(number) for number in row_numbers]
  per_row = np.array([len(row) for row in examples])
  codes = table.prepared.codes(np.concatenate(examples))
  sizes = np.array([len(code) for code in codes])
  begin = np.cumsum(sizes) - sizes  # of each example, in all of them in a line
  first = np.cumsum(per_row) - per_row  # each row's first example
  length = rows['tokens_BT'].shape[1]
  shift = length - np.add.reduceat(sizes, first) if left else np.zeros_like(places)
  to = np.repeat(places * length + shift - begin[first], per_row)  # in a line -> in the flat rows
  line = np.arange(sizes.sum())
  slots = line + np.repeat(to, sizes)
  whole = np.concatenate(codes)
  rows['tokens_BT'].reshape(-1)[slots] = whole >> 1
  rows['weight_BT'].reshape(-1)[slots] = whole & 1
  rows['weight_BT'].reshape(-1)[begin + to] = 0  # nothing predicts an example's first token
  number = np.arange(len(codes)) - np.repeat(first, per_row) + 1
  rows['segment_BT'].reshape(-1)[slots] = np.repeat(number, sizes)
  rows['position_BT'].reshape(-1)[slots] = line - np.repeat(begin, sizes)
