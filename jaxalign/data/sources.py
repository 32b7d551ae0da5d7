"""Sources of records: a small config, field of a stage's, for each way a corpus can lie about.

Every source has a `name` and `read()`, which streams (where, record) in a fixed order; `where` is
file:line, or name[split][row]. What was bad and what was left out is in a `Report`, if handed.
"""

import dataclasses
import hashlib
import itertools
from collections.abc import Iterator
from typing import Literal, Protocol

from etils import epath

from jaxalign.config import UserError
from jaxalign.data import files, hh, rows
from jaxalign.data.hh import HH
from jaxalign.data.libraries import HuggingFace, Tfds
from jaxalign.data.records import Document, Record
from jaxalign.data.report import Counts, Report, Unwanted, sift
from jaxalign.data.turns import as_text
from jaxalign.files import content

EXPLANATION = rows.Columns(meta=('id', 'value', 'type', 'spec', 'provenance', 'split'))


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Jsonl:
  """One JSON object a line; .gz is unpacked, patterns like data/*.jsonl.gz are expanded."""

  path: tuple[str, ...] | str
  kind: rows.Kind
  columns: rows.Columns = dataclasses.field(default_factory=rows.Columns)
  sha256: str | None = None  # of the one file: no other content will do, and it is read only once

  @property
  def name(self) -> str:
    return files.joined(self.path)

  def read(self, report: Report | None = None) -> Iterator[tuple[str, Record]]:
    if self.sha256 is not None:
      self._refuse_other_content(self.sha256)
    return sift(_rows(self.path), self._convert, report, self.name)

  def _refuse_other_content(self, wanted: str) -> None:
    found = files.matching(self.path)
    if len(found) > 1:
      raise UserError(f'{self.name}: sha256 is of one file, and these are {len(found)}')
    there = hashlib.sha256(content(found[0], 'copy it again')).hexdigest()
    if there != wanted:
      raise UserError(
        f'{found[0]} is not what it was: its sha256 is {there[:12]}, where {wanted[:12]} is '
        'asked for; put the file back, or start anew'
      )

  def _convert(self, line: bytes, noted: Counts) -> Record:
    return rows.to_record(rows.parse(line), noted, kind=self.kind, columns=self.columns)


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Text:
  """Plain text: a document a file, a line, or a paragraph (between blank lines)."""

  path: tuple[str, ...] | str
  split: Literal['file', 'line', 'blank'] = 'file'

  @property
  def name(self) -> str:
    return files.joined(self.path)

  def read(self, report: Report | None = None) -> Iterator[tuple[str, Record]]:
    cut = {'file': _whole_files, 'line': _rows, 'blank': _paragraphs}[self.split]
    return sift(cut(self.path), self._convert, report, self.name)

  def _convert(self, text: bytes, noted: Counts) -> Record:
    return Document(as_text(text, 'the text'))


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Shipped:
  """The small corpora inside this package: for demos and tests, too small to align a model."""

  name: Literal['value_explanations', 'conversations', 'pairs', 'general']
  split: Literal['train', 'validation'] | None = None  # of explanations and pairs; none: all
  as_: hh.As = 'pair'  # of conversations

  def check(self) -> None:
    if self.name in ('conversations', 'general') and self.split is not None:
      raise UserError(f'the shipped {self.name} have no splits: set split=none')

  @property
  def path(self) -> epath.Path:
    return epath.resource_path('jaxalign') / f'data/corpus/{self.name}.jsonl'

  def read(self, report: Report | None = None) -> Iterator[tuple[str, Record]]:
    self.check()
    return sift(_rows(str(self.path)), self._convert, report, self.name)

  def _convert(self, line: bytes, noted: Counts) -> Record:
    row = rows.parse(line)
    if self.name == 'conversations':
      return hh.to_record(row, noted, as_=self.as_, subset=self.name)
    if self.name == 'general':
      return rows.to_record(row, noted, kind='document', columns=rows.Columns())
    if self.split not in (None, row['split']):
      raise Unwanted('of another split')
    if self.name == 'pairs':
      return hh.to_record(row, noted, as_='pair', subset=row['subset'])
    return rows.to_record(row, noted, kind='document', columns=EXPLANATION)


Source = Jsonl | Text | Shipped | HH | HuggingFace | Tfds


class Readable(Protocol):
  """A source, or what reads one."""

  @property
  def name(self) -> str: ...

  def read(self, report: Report | None = None) -> Iterator[tuple[str, Record]]: ...


def _rows(path: tuple[str, ...] | str) -> Iterator[tuple[str, bytes]]:
  for file in files.matching(path):
    yield from files.rows(file)


def _whole_files(path: tuple[str, ...] | str) -> Iterator[tuple[str, bytes]]:
  for file in files.matching(path):
    yield f'{file}:1', files.content(file)


def _paragraphs(path: tuple[str, ...] | str) -> Iterator[tuple[str, bytes]]:
  for file in files.matching(path):
    numbered = itertools.groupby(files.lines(file), key=lambda row: bool(row[1].strip()))
    for holds_text, paragraph in numbered:
      if holds_text:
        (first, line), *rest = paragraph
        yield f'{file}:{first}', b'\n'.join([line, *(more for _, more in rest)])
