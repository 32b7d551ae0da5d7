"""Runs that are broken at some moment and started again, on one host and on two."""

import os
import pathlib
import random
import signal
import time

from tests.train import running


def checkpoints(workdir):
  return set(pathlib.Path(workdir, 'checkpoints').glob('*'))


def whole(workdir):
  return {path for path in checkpoints(workdir) if path.name.isdigit()}


def _moment(rng, workdir, seconds):
  """A condition to wait for, and how long to wait then: as a save begins or ends, or anywhere."""
  before = checkpoints(workdir)
  if rng.random() < 0.5:
    torn = rng.choice([True, True, False])
    new = lambda: checkpoints(workdir) - before
    return lambda: any(('tmp' in path.name) == torn for path in new()), rng.random() * 0.1
  saves = rng.randint(0, 2)
  return lambda: len(checkpoints(workdir) - before) >= saves, rng.random() * seconds[saves]


def broken_run(command, workdir, cache, seed, kills, seconds=(0.4, 0.4, 0.4)):
  """Kills it again and again, then lets it end; the number of kills that met it alive.

  seconds: that it may go on at most, after no save, one and two.
  """
  rng, met = random.Random(seed), 0
  while met < kills:
    process = running.start(command, cache)
    condition, delay = _moment(rng, workdir, seconds)
    running.wait_for(condition, process)
    time.sleep(delay)
    status, said = running.kill(process)
    assert status in (-signal.SIGKILL, 0), said
    if status == 0:
      break
    met += 1
  running.run(command, cache)
  return met


def broken_pod(command, workdir, cache, host, kind=signal.SIGKILL):
  """Starts a pod of two, lets it save once, sends the signal to one host: (status, what was said).
  Of one that is killed the other ends too, with a word."""
  before = whole(workdir)
  process = running.start(command, cache)
  pid = running.host_pid(process, host)
  assert running.wait_for(lambda: whole(workdir) - before, process), running.finish(process)[1]
  os.kill(pid, kind)
  status, said = running.finish(process)
  if kind == signal.SIGKILL:
    assert status in (137, 1), said  # of whichever was seen to end first
    survivor = [line for line in said.splitlines() if line.startswith(f'[{1 - host}]')]
    assert any('error' in line or 'UNAVAILABLE' in line for line in survivor), said
  return status, said
