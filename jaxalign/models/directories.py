"""Directories, here or in a bucket: found by any name, and replaced whole or not at all."""

import contextlib
import os
import shutil
import socket
from collections.abc import Iterator

from etils import epath

from jaxalign.config import UserError
from jaxalign.files import refuse_irregular

REMOTE = '://'
_READ = 'config.json', 'model.safetensors', 'model.safetensors.index.json'


def place(path: epath.PathLike) -> epath.Path:
  """An epath.Path that can be asked; one line where a bucket's client is not installed."""
  try:
    path = epath.Path(path).expanduser()
    if path.exists() and REMOTE not in str(path):
      _refuse_odd(path)
    return path
  except (ImportError, KeyError, NotImplementedError) as e:
    raise UserError(f'{path}: this kind of place cannot be opened here ({e})') from e
  except UserError:
    raise
  except (OSError, RuntimeError, ValueError) as e:  # too long, links in a circle, a null byte
    raise UserError(f'{path!s:.300}: cannot be opened ({getattr(e, "strerror", None) or e})') from e


def _refuse_odd(path):
  """What is to be read must be files, not pipes or directories called so."""
  refuse_irregular(path)
  for name in _READ if path.is_dir() else ():
    refuse_irregular(path / name)
    if (path / name).is_dir():
      raise UserError(f'{path / name} is a directory, where a file is meant: name another place')


@contextlib.contextmanager
def replacing(path: epath.PathLike, overwrite: bool) -> Iterator[epath.Path]:
  """Yields a temporary directory that becomes `path` at the end, or is removed: no half of one."""
  path = place(path)
  if REMOTE not in str(path):
    path = epath.Path(os.path.realpath(path))  # where it leads to is replaced, not a link to it
  _refuse(path, overwrite)
  start = f'.{path.name}.partial-{socket.gethostname()}-'
  partial = path.parent / f'{start}{os.getpid()}'
  try:
    partial.mkdir(parents=True, exist_ok=True)
    _clear_abandoned(path.parent, start)
    yield partial
    _swap(partial, path)
  except OSError as e:
    why = e.strerror or str(e)
    raise UserError(f'{path}: could not be written ({why}); nothing was kept of it') from e
  finally:
    if partial.exists():
      partial.rmtree()


def _refuse(path, overwrite):
  if not path.exists():
    return
  if not path.is_dir():
    raise UserError(f'{path} is a file; give the name of a directory')
  if not any(path.iterdir()):
    return
  if not overwrite:
    raise UserError(
      f'{path} is not empty; say overwrite=True to replace it, or choose another name'
    )
  if not (path / 'config.json').exists():
    raise UserError(f'{path} holds no model but other files, which overwrite=True would delete')


def _clear_abandoned(parent, start):
  """Gigabytes that an export left behind when it was killed on this machine."""
  for other in parent.iterdir():
    pid = other.name.removeprefix(start)
    if other.name.startswith(start) and pid.isdecimal() and not _runs(int(pid)):
      other.rmtree()


def _runs(pid):
  try:
    os.kill(pid, 0)
  except ProcessLookupError:
    return False
  except PermissionError:
    pass  # another user's
  return True


def _swap(partial, path):
  if REMOTE in str(path):
    return _move_objects(partial, path)
  if not path.exists() or not any(path.iterdir()):
    return os.rename(partial, path)
  old = f'{partial}.old'
  os.rename(path, old)
  try:
    os.rename(partial, path)
  except OSError:
    os.rename(old, path)
    raise
  shutil.rmtree(old)


def _move_objects(partial, path):
  """Moves a bucket's objects, config.json last: what is there loads only when it is complete."""
  new = sorted(partial.iterdir(), key=lambda f: f.name == 'config.json')
  if (path / 'config.json').exists():
    (path / 'config.json').unlink()
  path.mkdir(parents=True, exist_ok=True)
  for file in new:
    file.replace(path / file.name)
  for stale in {f.name for f in path.iterdir()} - {f.name for f in new}:
    (path / stale).unlink()
