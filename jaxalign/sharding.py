"""Where arrays live. A name's suffix spells its axes, and each axis has one home on the mesh.

So `q_HKD` lies on ('tensor', None, 'fsdp'), and so do its gradient and its Adam moments.

  B batch    T query time    S key time    N layers
  D width    F mlp hidden    V vocabulary
  H query heads    G key and value heads    Q query heads per key head    K head size
  R rank of an adapter    P prompt length    C chunk
"""

import contextlib
import math
import re

import jax
from jax.experimental import mesh_utils
from jax.experimental.layout import Layout, with_layout_constraint
from jax.sharding import AbstractMesh, AxisType, Mesh, NamedSharding, PartitionSpec

from jaxalign.config import UserError

HOME = {
  'B': ('data', 'fsdp'),
  'D': 'fsdp',
  'F': 'tensor',
  'G': 'tensor',
  'H': 'tensor',
  'V': 'tensor',
}
AXES = ('data', 'fsdp', 'tensor')
_WAYS = 8  # devices that hold one copy of the weights between them, while a model samples


def make_mesh(data=1, fsdp=-1, tensor=1, devices=None):
  """A mesh over all devices; the one size given as -1 takes what the others leave."""
  devices = jax.devices() if devices is None else devices
  sizes = mesh_sizes(data, fsdp, tensor, len(devices))
  slices = len({getattr(device, 'slice_index', 0) for device in devices})
  if slices > 1:
    return Mesh(_over_slices(sizes, slices, devices), AXES, axis_types=(AxisType.Auto,) * 3)
  return jax.make_mesh(sizes, AXES, (AxisType.Auto,) * 3, devices=devices)


def _over_slices(sizes, slices, devices):
  """Of several slices each holds a whole copy of the weights: nothing but the sum of gradients goes
  through the network between them."""
  if sizes[0] % slices:
    raise UserError(
      f'mesh.data={sizes[0]} on {slices} slices: make it a multiple of {slices}, for weights are '
      'not split over the network between slices'
    )
  inner = sizes[0] // slices, *sizes[1:]
  return mesh_utils.create_hybrid_device_mesh(
    inner, (slices, 1, 1), devices, allow_split_physical_axes=True
  )


def platform():
  """'tpu', 'gpu' or 'cpu': of the mesh that is set, whose devices may be far; else of this
  process."""
  device = jax.sharding.get_abstract_mesh().abstract_device
  return jax.default_backend() if device is None else device.platform


