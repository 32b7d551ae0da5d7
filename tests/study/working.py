"""What workers do in worker_pool_test: apart, so that a worker has little to import."""

import os
import time

from jaxalign.config import UserError
from jaxalign.endings import UNFINISHED


def work(task, how, workdir, say):
  if how == 'user' and task == 1:
    raise UserError('the corpus is empty: give another')
  if how == 'fault' and task == 1:
    raise RuntimeError('it broke')
  if how == 'dies' and task == 1:
    os._exit(9)
  if how == 'stops' and task == 1:
    raise KeyboardInterrupt
  if how == 'told' and task == 1:
    raise SystemExit(UNFINISHED)
  if how == 'exits' and task == 1:
    raise SystemExit(0)
  if how == 'kept':
    import jax  # here: the others need none

    say(jax.config.jax_compilation_cache_dir)
  say(f'{task} by {os.getpid()}')


def linger(task, how, workdir, say):
  (workdir / 'pid').write_text(str(os.getpid()))
  time.sleep(120)
