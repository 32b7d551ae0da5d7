"""TPU slices as the compiler sees them: what a chip can do, and how the chips lie.

Their names and shapes are those of accelerators.py, by which they are rented; `2xv5e-256` is two
such slices, joined by the data centre's network.
"""

import dataclasses
import math
import re

from jaxalign.chips import CHIPS as PUBLISHED
from jaxalign.config import UserError
from launch import accelerators, shell

GIB = 2**30


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chip:
  """What the compiler counts on beside jaxalign/chips.py, as published (cloud.google.com/tpu, and
  "How to Scale Your Model")."""

  flops: float  # a second, bf16
  memory: int  # bytes of HBM that the compiler gives a program: a little less than is there
  bandwidth: float  # bytes a second, of HBM
  link: float  # bytes a second, of one link to one neighbour, one way
  network: float  # bytes a second, of this chip's share of the network between slices, one way
  clock: float  # cycles a second


CHIPS = {
  'v4': Chip(
    flops=PUBLISHED['v4'].flops, memory=int(30.75 * GIB), bandwidth=1228e9, link=45e9,
    network=6.25e9, clock=1.05e9,
  ),
  'v5e': Chip(
    flops=PUBLISHED['v5e'].flops, memory=int(15.75 * GIB), bandwidth=819e9, link=45e9,
    network=3.125e9, clock=1.5e9,
  ),
  'v5p': Chip(
    flops=PUBLISHED['v5p'].flops, memory=int(95.74 * GIB), bandwidth=2765e9, link=90e9,
    network=6.25e9, clock=1.75e9,
  ),
  'v6e': Chip(
    flops=PUBLISHED['v6e'].flops, memory=int(31.24 * GIB), bandwidth=1640e9, link=90e9,
    network=12.5e9, clock=1.75e9,
  ),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Slice:
  name: str  # as it was written
  kind: str
  shape: tuple[int, ...]  # of one slice's chips
  accelerator: str  # of TPU_ACCELERATOR_TYPE
  count: int = 1  # slices

  @property
  def chip(self):
    return CHIPS[self.kind]

  @property
  def chips(self):
    """Of all slices."""
    return self.count * math.prod(self.shape)

  @property
  def topology(self):
    return f'{self.kind}:' + 'x'.join(map(str, self.shape))

  @property
  def wrap(self):
    """Which axes close to a ring: of cubes all, of a flat slice those that are 16 long. A compiler
    that is not told so makes all-reduces where it would have made gathers."""
    if len(self.shape) == 3:
      return (all(size % 4 == 0 for size in self.shape),) * 3
    return tuple(size == 16 for size in self.shape) + (False,)


def parse(text):
  """A Slice from its name."""
  match = re.fullmatch(r'(?:([1-9]\d{0,5})x)?(.*)', text, re.DOTALL)
  try:
    one = accelerators.find(match[2])
  except shell.PodError as error:
    raise UserError(f'{error}; NxKIND-COUNT are N of them') from error
  shape = tuple(map(int, one.topology.split('x')))
  return Slice(text, match[2].split('-')[0], shape, one.type, int(match[1] or 1))
