"""A directory belongs to one run: who may write there, and what of the config may change."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from jaxalign import sealing
from jaxalign.config import UserError
from jaxalign.files import read_object, refuse_irregular

if TYPE_CHECKING:  # slow to import
  from etils import epath

FREE = ('mesh', 'saving', 'logging')  # of a config: what a run may change when it goes on
PATIENCE = 20  # seconds for a run that was told to stop to end; other hosts wait 30 for this one


@contextlib.contextmanager
def alone(workdir: 'epath.Path', patience: float = PATIENCE) -> Iterator[None]:
  """No second run of this machine writes there meanwhile: the system's own lock, which dies with
  its process. A bucket has none."""
  if '://' in str(workdir):
    yield
    return
  try:
    workdir.mkdir(parents=True, exist_ok=True)
    place = os.open(workdir, os.O_RDONLY)
  except OSError as error:
    raise _unwritable(workdir, error) from error
  try:
    _wait(place, workdir, patience)
    yield
  finally:
    os.close(place)


def _wait(place, workdir, patience):
  late, told = time.monotonic() + patience, False
  while True:
    try:
      return fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      if time.monotonic() > late:
        raise UserError(
          f'--workdir={workdir}: another run writes there; let it end, or take another --workdir'
        ) from None
      if not told:
        print(f'{workdir}: another run writes there; waiting {patience} s for its end', flush=True)
      told = True
      time.sleep(0.1)
    except OSError as error:
      return print(f'{workdir}: no lock to be had ({error.strerror}); start no second run there')


def _unwritable(workdir, error):
  file = isinstance(error, FileExistsError | NotADirectoryError)
  why = 'a file is there' if file else getattr(error, 'strerror', None) or error
  return UserError(f'--workdir={workdir} cannot be written ({why}): choose another')


def claim(cfg: Any, workdir: 'epath.Path', writes: bool = True) -> None:
  """The config is on disk, or this is another run's place. Of several processes one writes."""
  try:
    refuse_other_run(cfg, workdir)
    if writes:
      sealing.write(cfg, workdir / 'config.json')
  except UserError:
    raise
  except Exception as error:  # a bucket's client has dozens of error types; all mean the same here
    raise _unwritable(workdir, error) from error


def refuse_other_run(cfg: Any, workdir: 'epath.Path') -> None:
  """A workdir that holds checkpoints goes on only as the run it was."""
  path, saves = workdir / 'config.json', workdir / 'checkpoints'
  refuse_irregular(path)
  if not path.exists() or not saves.exists() or not any(p.is_dir() for p in saves.iterdir()):
    return
  changed = sealing.diff(read_object(path, 'class'), cfg)
  changed = [(name, a, b) for name, a, b in changed if name.split('.')[0] not in FREE]
  if changed:
    shown = ', '.join(f'{name} ({old} there, {new} here)' for name, old, new in changed[:8])
    raise UserError(f'{workdir} holds another run: {shown}; take another --workdir, or that config')
