"""PPO killed at any moment, on one host and on two, is the run that was not."""

import os
import signal
import sys

import pytest

from tests.breaking import broken_run, whole
from tests.train import running

DRIVER = running.ROOT / 'tests' / 'rl' / 'driver.py'
pytestmark = pytest.mark.campaign


def command(workdir, **fields):
  main = [sys.executable, '-m', 'jaxalign.main', f'--config={DRIVER}', f'--workdir={workdir}']
  return [*main, *(f'--config.{name}={value}' for name, value in fields.items())]


@pytest.fixture(scope='module')
def unbroken(tmp_path_factory, cache):
  path = tmp_path_factory.mktemp('unbroken')
  running.run(command(path), cache)
  return path


def test_rule_24_killed_at_ten_moments(tmp_path, cache, unbroken):
  met = 0
  for seed in range(20):
    run, kills = tmp_path / str(seed), min(5, 10 - met)
    met += broken_run(command(run), run, cache, seed, kills, seconds=(12, 0.6, 0.6))
    running.assert_same_run(run, unbroken)
    for name in ('samples.jsonl', 'evals.jsonl'):
      assert (run / name).read_text() == (unbroken / name).read_text()
    if met >= 10:
      break
  assert met >= 10


def test_two_hosts_do_what_one_does_and_go_on_after_a_kill(tmp_path, cache):
  """2 processes of 2 devices against 1 of 4: the same run to rounding; broken, to the bit."""
  fields = {'mesh.data': 2, 'mesh.fsdp': 2}
  pod = lambda path: running.pod(command(path, **fields), hosts=2, devices=2)
  process = running.start(pod(tmp_path / 'broken'), cache)
  pid = running.host_pid(process, 1)
  assert running.wait_for(lambda: whole(tmp_path / 'broken'), process)
  os.kill(pid, signal.SIGKILL)  # the other waits for it, half a minute: meanwhile
  running.run(command(tmp_path / 'one', **fields), cache, devices=4)
  running.run(pod(tmp_path / 'two'), cache)
  running.assert_close_run(tmp_path / 'two', tmp_path / 'one', 1e-4)
  running.finish(process)
  assert not (tmp_path / 'broken' / 'final.npz').exists()
  running.run(pod(tmp_path / 'broken'), cache)
  running.assert_same_run(tmp_path / 'broken', tmp_path / 'two')
