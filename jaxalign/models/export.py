"""From a model on a mesh to a Hugging Face directory, which appears only when it is complete."""

import dataclasses
import functools
import json
import math
import shutil
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from etils import epath
from flax import nnx
from jax.sharding import NamedSharding, PartitionSpec

from jaxalign import pod
from jaxalign.config import UserError
from jaxalign.models import tensor_files
from jaxalign.models.adapters import folded
from jaxalign.models.decoder import Decoder
from jaxalign.models.directories import REMOTE, replacing
from jaxalign.models.families import MODELS
from jaxalign.models.matching import their_shape
from jaxalign.models.tensor_files import some
from jaxalign.sharding.alphabet import weight_name

# Their name, type and shape of a tensor, and what fetches it.
_Tensor = tuple[str, np.dtype, tuple[int, ...], Callable[[], np.ndarray]]

SHARD = 5_000_000_000  # bytes of one file, at most


def export(model: nnx.Module, path: epath.PathLike, overwrite: bool = False) -> None:
  """Writes what transformers' from_pretrained reads: safetensors, config and the tokenizer's files.

  Adapters that lie over the model are folded in. On several hosts all call it; the first writes.
  """
  model = folded(model) if isinstance(model, Decoder) else model
  dialect = _dialect_of(model)
  tensors = list(_tensors(model, dialect.tensors))
  if not pod.writes():
    for _, _, _, fetch in tensors:
      fetch()
    return
  config = dialect.write(dataclasses.replace(model.cfg, weights=tensors[0][1].name))
  with replacing(path, overwrite) as partial:
    _check_space(path, partial, sum(_bytes(t) for t in tensors))
    write_shards(partial, tensors)
    write_json(partial / 'config.json', config)
    ids = {k: v for k, v in config.items() if k.endswith('_token_id')}
    write_json(partial / 'generation_config.json', dict(_from_model_config=True) | ids)
    if model.tokenizer is not None:
      model.tokenizer.save(partial)


def _dialect_of(model):
  for module in MODELS.values():
    if isinstance(model, Decoder) and type(model.cfg) is module.Config:
      return module.HUGGING_FACE
  name = type(model).__name__
  inside = hasattr(model, 'decoder')
  remedy = 'export its decoder' if inside else f'export takes {", ".join(MODELS)}'
  raise UserError(f'{name} is not a model that Hugging Face has: {remedy}')


def _tensors(model, names):
  """(their name, dtype, shape, fetch) of every tensor, in the order of the network."""
  weights = {weight_name(p): w for p, w in jax.tree.leaves_with_path(model)}
  odd = [name for name in weights if name not in names]
  if odd:
    raise UserError(f'{some(odd)} have no place in a Hugging Face checkpoint')
  for name, theirs in names.items():
    if name not in weights:  # a tied head
      continue
    w = weights[name]
    stacked = '{n}' in theirs
    shape = their_shape(name, w.shape[1:] if stacked else w.shape)
    for n in range(w.shape[0]) if stacked else (None,):
      yield theirs.format(n=n), w.dtype, shape, functools.partial(_on_host, w, n)


def _on_host(w, n):
  """One tensor, whole, in this process's memory; across hosts it is gathered layer by layer."""
  if not w.is_fully_addressable:
    everywhere = NamedSharding(w.sharding.mesh, PartitionSpec())
    return np.asarray(_gathered(w, n, everywhere).addressable_data(0))
  out = np.empty(w.shape if n is None else w.shape[1:], w.dtype)
  for shard in w.addressable_shards:
    if shard.replica_id == 0:
      where, part = (shard.index, shard.data) if n is None else (shard.index[1:], shard.data[n])
      out[where] = np.asarray(part)
  return out


@functools.partial(jax.jit, static_argnames='home')
def _gathered(w, n, home):
  layer = w if n is None else jax.lax.dynamic_index_in_dim(w, n, keepdims=False)
  return jax.lax.with_sharding_constraint(layer, home)


def _bytes(tensor):
  _, dtype, shape, _ = tensor
  return math.prod(shape) * dtype.itemsize


def write_shards(directory: epath.Path, tensors: Sequence[_Tensor]) -> None:
  shards: list[list[_Tensor]] = [[]]
  for tensor in tensors:
    if shards[-1] and sum(map(_bytes, shards[-1])) + _bytes(tensor) > SHARD:
      shards.append([])
    shards[-1].append(tensor)
  where: dict[str, str] = {}
  for i, shard in enumerate(shards, 1):
    file = 'model.safetensors'
    if len(shards) > 1:
      file = f'model-{i:05d}-of-{len(shards):05d}.safetensors'
    shapes = {name: (dtype, shape) for name, dtype, shape, _ in shard}
    tensor_files.write(directory / file, shapes, (fetch() for *_, fetch in shard))
    where |= dict.fromkeys(shapes, file)
  if len(shards) > 1:
    total = sum(map(_bytes, tensors))
    index = dict(metadata=dict(total_size=total), weight_map=where)
    write_json(directory / 'model.safetensors.index.json', index)


def write_json(file: epath.Path, content: Any) -> None:
  file.write_text(json.dumps(content, indent=2) + '\n')


def _check_space(path, partial, needed):
  if REMOTE in str(partial):
    return
  free = shutil.disk_usage(partial).free
  if free < needed:
    raise UserError(f'{path}: needs {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free there')
