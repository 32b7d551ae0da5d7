"""From a Hugging Face directory to a model on a mesh.

Import streams: each process reads the slices its own devices hold, straight into the memory that
they will use, so that the host never holds more than its share.
"""

import concurrent.futures
import dataclasses
import json
import os
import re
from typing import Any

import jax
import numpy as np
from etils import epath
from jax.sharding import Mesh, SingleDeviceSharding
from jax.typing import DTypeLike

from jaxalign.config import UserError
from jaxalign.models import llama2c, one_file, tensor_files
from jaxalign.models.decoder import Decoder
from jaxalign.models.directories import place
from jaxalign.models.families import module_of
from jaxalign.models.matching import DTYPES, compare, own_dtype
from jaxalign.models.model_config import ModelConfig
from jaxalign.models.tensor_files import some
from jaxalign.models.tensor_reader import Reader, aligned
from jaxalign.sharding.alphabet import weight_name
from jaxalign.sharding.layout import layout


def load(
  path: epath.PathLike, *, dtype: DTypeLike | None = None, mesh: Mesh | None = None
) -> Decoder:
  """A model from a Hugging Face directory (local, gs://, a hub name), a .gguf or a llama2.c .bin.

  dtype: of weights and arithmetic; None keeps the file's. mesh: where the weights are laid out.
  """
  name = _dtype(dtype)
  path = resolve(path)
  if path.is_file() and path.suffix == '.safetensors':
    raise UserError(f'{path} is one file of a checkpoint; give its directory, {path.parent}')
  if path.is_file() and path.suffix == '.gguf':
    return one_file.from_gguf(path, name, mesh)
  if path.is_file():
    return one_file.from_llama2c(path, name or 'float32', mesh)
  _, shapes, table = _compared(path, name)
  return _filled(path, shapes, table, mesh)


def load_classifier(
  path: epath.PathLike, *, dtype: DTypeLike | None = None, mesh: Mesh | None = None
) -> tuple[Decoder, np.ndarray, dict[str, Any]]:
  """(decoder, score_CD, config.json) of a directory of a ...ForSequenceClassification: a row of
  scores for each of its labels, read at a text's last token; the decoder has no head of its own."""
  name, path = _dtype(dtype), resolve(path)
  stored = dict(tensor_files.directory(path)) if path.is_dir() else {}
  score = stored.pop('score.weight', None)
  if score is None or score.flaw or len(score.shape) != 2:
    raise UserError(f'{path} has no score.weight: it is no checkpoint of a classifier of texts')
  cfg, tensors = _config_of(path, name or own_dtype(stored))
  if cfg.width != score.shape[1]:
    raise UserError(
      f'{path}: score.weight reads {score.shape[1]} numbers, the model has {cfg.width}'
    )
  cfg = dataclasses.replace(cfg, tied=True)
  shapes = jax.eval_shape(lambda: cfg.build(jax.random.key(0)))
  table = compare(path, cfg, tensors, shapes, stored)
  score_CD = np.zeros(score.shape, np.float32)
  with Reader() as reader:
    box = tuple(slice(0, size) for size in score.shape)
    if reader.fill(score, score.shape, [(box, score_CD)]):
      raise UserError(f'{path}: score.weight is not finite; is it of a failed run?')
  raw = json.loads((epath.Path(path) / 'config.json').read_text())
  return _filled(path, shapes, table, mesh), score_CD, raw


def _filled(path, shapes, table, mesh):
  """A model of these shapes, its weights read."""
  alone = SingleDeviceSharding(jax.devices()[0])
  homes = layout(shapes, mesh) if mesh else jax.tree.map(lambda _: alone, shapes)
  with Reader() as reader, concurrent.futures.ThreadPoolExecutor() as pool:

    def build(p, leaf, home):
      return _read(path, reader, pool, leaf, home, *table[weight_name(p)])

    return jax.tree.map_with_path(build, shapes, homes)


def examine(path: epath.PathLike) -> tuple[ModelConfig, bool]:
  """The config, and whether weights' names and shapes were compared; a hub's are not fetched."""
  here = place(path).exists()
  path = resolve(path, weights=False)
  if path.is_file() and path.suffix == '.gguf':
    return one_file.gguf_table(path, None)[0], True
  if path.is_file():
    return llama2c.read(path)[0], True
  if not here:
    return _config_of(path, 'float32')[0], False
  return _compared(path, None)[0], True


