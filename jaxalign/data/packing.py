"""Which examples share a row: best-fit decreasing over lengths, the same on every machine.

All examples of one length are placed at once: the work grows with the number of distinct lengths.
"""

import dataclasses
import os

import numpy as np
from etils import epath

from jaxalign.config import UserError
from jaxalign.data.prepared import save_array

VERSION = 1  # of the algorithm: a run is resumed with the rows it began with


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
  """Row r holds examples[starts[r]:starts[r + 1]], in this order."""

  starts: np.ndarray  # int64 [rows + 1]
  examples: np.ndarray  # int64 [n], each example exactly once

  def __len__(self) -> int:
    return len(self.starts) - 1

  def row(self, index: int) -> np.ndarray:
    return self.examples[self.starts[index] : self.starts[index + 1]]

  def efficiency(self, lengths: np.ndarray, length: int) -> float:
    """The fraction of all slots that hold a token."""
    return int(np.sum(lengths, dtype=np.int64)) / (len(self) * length)

  def save(self, path: epath.PathLike) -> None:
    """One file, so that it is whole or absent."""
    whole = np.concatenate([[len(self)], self.starts, self.examples])
    save_array(path, whole.astype(np.int64))

  @classmethod
  def load(cls, path: epath.PathLike) -> 'Plan':
    """Memory-mapped: only the rows that are asked for are read."""
    whole = np.load(os.fspath(path), mmap_mode='r')
    rows = int(whole[0])
    return cls(whole[1 : rows + 2], whole[rows + 2 :])


def one_each(lengths: np.ndarray) -> Plan:
  """No packing: example n is row n."""
  return Plan(np.arange(len(lengths) + 1), np.arange(len(lengths)))


def pack(lengths: np.ndarray, length: int) -> Plan:
  """Best-fit decreasing into rows of `length`."""
  lengths = np.asarray(lengths)
  if lengths.size and not 1 <= lengths.min() <= lengths.max() <= length:
    odd = int(np.flatnonzero((lengths < 1) | (lengths > length))[0])
    raise UserError(f'example {odd} has {lengths[odd]} tokens: rows hold 1 to {length}')
  # Equal lengths in a scrambled order, or neighbours in the corpus would be neighbours in a row.
  scrambled = np.random.Generator(np.random.PCG64(0)).permutation(lengths.size)
  by_length = scrambled[np.argsort(-lengths[scrambled].astype(np.int64), kind='stable')]
  sizes, counts = np.unique(-lengths[by_length], return_counts=True)
  rooms = _Rooms(length)
  placed = [rooms.place(int(-size), int(count)) for size, count in zip(sizes, counts)]
  row_of = np.concatenate(placed) if placed else np.zeros(0, np.int64)
  order = np.argsort(row_of, kind='stable')
  starts = np.zeros(rooms.rows + 1, np.int64)
  np.cumsum(np.bincount(row_of, minlength=rooms.rows), out=starts[1:])
  return Plan(starts, by_length[order])


class _Rooms:
  """The rows begun, by the room that is left in them."""

  def __init__(self, length: int):
    self.length, self.rows = length, 0
    self.with_room: dict[int, list[np.ndarray]] = {}  # room -> the rows that have it
    self.found = 0  # bit r is set where with_room[r] is not empty: the best fit is a bit scan

  def place(self, size: int, count: int) -> np.ndarray:
    """The row of each of `count` examples of one size."""
    placed, left = [], count
    while left:
      fits = self.found >> size
      if not fits:
        placed.append(self._begin_rows(size, left))
        break
      room = size + (fits & -fits).bit_length() - 1
      placed.append(self._fill(self._take(room), room, size, left))
      left -= len(placed[-1])
    return np.concatenate(placed)

  def _begin_rows(self, size: int, left: int) -> np.ndarray:
    rows = np.arange(self.rows, self.rows - (-left // (self.length // size)))
    self.rows += len(rows)
    return self._fill(rows, self.length, size, left)

  def _fill(self, rows: np.ndarray, room: int, size: int, left: int) -> np.ndarray:
    """Row after row is filled: the room that one example leaves is the best fit for the next."""
    each = room // size
    full = min(len(rows), left // each)
    self._put(rows[:full], room - each * size)
    placed = np.repeat(rows[:full], each)
    rest = min(left - full * each, each) if full < len(rows) else 0
    if rest:
      self._put(rows[full : full + 1], room - rest * size)
      placed = np.concatenate([placed, np.repeat(rows[full], rest)])
    self._put(rows[full + bool(rest) :], room)
    return placed

  def _put(self, rows: np.ndarray, room: int) -> None:
    if len(rows) and room:
      self.with_room.setdefault(room, []).append(rows)
      self.found |= 1 << room

  def _take(self, room: int) -> np.ndarray:
    self.found &= ~(1 << room)
    return np.concatenate(self.with_room.pop(room))
