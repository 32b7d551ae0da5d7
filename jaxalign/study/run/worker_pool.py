"""Tasks spread over worker processes, one core each; what they say comes back in order."""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax

from jaxalign import allocator, compile_cache
from jaxalign.config import UserError
from jaxalign.endings import UNFINISHED


def each(
  tasks: Sequence[Any],
  work: Callable[..., None],
  args: tuple,
  *,
  workers: int,
  say: Callable[[Any, Any], None],
  logged: bool = False,
) -> None:
  """work(task, *args, tell) for every task; say(task, told) here for each tell(told) there, and
  say(None, None) now and then. logged: whether what is printed goes to a file, as a worker's does,
  where there are no workers."""
  with _told_to_stop():
    if count(workers, len(tasks)):
      _spread(tasks, work, args, workers, say)
      return
    here = logged and '://' not in str(args[1])  # a bucket's files cannot grow
    with _logged(args[1], say) if here else contextlib.nullcontext():
      for task in tasks:
        work(task, *args, lambda told, task=task: say(task, told))


@contextlib.contextmanager
def _logged(workdir, say):
  """What is printed meanwhile goes to a file; who looks on hears now and then, as of workers."""
  over = threading.Event()

  def look():
    while not over.wait(1):
      say(None, None)

  looking = threading.Thread(target=look, daemon=True)
  os.makedirs(workdir, exist_ok=True)
  with open(_log(workdir, 0), 'a', 1, encoding='utf-8') as log:
    with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
      looking.start()
      try:
        yield
      finally:
        over.set()
        looking.join()


def _log(workdir, number):
  return os.path.join(workdir, f'worker-{number}.log')


@contextlib.contextmanager
def _told_to_stop():
  """SIGTERM ends a study as unfinished wherever it stands, for every file is written whole. What
  trains hears it first, and saves. (Several hosts must agree; there only what trains hears it.)"""

  terminal = sys.stderr

  def hear(kind, frame):
    print('told to stop: what is done is kept; the same command goes on', file=terminal)
    raise SystemExit(UNFINISHED)

  if threading.current_thread() is not threading.main_thread() or jax.distributed.is_initialized():
    yield
    return
  before = signal.signal(signal.SIGTERM, hear)
  try:
    yield
  finally:
    signal.signal(signal.SIGTERM, before)


def count(workers: int, tasks: int) -> int:
  """How many worker processes there will be of those wished for; 0: this process does it all."""
  return min(workers, tasks, max(len(_cores()), 1))


def _cores():
  return sorted(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else []


def _spread(tasks, work, args, workers, say):
  cores, workers = _cores(), count(workers, len(tasks))
  spawn = multiprocessing.get_context('spawn')  # not fork: jax has threads
  todo, told, compiled = spawn.Queue(), spawn.Queue(), compile_cache.in_use()
  for task in tasks:
    todo.put(task)
  for _ in range(workers):
    todo.put(None)
  rest = os.getpid(), str(args[1]), compiled, todo, told, work, args
  processes = [
    spawn.Process(target=_serve, daemon=True, args=(n, cores[n : n + 1], *rest))
    for n in range(workers)
  ]
  for process in processes:
    process.start()
  try:
    _listen(processes, told, say)
  finally:
    for process in processes:
      process.terminate()
    for process in processes:
      process.join()


def _listen(processes, told, say):
  working = len(processes)
  while working:
    try:
      kind, task, text = told.get(timeout=1)
    except multiprocessing.queues.Empty:
      kind = task = text = None
    if kind == 'said':
      say(task, text)
    elif kind == 'done':
      working -= 1
    elif kind == 'failed':
      raise UserError(text)
    elif kind == 'stopped':
      raise SystemExit(UNFINISHED)
    elif kind == 'keyboard':
      raise KeyboardInterrupt
    elif codes := {p.exitcode for p in processes} - {None, 0}:
      if codes == {-signal.SIGTERM}:
        raise SystemExit(UNFINISHED)
      raise UserError(
        f'a worker died (exit status {", ".join(map(str, sorted(codes)))}; killed for memory?): '
        'the same command goes on'
      )
    else:
      say(None, None)


def _serve(number, cores, parent, workdir, compiled, todo, told, work, args):
  """A worker's life. It does not outlive who started it; its own output goes to a file."""
  threading.Thread(target=_follow, args=(parent,), daemon=True).start()
  if cores:
    os.sched_setaffinity(0, set(cores))  # before jax makes as many threads as there are cores
  with open(_log(workdir, number), 'a', 1, encoding='utf-8') as log:
    sys.stdout = sys.stderr = log
    allocator.keep_freed()
    task = None
    try:
      with compile_cache.of_a_run(compiled) if compiled else contextlib.nullcontext():
        while (task := todo.get()) is not None:
          work(task, *args, lambda text, task=task: told.put(('said', task, text)))
      told.put(('done', None, None))
    except SystemExit as end:
      if end.code == UNFINISHED:
        told.put(('stopped', task, None))
      else:
        told.put(('failed', task, f'something called exit({end.code!r}) before the study was done'))
    except KeyboardInterrupt:
      told.put(('keyboard', task, None))
    except UserError as error:
      told.put(('failed', task, str(error)))
    except Exception as error:
      import traceback

      traceback.print_exc()
      told.put(('failed', task, f'{type(error).__name__}: {error} (its trace is in {log.name})'))


def _follow(parent):
  while os.getppid() == parent:
    time.sleep(0.5)
  os._exit(1)
