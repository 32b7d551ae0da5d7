"""Corpora that Hugging Face `datasets` or TFDS prepared. Both are imported only when read from:
`datasets` takes seconds, and `--help` should not.
"""

import dataclasses
import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from etils import epath

from jaxalign.config import UserError
from jaxalign.data import files, rows
from jaxalign.data.records import Record
from jaxalign.data.report import Report, sift
from jaxalign.files import refuse_scheme

_COMMIT = re.compile(r'[0-9a-f]{40}')
# What load_dataset reads, by the file's ending.
_FORMATS = {f'.{form}': form for form in ('json', 'parquet', 'arrow', 'csv')} | {'.jsonl': 'json'}


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class HuggingFace:
  """A dataset of the hub, of a save_to_disk directory, or of local json, parquet, arrow, csv.

  `datasets` reads whole blocks: one line of bad JSON stops it, where Jsonl skips the line."""

  name: str  # of the hub (org/dataset), or a local directory, file or pattern
  kind: rows.Kind
  revision: str | None = None  # of the hub: the commit; branches and tags can move under a run
  split: str = 'train'  # slices too, as in train[:10%]
  columns: rows.Columns = dataclasses.field(default_factory=rows.Columns)
  subset: str | None = None  # which configuration, where a dataset has several
  data_dir: str | None = None  # of the hub: a folder of the repository
  data_files: tuple[str, ...] | str | None = None  # of the hub: these files of the repository
  streaming: bool = False  # read while it arrives, and keep no copy

  def read(self, report: Report | None = None) -> Iterator[tuple[str, Record]]:
    return _records(self, report)

  def plain(self) -> Iterator[Any]:
    """The rows as they stand, for whoever wants other columns than a record has."""
    return (row for _, row in self._rows())

  def _rows(self) -> Iterator[tuple[str, Any]]:
    from datasets.exceptions import DatasetsError

    try:
      for index, row in enumerate(self._dataset()):
        yield f'{self.name}[{self.split}][{index}]', row
    except UserError:
      raise
    except StopIteration:  # how `datasets` says that a file is empty
      return
    except (DatasetsError, OSError, ValueError) as error:
      raise UserError(f'{self.name}[{self.split}] cannot be read: {_why(error)}') from error

  def _dataset(self) -> Iterable[Any]:
    import datasets

    refuse_scheme(self.name)
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)  # what fails is said by us, once
    place = epath.Path(self.name)
    if (place / 'state.json').exists() or (place / 'dataset_dict.json').exists():
      return self._saved(datasets.load_from_disk(self.name))
    load = functools.partial(datasets.load_dataset, split=self.split, streaming=self.streaming)
    form = _FORMATS.get(epath.Path(self.name.removesuffix('.gz')).suffix)
    if form:
      found = [str(file) for file in files.matching(self.name)]
      return load(form, data_files={self.split.split('[')[0]: found})
    if not place.is_dir():
      self._refuse_unpinned()
    names = list(self.data_files) if isinstance(self.data_files, tuple) else self.data_files
    return load(
      self.name, self.subset, data_dir=self.data_dir, data_files=names, revision=self.revision
    )

  def _saved(self, saved: Any) -> Iterable[Any]:
    """What load_from_disk gives: a dataset, or a dict of them by split."""
    split, _, piece = self.split.partition('[')
    if piece:
      raise UserError(f'{self.name} was saved whole: split={split}, without [{piece}')
    if not isinstance(saved, dict):
      return saved
    if split not in saved:
      raise UserError(f'{self.name} has no split {split}; it has {", ".join(saved)}')
    return saved[split]

  def _refuse_unpinned(self) -> None:
    if self.revision is None or not _COMMIT.fullmatch(self.revision):
      raise UserError(
        f'{self.name}: revision={self.revision}, and it is no local file or directory; a dataset '
        'of the hub needs revision=<commit>, 40 hex digits from its page, so that a rerun reads '
        'the same rows'
      )


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Tfds:
  """A dataset that TFDS has prepared as ArrayRecord. Reading it takes no TensorFlow."""

  name: str  # also name/config:version
  kind: rows.Kind
  split: str = 'train'  # slices too, as in train[:10%]
  columns: rows.Columns = dataclasses.field(default_factory=rows.Columns)
  data_dir: str | None = None  # none: where TFDS keeps its datasets, ~/tensorflow_datasets

  def read(self, report: Report | None = None) -> Iterator[tuple[str, Record]]:
    return _records(self, report)

  def _rows(self) -> Iterator[tuple[str, Any]]:
    source = self._source()
    for index in range(len(source)):
      yield f'{self.name}[{self.split}][{index}]', source[index]

  def _source(self) -> Sequence[Any]:
    import tensorflow_datasets as tfds

    where = f'{self.name} in {self.data_dir or "~/tensorflow_datasets"}'
    try:
      builder = tfds.builder(self.name, data_dir=self.data_dir, try_gcs=False)
      return builder.as_data_source(split=self.split)
    except tfds.core.DatasetNotFoundError as error:  # its own text lists every dataset of TFDS
      raise UserError(f'{where} was not found: check name and data_dir') from error
    except NotImplementedError as error:
      raise UserError(
        f"{where} is not prepared as ArrayRecord: run its builder's download_and_prepare with "
        'file_format=array_record'
      ) from error
    except (OSError, ValueError, AssertionError) as error:
      raise UserError(f'{where}: {_why(error)}') from error


def _records(source: HuggingFace | Tfds, report: Report | None) -> Iterator[tuple[str, Record]]:
  convert = functools.partial(rows.to_record, kind=source.kind, columns=source.columns)
  return sift(source._rows(), convert, report, f'{source.name}[{source.split}]')


def _why(error: BaseException) -> str:
  """The first line of what lies under a library's own wrapping."""
  while error.__cause__ is not None and str(error.__cause__):
    error = error.__cause__
  return (str(error).strip() or type(error).__name__).splitlines()[0]
