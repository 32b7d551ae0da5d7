"""Which row of which corpus stands where: functions of (seed, step, index), without any state."""

import fractions
import math
from collections.abc import Sequence

import grain
import numpy as np

from jaxalign.config import UserError


class Mixture:
  """An endless stream of rows. Each part comes in its share, and wholly once in each of its epochs.

  An epoch of the mixture is one of its first part: the others are drawn beside it.
  """

  def __init__(self, sizes: Sequence[int], weights: Sequence[float], batch: int, seed: int):
    if batch < 1:
      raise UserError(f'batch={batch}: at least 1')
    if not all(weight >= 0 and math.isfinite(weight) for weight in weights) or not any(weights):
      raise UserError(f'weights {tuple(weights)}: at least 0, and not all of them 0')
    self.batch = batch
    self.part_of = [n for n, weight in enumerate(weights) if weight]
    self.shares = _shares([weights[n] for n in self.part_of])
    self.sizes = [sizes[n] for n in self.part_of]
    self.shuffled = [_shuffled(sizes[n], seed, n) for n in self.part_of]

  def at(self, step: int, index: int) -> tuple[int, int]:
    """(part, row) of one row of a batch."""
    part, nth = self._drawn(step * self.batch + index)
    return self.part_of[part], int(self.shuffled[part][nth])

  @property
  def steps_per_epoch(self) -> int:
    """As many as show every row of the first part."""
    rows = self.sizes[0]
    stream = (rows - 1) * sum(self.shares) // self.shares[0] + 1 if rows else 0
    return -(-stream // self.batch)

  def _drawn(self, place: int) -> tuple[int, int]:
    """(part, how many rows of it came before). Of the first n rows, a part has its share up to 1
    for each part before it: grain's own mix rounds the shares, and drifts."""
    left, before, after = sum(self.shares), place, place + 1
    for part, share in enumerate(self.shares):
      others_before = before * (left - share) // left
      others_after = after * (left - share) // left
      if others_after == others_before:
        return part, before - others_before
      left, before, after = left - share, others_before, others_after
    raise AssertionError('the last part takes what is left')


class Once:
  """All rows of all parts, in order; the last batch is filled up with no rows (None)."""

  def __init__(self, sizes: Sequence[int], batch: int):
    if batch < 1:
      raise UserError(f'batch={batch}: at least 1')
    self.batch = batch
    self.ends = np.cumsum(sizes)

  @property
  def steps(self) -> int:
    return -(-int(self.ends[-1]) // self.batch)

  def at(self, step: int, index: int) -> tuple[int, int] | None:
    place = step * self.batch + index
    if place >= self.ends[-1]:
      return None
    return located(self.ends, place)


def located(ends: np.ndarray, place: int) -> tuple[int, int]:
  """(part, row in it) of a place where parts with these ends stand in a line."""
  part = int(np.searchsorted(ends, place, side='right'))
  return part, place - int(ends[part - 1] if part else 0)


class Matched:
  """Batches of examples of similar length, drawn anew in every epoch, in which each comes once.

  Similar: neighbours by length among POOL batches of examples drawn at random. Examples that fill
  no batch sit that epoch out.
  """

  POOL = 32

  def __init__(self, lengths: np.ndarray, batch: int, seed: int):
    if not 1 <= batch <= len(lengths):
      raise UserError(f'batch={batch}: at least 1, and at most the {len(lengths)} pairs there are')
    self.lengths, self.batch, self.seed = np.asarray(lengths), batch, seed
    self.steps_per_epoch = len(lengths) // batch
    self._made: tuple[int, np.ndarray] = (-1, np.zeros(0))  # the last epoch that was asked about

  def rows(self, step: int) -> np.ndarray:
    """The examples of a step's batch."""
    epoch, nth = divmod(step, self.steps_per_epoch)
    if self._made[0] != epoch:
      self._made = epoch, self._epoch(epoch)
    return self._made[1][nth]

  def at(self, step: int, index: int) -> int:
    return int(self.rows(step)[index])

  def _epoch(self, epoch: int) -> np.ndarray:
    random = np.random.Generator(np.random.PCG64([self.seed, epoch]))
    drawn = random.permutation(len(self.lengths))[: self.steps_per_epoch * self.batch]
    pool = np.arange(len(drawn)) // (self.POOL * self.batch)
    by_length = drawn[np.lexsort((self.lengths[drawn], pool))]
    return random.permutation(by_length.reshape(-1, self.batch))


class InOrder:
  """Each example once, shortest first; the last batch is filled up with none."""

  def __init__(self, lengths: np.ndarray, batch: int):
    self.once = Once([len(lengths)], batch)
    self.by_length = np.argsort(lengths, kind='stable')

  @property
  def steps(self) -> int:
    return self.once.steps

  def rows(self, step: int) -> np.ndarray:
    return self.by_length[step * self.once.batch : (step + 1) * self.once.batch]

  def at(self, step: int, index: int) -> int | None:
    found = self.once.at(step, index)
    return None if found is None else int(self.by_length[found[1]])


def _shares(weights: Sequence[float]) -> list[int]:
  """Whole numbers in the proportion of the weights, as they are written: 0.1 is a tenth."""
  exact = [fractions.Fraction(str(weight)) for weight in weights]
  whole = math.lcm(*(share.denominator for share in exact))
  shares = [int(share * whole) for share in exact]
  return [share // math.gcd(*shares) for share in shares]


def _shuffled(size: int, seed: int, part: int) -> grain.MapDataset:
  """Another permutation each epoch, computed place by place. Grain gives epoch e of seed s the
  permutation of s + e: the seed is scattered, so that neighbouring seeds have none in common."""
  scattered = int(np.random.SeedSequence([seed, part]).generate_state(1)[0])
  return grain.MapDataset.range(size).shuffle(seed=scattered).repeat()
