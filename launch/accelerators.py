"""What a slice is called where it is rented, how many hosts it has, and what its VMs start with."""

import dataclasses
import math
import re

from jaxalign.chips import CHIPS
from launch.shell import PodError


@dataclasses.dataclass(frozen=True)
class Kind:
  type: str  # of the accelerator, in front of the count
  runtime: str  # version of the VMs' software
  gke: str  # node label
  topologies: tuple[str, ...]


FLAT = ('1x1', '2x2', '2x4', '4x4', '4x8', '8x8', '8x16', '16x16')
CUBE = (
  *('2x2x1', '2x2x2', '2x2x4', '2x4x4', '4x4x4', '4x4x8', '4x8x8', '8x8x8'),
  *('8x8x16', '8x16x16', '16x16x16'),
)
KINDS = {
  'v4': Kind('v4', 'tpu-ubuntu2204-base', 'tpu-v4-podslice', CUBE),
  'v5e': Kind('v5litepod', 'v2-alpha-tpuv5-lite', 'tpu-v5-lite-podslice', FLAT),
  'v5p': Kind('v5p', 'v2-alpha-tpuv5', 'tpu-v5p-slice', CUBE),
  'v6e': Kind('v6e', 'v2-alpha-tpuv6e', 'tpu-v6e-slice', FLAT),
}


@dataclasses.dataclass(frozen=True)
class Slice:
  name: str  # as the user writes it: v5e-64; of v4 and v5p the number counts cores, two a chip
  type: str
  chips: int
  hosts: int
  runtime: str
  gke: str
  topology: str


def find(name):
  """The slice 'v5e-64', or the one line that says which there are."""
  match = re.fullmatch(r'(\w+)-([1-9]\d{0,8})', name)
  kind = KINDS.get(match[1]) if match else None
  if kind is None:
    raise PodError(f'--slice={name}: write KIND-COUNT, as v5e-64; kinds are {", ".join(KINDS)}')
  cores = CHIPS[match[1]].cores
  sizes = {chips_of(topology) * cores: topology for topology in kind.topologies}
  count = int(match[2])
  if count not in sizes:
    known, near = ', '.join(map(str, sizes)), min(sizes, key=lambda n: abs(math.log(n / count)))
    raise PodError(
      f'--slice={name}: there is no {name}; it comes as {known}; nearest: {match[1]}-{near}'
    )
  chips = count // cores
  # Up to eight chips of a flat kind are one machine; everything larger is of machines of four.
  hosts = 1 if chips <= 8 and kind.topologies is FLAT else chips // 4
  return Slice(name, f'{kind.type}-{count}', chips, hosts, kind.runtime, kind.gke, sizes[count])


def chips_of(topology):
  return math.prod(map(int, topology.split('x')))
