"""Files by name or pattern, local or gs://, and their lines, however compressed."""

import contextlib
import gzip
import io
import os
import re
import zlib
from collections.abc import Iterator

from etils import epath

from jaxalign.config import UserError
from jaxalign.files import refuse_irregular, refuse_scheme

_WILD = re.compile(r'[*?\[]')
_MARK = b'\xef\xbb\xbf'  # which some editors put before UTF-8


def matching(path: tuple[str, ...] | str) -> list[epath.Path]:
  """Every file named, those of a pattern in the order of their names."""
  paths = (path,) if isinstance(path, str) else path
  if not all(paths) or not paths:
    raise UserError('path is empty: name at least one file')
  try:
    return [file for one in paths for file in _of_one(one)]
  except UserError:
    raise
  except (ImportError, OSError, RuntimeError, ValueError) as error:  # no client of gs://, a name
    raise UserError(f'{path!r} cannot be looked for: {error}') from error  # too long, of no home


def joined(path: tuple[str, ...] | str) -> str:
  return path if isinstance(path, str) else ' '.join(path)


def _of_one(path: str) -> list[epath.Path]:
  refuse_scheme(path)
  place = epath.Path(path).expanduser()
  refuse_irregular(place)
  if place.is_dir():
    raise UserError(f'{path} is a directory: name its files, as in {path.rstrip("/")}/*.jsonl')
  if place.exists():
    return [place]
  wild = [n for n, part in enumerate(place.parts) if _WILD.search(part)]
  if not wild:
    raise UserError(f'{path} does not exist: check the path')
  if '**' in path:
    raise UserError(f'{path}: ** is not expanded, as it could list a whole bucket; write */*')
  parts = place.parts
  found = epath.Path(*parts[: wild[0]]).glob('/'.join(parts[wild[0] :]))
  files = sorted(file for file in found if not file.is_dir())
  if not files:
    raise UserError(f'{path} matches no file: check the pattern')
  return files


def content(path: epath.Path) -> bytes:
  with _opened(path) as file:
    return file.read().removeprefix(_MARK)


def lines(path: epath.Path) -> Iterator[tuple[int, bytes]]:
  """(number from 1, line without its end), one at a time: a corpus need not fit in memory."""
  with _opened(path) as file:
    for number, line in enumerate(file, 1):
      line = line.removeprefix(_MARK) if number == 1 else line
      yield number, line.rstrip(b'\r\n')


def rows(path: epath.Path) -> Iterator[tuple[str, bytes]]:
  """(file:line, line) of the lines that are not blank."""
  name = os.fspath(path)  # once: a path takes as long to be written as a line to be read
  for number, line in lines(path):
    if line and not line.isspace():
      yield f'{name}:{number}', line


@contextlib.contextmanager
def _opened(path: epath.Path) -> Iterator[io.BufferedIOBase]:
  refuse_irregular(path)
  try:
    with path.open('rb') as raw:
      if path.suffix != '.gz':
        yield raw
        return
      with gzip.open(raw) as unpacked:
        yield unpacked
  except (OSError, EOFError, zlib.error) as error:
    why = getattr(error, 'strerror', None) or error
    raise UserError(f'{path} cannot be read to its end ({why}): copy it again') from error
