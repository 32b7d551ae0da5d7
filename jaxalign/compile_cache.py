"""Compiled programs that outlive their process: jax's own cache on disk, and a line on each use.

A file there is a program as the compiler made it, under a hash of all that it came from: the
program itself, jaxlib, the compiler's build, its flags, the devices and their order. Whatever
differs is compiled anew. launch/preflight.py --keep fills it without a TPU. Where no directory is
named, a run of one process keeps its programs in the user's cache, 2 GiB at most.
"""

import contextlib
import functools
import hashlib
import importlib.util
import json
import operator
import os
import pathlib
import platform
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
from etils import epath
from jax.experimental.compilation_cache import compilation_cache
from jax.extend import backend

from jaxalign import files, pod
from jaxalign.config import UserError
from jaxalign.files import Place, read_json

_DIRECTORY = 'jax_compilation_cache_dir'
_LIST = 'kept.json'  # of what preflight compiled: no program is found by it
_LOADED = '/jax/compilation_cache/compile_time_saved_sec'
_WRITTEN = '/jax/compilation_cache/cache_misses'
_COMPILED = '/jax/core/compile/backend_compile_duration'
_BOUND = 2**31  # bytes of programs in the user's cache; beyond, the oldest go
# Seconds under which a program is not worth a file. (And no paths in it: they would go into the
# hash, and a GPU's tuning has a cache of its own.)
SETTINGS: dict[str, Any] = dict(
  jax_persistent_cache_min_compile_time_secs=1.0,
  jax_persistent_cache_min_entry_size_bytes=0,
  jax_persistent_cache_enable_xla_caches='none',
)


def stamp(client: Any) -> dict[str, str]:
  """What must agree, as far as it has a name; `client` compiles."""
  flags = ' '.join(os.environ.get(name, '') for name in ('XLA_FLAGS', 'LIBTPU_INIT_ARGS'))
  packed = 'zstandard' if importlib.util.find_spec('zstandard') else 'zlib'  # by what is installed
  return dict(
    jax=jax.__version__,
    jaxlib=jax.lib.__version__,
    flags=' '.join(sorted(flags.split())),
    compiler=' '.join(client.platform_version.split()),
    compression=packed,
  )


@contextlib.contextmanager
def used(directory: Place, say: Callable[[str], object] | None = None) -> Iterator[None]:
  """Programs are read from `directory`, and kept there, while this lasts. say(line): of each."""
  try:
    epath.Path(directory).mkdir(parents=True, exist_ok=True)
  except OSError as error:
    raise UserError(f'{directory} cannot hold compiled programs: {error.strerror}') from error
  settings = SETTINGS | {_DIRECTORY: str(directory)}
  before = {name: getattr(jax.config, name) for name in settings}
  _configure(settings)
  watch = _Watch(directory, say) if say else None
  try:
    yield
  finally:
    if watch:
      watch.end()
    _configure(before)


def in_use() -> str | None:
  """Where programs are kept now, for processes that are started; None: nowhere."""
  return getattr(jax.config, _DIRECTORY)


def _configure(settings):
  for name, value in settings.items():
    jax.config.update(name, value)
  compilation_cache.reset_cache()  # which else stays with the first directory of a process


class _Watch:
  """Says where the large programs come from: jax tells that it loaded or wrote one, then its name,
  all on the thread that wanted it."""

  def __init__(self, directory: Place, say: Callable[[str], object]):
    self.directory, self.say, self.now = directory, say, threading.local()
    jax.monitoring.register_event_listener(self.event)
    jax.monitoring.register_event_duration_secs_listener(self.seconds)

  def end(self):
    jax.monitoring.unregister_event_listener(self.event)
    jax.monitoring.unregister_event_duration_listener(self.seconds)

  def event(self, event: str, **_: str | int) -> None:
    if event == _WRITTEN:
      self.now.words = 'compiled in {seconds:.0f} s, and kept in {directory}'

  def seconds(self, event: str, duration_secs: float, **about: str | int) -> None:
    if event == _LOADED:
      self.now.words = f'loaded from {{directory}}: {duration_secs:.0f} s of compiling saved'
    elif event == _COMPILED:
      words, self.now.words = getattr(self.now, 'words', None), None
      if words:
        how = words.format(seconds=duration_secs, directory=self.directory)
        self.say(f'{about.get("fun_name", "")}: {how}')


