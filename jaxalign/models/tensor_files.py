"""What lies where in safetensors files, and writing them as a stream; no pickle, no torch, no map.

The safetensors package maps whole files into memory, where every page touched counts as resident,
and knows no gs://. Reading by offset into the arrays that the devices will own (tensor_reader)
needs one copy and no more.
"""

import dataclasses
import json
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from etils import epath
from jax.typing import DTypeLike

from jaxalign.config import UserError
from jaxalign.files import read_object, refuse_irregular
from jaxalign.models.directories import REMOTE

_DTYPES = {
  'F64': np.dtype('float64'),
  'F32': np.dtype('float32'),
  'F16': np.dtype('float16'),
  'BF16': np.dtype(jnp.bfloat16),
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_HEADER_LIMIT = 100 << 20  # bytes; the format's own
_WRITTEN_AT_ONCE = 16 << 20  # bytes
_PICKLES = ('.bin', '.pt', '.pth', '.ckpt', '.pkl')


@dataclasses.dataclass(frozen=True)
class Stored:
  """Where one tensor lies; a flaw is kept, so that one message can name all of a checkpoint's."""

  name: str
  file: str
  dtype: np.dtype | None
  shape: tuple[int, ...]
  start: int
  flaw: str | None = None

  @property
  def nbytes(self) -> int:
    return math.prod(self.shape) * self.dtype.itemsize if self.dtype else 0


def header(file: epath.PathLike) -> dict[str, Stored]:
  """{name: Stored} of one file."""
  file = epath.Path(file)
  refuse_irregular(file)
  if file.is_dir():
    raise UserError(f'{file} is a directory, not a safetensors file; fetch it again')
  with file.open('rb') as f:
    f.seek(0, os.SEEK_END)  # epath's stat fails where the user has no name, as in a container
    size = f.tell()
    f.seek(0)
    length = int.from_bytes(f.read(8), 'little')
    if size < 8 or length > min(size - 8, _HEADER_LIMIT):
      raise UserError(f'{file}: not a safetensors file, or cut off in its header ({size:,} bytes)')
    text = f.read(length)
  try:
    entries = json.loads(text, object_pairs_hook=_once_each)
    entries.pop('__metadata__', None)
    stored = {name: _stored(file, size, 8 + length, name, e) for name, e in entries.items()}
  except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as e:
    why = ' '.join(str(e).split())[:200]
    raise UserError(f'{file}: its safetensors header is corrupt ({why}); fetch it again') from e
  return _apart(stored)


def _once_each(pairs):
  content = {}
  for name, value in pairs:
    if name in content:
      raise ValueError(f'{name!r} is there twice')
    content[name] = value
  return content


def _stored(file, size, data, name, entry):
  kind, shape, (start, stop) = entry['dtype'], tuple(entry['shape']), entry['data_offsets']
  dtype, flaw = _DTYPES.get(kind), None
  if not all(type(n) is int and n >= 0 for n in (*shape, start, stop)):
    raise ValueError(f'the shape or the offsets of {name!r} are not counts')
  if dtype is None:
    flaw = f'of type {kind}, where only {", ".join(_DTYPES)} are weights: take it not quantised'
  elif stop - start != math.prod(shape) * dtype.itemsize:
    flaw = f'with {stop - start} bytes, which do not make {list(shape)} of {kind}'
  elif data + stop > size:
    flaw = f'cut off: {file.name} ends at {size:,} bytes; fetch it again'
  return Stored(name, str(file), dtype, shape, data + start, flaw)


def _apart(stored):
  """Marks tensors that share bytes."""
  end, last = 0, None
  for s in sorted((s for s in stored.values() if not s.flaw and s.nbytes), key=lambda s: s.start):
    if s.start < end:
      stored[s.name] = dataclasses.replace(s, flaw=f'on the bytes of {last}; fetch the file again')
    end, last = max(end, s.start + s.nbytes), s.name
  return stored


def directory(path: epath.PathLike) -> dict[str, Stored]:
  """{name: Stored} of a checkpoint directory: one file, or shards under an index.json."""
  path = epath.Path(path)
  if (path / 'model.safetensors').exists():  # before the index, as transformers does
    return header(path / 'model.safetensors')
  index = path / 'model.safetensors.index.json'
  if index.exists():
    return _indexed(path, index)
  refuse_pickle(next((f for f in sorted(path.iterdir()) if f.suffix in _PICKLES), path))
  raise UserError(f'{path}: neither model.safetensors nor model.safetensors.index.json is there')


def refuse_pickle(path: epath.Path) -> None:
  if path.suffix in _PICKLES:
    raise UserError(
      f'{path} is a pickle, which can run code when read; jaxalign reads safetensors only: load it '
      'with transformers and save_pretrained it'
    )


def _indexed(path, index):
  found = read_object(index, 'weight_map', remedy='fetch it again')
  try:
    where = dict(found['weight_map'])
    files = sorted(set(where.values()))
    outside = [f for f in files if not re.fullmatch(r'[\w.-]+\.safetensors', f)]
  except (ValueError, TypeError) as e:
    raise UserError(f'{index}: its weight_map is corrupt ({e}); fetch it again') from e
  if outside:
    raise UserError(
      f'{index}: points outside its directory, or not to safetensors: {some(outside)}'
    )
  absent = [f for f in files if not (path / f).exists()]
  if absent:
    raise UserError(f'{path}: the index names files that are not there: {some(absent)}')
  found = {file: header(path / file) for file in files}
  everything = {name: s for inside in found.values() for name, s in inside.items()}
  lost = {name: _lost(path, name, file) for name, file in where.items() if name not in found[file]}
  return everything | {name: found[file].get(name) for name, file in where.items()} | lost


def _lost(path, name, file):
  return Stored(name, str(path / file), None, (), 0, f'not in {file}, where the index has it')


def some(names: Iterable[str]) -> str:
  """All of these names, for a person: what differs in its layer's number only becomes one entry."""
  layers: dict[tuple[str, str | None], list[int]] = {}
  for name in names:
    text = ' '.join(str(name).split())  # a name from a file must not break the line
    number = re.search(r'(?<=\.)\d+(?=\.)', text)
    key = (text[: number.start()], text[number.end() :]) if number else (text, None)
    layers.setdefault(key, []).append(int(number[0]) if number else 0)
  return ', '.join(
    before if after is None else f'{before}{_ranges(sorted(numbers))}{after}'
    for (before, after), numbers in layers.items()
  )


def _ranges(numbers):
  """[0, 1, 2, 5] -> {0-2,5}; one number stays as it is."""
  runs = []
  for n in numbers:
    if runs and n <= runs[-1][1] + 1:
      runs[-1][1] = n
    else:
      runs.append([n, n])
  text = ','.join(str(a) if a == b else f'{a}-{b}' for a, b in runs)
  return text if len(numbers) == 1 else f'{{{text}}}'


def write(
  file: epath.PathLike,
  shapes: Mapping[str, tuple[DTypeLike, Sequence[int]]],
  tensors: Iterable[np.ndarray],
) -> None:
  """One safetensors file of {name: (dtype, shape)} and the arrays in that order, made as needed."""
  entries: dict[str, Any] = {'__metadata__': {'format': 'pt'}}
  at = 0
  for name, (dtype, shape) in shapes.items():
    stop = at + math.prod(shape) * np.dtype(dtype).itemsize
    entries[name] = dict(dtype=_NAMES[np.dtype(dtype)], shape=list(shape), data_offsets=[at, stop])
    at = stop
  text = json.dumps(entries, separators=(',', ':')).encode()
  text += b' ' * (-len(text) % 8)
  with epath.Path(file).open('wb') as f:
    f.write(len(text).to_bytes(8, 'little') + text)
    for array in tensors:
      raw = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
      for at in range(0, len(raw), _WRITTEN_AT_ONCE):
        f.write(bytes(raw[at : at + _WRITTEN_AT_ONCE]))  # some remote files take nothing but bytes
    if REMOTE not in str(file):
      f.flush()
      os.fsync(f.fileno())  # the rename that follows must not reach the disk before this
