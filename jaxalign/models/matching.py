"""A checkpoint's tensors held against what its config asks for, before a weight is read."""

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import jax
import numpy as np

from jaxalign.config import UserError
from jaxalign.models.model_config import ModelConfig
from jaxalign.models.tensor_files import some
from jaxalign.models.tensor_reader import Reader
from jaxalign.sharding.alphabet import axes, weight_name

_BUFFERS = re.compile(r'rotary_emb\.inv_freq$')  # in old checkpoints; follows from the config

DTYPES = ('float32', 'bfloat16', 'float16')


class _Stored(Protocol):
  """A tensor in a file, of whatever format."""

  @property
  def dtype(self) -> np.dtype | None: ...

  @property
  def nbytes(self) -> int: ...


def compare(
  path: str | os.PathLike[str],
  cfg: ModelConfig,
  tensors: Mapping[str, str],
  shapes: Any,
  stored: Mapping[str, Any],
) -> dict[str, tuple[bool, list[Any]]]:
  """{our weight: whether it is stacked, its stored tensors}, if config and file fit each other.

  tensors: our weight -> their tensor. Every difference is named in one error.
  """
  table, wrong, left = {}, [], dict(stored)
  for p, leaf in jax.tree.leaves_with_path(shapes):
    ours = weight_name(p)
    stacked = '{n}' in tensors[ours]
    names = [tensors[ours].format(n=n) for n in range(cfg.depth if stacked else 1)]
    shape = their_shape(ours, leaf.shape[1:] if stacked else leaf.shape)
    parts = [left.pop(name, None) for name in names]
    wrong += [(name, _misfit(part, shape)) for name, part in zip(names, parts)]
    table[ours] = stacked, parts
  wrong = [(name, what) for name, what in wrong if what]
  head = left.pop(tensors['head_VD'], None) if cfg.tied else None
  extra = sorted(name for name in left if not _BUFFERS.search(name))
  wrong += [(name, 'not part of this architecture') for name in extra]
  if head is not None and not wrong and not _equals(head, stored[tensors['embed_VD']]):
    wrong.append((head.name, 'not the embedding, although tie_word_embeddings is true'))
  if wrong:
    kinds = {what: [name for name, why in wrong if why == what] for _, what in wrong}
    lines = '; '.join(f'{what}: {some(names)}' for what, names in kinds.items())
    raise UserError(f'{path}: the weights are not those of its config.json: {lines}')
  return table


def _misfit(part, shape):
  if part is None:
    return 'missing'
  return part.flaw or (part.shape != shape and f'{list(part.shape)}, not {list(shape)}')


def _equals(head, embed):
  with Reader() as reader:
    return not head.flaw and reader.equal(head, embed)


def their_shape(name: str, shape: Sequence[int]) -> tuple[int, ...]:
  """The shape of one of our weights in Hugging Face's files: heads and head size are one axis."""
  letters = axes(name)
  out: list[int] = []
  for i, (letter, size) in enumerate(zip(letters, shape)):
    if letter == 'K' and i > 0 and letters[i - 1] in 'HG':
      out[-1] *= size
    else:
      out.append(size)
  return tuple(out)


def own_dtype(stored: Mapping[str, _Stored]) -> str:
  """The type that most of the file's bytes have; float64 is read as float32."""
  bytes_of: dict[str, int] = {}
  for s in stored.values():
    if s.dtype:
      bytes_of[s.dtype.name] = bytes_of.get(s.dtype.name, 0) + s.nbytes
  name = max(bytes_of, key=bytes_of.__getitem__, default=None)
  return name if name in DTYPES else 'float32'
