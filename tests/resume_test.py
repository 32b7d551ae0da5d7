"""A run that is broken at any moment, and started again, is the run that was not."""

import json
import signal
import time

import pytest

from jaxalign import main
from jaxalign.endings import UNFINISHED
from jaxalign.train import saving
from tests.breaking import broken_pod, broken_run, checkpoints, whole
from tests.train import running

PAIRS = f'{running.ROOT}/configs/reward_llama2_7b.py:smoke'
FIELDS = dict(steps=30, saving_every=3, saving_keep=2, eval_every=6, pause=0.02)
ANY_MESH = dict(mesh_fsdp=1, mesh_data=8)  # of this process' devices; it was begun on two


@pytest.fixture(scope='module')
def unbroken(tmp_path_factory, cache):
  path = tmp_path_factory.mktemp('unbroken')
  running.run(running.command(path, **FIELDS), cache)
  return path


def broken(workdir, cache, seed, kills):
  return broken_run(running.command(workdir, **FIELDS), workdir, cache, seed, kills)


def test_killed_at_any_moment(tmp_path, cache, unbroken):
  for seed in range(20):  # a run may end before its kill, on a busy machine: then another is tried
    met = broken(tmp_path / str(seed), cache, seed, kills=1)
    running.assert_same_run(tmp_path / str(seed), unbroken)
    if met:
      return
  raise AssertionError('no kill met a run alive')


@pytest.mark.campaign
def test_killed_at_sixteen_moments_more(tmp_path, cache, unbroken):
  met = 0
  for seed in range(1, 20):
    met += broken(tmp_path / str(seed), cache, seed, kills=min(6, 16 - met))
    running.assert_same_run(tmp_path / str(seed), unbroken)
    if met >= 16:
      break
  assert met >= 16


@pytest.mark.campaign
def test_a_reward_run_is_killed_and_goes_on(tmp_path, cache):
  """The stage itself: batches of changing widths, margins, evaluations, the card."""
  fields = dict(steps=12, saving_every=3, eval_every=6, length=160, batch=4)
  start = lambda workdir: running.command(workdir, PAIRS, **fields)
  process = running.start(start(tmp_path / 'run'), cache, devices=1)
  assert running.wait_for(lambda: whole(tmp_path / 'run'), process)
  assert running.kill(process)[0] == -signal.SIGKILL
  for workdir in (tmp_path / 'run', tmp_path / 'unbroken'):
    running.run(start(workdir), cache, devices=1)
  one, other = tmp_path / 'run', tmp_path / 'unbroken'
  assert running.metrics(one) == running.metrics(other)
  assert [line['step'] for line in running.metrics(one)] == list(range(1, 13))
  assert saving.fingerprint(one) == saving.fingerprint(other)
  cards = [json.loads((w / 'card.json').read_text()) for w in (one, other)]
  assert cards[0] == cards[1]


def test_sigterm_saves_and_ends(tmp_path, cache, unbroken):
  """What follows is the unbroken run. Slower than that one, so that it is met midway."""
  slow = FIELDS | dict(pause=0.1)
  process = running.start(running.command(tmp_path, **slow), cache)
  running.wait_for(lambda: checkpoints(tmp_path), process)
  status, said = running.kill(process, signal.SIGTERM)
  assert status == UNFINISHED and 'told to stop: saved at step' in said, said
  assert not (tmp_path / 'final.npz').exists()
  running.run(running.command(tmp_path, **slow), cache)
  running.assert_same_run(tmp_path, unbroken)


@pytest.mark.campaign
def test_sigterm_while_it_compiles(tmp_path):
  """With an empty cache of its own; the handler waits for the compiler, then step 1 is saved."""
  process = running.start(running.command(tmp_path, **FIELDS), tmp_path / 'empty')
  running.wait_for((tmp_path / 'metrics.jsonl').exists, process)  # the loop is about to begin
  time.sleep(0.5)
  status, said = running.kill(process, signal.SIGTERM)
  assert status == UNFINISHED and 'told to stop: saved at step' in said, said
  assert len(running.metrics(tmp_path)) == int(max(p.name for p in checkpoints(tmp_path)))


def here(workdir, fields):
  """The exit status of the same command in this process."""
  return main.main(running.command(workdir, **fields)[2:])


def test_a_run_that_has_ended_ends_again_at_once(unbroken):
  before = (unbroken / 'metrics.jsonl').read_text()
  assert here(unbroken, FIELDS | ANY_MESH) == 0
  assert (unbroken / 'metrics.jsonl').read_text() == before


def test_another_config_is_refused_in_this_workdir_but_for_where_it_runs(unbroken, capsys):
  """Mesh, saving and logging are free; what would make it another run is named."""
  assert here(unbroken, FIELDS | dict(optim_lr=0.5, batch=16)) == 2
  said = capsys.readouterr().err
  assert said.startswith(f'error: {unbroken} holds another run: ')
  assert 'batch (8 there, 16 here)' in said and 'optim.lr (0.01 there, 0.5 here)' in said
  assert said.count('\n') == 1
  assert here(unbroken, FIELDS | ANY_MESH | dict(saving_keep=5, logging_every=3)) == 0


def two_hosts(workdir):
  """Three steps in a call: the hosts must agree on a call and not on a step. Slow enough to
  have time: a notice of preemption is a second under way."""
  fields = dict(steps=96, steps_per_call=3, saving_every=12, eval_every=48, pause=0.05)
  return running.pod(running.command(workdir, **fields), hosts=2, devices=1)


@pytest.mark.campaign
def test_a_pod_that_is_broken_again_and_again_is_the_unbroken_one(tmp_path, cache):
  """Either host is killed: the other ends, with a word. One is told to stop: both
  save the same step and end unfinished. Each time the pod goes on as if nothing had been."""
  run = tmp_path / 'run'
  unbroken = running.start(two_hosts(tmp_path / 'unbroken'), cache)  # while the others only wait
  for killed in range(2):
    broken_pod(two_hosts(run), run, cache, killed)
    assert not (run / 'final.npz').exists()
  status, said = broken_pod(two_hosts(run), run, cache, 1, signal.SIGTERM)
  assert status == UNFINISHED and said.count('told to stop: saved at step') == 1, said
  running.run(two_hosts(run), cache)
  status, said = running.finish(unbroken)
  assert status == 0, said
  running.assert_same_run(run, tmp_path / 'unbroken')
