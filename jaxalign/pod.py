"""Joining the processes of a run: from flags, JAX_* variables, or TPU VMs, GKE and Slurm."""

import contextlib
import contextvars
import glob
import os
import sys
import threading
from collections.abc import Iterator, Mapping

import jax
import numpy as np
from jax.experimental import multihost_utils

from jaxalign.config import UserError

_HEARTBEAT = 30  # seconds of silence after which a process counts as dead and the others end
PATIENCE = 300  # seconds to wait for the others at the start
_alone = contextvars.ContextVar('alone', default=False)


def writes() -> bool:
  """A bool: whether this is the one process that writes what is written once."""
  return jax.process_index() == 0


def several() -> bool:
  """A bool: whether this run has more processes than this one, which does not work alone()."""
  return jax.process_count() > 1 and not _alone.get()


@contextlib.contextmanager
def alone() -> Iterator[None]:
  """`with pod.alone():` what one process does while the others wait elsewhere: to meet them inside,
  or to be told something, would never end."""
  before = _alone.set(True)
  try:
    yield
  finally:
    _alone.reset(before)


def mine(name: str) -> str:
  """A file's name, of this process alone: samples.jsonl, samples1.jsonl, ..."""
  stem, dot, ending = name.rpartition('.')
  return name if writes() else f'{stem}{jax.process_index()}{dot}{ending}'


def meet(what: str) -> None:
  """Waits for all processes: what the first wrote before is there for all of them after."""
  if several():
    multihost_utils.sync_global_devices(what)


def agreed(seen: bool) -> bool:
  """What the first process saw: a file that it writes appears to the others a moment later."""
  if not several():
    return seen
  return bool(multihost_utils.broadcast_one_to_all(np.int32(seen)))


def told(data: bytes) -> bytes:
  """What the first process gives, for all of them: its disk may be its own."""
  if not several():
    return data
  size = int(multihost_utils.broadcast_one_to_all(np.int32(len(data))))
  mine = np.frombuffer(data, np.uint8) if writes() else np.zeros(size, np.uint8)
  return np.asarray(multihost_utils.broadcast_one_to_all(mine), np.uint8).tobytes()


def join(
  coordinator: str | None = None,
  processes: int | None = None,
  process_id: int | None = None,
  patience: int = PATIENCE,
) -> None:
  """Connects this process with the others, before any device is touched. Alone, it does nothing."""
  given = named(coordinator, processes, process_id, os.environ)
  if None in given and not expected(os.environ):
    return
  where = given[0] or 'the coordinator'
  # Past its own patience jax aborts the process, with a stack of C++: ours says a line before.
  late = threading.Timer(patience, _give_up, [where, patience])
  late.daemon = True
  late.start()
  try:
    jax.distributed.initialize(
      *given,
      initialization_timeout=patience + _HEARTBEAT,
      heartbeat_timeout_seconds=_HEARTBEAT,
      shutdown_timeout_seconds=_HEARTBEAT,
    )
  except (RuntimeError, ValueError, IndexError) as e:
    why = (str(e).splitlines() or [type(e).__name__])[0]
    raise UserError(f'could not join the other processes at {where}: {why}') from e
  finally:
    late.cancel()


def named(
  coordinator: str | None, processes: int | None, process_id: int | None, env: Mapping[str, str]
) -> tuple[str | None, int | None, int | None]:
  """(coordinator, processes, process_id) as flags or JAX_* variables have them; all or none."""
  coordinator = coordinator or env.get('JAX_COORDINATOR_ADDRESS')
  if coordinator and processes is None and process_id is None:
    processes, process_id = number(env, 'JAX_NUM_PROCESSES'), number(env, 'JAX_PROCESS_ID')
  given = coordinator, processes, process_id
  if any(x is not None for x in given) and None in given:
    raise UserError(
      '--coordinator, --processes and --process_id belong together, and so do '
      'JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID: give all or none'
    )
  return given


def number(env: Mapping[str, str], name: str) -> int | None:
  text = env.get(name)
  if text is not None and not text.isdecimal():
    raise UserError(f'{name}={text}: takes a number')
  return None if text is None else int(text)


def _give_up(where, patience):
  print(
    f'error: not all processes came together at {where} within {patience} s: is that the address '
    'of process 0, can it be reached from here, and were all of them started?',
    file=sys.stderr,
    flush=True,
  )
  os._exit(2)  # the main thread is inside jax, which nothing interrupts


def expected(env: Mapping[str, str]) -> bool:
  """Whether this process was started as one of several, as jax can find out by itself."""
  if (number(env, 'SLURM_NTASKS') or 1) > 1 and 'SLURM_PROCID' in env:
    return True
  on_tpu = glob.glob('/dev/accel*') or glob.glob('/dev/vfio/[0-9]*')
  wanted = env.get('JAX_PLATFORMS', 'tpu').split(',')[0] == 'tpu'
  return bool(wanted and (on_tpu or ',' in env.get('TPU_WORKER_HOSTNAMES', '')))


def leave(status: int) -> None:
  """Ends a process that failed while others may wait: a clean exit would wait for them too."""
  if jax.distributed.is_initialized() and jax.process_count() > 1:
    os._exit(status)
