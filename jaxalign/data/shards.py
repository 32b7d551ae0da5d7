"""Writing tokenized examples: ArrayRecord shards, each with a side file that comes last.

A record is one example: a uint32 a token, its id times two, plus one where it is learned. A pair
is two records in a row, chosen and then rejected; its margin and its subset are in the side file.
"""

import collections
import concurrent.futures
import dataclasses
import functools
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any, Literal

import numpy as np
from array_record.python.array_record_module import ArrayRecordWriter
from etils import epath

from jaxalign.config import UserError
from jaxalign.data import cutting
from jaxalign.data.text import Tokenizer
from jaxalign.files import write_text

Long = Literal['split', 'drop']
Kind = Literal['example', 'pair', 'prompt']
Side = dict[str, Any]  # the content of a shard's side file; `write` names its fields
_TOGETHER = 1 << 18  # characters tokenized in one call


@dataclasses.dataclass(frozen=True, eq=False)
class Item:
  """What one record becomes: the spans of one example, or of the two sides of a pair."""

  where: str
  kind: Kind
  sides: list[list[cutting.Span]]
  whole: bool  # cannot be cut into pieces that make sense by themselves
  margin: float = 0.0  # of a pair; 0 where its corpus gives none
  subset: str = ''  # of a pair

  @functools.cached_property
  def characters(self) -> int:
    return sum(len(span.text) for spans in self.sides for span in spans)


def refuse_other_kind(where: Any, there: Kind, wanted: Kind) -> None:
  raise UserError(
    f'{where} holds {there}s: {wanted}s are wanted here (documents and conversations become '
    "examples); look at the source's kind, or as_"
  )


@dataclasses.dataclass(frozen=True, eq=False)
class Job:
  """One shard; where its side file is, the shard is whole."""

  path: str
  items: list[Item]
  long: Long
  length: int


def shard_path(directory: epath.Path, number: int) -> str:
  return os.fspath(directory / f'shard-{number:05d}.arrayrecord')


def side_file(path: str) -> epath.Path:
  return epath.Path(f'{path}.json')


def fingerprint(job: Job) -> str:
  """Where the shard began and ended: another version of this code may cut elsewhere."""
  return f'{job.items[0].where} .. {job.items[-1].where}, {len(job.items)} records'


def write(job: Job, tokenizer: Tokenizer) -> Side:
  """Tokenizes the job's items into its shard; gives what the side file holds."""
  lengths: list[int] = []
  pairs: list[tuple[float, str]] = []
  dropped: dict[str, list[str]] = {}
  learned = largest = 0
  temporary = f'{job.path}.{os.getpid()}.tmp'
  try:
    writer = ArrayRecordWriter(temporary, 'group_size:1,uncompressed')
    for codes in _codes(job, tokenizer, dropped, pairs):
      writer.write(codes.tobytes())
      lengths.append(len(codes))
      learned += int(np.count_nonzero(codes & 1))
      largest = max(largest, int(codes.max()) >> 1)
    writer.close()
    os.replace(temporary, job.path)
    side = dict(lengths=lengths, learned=learned, largest=largest, dropped=dropped)
    side |= dict(records=len(job.items), characters=sum(item.characters for item in job.items))
    side |= dict(items=fingerprint(job), pairs=pairs)
    write_text(json.dumps(side), side_file(job.path))
  except (OSError, RuntimeError) as error:  # the writer raises RuntimeError
    epath.Path(temporary).unlink(missing_ok=True)
    raise UserError(
      f'{job.path} cannot be written ({first_line(error)}): make room or choose another '
      'directory, then run the same again; finished shards are kept'
    ) from error
  return side


def _codes(
  job: Job, tokenizer: Tokenizer, dropped: dict[str, list[str]], pairs: list[tuple[float, str]]
) -> Iterator[np.ndarray]:
  for items, encoded in _encoded(job.items, tokenizer):
    examples = iter(encoded)
    for item in items:
      sides = [_code(next(examples)) for _ in item.sides]
      longest = max(map(len, sides))
      if min(map(len, sides)) == 0:
        dropped.setdefault('without tokens', []).append(item.where)
      elif longest > job.length and (item.whole or job.long == 'drop'):
        dropped.setdefault(f'longer than {job.length} tokens', []).append(item.where)
      else:
        pairs += [(item.margin, item.subset)] * (len(sides) == 2)
        yield from (piece for codes in sides for piece in _pieces(codes, job.length))


def _encoded(
  items: Sequence[Item], tokenizer: Tokenizer
) -> Iterator[tuple[list[Item], list[cutting.Example]]]:
  """Two groups at a time: one is tokenized while the ids of the other become arrays."""
  with concurrent.futures.ThreadPoolExecutor(2) as threads:
    given: collections.deque[tuple[list[Item], Future[list[cutting.Example]]]] = collections.deque()
    for group in groups(items, _TOGETHER):
      sides = [side for item in group for side in item.sides]
      given.append((group, threads.submit(cutting.encode_spans, tokenizer, sides)))
      if len(given) > 2:
        group, coming = given.popleft()
        yield group, coming.result()
    yield from ((group, coming.result()) for group, coming in given)


def groups(items: Iterable[Item], characters: int, most: int | None = None) -> Iterator[list[Item]]:
  """Items in a row, cut where a group reaches so many characters or the most items."""
  group: list[Item] = []
  held = 0
  for item in items:
    group.append(item)
    held += item.characters
    if held >= characters or len(group) == most:
      yield group
      group, held = [], 0
  if group:
    yield group


def _code(example: cutting.Example) -> np.ndarray:
  return (example.tokens.astype(np.uint32) << 1) | example.weight


def _pieces(codes: np.ndarray, length: int) -> Iterable[np.ndarray]:
  """Nothing is lost but the prediction of each piece's first token."""
  for start in range(0, len(codes), length):
    piece = codes[start : start + length]
    piece[0] &= ~np.uint32(1)
    yield piece


def first_line(error: Exception) -> str:
  return str(error).splitlines()[0] if str(error) else type(error).__name__