def mesh_sizes(data, fsdp, tensor, count):
  """The sizes on `count` devices, which need not be here."""
  sizes = [data, fsdp, tensor]
  known = 1
  for size in sizes:
    known *= size if size != -1 else 1
  if sizes.count(-1) > 1 or min(sizes) < -1 or 0 in sizes or count % known:
    raise UserError(
      f'mesh (data, fsdp, tensor) = {tuple(sizes)} does not divide {count} devices; '
      'give sizes whose product is the number of devices, at most one of them -1'
    )
  sizes = tuple(count // known if size == -1 else size for size in sizes)
  if sizes[0] * sizes[1] * sizes[2] != count:
    raise UserError(
      f'mesh (data, fsdp, tensor) = {sizes} uses {sizes[0] * sizes[1] * sizes[2]} of '
      f'{count} devices; make one of the sizes -1, or name the devices'
    )
  return sizes


def axes(name):
  """'q_HKD' -> 'HKD'; a name with no suffix is a scalar."""
  return (re.search(r'_([A-Z]+)$', name) or ' _')[1].strip('_')


def spec(letters, shape=None, mesh=None):
  """The homes of some axes. Given a shape and a mesh, an axis its home does not divide stays whole:
  8 key heads on a tensor axis of 16, or a vocabulary with one token added."""
  homes = [HOME.get(letter) for letter in letters]
  if shape is not None:
    homes = [h if h and n % _extent(mesh, h) == 0 else None for h, n in zip(homes, shape)]
  return PartitionSpec(*homes)


def _extent(mesh, home):
  extent = 1
  for axis in [home] if isinstance(home, str) else home:
    extent *= mesh.shape[axis]
  return extent


def weight_name(path):
  """'blocks.q_HKD' from a tree path."""
  names = (str(getattr(k, 'name', getattr(k, 'key', 'value'))) for k in path)
  return '.'.join(name for name in names if name != 'value')


def leaf_spec(path, leaf, mesh):
  """The layout of one leaf of a model, its gradient, its optimizer state or its cache, by its name.

  Vectors are whole everywhere, and so is what has fewer axes than its name says: the factored
  moments of Adafactor, whose remaining axes cannot be told from the name.
  """
  names = [str(getattr(k, 'name', getattr(k, 'key', ''))) for k in path]
  letters = next((axes(name) for name in reversed(names) if axes(name)), '')
  letters = letters.removeprefix('N')  # of a cache, whose layers may lie apart
  if len(letters) < 2 or leaf.ndim < len(letters) + ('blocks' in names):
    return PartitionSpec()
  letters = '-' * (leaf.ndim - len(letters)) + letters  # stacked layers lead
  return spec(letters, leaf.shape, mesh)


def layout(tree, mesh):
  """The sharding of every leaf of a tree, from the names on the way to it."""
  return jax.tree.map_with_path(lambda p, x: NamedSharding(mesh, leaf_spec(p, x, mesh)), tree)


def pin(x, letters):
  """Fixes an activation's layout: pin(x_BTD, 'B') spreads its first axis over the data axes."""
  mesh = jax.sharding.get_abstract_mesh()
  if mesh.empty:
    return x
  return jax.lax.with_sharding_constraint(x, spec(letters, x.shape, mesh))


def pin_weights(tree):
  """Keeps weights on their homes, so that a cast happens before the gather and not after it."""
  mesh = jax.sharding.get_abstract_mesh()
  if mesh.empty:
    return tree
  pinned = jax.lax.with_sharding_constraint
  return jax.tree.map_with_path(lambda path, x: pinned(x, leaf_spec(path, x, mesh)), tree)


def sampling_mesh(mesh):
  """The same devices as groups of WAYS, each of which holds all weights between its devices."""
  data, fsdp, tensor = (mesh.shape[axis] for axis in AXES)
  inner = math.gcd(fsdp, max(_WAYS // tensor, 1))
  return _abstract(dict(data=data * fsdp // inner, fsdp=1, tensor=inner * tensor), mesh)


def _abstract(sizes, like):
  device = like.abstract_mesh.abstract_device if isinstance(like, Mesh) else like.abstract_device
  auto = (AxisType.Auto,) * len(sizes)
  return AbstractMesh(tuple(sizes.values()), tuple(sizes), auto, abstract_device=device)


@contextlib.contextmanager
def sampling_groups(weights):
  """`with sampling_groups(weights) as weights:` sampling_mesh is set, and the weights lie on it.

  From the homes of training every device would gather all weights for each single token. What goes
  in is to be pinned inside the block, and what comes out after it.
  """
  mesh = jax.sharding.get_abstract_mesh()
  if mesh.empty or mesh.shape['fsdp'] == 1:
    yield weights
    return
  groups = sampling_mesh(mesh)
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


def own_rows(f, rows, whole, sums=None):
  """f(rows, whole) -> (more rows, what it sums over rows), by every device on its own rows.

  The sums are added over the devices once, when f is done, and not at every turn of a loop inside
  it; one of a weight's shape goes straight to that weight's home, a reduce-scatter. (Left to GSPMD,
  many devices each get all of it, and drop most.) sums: the letters of each.
  """
  mesh = jax.sharding.get_abstract_mesh()
  ways = 1 if mesh.empty or mesh.manual_axes else _extent(mesh, HOME['B'])
  if ways == 1 or jax.tree.leaves(rows)[0].shape[0] % ways:
    return f(rows, whole)

  def local(rows, whole):
    mine, parts = f(rows, whole)
    return mine, jax.tree.map(lambda x, letters: _added(x, letters, mesh), parts, sums)

  spread, everywhere = PartitionSpec(HOME['B']), PartitionSpec()
  shapes = jax.eval_shape(f, rows, whole)[1]
  homes = jax.tree.map(lambda x, letters: _on_rows(letters, x.shape, mesh), shapes, sums)
  return jax.shard_map(
    local, mesh=mesh, in_specs=(spread, everywhere), out_specs=(spread, homes),
    axis_names=set(HOME['B']), check_vma=False,
  )(rows, whole)  # fmt: skip


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


def mesh_of(tree):
  """The mesh a tree's concrete arrays lie on; None for one device, or under tracing."""
  for leaf in jax.tree.leaves(tree):
    if isinstance(leaf, jax.core.Tracer) or not isinstance(leaf, jax.Array):
      return None
    if isinstance(leaf.sharding, NamedSharding) and isinstance(leaf.sharding.mesh, Mesh):
      return leaf.sharding.mesh
  return None


def on_mesh(mesh):
  """`with on_mesh(mesh):` is jax.set_mesh, and nothing where there is no mesh."""
  return jax.set_mesh(mesh) if mesh is not None else contextlib.nullcontext()


def born(init, mesh, *args):
  """Runs init(*args) so that no array of its result is ever whole on one device."""
  if mesh is None:
    return jax.jit(init)(*args)
  with jax.set_mesh(mesh):
    return jax.jit(init, out_shardings=layout(jax.eval_shape(init, *args), mesh))(*args)
