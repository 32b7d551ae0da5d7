"""Models that are one file: llama.cpp's .gguf and llama2.c's .bin."""

import concurrent.futures
import dataclasses
import os
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxalign.config import UserError
from jaxalign.models import gguf, llama2, llama2c
from jaxalign.models.decoder import Decoder
from jaxalign.models.families import module_of
from jaxalign.models.matching import compare, own_dtype
from jaxalign.models.model_config import ModelConfig
from jaxalign.models.tensor_files import some
from jaxalign.models.tensor_reader import aligned, nonfinite
from jaxalign.sharding.alphabet import weight_name
from jaxalign.sharding.layout import layout

_Path = str | os.PathLike[str]


def from_llama2c(path: _Path, dtype: str, mesh: Mesh | None) -> Decoder:
  """The model of a llama2.c .bin."""
  cfg, arrays = llama2c.read(path)
  both: Any = dict(dtype=dtype, weights=dtype)
  cfg = dataclasses.replace(cfg, **both)
  shapes = jax.eval_shape(lambda: llama2.Llama2(cfg, jax.random.key(0)))

  def place(p, leaf, home):
    array = arrays[weight_name(p)]
    if not np.isfinite(array).all():
      raise UserError(f'{path}: NaN or infinite weights in {weight_name(p)}')
    return jax.device_put(array.astype(leaf.dtype), home)

  return jax.tree.map_with_path(place, shapes, _homes(shapes, mesh))


def _homes(shapes, mesh):
  return layout(shapes, mesh) if mesh else jax.tree.map(lambda _: jax.devices()[0], shapes)


def gguf_table(path: _Path, dtype: str | None) -> tuple[ModelConfig, Any, dict[str, Any]]:
  """(config, its shapes, `compare`'s table) of a .gguf; a dtype of None is that of its weights."""
  raw, stored = gguf.read(path)
  dtype = dtype or own_dtype(stored)
  try:
    module = module_of(raw)
    dialect = module.HUGGING_FACE
    cfg = dialect.read(module.Config, raw, dtype=dtype, weights=dtype)
  except UserError as e:
    raise UserError(f'{path}: {e}') from e
  shapes = jax.eval_shape(lambda: cfg.build(jax.random.key(0)))
  return cfg, shapes, compare(path, cfg, dialect.tensors, shapes, stored)


def from_gguf(path: _Path, dtype: str | None, mesh: Mesh | None) -> Decoder:
  """The model of a .gguf, widened layer by layer on all cores: one weight at a time is in memory
  whole, besides what is placed."""
  _, shapes, table = gguf_table(path, dtype)

  def build(p, leaf, home):
    stacked, parts = table[weight_name(p)]
    out = aligned(leaf.shape, leaf.dtype)

    def one(n):
      values, into = parts[n].read(), out[n] if stacked else out
      with np.errstate(over='ignore'):  # what becomes infinite is found and named
        into[...] = values.reshape(into.shape)
      return nonfinite(into)

    bad = [parts[n].name for n, bad in enumerate(pool.map(one, range(len(parts)))) if bad]
    if bad:
      raise UserError(f'{path}: NaN or infinite weights (as {leaf.dtype}) in {some(bad)}')
    return jax.device_put(out, home)

  with concurrent.futures.ThreadPoolExecutor() as pool:
    return jax.tree.map_with_path(build, shapes, _homes(shapes, mesh))