def _compared(path, dtype):
  """(config, the model's shapes, {our weight: its stored tensors}) of a directory that fits."""
  stored = tensor_files.directory(path)
  cfg, tensors = _config_of(path, dtype or own_dtype(stored))
  shapes = jax.eval_shape(lambda: cfg.build(jax.random.key(0)))
  return cfg, shapes, compare(path, cfg, tensors, shapes, stored)


def resolve(path: epath.PathLike, weights: bool = True) -> epath.Path:
  """The path of what is meant; a hub name (owner/model) is fetched, weights if asked, no code."""
  if not isinstance(path, str | os.PathLike):
    raise UserError(f'path={path!r}: give a directory, a file or a hub name')
  found = place(path)
  if found.exists():
    return found
  name = str(path)
  if not re.fullmatch(r'[\w.-]+/[\w.-]+', name) or name.startswith('.'):
    raise UserError(f'{path}: there is no such file or directory')
  import huggingface_hub  # slow to import, and needed here only

  try:
    wanted = ['*.safetensors'] * weights + ['*.json', 'tokenizer.model', '*.txt', '*.jinja']
    return epath.Path(huggingface_hub.snapshot_download(name, allow_patterns=wanted))
  except Exception as e:  # the hub's client has dozens of error types; all mean the same here
    why = str(e).strip().split('\n')[0][:200]
    raise UserError(f'{path}: not a local directory, and the hub did not give it: {why}') from e


def _config_of(path, dtype):
  """(config, {our weight: their tensor}) of a checkpoint directory."""
  file = epath.Path(path) / 'config.json'
  try:
    raw = json.loads(file.read_text())
  except FileNotFoundError as e:
    raise UserError(f'{path}: config.json is not there; is this a Hugging Face directory?') from e
  except (ValueError, RecursionError) as e:
    raise UserError(f'{file}: not valid JSON ({e}); fetch it again') from e
  try:
    module = module_of(raw)
    dialect = module.HUGGING_FACE
    return dialect.read(module.Config, raw, dtype=dtype, weights=dtype), dialect.tensors
  except UserError as e:
    raise UserError(f'{path}: {e}') from e


def _read(path, reader, pool, leaf, home, stacked, parts):
  """One weight: its layers are read at once, by several threads, into the devices' own shards.

  Devices that hold the same part are given the same memory; a CPU then has it once for all of them.
  """
  boxes, arrays = {}, {}
  for device, index in home.addressable_devices_indices_map(leaf.shape).items():
    boxes[device] = tuple(slice(*s.indices(n)[:2]) for s, n in zip(index, leaf.shape))
    ends = _ends(boxes[device])
    if ends not in arrays:
      arrays[ends] = boxes[device], aligned([stop - start for start, stop in ends], leaf.dtype)

  def one(n):
    if stacked:
      wants = [(box[1:], array[n]) for box, array in arrays.values()]
      return reader.fill(parts[n], leaf.shape[1:], wants)
    return reader.fill(parts[n], leaf.shape, list(arrays.values()))

  bad = [parts[n].name for n, bad in enumerate(pool.map(one, range(len(parts)))) if bad]
  if bad:
    narrow = f' (as {leaf.dtype})' if any(s.dtype != leaf.dtype for s in parts) else ''
    raise UserError(
      f'{path}: NaN or infinite weights{narrow} in {some(bad)}; is it of a failed run?'
    )
  shards = [jax.device_put(arrays[_ends(box)][1], device) for device, box in boxes.items()]
  return jax.make_array_from_single_device_arrays(leaf.shape, home, shards)


def _ends(box):
  return tuple((s.start, s.stop) for s in box)  # slices have no hash before Python 3.12


def _dtype(dtype):
  if dtype is None:
    return None
  try:
    name = np.dtype(dtype).name
  except TypeError:  # a name that jax knows and numpy does not, or none at all
    name = str(dtype)
  if name not in DTYPES:
    raise UserError(f'dtype={name!r}: weights are one of {", ".join(DTYPES)}')
  return name
