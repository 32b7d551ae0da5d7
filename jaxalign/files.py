"""Files, read and written: no read hangs, whatever a user left there, and no write leaves a half.

What cannot be read is a UserError of one line; JSON, and JSON a line, are read here and nowhere
else that a stranger's file could reach.
"""

import contextlib
import errno
import importlib.util
import json
import os
import pathlib
import stat
import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from absl import logging

from jaxalign.config import UserError

if TYPE_CHECKING:  # it takes longer to import than all of --help does
  from etils import epath

Place = str | os.PathLike[str]  # of a file or directory, local or in a bucket
_MEND = 'mend it, or take another workdir'
_CLIENTS = {'s3': 's3fs', 'az': 'adlfs'}  # of buckets; gs:// says itself what it lacks
_NOWHERE = errno.ELOOP, errno.ENAMETOOLONG
_IRREGULAR = {
  stat.S_ISFIFO: 'a pipe',
  stat.S_ISSOCK: 'a socket',
  stat.S_ISCHR: 'a device',
  stat.S_ISBLK: 'a device',
}


def place(text: Place, flag: str = '') -> 'epath.Path':
  """An absolute epath.Path; a kind of place that nothing here can open is refused by its name."""
  text = os.fspath(text)
  name = f'{flag}={text}' if flag else text
  refuse_scheme(text, name)
  if any(unicodedata.category(c) == 'Cc' for c in text):  # a line break, too: array_record has none
    raise UserError(f'{name!r:.300} holds a control character: name another place')
  path = _path_of(text)
  try:
    path = absolute(text)
    if '://' not in text:
      os.stat(path)
    return path
  except (OSError, RuntimeError, ValueError) as error:
    if isinstance(error, OSError) and error.errno not in _NOWHERE:
      return path  # not there yet, or not for us: whoever opens it says so
    why = getattr(error, 'strerror', None) or _line(error)
    raise UserError(f'{name:.300} leads nowhere ({why}): name another place') from error


def refuse_scheme(text: Place, name: str | None = None) -> None:
  scheme, found, _ = os.fspath(text).partition('://')
  if found and scheme == 'gs':
    import fsspec

    try:
      fsspec.get_filesystem_class('gcs')
    except ImportError as error:
      raise UserError(f'{name or text}: gs:// cannot be opened here: pip install gcsfs') from error
  elif found and not (scheme in _CLIENTS and importlib.util.find_spec(_CLIENTS[scheme])):
    raise UserError(
      f'{name or text}: {scheme}:// cannot be opened here: name a local path, or gs://BUCKET/...'
    )


def refuse_irregular(path: Place) -> None:
  """A pipe or a device is never opened: its end may never come, and it is read but once."""
  path = os.fspath(path)
  if '://' in path:
    return
  try:
    mode = os.stat(path).st_mode
  except (OSError, ValueError):  # not there: whoever opens it says so
    return
  for is_one, what in _IRREGULAR.items():
    if is_one(mode):
      raise UserError(f'{path} is {what}, not a file: write what it gives into a file, name that')


def content(path: Place, remedy: str = _MEND) -> bytes:
  """The bytes of a file."""
  refuse_irregular(path)
  try:
    return _path_of(path).read_bytes()
  except OSError as error:
    raise UserError(f'{path} cannot be read ({error.strerror or error}): {remedy}') from error


def parsed(data: bytes | str, name: object, remedy: str = _MEND) -> Any:
  """What JSON there is in these bytes or this text."""
  try:
    return json.loads(data.decode('utf-8-sig') if isinstance(data, bytes) else data)
  except RecursionError as error:
    raise UserError(f'{name} cannot be read (its JSON nests too deeply): {remedy}') from error
  except ValueError as error:  # no JSON, or no UTF-8
    raise UserError(f'{name} cannot be read (no JSON: {_line(error)}): {remedy}') from error


def read_json(path: Place, remedy: str = _MEND) -> Any:
  return parsed(content(path, remedy), path, remedy)


def read_object(path: Place, *fields: str, remedy: str = _MEND) -> dict[str, Any]:
  """A JSON object that has these fields."""
  found = read_json(path, remedy)
  lost = [name for name in fields if not isinstance(found, dict) or name not in found]
  if lost or not isinstance(found, dict):
    raise UserError(f'{path} cannot be read (it has no {", ".join(lost) or "fields"}): {remedy}')
  return found


def rows(path: Place, remedy: str) -> list[tuple[int, Any]]:
  """[(line number, record)] of JSON lines, every one whole."""
  lines, name = content(path, remedy).split(b'\n'), str(path)  # a path of epath takes long to say
  return [
    (n, parsed(line, f'{name}, line {n}', remedy))
    for n, line in enumerate(lines, 1)
    if line.strip()
  ]


def whole_lines(path: Place) -> list[tuple[str, dict[str, Any]]]:
  """[(line with its end, record)] of JSON lines that say a step; what a kill or a power cut tore is
  left out: a run that goes on says the steps after its last save again."""
  if not _path_of(path).exists():
    return []
  kept, torn = [], 0
  for line in content(path).splitlines(keepends=True):
    try:
      record = json.loads(line.decode())
    except (ValueError, RecursionError):
      record = None
    if line.endswith(b'\n') and isinstance(record, dict) and isinstance(record.get('step'), int):
      kept.append((line.decode(), record))
    else:
      torn += 1
  if torn:
    logging.warning('%s: left out, because torn: %d line(s)', path, torn)
  return kept


def user_cache() -> pathlib.Path | None:
  """A pathlib.Path: where jaxalign keeps what it can make again, this user's; None without a
  home."""
  home = os.environ.get('XDG_CACHE_HOME')
  with contextlib.suppress(RuntimeError):
    return pathlib.Path(home or pathlib.Path.home() / '.cache') / 'jaxalign'
  return None


def _line(error):
  return ' '.join(str(error).split())[:200] or type(error).__name__


def write_text(text: str, path: Place) -> None:
  """Writes a file whole or not at all."""
  with replacing(path) as temporary:
    temporary.write_text(text)


@contextlib.contextmanager
def replacing(path: Place) -> Iterator['epath.Path']:
  """A path beside `path`, to be written, which takes its place at the end: the file is whole or
  absent, whoever is killed meanwhile."""
  final = _path_of(path)
  final.parent.mkdir(parents=True, exist_ok=True)
  temporary = final.with_name(f'{final.name}.{os.getpid()}.tmp')
  try:
    yield temporary
    temporary.replace(final)
  except BaseException:
    temporary.unlink(missing_ok=True)  # of a full disk: half a file helps nobody
    raise


def _path_of(path: Place) -> 'epath.Path':
  """An epath.Path, local or of a bucket."""
  from etils import epath

  return epath.Path(path)


def absolute(path: Place) -> 'epath.Path':
  """As Orbax wants paths; a bucket's are absolute already."""
  expanded = _path_of(path).expanduser()
  return expanded if '://' in os.fspath(expanded) else expanded.resolve()
