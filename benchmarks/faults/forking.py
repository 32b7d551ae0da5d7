"""Children of one warm process: the package is imported once, and a case costs what it does itself.

A child is a fork in a process group of its own. The parent has imported jax and touched no device;
each child starts its own backend.
"""

import atexit
import contextlib
import ctypes
import importlib
import os
import pathlib
import pkgutil
import signal
import sys
import threading
import time
import traceback

from benchmarks.faults import case

ENVIRONMENT = {
  'JAX_PLATFORMS': 'cpu',
  'HF_HUB_OFFLINE': '1',
  'OPENBLAS_NUM_THREADS': '1',
  'JAX_DISABLE_MOST_OPTIMIZATIONS': '1',
  'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0',
  'TF_CPP_MIN_LOG_LEVEL': '3',
  'COLUMNS': '200',
}
LATE = ('launch.pod', 'launch.preflight', 'launch.rehearse')
DEATH = 1  # prctl: a child ends with its parent


def warm(cache):
  """Imports all of the package; before anything has imported jax. cache: of compiled programs."""
  os.environ.update(ENVIRONMENT | {'JAX_COMPILATION_CACHE_DIR': str(cache)})
  for name in [n for n in os.environ if n.startswith(('SLURM_', 'TPU_', 'XLA_'))]:
    del os.environ[name]
  import jaxalign

  for found in pkgutil.walk_packages(jaxalign.__path__, 'jaxalign.'):
    importlib.import_module(found.name)
  for name in LATE:
    with contextlib.suppress(ImportError):
      importlib.import_module(name)


class Child:
  """A forked child that calls call() -> exit status, its words in files of `place`."""

  def __init__(self, call, place, limit=case.LIMIT, environ=None):
    self.place, self.limit, self.began = pathlib.Path(place), limit, time.monotonic()
    self.peak, self.hung, self.greedy, self.ended = 0, False, False, None
    sys.stdout.flush()
    sys.stderr.flush()
    self.pid = os.fork()
    if not self.pid:
      _live(call, self.place, environ or {})
    with contextlib.suppress(OSError):
      os.setpgid(self.pid, self.pid)

  def poll(self):
    """The Ended, or None while it runs; ends what takes too long or too much."""
    if self.ended is not None:
      return self.ended
    pid, status = os.waitpid(self.pid, os.WNOHANG)
    if not pid:
      self.peak = max(self.peak, resident(self.pid))
      self.hung = time.monotonic() - self.began > self.limit
      self.greedy = self.peak > case.MEMORY
      if not (self.hung or self.greedy):
        return None
      self.signal(signal.SIGKILL, group=True)
      _, status = os.waitpid(self.pid, 0)
    self.signal(signal.SIGKILL, group=True)  # whoever it left behind

    def said(name):  # not there where it was ended before it could begin
      return self.place / name

    def read(name):
      return said(name).read_text(errors='replace') if said(name).exists() else ''

    self.ended = case.Ended(
      status=os.waitstatus_to_exitcode(status),
      out=read('stdout'),
      err=read('stderr'),
      seconds=time.monotonic() - self.began,
      peak=self.peak,
      hung=self.hung,
      greedy=self.greedy,
    )
    return self.ended

  def signal(self, kind, group=False):
    with contextlib.suppress(ProcessLookupError, PermissionError):
      (os.killpg if group else os.kill)(self.pid, kind)

  def wait(self):
    while self.poll() is None:
      time.sleep(0.005)
    return self.ended


def _live(call, place, environ):
  """A child's whole life."""
  os.setpgid(0, 0)
  ctypes.CDLL(None).prctl(DEATH, signal.SIGKILL)
  for kind in (signal.SIGTERM, signal.SIGINT):
    signal.signal(kind, signal.SIG_DFL if kind == signal.SIGTERM else signal.default_int_handler)
  os.environ.update(environ)
  os.chdir(case.ROOT)
  for number, name in ((0, os.devnull), (1, place / 'stdout'), (2, place / 'stderr')):
    opened = os.open(name, os.O_RDWR | (os.O_CREAT | os.O_TRUNC if number else 0), 0o644)
    os.dup2(opened, number)
  sys.stdout = open(1, 'w', buffering=1, errors='backslashreplace', closefd=False)
  sys.stderr = open(2, 'w', buffering=1, errors='backslashreplace', closefd=False)
  status = 1
  try:
    status = call() or 0
  except SystemExit as leaving:
    status = _status_of(leaving.code)
  except BaseException:
    traceback.print_exc()
  finally:
    with contextlib.suppress(BaseException):  # as the interpreter ends: threads, then exit hooks
      threading._shutdown()
      atexit._run_exitfuncs()
      sys.stdout.flush()
    os._exit(status)


def _status_of(code):
  """What the interpreter makes of sys.exit(code)."""
  if code is None or isinstance(code, int):
    return code or 0
  print(code, file=sys.stderr)
  return 1


def resident(pid):
  """MiB in memory; 0 of a process that has ended."""
  try:
    pages = int(pathlib.Path(f'/proc/{pid}/statm').read_text().split()[1])
  except (OSError, IndexError):
    return 0
  return pages * os.sysconf('SC_PAGE_SIZE') // 2**20


def calling(program, argv):
  """call() of a command, as `python -m PROGRAM ARGV` would do."""

  def call():
    module = importlib.import_module(program)
    sys.argv = [program, *argv]
    if program == 'launch.report':
      return module.main()
    if program == 'launch.preflight':
      return module.run(list(argv))
    return module.main(sys.argv if program == 'jaxalign.main' else list(argv))

  return call


def start(one, place):
  """The Child that runs a case in its place."""
  return Child(calling(one.program, one.command(place)), place, limit=one.limit)