def listed(directory: Place) -> list[dict[str, Any]]:
  path = epath.Path(directory) / _LIST
  return read_json(path, 'remove it: programs are found without it') if path.exists() else []


def note(directory: Place, rows: Sequence[Mapping[str, Any]]) -> None:
  """Adds to the list; the same program of the same config and slice is there once."""
  key = operator.itemgetter('config', 'slice', 'name')
  new = {key(row) for row in rows}
  old = [row for row in listed(directory) if key(row) not in new]
  (epath.Path(directory) / _LIST).write_text(json.dumps([*old, *rows], indent=1) + '\n')


def disagreement(directory: Place, here: Mapping[str, str]) -> str | None:
  """Why nothing that preflight kept there can be of use here, in a line; None if something may."""
  wrong = [
    {name: row[name] for name in here if row[name] != here[name]} for row in listed(directory)
  ]
  if not wrong or not all(wrong):
    return None
  least = min(wrong, key=len)
  parts = (f'{name} {least[name] or "none"}, here {here[name] or "none"}' for name in least)
  return f'what {directory} holds was compiled otherwise ({"; ".join(parts)}): it is compiled anew'


@contextlib.contextmanager
def of_a_run(directory: Place | None) -> Iterator[None]:
  """A context: `used` for a run, with the directory that it named, or else the user's cache."""
  own = user_cache()
  place = directory or own
  if directory is None and (in_use() or jax.process_count() > 1) or place is None:
    yield  # JAX_COMPILATION_CACHE_DIR is set, or hosts would not all find what one of them kept
    return
  if jax.default_backend() == 'cpu' and not str(place).endswith(cpu_features()):
    place = epath.Path(place) / cpu_features()  # a CPU with other instructions would fail on them
  say = functools.partial(print, file=sys.stderr, flush=True) if pod.writes() else None
  with contextlib.ExitStack() as stack:
    if directory is not None:
      line = disagreement(directory, stamp(backend.get_backend()))
      if line and say:
        say(line)
      stack.enter_context(used(place, say))
    elif own is not None:
      with contextlib.suppress(UserError):  # of a home that cannot be written: nothing is kept
        stack.enter_context(used(place))
        prune(own, _BOUND)
    yield


def user_cache() -> pathlib.Path | None:
  """A pathlib.Path: where this user's programs are kept between runs; None without a home. Nobody
  else may write there, for what it holds is run."""
  place = files.user_cache()
  return place and place / 'compiled'


def cpu_features() -> str:
  """A str, short and the same for equal CPUs: programs for one may hold what another lacks, and are
  split over the cores that a process may use."""
  try:
    lines = pathlib.Path('/proc/cpuinfo').read_text().splitlines()
    known = next(line for line in lines if line.startswith(('flags', 'Features')))
  except (OSError, StopIteration):  # no Linux
    known = platform.processor()
  mine = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
  digest = hashlib.sha256(f'{platform.machine()} {known} {mine}'.encode()).hexdigest()
  return f'cpu-{digest[:12]}'


def prune(directory: Place, bound: int) -> None:
  """Removes the oldest files until `bound` bytes are left; other runs may do so meanwhile."""
  found = []
  for path in pathlib.Path(directory).rglob('*'):
    with contextlib.suppress(OSError):
      about = path.stat()
      if not path.is_file():
        continue
      found.append((about.st_mtime, about.st_size, path))
  total = sum(size for _, size, _ in found)
  for _, size, path in sorted(found):
    if total <= bound:
      return
    with contextlib.suppress(OSError):
      path.unlink()
    total -= size
