"""Prepared corpora in a bucket, written and read through a copy on this machine's own disk.

ArrayRecord opens local files only, and no bucket serves rows in random order well.
"""

import hashlib
import os
import shutil

from etils import epath

from jaxalign.config import UserError

MANIFEST = 'manifest.json'  # written last: what has none is not finished


def is_remote(directory: epath.PathLike) -> bool:
  return '://' in os.fspath(directory)


def cache() -> epath.Path:
  """The directory of all local copies; $JAXALIGN_CACHE names another disk."""
  return epath.Path(os.environ.get('JAXALIGN_CACHE', '~/.cache/jaxalign')).expanduser()


def fetch(directory: epath.PathLike) -> epath.Path:
  """The copy of a finished corpus on this machine; copied first where there is none."""
  directory = epath.Path(directory)
  try:
    manifest = (directory / MANIFEST).read_bytes()
    home = _home(directory, manifest)
    if (home / MANIFEST).exists():
      return home
    coming = home.with_name(f'{home.name}.{os.getpid()}.tmp')
    coming.mkdir(parents=True, exist_ok=True)
    _copy(directory, coming, manifest)
    _settle(coming, home)
  except (OSError, ImportError) as error:
    raise UserError(
      f'{directory} cannot be copied to {cache()} ({error}): is it there, and is there room? '
      'JAXALIGN_CACHE names another disk'
    ) from error
  return home


def workplace(directory: epath.Path) -> epath.Path:
  """The local directory where a corpus for a bucket is made; the same again after a kill."""
  return cache() / 'making' / hashlib.sha256(os.fspath(directory).encode()).hexdigest()[:16]


def publish(made: epath.Path, directory: epath.Path) -> None:
  """Uploads a finished corpus, its manifest last, and keeps it as this machine's copy."""
  manifest = (made / MANIFEST).read_bytes()
  try:
    directory.mkdir(parents=True, exist_ok=True)
    _copy(made, directory, manifest)
  except (OSError, ImportError) as error:
    raise UserError(
      f'{directory} cannot be written ({error}); what was prepared is kept in {made}: mend the '
      'place, and the same command goes on'
    ) from error
  _settle(made, _home(directory, manifest))


def _copy(source: epath.Path, target: epath.Path, manifest: bytes) -> None:
  for file in source.iterdir():
    if file.name != MANIFEST and not file.name.endswith('.tmp'):
      file.copy(target / file.name, overwrite=True)
  (target / MANIFEST).write_bytes(manifest)


def _home(directory: epath.Path, manifest: bytes) -> epath.Path:
  """The local copy, named by content: a corpus that was made anew is another one."""
  return cache() / 'prepared' / f'{directory.name}-{hashlib.sha256(manifest).hexdigest()[:12]}'


def _settle(made: epath.Path, home: epath.Path) -> None:
  home.parent.mkdir(parents=True, exist_ok=True)
  try:
    os.rename(made, home)  # not epath's: that falls back on copying into a directory that is there
  except OSError:
    if not (home / MANIFEST).exists():  # else another process was first
      raise
    shutil.rmtree(made)
