"""What devices do together by hand: sampling in groups, sums over the rows that each has."""

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
from jax.experimental.layout import Layout, with_layout_constraint
from jax.sharding import AbstractMesh, AxisType, Mesh, PartitionSpec

from jaxalign.sharding.alphabet import AXES, HOME, AnyMesh, extent, spec
from jaxalign.sharding.layout import leaf_spec
from jaxalign.sharding.meshes import platform

_WAYS = 8, 16  # devices that hold one copy of the weights between them, while a model samples


def sampling_mesh(mesh: AnyMesh, kv_heads: int) -> AbstractMesh:
  """The same devices as groups, each of which holds all weights between its devices: of sixteen
  where as many can share the key heads evenly, of eight else. With more of them the sums that each
  layer waits for would take longer than the weights that are no longer read."""
  data, fsdp, tensor = (mesh.shape[axis] for axis in AXES)
  few, many = _WAYS
  inner = math.gcd(fsdp, max((few if kv_heads % many else many) // tensor, 1))
  return _abstract(dict(data=data * fsdp // inner, fsdp=1, tensor=inner * tensor), mesh)


def _abstract(sizes, like):
  device = like.abstract_mesh.abstract_device if isinstance(like, Mesh) else like.abstract_device
  auto = (AxisType.Auto,) * len(sizes)
  return AbstractMesh(tuple(sizes.values()), tuple(sizes), auto, abstract_device=device)


@contextlib.contextmanager
def sampling_groups(weights: Any) -> Iterator[Any]:
  """`with sampling_groups(weights) as weights:` sampling_mesh is set, and the weights lie on it.

  From the homes of training every device would gather all weights for each single token. What goes
  in is to be pinned inside the block, and what comes out after it.
  """
  mesh = jax.sharding.get_abstract_mesh()
  if mesh.empty or mesh.shape['fsdp'] == 1:
    yield weights
    return
  groups = sampling_mesh(mesh, weights.cfg.kv_heads)
  # In two steps on the axes of both meshes: at once the partitioner would make every weight whole.
  data, _, tensor = mesh.axis_sizes
  inner, outer = groups.shape['tensor'] // tensor, groups.shape['data'] // data
  both = _abstract(dict(data=data, outer=outer, inner=inner, tensor=tensor), mesh)

  def move(path, w):
    split = [('inner', 'tensor') if h == 'tensor' else None for h in leaf_spec(path, w, groups)]
    home = leaf_spec(path, w, mesh)
    if any(split) and 'fsdp' in home:
      between = PartitionSpec(*('outer' if h == 'fsdp' else s for h, s in zip(home, split)))
      w = jax.lax.with_sharding_constraint(w, between)
    w = jax.lax.with_sharding_constraint(w, PartitionSpec(*split))
    # Left as a gather leaves them, weights would be copied to lie so again for each token.
    return with_layout_constraint(w, Layout(tuple(range(w.ndim))))

  with jax.sharding.use_abstract_mesh(both):
    weights = jax.tree.map_with_path(move, weights)
  with jax.sharding.use_abstract_mesh(groups):
    yield weights


def goes_evenly(rows: int) -> bool:
  """Whether so many rows go evenly onto the devices of the mesh, if there is one."""
  mesh = jax.sharding.get_abstract_mesh()
  return mesh.empty or rows % extent(mesh, HOME['B']) == 0


def own_rows(
  f: Callable[[Any, Any], tuple[Any, Any]], rows: Any, whole: Any, sums: Any = None
) -> tuple[Any, Any]:
  """f(rows, whole) -> (more rows, what it sums over rows), by every device on its own rows.

  The sums are added over the devices once, when f is done, and not at every turn of a loop inside
  it; one of a weight's shape goes straight to that weight's home, a reduce-scatter. (Left to GSPMD,
  many devices each get all of it, and drop most.) sums: the letters of each.
  """
  mesh = jax.sharding.get_abstract_mesh()
  ways = 1 if mesh.empty or mesh.manual_axes else extent(mesh, HOME['B'])
  if ways == 1 or jax.tree.leaves(rows)[0].shape[0] % ways:
    return f(rows, whole)

  def local(rows, whole):
    mine, parts = f(rows, whole)
    return mine, jax.tree.map(lambda x, letters: _added(x, letters, mesh), parts, sums)

  spread, everywhere = PartitionSpec(HOME['B']), PartitionSpec()
  shapes = jax.eval_shape(f, rows, whole)[1]
  homes = jax.tree.map(lambda x, letters: _on_rows(letters, x.shape, mesh), shapes, sums)
  specs = dict(in_specs=(spread, everywhere), out_specs=(spread, homes))
  mapped = jax.shard_map(local, mesh=mesh, **specs, axis_names=set(HOME['B']), check_vma=False)
  return mapped(rows, whole)


def _on_rows(letters, shape, mesh):
  """The part of a home that lies on the axes over which rows are spread."""
  return PartitionSpec(*(h if h in HOME['B'] else None for h in spec(letters, shape, mesh)))


def _added(x, letters, mesh):
  """The sum of x over the devices; each gets the part that lies with it."""
  if x.dtype == 'bfloat16' and platform() == 'cpu':  # whose compiler aborts on such a sum
    return _added(x.astype('float32'), letters, mesh).astype(x.dtype)
  home = tuple(_on_rows(letters, x.shape, mesh))
  if 'fsdp' not in home:
    return jax.lax.psum(x, HOME['B'])
  at = home.index('fsdp')
  for groups in _stages(mesh.shape['fsdp'], mesh.abstract_device.platform):
    x = jax.lax.psum_scatter(x, 'fsdp', scatter_dimension=at, axis_index_groups=groups, tiled=True)
  return jax.lax.psum(x, 'data')


def _stages(ways, platform):
  """The groups of a sum in two stages: of devices that stand in rows, first down the columns, then
  along the rows. Together they send what one stage would.

  A TPU's devices stand so, as near to a square as they go; over both axes of its torus at once its
  compiler makes no reduce-scatter: it adds up all of it everywhere.
  """
  down = next(n for n in range(int(ways**0.5), 0, -1) if ways % n == 0)
  along = ways // down
  if platform != 'tpu' or down == 1:
    return (None,)
  columns = [[r * along + c for r in range(down)] for c in range(along)]
  return columns, [[r * along + c for c in range(along)] for r in range(down)]
