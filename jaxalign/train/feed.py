"""Batches on their way to the devices: made ahead in a thread, placed as global arrays."""

import concurrent.futures
import os
import time
from collections.abc import Callable, Generator
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding

from jaxalign.config import UserError
from jaxalign.sharding.alphabet import spec

DEPTH = 2  # calls that are prepared while one runs
_BESIDES = 500  # bytes of a row beside its tokens

Rows = Callable[[int, np.ndarray], dict[str, np.ndarray]]  # (step, indices) -> a row for each
Batches = dict[str, jax.Array]


def split(rows: int, mesh: Mesh, parts: int = 1, name: str = 'batch') -> int:
  """The rows of each of these parts, microbatches, on each way that the mesh splits a batch."""
  ways = mesh.shape['data'] * mesh.shape['fsdp']
  if rows % (parts * ways):
    what = 'is' if parts == 1 else f'in {parts} microbatches: the rows of one are'
    less = ', take fewer microbatches' if rows < parts * ways and parts > 1 else ''
    raise UserError(
      f'{name}={rows} {what} not a multiple of the {ways} ways that data x fsdp split it: make it '
      f'a multiple of {parts * ways}{less}, or fewer ways (mesh.tensor takes the others)'
    )
  return rows // (parts * ways)


def refuse_too_large(rows: int, tokens: int, name: str = 'batch') -> None:
  """Refuses batches that this host cannot hold when made ahead: 16 bytes a token of each row."""
  here = -(-rows // jax.process_count())
  needed = here * ((DEPTH + 1) * tokens * 16 + _BESIDES)
  memory = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
  if needed > memory:
    raise UserError(
      f'{name}={rows}: the {DEPTH + 1} batches that are in memory at once, {here:,} rows each on '
      f'this host, take {needed / 2**30:,.0f} GiB, and it has {memory / 2**30:,.0f}: lower {name} '
      'or length'
    )


class Feed:
  """rows(step, indices) -> {name: array with one row for each index}; pure, so nothing is saved.

  Each process asks for the rows its own devices hold. `calls` batches are stacked for one call.
  """

  def __init__(self, rows: Rows, batch: int, mesh: Mesh, calls: int = 1):
    self.rows, self.batch, self.mesh, self.calls = rows, batch, mesh, calls
    self.waited = 0.0  # seconds the loop stood waiting for data
    split(batch, mesh)
    home = NamedSharding(mesh, spec('B'))
    slices = home.addressable_devices_indices_map((batch,)).values()
    self.mine = np.unique(np.concatenate([np.arange(batch)[i] for i in slices]))

  def at(self, step: int, count: int) -> Batches:
    """The batches of `count` steps, stacked: {name: [count, B, ...]} as global arrays."""
    made = [self.rows(step + i, self.mine) for i in range(count)]
    where = {int(row): i for i, row in enumerate(self.mine)}
    return {name: self._place([m[name] for m in made], where) for name in made[0]}

  def _place(self, arrays, where):
    shape = (len(arrays), self.batch, *arrays[0].shape[1:])
    home = NamedSharding(self.mesh, spec('-B' + '-' * (len(shape) - 2)))

    def part(index):
      rows = [where[i] for i in range(self.batch)[index[1]]]
      return np.stack([a[rows] for a in arrays[index[0]]])

    return jax.make_array_from_callback(shape, home, part)

  def ahead(self, start: int, stop: int) -> Generator[tuple[Batches, int]]:
    """(batches, count) from step `start` to `stop`."""
    starts = range(start, stop, self.calls)
    counts = [min(self.calls, stop - n) for n in starts]
    thread = concurrent.futures.ThreadPoolExecutor(1)
    try:
      queue = [thread.submit(self.at, *call) for call in zip(starts[:DEPTH], counts)]
      for i in range(len(starts)):
        began = time.perf_counter()
        batches = queue.pop(0).result()
        self.waited += time.perf_counter() - began
        if i + DEPTH < len(starts):
          queue.append(thread.submit(self.at, starts[i + DEPTH], counts[i + DEPTH]))
        yield batches, counts[i]
    finally:  # also where the loop ends early, or rows() failed
      thread.shutdown(cancel_futures=True)

  def passed(self, steps: int, of: Callable[[Batches], Any]) -> list[Any]:
    """What `of` makes of every batch of one pass, on the host. Each is waited for: on a CPU with
    several devices, programs that queue up wait for one another for ever."""
    return [jax.device_get(of(batches)) for batches, _ in self.ahead(0, steps)]
