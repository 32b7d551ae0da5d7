"""Corpora that `prepare` wrote: shards, lengths, and a manifest, without which there is nothing."""

import functools
import os
from collections.abc import Iterable, Sequence

import grain
import numpy as np
from etils import epath

from jaxalign.config import UserError
from jaxalign.data import cutting, mirror, shards
from jaxalign.files import read_object, refuse_irregular, replacing

PAIR = np.dtype([('margin', np.float32), ('subset', np.int32)])  # of each pair; see Prepared.pairs
HELD = 1 << 22  # tokens: a corpus up to this is read once, and then lies in memory


def save_array(path: epath.PathLike, array: np.ndarray) -> None:
  with replacing(path) as temporary, temporary.open('wb') as file:
    np.save(file, array)


class Prepared:
  """A finished directory. Reading is random access, by the number of an example."""

  def __init__(self, directory: epath.PathLike):
    self.directory = self.place = epath.Path(directory)  # where it is read, and where it is kept
    if mirror.is_remote(directory):
      self.directory = mirror.fetch(directory)
    again = 'it is not a prepared corpus; remove that directory and prepare it again'
    known = 'kind', 'name', 'tokens', 'shards', 'largest_id', 'tokenizer'
    self.manifest = read_object(self.directory / 'manifest.json', *known, remedy=again)
    self.lengths = self._array('lengths.npy')
    self.kind: shards.Kind = self.manifest['kind']

  def __len__(self) -> int:
    return len(self.lengths)

  def __repr__(self) -> str:
    return f'Prepared({self.manifest["name"]}, {len(self)} examples, {self.directory.name})'

  def codes(self, indices: Iterable[int]) -> list[np.ndarray]:
    """Of these examples: token * 2 + learned."""
    if self.manifest['tokens'] <= HELD:
      codes, ends = _held(self.directory)
      return [codes[ends[i] - self.lengths[i] : ends[i]] for i in indices]
    return self._read([int(index) for index in indices])

  def _read(self, indices: Sequence[int]) -> list[np.ndarray]:
    try:
      records = self._records.__getitems__(indices)
    except (OSError, RuntimeError) as error:
      raise UserError(
        f'{self.directory} cannot be read ({shards.first_line(error)}): remove it and prepare it '
        'again'
      ) from error
    return [np.frombuffer(record, np.uint32) for record in records]

  @functools.cached_property
  def pairs(self) -> np.ndarray:
    """Margin and subset of each pair; the subset by its number in manifest['subsets']."""
    return self._array('pairs.npy')

  def _array(self, name: str) -> np.ndarray:
    path = self.directory / name
    refuse_irregular(path)
    try:
      return np.load(os.fspath(path), mmap_mode='r')
    except (OSError, ValueError, EOFError) as error:
      raise UserError(
        f'{path} cannot be read ({shards.first_line(error)}): remove {self.directory} and prepare '
        'it again'
      ) from error

  def example(self, index: int) -> cutting.Example:
    codes = self.codes([index])[0]
    return cutting.Example((codes >> 1).astype(np.int32), (codes & 1).astype(bool))

  @functools.cached_property
  def _records(self) -> grain.sources.ArrayRecordDataSource:
    """The counts are given, so that no shard is opened before it is read."""
    counts = enumerate(self.manifest['shards'])
    paths = [f'{shards.shard_path(self.directory, n)}[0:{count}]' for n, count in counts if count]
    return grain.sources.ArrayRecordDataSource(paths)


@functools.lru_cache(maxsize=32)
def _held(directory: epath.Path) -> tuple[np.ndarray, np.ndarray]:
  """All codes of a small corpus in a line, and where each example ends. A directory is named by
  what it holds, so it never changes; runs of one process share it."""
  prepared = Prepared(directory)
  return np.concatenate(prepared._read(range(len(prepared)))), np.cumsum(prepared.lengths)
