"""HH-RLHF (Bai et al. 2022) and everything written like it: pairs of whole transcripts.

A row whose dialogues differ before the last answer says nothing about two answers to one prompt,
and is dropped; in most of these the model went on to write the user's next turn.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from etils import epath

from jaxalign.config import UserError
from jaxalign.data import files, rows, turns
from jaxalign.data.records import Record
from jaxalign.data.report import Counts, Fault, MissingColumn, Report, sift
from jaxalign.files import refuse_irregular, refuse_scheme

SUBSETS = ('harmless-base', 'helpful-base', 'helpful-online', 'helpful-rejection-sampled')

As = Literal['pair', 'conversation', 'prompt']


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class HH:
  """`path` is the corpus' directory, of which `subsets` and `split` are read, or files like its."""

  path: tuple[str, ...] | str
  subsets: tuple[str, ...] = SUBSETS  # of a directory; the folder of a file, else its name, is its
  split: Literal['train', 'test'] = 'train'  # of a directory
  as_: As = 'pair'  # a conversation or a prompt is taken from chosen

  @property
  def name(self) -> str:
    if self._is_directory:
      return f'{self.path}/({" ".join(self.subsets)})/{self.split}'
    return files.joined(self.path)

  @property
  def _is_directory(self) -> bool:
    return isinstance(self.path, str) and not re.search(r'[*?\[]|\.jsonl|\.gz$', self.path)

  def read(self, report: Report | None = None) -> Iterator[tuple[str, Record]]:
    return sift(self._rows(), self._convert, report, self.name)

  def _rows(self) -> Iterator[tuple[str, tuple[bytes, str]]]:
    for file in self._files():
      subset = _subset(file)
      for where, line in files.rows(file):
        yield where, (line, subset)

  def _convert(self, row: tuple[bytes, str], noted: Counts) -> Record:
    line, subset = row
    return to_record(rows.parse(line), noted, as_=self.as_, subset=subset)

  def _files(self) -> list[epath.Path]:
    if not (self._is_directory and isinstance(self.path, str)):
      return files.matching(self.path)
    refuse_scheme(self.path)
    refuse_irregular(self.path)
    folder, found = epath.Path(self.path).expanduser(), []
    for subset in self.subsets:
      names = [folder / subset / f'{self.split}{end}' for end in ('.jsonl.gz', '.jsonl')]
      there = [name for name in names if name.exists()]
      if not there:
        raise UserError(
          f'{names[0]} does not exist: fetch it, or leave {subset} out of subsets '
          f'(published: {", ".join(SUBSETS)})'
        )
      found.append(there[0])
    return found


def to_record(row: Any, noted: Counts, *, as_: As, subset: str = '') -> Record:
  """A row of HH-RLHF, whose columns have these two names everywhere."""
  if not isinstance(row, Mapping):
    raise Fault('not a JSON object')
  for name in ('chosen', 'rejected'):
    if name not in row and (as_ == 'pair' or name == 'chosen'):
      raise MissingColumn(name, row)
  chosen = turns.from_transcript(row['chosen'], 'chosen')
  match as_:
    case 'pair':
      rejected = turns.from_transcript(row['rejected'], 'rejected')
      return turns.pair(chosen, rejected, noted, subset=subset)
    case 'conversation':
      return turns.conversation(chosen, noted)
    case 'prompt':
      return turns.prompt(chosen, noted)


def _subset(file: epath.Path) -> str:
  return file.parent.name if file.parent.name in SUBSETS else file.name.split('.')[0]
