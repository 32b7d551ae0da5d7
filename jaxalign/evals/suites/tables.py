"""Files of a suite: rows of a table or a JSON document; read, counted and fingerprinted.

A file lies here or in a bucket, or is a dataset of the hub at one commit. What was published is
known by its counts: a file with others is refused, unless the suite says `published=False`.
"""

import csv
import dataclasses
import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath

from jaxalign.config import UserError
from jaxalign.data import files
from jaxalign.data.libraries import HuggingFace
from jaxalign.evals.item import Item
from jaxalign.files import parsed

SHIPPED = epath.resource_path('jaxalign') / 'data/corpus/benches'
Row = dict[str, Any]
_ARTIFACT = 'jailbreaks'  # the field of JailbreakBench's JSON that holds its rows


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Hub:
  """A dataset of the hub: its name and the commit, so that a rerun reads the same rows."""

  name: str
  revision: str
  split: str = 'test'
  subset: str | None = None  # which configuration, where a dataset has several
  data_dir: str | None = None  # a folder of the repository
  data_files: tuple[str, ...] | str | None = None  # these files of the repository

  def __str__(self) -> str:
    return f'{self.name}[{self.split}]'

  def rows(self) -> list[Row]:
    source = HuggingFace(
      kind='document',
      **{field.name: getattr(self, field.name) for field in dataclasses.fields(self)},
    )
    return list(source.plain())


Place = str | Hub


def table(place: Place, *columns: str) -> list[Row]:
  """Rows of CSV, of JSON lines or of the hub, each with these columns.

  Names of columns are compared without case, and '_' is a space: copies on the hub write them so.
  """
  rows = place.rows() if isinstance(place, Hub) else _local(place)
  if not rows:
    raise UserError(f'{place} has no rows: fetch the published file again')
  there = {_plain(name): name for name in rows[0] if isinstance(name, str)}
  for column in columns:
    if _plain(column) not in there:
      raise UserError(
        f'{place} has no column {column!r}: it has {", ".join(there.values())}; name the published '
        'file'
      )
  renamed = [(column, there[_plain(column)]) for column in columns]
  for n, row in enumerate(rows, 1):
    whole = isinstance(row, Mapping) and None not in row
    if not whole or any(row.get(old) is None for _, old in renamed):
      raise UserError(f'{place}: row {n} is not as long as the header; fetch the file again')
  return [{**row, **{new: row[old] for new, old in renamed}} for row in rows]


def behaviours(path: Place, *columns: str) -> list[Row]:
  """Rows of a table, or of an artifact of JailbreakBench, which is JSON."""
  if not (isinstance(path, str) and path.endswith('.json')):
    return table(path, *columns)
  rows: Any = document(path)
  rows = rows.get(_ARTIFACT) if isinstance(rows, dict) else rows
  if not isinstance(rows, list) or not rows:
    raise UserError(f'{path} has no rows in {_ARTIFACT}: fetch the published file again')
  for row in rows:
    lost = [name for name in columns if not isinstance(row, dict) or name not in row]
    if lost:
      raise UserError(f'{path}: a row has no {lost[0]!r}: fetch the published file again')
  return rows


def _plain(name: str) -> str:
  return name.strip().lower().replace('_', ' ')


def _local(path: str) -> list[Row]:
  text = content(path)
  if path.removesuffix('.gz').endswith('.jsonl'):
    lines = [line for line in text.split('\n') if line.strip()]
    return [parsed(line, f'{path}:{n}') for n, line in enumerate(lines, 1)]
  try:
    return list(csv.DictReader(io.StringIO(text), strict=True))
  except csv.Error as error:
    raise UserError(f'{path} is no CSV ({error}): fetch the published file again') from error


def document(path: str) -> Any:
  """What a JSON file holds."""
  return parsed(content(path), path)


def content(path: str) -> str:
  """The text of one file."""
  try:
    return _bytes(path).decode()
  except UnicodeDecodeError as error:
    raise UserError(f'{path} is not UTF-8: fetch the published file again') from error


def _bytes(path: str) -> bytes:
  try:
    found = files.matching(path)
  except UserError as error:
    raise UserError(f'{error} (docs/studies.md says whence published files are fetched)') from error
  if len(found) > 1:
    raise UserError(f'{path} matches {len(found)} files: name the one')
  return files.content(found[0])


def lie_there(*places: Place) -> bool:
  """Whether files can be read; who judges stored answers elsewhere may have none of them."""
  try:
    return all(isinstance(place, Hub) or files.matching(place) for place in places)
  except UserError:
    return False


def fingerprint(places: Iterable[Place]) -> str:
  """sha256 of the files; of a dataset of the hub, of its rows."""
  digest = hashlib.sha256()
  for place in places:
    said = (
      _bytes(place) if isinstance(place, str) else json.dumps(place.rows(), default=str).encode()
    )
    digest.update(hashlib.sha256(said).digest())
  return digest.hexdigest()


def expect(place: object, found: Mapping[str, int], *published: Mapping[str, int]) -> None:
  """Refuses a file whose counts are of no published one."""
  if found not in published:
    wanted = ' or '.join(_counted(one) for one in published)
    raise UserError(
      f'{place} has {_counted(found)}, the published one {wanted}: fetch it again, or set '
      'published=False'
    )


def _counted(counts: Mapping[str, int]) -> str:
  return ', '.join(f'{n:,} {what}' for what, n in counts.items())


def distinct(items: Iterable[Item], name: str) -> list[Item]:
  """Items without those that ask again what an earlier one asks; none is an error."""
  found: dict[str, Item] = {}
  for item in items:
    found.setdefault(item.id, item)
  if not found:
    raise UserError(f'suite {name} has no items: look at its files and its limit')
  return list(found.values())


def spread(items: Sequence[Any], limit: int | None) -> list[Any]:
  """At most so many, from all over: files are sorted by what they ask."""
  most = len(items) if limit is None else min(limit, len(items))
  at = np.linspace(0, len(items), most, endpoint=False).astype(int)
  return [items[n] for n in at]


def listed(answers: str | Sequence[str]) -> tuple[str, ...]:
  """A list of answers; copies on the hub have lists, files have ';' between them."""
  given = answers.split(';') if isinstance(answers, str) else answers
  return tuple(answer.strip() for answer in given if answer.strip())


def hashed(*texts: str) -> str:
  """What stands for texts that are too long to be names."""
  return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:16]
