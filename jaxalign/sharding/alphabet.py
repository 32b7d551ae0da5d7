"""Where arrays live. A name's suffix spells its axes, and each axis has one home on the mesh.

So `q_HKD` lies on ('tensor', None, 'fsdp'), and so do its gradient and its Adam moments.

  B batch    T query time    S key time    N layers
  D width    F mlp hidden    V vocabulary
  H query heads    G key and value heads    Q query heads per key head    K head size
  R rank of an adapter    P prompt length    C chunk    M documents of a row
"""

import math
import re
from collections.abc import Sequence
from typing import Any

from jax.sharding import AbstractMesh, Mesh, PartitionSpec

AnyMesh = Mesh | AbstractMesh

HOME = {
  'B': ('data', 'fsdp'),
  'D': 'fsdp',
  'F': 'tensor',
  'G': 'tensor',
  'H': 'tensor',
  'V': 'tensor',
}


AXES = ('data', 'fsdp', 'tensor')


def axes(name: str) -> str:
  """'q_HKD' -> 'HKD'; a name with no suffix is a scalar."""
  return (re.search(r'_([A-Z]+)$', name) or ' _')[1].strip('_')


def spec(
  letters: str, shape: Sequence[int] | None = None, mesh: AnyMesh | None = None
) -> PartitionSpec:
  """The homes of axes; given a shape and a mesh, an axis that its home does not divide is whole."""
  homes = [HOME.get(letter) for letter in letters]
  if shape is not None and mesh is not None:
    homes = [h if h and n % extent(mesh, h) == 0 else None for h, n in zip(homes, shape)]
  return PartitionSpec(*homes)


def extent(mesh: AnyMesh, home: str | Sequence[str]) -> int:
  return math.prod(mesh.shape[axis] for axis in ([home] if isinstance(home, str) else home))


def weight_name(path: Sequence[Any]) -> str:
  """'blocks.q_HKD' from a tree path."""
  names = (str(getattr(k, 'name', getattr(k, 'key', 'value'))) for k in path)
  return '.'.join(name for name in names if name != 'value')
