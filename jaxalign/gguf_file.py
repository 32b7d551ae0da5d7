"""GGUF files, as llama.cpp writes them: their fields and tensors, read by the gguf library."""

import dataclasses
import functools
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxalign.config import UserError
from jaxalign.files import refuse_irregular

_PLAIN = {'F32': 'float32', 'F16': 'float16', 'BF16': 'bfloat16'}


@dataclasses.dataclass(frozen=True)
class Tensor:
  """A tensor in the file: its name there, its shape with the last axis the fastest, its bytes."""

  name: str
  shape: tuple[int, ...]
  kind: str  # 'F16', 'Q4_K' and the like
  content: Any  # the library's own tensor

  @property
  def plain(self) -> str:
    """Type of floats that the bytes are; quantised ones are widened to float32."""
    return _PLAIN.get(self.kind, 'float32')

  @property
  def nbytes(self) -> int:
    return int(self.content.n_bytes)

  def widened(self) -> np.ndarray:
    """All values, float32."""
    import gguf

    try:
      values = gguf.dequantize(self.content.data, self.content.tensor_type)
    except NotImplementedError as error:
      raise UserError(
        f'{self.name} is of type {self.kind}, which the gguf library cannot widen'
      ) from error
    return np.asarray(values, np.float32).reshape(self.shape)


@dataclasses.dataclass(frozen=True)
class File:
  """A GGUF file: its path, its fields by name and its tensors by name."""

  path: str
  fields: Mapping[str, Any]
  tensors: Mapping[str, Tensor]


def opened(path: str | os.PathLike[str]) -> File:
  """The file at this path, mapped and not read. The last one stays open, for its weights and its
  tokenizer are asked for one after the other."""
  refuse_irregular(path)
  try:
    found = os.stat(path)
  except OSError as error:
    raise UserError(f'{path}: a .gguf file is read from a local disk ({error})') from error
  return _opened(os.fspath(path), found.st_size, found.st_mtime_ns)


@functools.lru_cache(maxsize=1)
def _opened(path: str, size: int, changed: int) -> File:
  del size, changed  # another file under the same name is opened anew
  try:
    import gguf
  except ImportError as error:
    raise UserError(f"{path}: to read .gguf files, pip install 'jaxalign[gguf]'") from error
  try:
    reader = gguf.GGUFReader(path)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    tensors = {tensor.name: _tensor(tensor) for tensor in reader.tensors}
  except Exception as error:  # the library's reader takes the file at its word: any error can come
    why = f'{type(error).__name__}: {error}'.replace('\n', ' ')[:200]
    raise UserError(f'{path}: not a GGUF file, or cut off ({why}); fetch it again') from error
  return File(path, fields, tensors)


def _tensor(tensor: Any) -> Tensor:
  shape = tuple(int(n) for n in reversed(tensor.shape))
  return Tensor(str(tensor.name), shape, tensor.tensor_type.name, tensor)
