"""Meshes: how the devices of a run lie along the axes."""

import math
from collections.abc import Sequence

import jax
from jax.experimental import mesh_utils
from jax.sharding import AxisType, Mesh

from jaxalign import chips
from jaxalign.config import UserError
from jaxalign.sharding.alphabet import AXES


def make_mesh(
  data: int = 1, fsdp: int = -1, tensor: int = 1, devices: Sequence[jax.Device] | None = None
) -> Mesh:
  """A mesh over all devices; the one size given as -1 takes what the others leave."""
  devices = jax.devices() if devices is None else devices
  sizes = mesh_sizes(data, fsdp, tensor, len(devices))
  types = (AxisType.Auto,) * 3
  slices = len({getattr(device, 'slice_index', 0) for device in devices})
  if slices > 1:
    return Mesh(_over_slices(sizes, slices, devices), AXES, axis_types=types)
  try:
    return jax.make_mesh(sizes, AXES, types, devices=devices)
  except NotImplementedError:  # sizes that divide a side of the torus: data=2 on a v5p's 4 x 8 x 8
    how = dict(allow_split_physical_axes=True)
    return Mesh(mesh_utils.create_device_mesh(sizes, devices, **how), AXES, axis_types=types)


def _over_slices(sizes, slices, devices):
  """Devices of which each slice holds all weights: only gradients' sums go over the network."""
  if sizes[0] % slices:
    raise UserError(
      f'mesh.data={sizes[0]} on {slices} slices: make it a multiple of {slices}, for weights are '
      'not split over the network between slices'
    )
  inner = sizes[0] // slices, *sizes[1:]
  return mesh_utils.create_hybrid_device_mesh(
    inner, (slices, 1, 1), devices, allow_split_physical_axes=True
  )


def platform() -> str:
  """'tpu', 'gpu' or 'cpu': of the mesh that is set (its devices may be far), or of this process."""
  device = jax.sharding.get_abstract_mesh().abstract_device
  return jax.default_backend() if device is None else device.platform


def training_options() -> tuple[tuple[str, str], ...]:
  """What the compiler of the mesh that is set is told of a training step, as items of a dict."""
  device = jax.sharding.get_abstract_mesh().abstract_device or jax.devices()[0]
  chip = chips.of_device(device.device_kind) if device.platform == 'tpu' else None
  if chip is None or not chip.fusion:
    return ()
  return (('xla_tpu_scoped_vmem_limit_kib', str(chip.fusion)),)


def mesh_sizes(data: int, fsdp: int, tensor: int, count: int) -> tuple[int, int, int]:
  """The sizes on `count` devices, which need not be here."""
  given = data, fsdp, tensor
  known = math.prod(size for size in given if size != -1)
  if given.count(-1) > 1 or min(given) < -1 or 0 in given or count % known:
    raise UserError(
      f'mesh (data, fsdp, tensor) = {given} does not divide {count} devices; '
      'give sizes whose product is the number of devices, at most one of them -1'
    )
  data, fsdp, tensor = (count // known if size == -1 else size for size in given)
  if data * fsdp * tensor != count:
    raise UserError(
      f'mesh (data, fsdp, tensor) = {(data, fsdp, tensor)} uses {data * fsdp * tensor} of '
      f'{count} devices; make one of the sizes -1, or name the devices'
    )
  return data, fsdp, tensor
