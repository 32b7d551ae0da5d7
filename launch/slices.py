"""TPU slices by name: what a chip can do, how the chips lie, and what the compiler calls them.

`v5e-64` is 64 chips; v4 and v5p count cores, two a chip, as their own names do: `v5p-128` is 64
chips. `2xv5e-256` is two such slices, joined by the data centre's network.
"""

import dataclasses
import math
import re

from jaxalign.config import UserError

GIB = 2**30


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chip:
  """Peaks of one chip, as published (cloud.google.com/tpu, and "How to Scale Your Model")."""

  flops: float  # a second, bf16
  memory: int  # bytes of HBM that the compiler gives a program: a little less than is there
  bandwidth: float  # bytes a second, of HBM
  link: float  # bytes a second, of one link to one neighbour, one way
  network: float  # bytes a second, of this chip's share of the network between slices, one way
  clock: float  # cycles a second
  per: int  # what a slice's name counts of one chip
  shapes: dict[int, tuple[int, ...]]  # chips -> how they lie
  accelerator: str  # of TPU_ACCELERATOR_TYPE, before the count

  @property
  def flops_a_cycle(self):
    return self.flops / self.clock


FLAT = {
  1: (1, 1), 4: (2, 2), 8: (2, 4), 16: (4, 4), 32: (4, 8), 64: (8, 8), 128: (8, 16), 256: (16, 16),
}  # fmt: skip
DEEP = {
  4: (2, 2, 1), 8: (2, 2, 2), 16: (2, 2, 4), 32: (2, 4, 4), 64: (4, 4, 4), 128: (4, 4, 8),
  256: (4, 8, 8), 512: (8, 8, 8), 1024: (8, 8, 16), 2048: (8, 16, 16), 4096: (16, 16, 16),
}  # fmt: skip

CHIPS = {
  'v4': Chip(
    flops=275e12, memory=int(30.75 * GIB), bandwidth=1228e9, link=45e9, network=6.25e9,
    clock=1.05e9, per=2, shapes=DEEP, accelerator='v4',
  ),
  'v5e': Chip(
    flops=197e12, memory=int(15.75 * GIB), bandwidth=819e9, link=45e9, network=3.125e9,
    clock=1.5e9, per=1, shapes=FLAT, accelerator='v5litepod',
  ),
  'v5p': Chip(
    flops=459e12, memory=int(95.74 * GIB), bandwidth=2765e9, link=90e9, network=6.25e9,
    clock=1.75e9, per=2, shapes=DEEP, accelerator='v5p',
  ),
  'v6e': Chip(
    flops=918e12, memory=int(31.24 * GIB), bandwidth=1640e9, link=90e9, network=12.5e9,
    clock=1.75e9, per=1, shapes=FLAT, accelerator='v6e',
  ),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Slice:
  name: str  # as it was written
  kind: str
  shape: tuple[int, ...]  # of one slice's chips
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

  @property
  def accelerator(self):
    return f'{self.chip.accelerator}-{math.prod(self.shape) * self.chip.per}'

  @property
  def ways(self):
    """Links that a ring over all chips of a slice can use at once, each way."""
    return sum(size > 1 for size in self.shape)


def parse(text):
  """A Slice from its name."""
  match = re.fullmatch(r'(?:([1-9]\d*)x)?([a-z0-9]+)-([1-9]\d*)', text)
  if not match or match[2] not in CHIPS:
    known = ', '.join(CHIPS)
    raise UserError(f'--slice={text}: write KIND-COUNT or NxKIND-COUNT; kinds are {known}')
  chip, size = CHIPS[match[2]], int(match[3])
  if size % chip.per or size // chip.per not in chip.shapes:
    sizes = [n * chip.per for n in chip.shapes]
    near = min(sizes, key=lambda n: abs(math.log(n / size)))
    raise UserError(
      f'--slice={text}: there is no {match[2]}-{size}; it comes as '
      f'{", ".join(map(str, sizes))}; nearest: {match[2]}-{near}'
    )
  return Slice(text, match[2], chip.shapes[size // chip.per], int(match[1] or 1))
