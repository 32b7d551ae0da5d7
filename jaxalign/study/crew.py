"""Tasks spread over worker processes, one core each; what they say comes back in order."""

import contextlib
import multiprocessing
import os
import sys
import threading
import time

from jaxalign import allocator, kept
from jaxalign.config import UserError


def each(tasks, work, args, *, workers, say):
  """work(task, *args, tell) for every task; say(task, text) here for each tell(text) there."""
  cores = sorted(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else []
  workers = min(workers, len(tasks), max(len(cores), 1))
  if workers < 1:
    for task in tasks:
      work(task, *args, lambda text, task=task: say(task, text))
    return
  spawn = multiprocessing.get_context('spawn')  # not fork: jax has threads
  todo, told, compiled = spawn.Queue(), spawn.Queue(), kept.in_use()
  for task in tasks:
    todo.put(task)
  for _ in range(workers):
    todo.put(None)
  crew = [
    spawn.Process(
      target=serve, daemon=True,
      args=(n, cores[n : n + 1], os.getpid(), str(args[1]), compiled, todo, told, work, args),
    )
    for n in range(workers)
  ]  # fmt: skip
  for process in crew:
    process.start()
  try:
    listen(crew, told, say)
  finally:
    for process in crew:
      process.terminate()
      process.join()


def listen(crew, told, say):
  working = len(crew)
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
      raise KeyboardInterrupt
    elif any(process.exitcode not in (None, 0) for process in crew):
      codes = ', '.join(str(p.exitcode) for p in crew if p.exitcode not in (None, 0))
      raise UserError(
        f'a worker died (exit status {codes}; killed for memory?): the same command goes on'
      )
    else:
      say(None, None)


def serve(number, cores, parent, workdir, compiled, todo, told, work, args):
  """A worker's life. It does not outlive who started it; its own output goes to a file."""
  threading.Thread(target=follow, args=(parent,), daemon=True).start()
  if cores:
    os.sched_setaffinity(0, set(cores))  # before jax makes as many threads as there are cores
  with open(os.path.join(workdir, f'worker-{number}.log'), 'a', encoding='utf-8') as log:
    sys.stdout = sys.stderr = log
    allocator.keep_freed()
    task = None
    try:
      with kept.of_a_run(compiled) if compiled else contextlib.nullcontext():
        while (task := todo.get()) is not None:
          work(task, *args, lambda text, task=task: told.put(('said', task, text)))
      told.put(('done', None, None))
    except (SystemExit, KeyboardInterrupt):
      told.put(('stopped', task, None))
    except UserError as error:
      told.put(('failed', task, str(error)))
    except Exception as error:
      import traceback

      traceback.print_exc()
      told.put(('failed', task, f'{type(error).__name__}: {error} (its trace is in {log.name})'))


def follow(parent):
  while os.getppid() == parent:
    time.sleep(0.5)
  os._exit(1)
