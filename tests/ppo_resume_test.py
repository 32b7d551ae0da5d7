"""PPO killed at any moment, on one host and on two, is the run that was not."""

import os
import pathlib
import random
import signal
import sys
import time

import pytest

from tests.train import running

DRIVER = running.ROOT / 'tests' / 'rl' / 'driver.py'
pytestmark = pytest.mark.campaign


def command(workdir, **fields):
  main = [sys.executable, '-m', 'jaxalign.main', f'--config={DRIVER}', f'--workdir={workdir}']
  return [*main, *(f'--config.{name}={value}' for name, value in fields.items())]


def saved(workdir):
  return set(pathlib.Path(workdir, 'checkpoints').glob('*'))


@pytest.fixture(scope='module')
def unbroken(tmp_path_factory, cache):
  path = tmp_path_factory.mktemp('unbroken')
  running.run(command(path), cache)
  return path


def moment(rng, workdir):
  """What to wait for, and how long then: in sampling or an update, or as a save begins or ends."""
  before = saved(workdir)
  if rng.random() < 0.5:
    new = rng.choice(['tmp', 'step'])
    wanted = lambda p: ('tmp' in p.name) == (new == 'tmp')
    return lambda: any(wanted(p) for p in saved(workdir) - before), rng.random() * 0.1
  saves = rng.randint(0, 2)
  return lambda: len(saved(workdir) - before) >= saves, rng.random() * (12 if not saves else 0.6)


def broken_run(workdir, cache, seed, kills):
  rng, met = random.Random(seed), 0
  while met < kills:
    process = running.start(command(workdir), cache)
    condition, delay = moment(rng, workdir)
    running.wait_for(condition, process)
    time.sleep(delay)
    status, said = running.kill(process)
    assert status in (-signal.SIGKILL, 0), said
    if status == 0:
      break
    met += 1
  running.run(command(workdir), cache)
  return met


def test_rule_24_killed_at_ten_moments(tmp_path, cache, unbroken):
  met = 0
  for seed in range(20):
    met += broken_run(tmp_path / str(seed), cache, seed, kills=min(5, 10 - met))
    running.assert_same_run(tmp_path / str(seed), unbroken)
    for name in ('samples.jsonl', 'evals.jsonl'):
      assert (tmp_path / str(seed) / name).read_text() == (unbroken / name).read_text()
    if met >= 10:
      break
  assert met >= 10


def test_two_hosts_do_what_one_does_and_go_on_after_a_kill(tmp_path, cache):
  """2 processes of 2 devices against 1 of 4: the same run to rounding; broken, to the bit."""
  fields = {'mesh.data': 2, 'mesh.fsdp': 2}
  pod = lambda path: running.pod(command(path, **fields), hosts=2, devices=2)
  process = running.start(pod(tmp_path / 'broken'), cache)
  pid = running.host_pid(process, 1)
  whole = lambda: [p for p in saved(tmp_path / 'broken') if p.name.isdigit()]
  assert running.wait_for(whole, process)
  os.kill(pid, signal.SIGKILL)  # the other waits for it, half a minute: meanwhile
  running.run(command(tmp_path / 'one', **fields), cache, devices=4)
  running.run(pod(tmp_path / 'two'), cache)
  running.assert_close_run(tmp_path / 'two', tmp_path / 'one', 1e-4)
  running.finish(process)
  assert not (tmp_path / 'broken' / 'final.npz').exists()
  running.run(pod(tmp_path / 'broken'), cache)
  running.assert_same_run(tmp_path / 'broken', tmp_path / 'two')
