"""Boxes of stored tensors, from the file straight into the arrays that the devices will own."""

import contextlib
import math
import threading
from collections.abc import Sequence

import numpy as np
from etils import epath
from numpy.typing import DTypeLike

from jaxalign.config import UserError
from jaxalign.models.directories import REMOTE
from jaxalign.models.tensor_files import Stored

CHUNK = 512 << 10  # bytes read at a time: checked, cast and scattered while in the L2 cache
_Box = tuple[slice, ...]  # a part of a tensor


class Reader:
  """Reads boxes of stored tensors; safe to use from several threads."""

  def __init__(self):
    self._local = threading.local()
    self._open = contextlib.ExitStack()

  def __enter__(self):
    return self

  def __exit__(self, *_):
    self._open.close()

  def _file(self, name):
    files = self._local.__dict__.setdefault('files', {})
    if name not in files:
      remote = REMOTE in name
      opened = epath.Path(name).open('rb') if remote else open(name, 'rb', buffering=0)
      files[name] = self._open.enter_context(opened)
    return files[name]

  def _read(self, stored, element, out):
    """The bytes from an element of the tensor on, until `out` is full."""
    left = memoryview(out.reshape(-1).view(np.uint8))
    f = self._file(stored.file)
    f.seek(stored.start + element * stored.dtype.itemsize)
    while left:
      n = f.readinto(left) if REMOTE not in stored.file else _read_into(f, left)
      if not n:
        raise UserError(f'{stored.file}: ended while it was read; is something writing it?')
      left = left[n:]

  def fill(
    self, stored: Stored, shape: Sequence[int], wants: Sequence[tuple[_Box, np.ndarray]]
  ) -> bool:
    """A tensor, seen as `shape`, into each want = (box, array); True if a value is not finite.

    Boxes of one run each, at their own type, go from the file to the array in a single copy.
    """
    if all(out.dtype == stored.dtype and _last_partial(box, shape) == 0 for box, out in wants):
      return any(self._straight(stored, _first(box, shape), out) for box, out in wants)
    union = tuple(
      slice(min(b[i].start for b, _ in wants), max(b[i].stop for b, _ in wants))
      for i in range(len(shape))
    )
    return self._scattered(stored, shape, _widened(union, shape, stored), wants)

  def _scattered(self, stored, shape, box, wants):
    step, bad = max(1, CHUNK // max(1, _count(box[1:]) * stored.dtype.itemsize)), False
    for at in range(box[0].start, box[0].stop, step):
      part = (slice(at, min(at + step, box[0].stop)), *box[1:])
      chunk = self._scratch([s.stop - s.start for s in part], stored.dtype)
      self._runs(stored, shape, part, chunk)
      for dtype in {array.dtype for _, array in wants}:
        cast = _cast(chunk, dtype)
        bad |= nonfinite(cast)
        for want, array in wants:
          if array.dtype == dtype:
            _copy(cast, part, want, array)
    return bad

  def _scratch(self, shape, dtype):
    """This thread's own memory for one chunk: fresh memory would be cleared at every turn."""
    count = math.prod(shape)
    kept = self._local.__dict__.get('scratch')
    if kept is None or kept.nbytes < count * dtype.itemsize:
      kept = self._local.scratch = np.empty(count * dtype.itemsize, np.uint8)
    return kept[: count * dtype.itemsize].view(dtype).reshape(shape)

  def _straight(self, stored, element, out):
    flat, bad = out.reshape(-1), False
    step = max(1, CHUNK // stored.dtype.itemsize)
    for at in range(0, len(flat), step):
      piece = flat[at : at + step]
      self._read(stored, element + at, piece)
      bad |= nonfinite(piece)
    return bad

  def _runs(self, stored, shape, box, chunk):
    """Fills `chunk` with a box, one contiguous run of the file at a time."""
    inner = _last_partial(box, shape)
    stride = [math.prod(shape[i + 1 :]) for i in range(len(shape))]
    for outer in np.ndindex(*chunk.shape[:inner]):
      element = _first(box, shape) + sum(o * stride[i] for i, o in enumerate(outer))
      self._read(stored, element, chunk[outer])

  def equal(self, a: Stored, b: Stored) -> bool:
    """Whether two stored tensors are the same, bit for bit."""
    if a.dtype is None or (a.dtype, a.shape) != (b.dtype, b.shape):
      return False
    size, step = math.prod(a.shape), CHUNK // a.dtype.itemsize
    for at in range(0, size, step):
      both = [np.empty(min(step, size - at), a.dtype) for _ in 'ab']
      for stored, out in zip((a, b), both):
        self._read(stored, at, out)
      if both[0].tobytes() != both[1].tobytes():
        return False
    return True


def _read_into(f, out):
  """For files that know no readinto, such as TensorFlow's."""
  data = f.read(len(out))
  out[: len(data)] = data
  return len(data)


def _last_partial(box, shape):
  """The axis at which a box stops being contiguous: all axes after it are whole."""
  partial = [i for i, (s, n) in enumerate(zip(box, shape)) if (s.start, s.stop) != (0, n)]
  return partial[-1] if partial else 0


def _first(box, shape):
  """The place of a box's first element in the whole tensor."""
  return sum(s.start * math.prod(shape[i + 1 :]) for i, s in enumerate(box))


def _widened(box, shape, stored):
  """A box read in runs of at least a page (of a megabyte, remotely): less would cost as much."""
  least = 1 << 20 if REMOTE in stored.file else 4096
  while (inner := _last_partial(box, shape)) > 0:
    if _count(box[inner:]) * stored.dtype.itemsize >= least:
      return box
    box = (*box[:inner], slice(0, shape[inner]), *box[inner + 1 :])
  return box


def _count(box):
  return math.prod(s.stop - s.start for s in box)


def _cast(chunk, dtype):
  with np.errstate(over='ignore', invalid='ignore'):  # what becomes infinite is found and named
    return chunk.astype(dtype, copy=False)


def _copy(chunk, part, want, array):
  """The overlap of a chunk with what one device wants."""
  both = [slice(max(p.start, w.start), min(p.stop, w.stop)) for p, w in zip(part, want)]
  if all(s.start < s.stop for s in both):
    source = tuple(slice(s.start - p.start, s.stop - p.start) for s, p in zip(both, part))
    target = tuple(slice(s.start - w.start, s.stop - w.start) for s, w in zip(both, want))
    array[target] = chunk[source]


_BITS = {2: (np.uint16, np.int16), 4: (np.uint32, np.int32), 8: (np.uint64, np.int64)}


def nonfinite(x: np.ndarray) -> bool:
  """Whether a value is NaN or infinite, compared as integers: they have a fast maximum, and the
  ufuncs of bfloat16 are forty times slower."""
  unsigned, signed = _BITS[x.dtype.itemsize]
  inf, flat = np.array([np.inf, -np.inf], x.dtype), x.reshape(-1)
  positive = flat.view(signed).max(initial=0) >= inf.view(signed)[0]
  return bool(positive or flat.view(unsigned).max(initial=0) >= inf.view(unsigned)[1])


def aligned(shape: Sequence[int], dtype: DTypeLike) -> np.ndarray:
  """An empty array at a 64-byte boundary: jax on a CPU adopts such memory instead of copying it."""
  size = math.prod(shape) * np.dtype(dtype).itemsize
  raw = np.empty(size + 64, np.uint8)
  skip = -raw.ctypes.data % 64
  return raw[skip : skip + size].view(dtype).reshape(shape)
