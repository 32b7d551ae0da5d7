"""The launcher against a cloud where things go wrong, and what its last line says."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time

import pytest

from jaxalign.endings import UNFINISHED
from launch import checkout
from tests.launch import cloud
from tests.launch.cloud import BASE, COMING, NOTHING, REMOVE, UP, began

POD = [sys.executable, '-m', 'launch.pod']


def test_up_waits_runs_and_says_what_stays(place, go, toy, tmp_path):
  here = place(states=['WAITING_FOR_RESOURCES'] * 3 + ['PROVISIONING', 'ACTIVE'])
  status, said = go('up', command=toy('print("step 7/7")'))
  assert status == 0, said
  waiting = ['waiting for p: WAITING_FOR_RESOURCES', 'waiting for p: PROVISIONING']
  assert said[:3] == ['p: asked for', *waiting]
  assert 'begin 0' in said and 'step 7/7' in said and said[-2] == 'done'
  assert said[-1] == UP
  assert began(tmp_path) == [1, 1]
  made = cloud.calls(here, 'create')
  assert len(made) == 1 and '--accelerator-type=v5litepod-16' in made[0]['argv']
  assert '--runtime-version=v2-alpha-tpuv5-lite' in made[0]['argv']


@pytest.mark.campaign
def test_everything_twice_is_done_once(place, go, toy, tmp_path):
  here = place()
  command = toy('print("step 1/1")')
  for _ in range(2):
    assert go('up', command=command)[0] == 0
  assert len(cloud.calls(here, 'create')) == 1 and began(tmp_path) == [2, 2]
  for _ in range(2):
    status, said = go('down')
    assert status == 0 and said[-1] == NOTHING, said
  assert len(cloud.calls(here, 'delete')) == 1
  assert go('status') == (0, ['p: NONE'])
  assert go('stop') == (0, ['p is not there: nothing runs'])
  status, said = go('run', command=command)
  assert status == 1 and 'up asks for it' in said[0] and said[-1].startswith('nothing is left up')


def test_stop_ends_it_well(place, go, toy, tmp_path):
  place()
  wait = 'signal.signal(15, lambda *_: sys.exit(75))\nprint("step 1/9", flush=True)\ntime.sleep(60)'
  argv = [*POD, 'up', *BASE, '--slice=v5e-16', '--', *toy(wait)]
  first = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
  assert any('step 1/9' in line for line in first.stdout)
  assert 'worker 1: running  step 1/9' in go('status')[1]
  assert go('logs', '--worker=1')[1][-1] == 'step 1/9'
  assert 'there are 2, from 0' in go('logs', '--worker=2')[1][-1]
  refused, said = go('run', command=['python', 'other.py'])
  assert refused == 1 and 'runs another command' in said[-2] and said[-1] == UP
  status, said = go('stop')
  ends = [f'worker {n}: told to stop, and saved (exit status 75)' for n in range(2)]
  assert status == 0 and said[-3:-1] == ends
  rest = first.communicate(timeout=60)[0].splitlines()
  assert first.returncode == UNFINISHED and rest[-2].startswith('stopped, as asked'), rest
  assert rest[-1] == UP and began(tmp_path) == [1, 1]


def test_no_capacity_for_a_while(place, go, toy):
  here = place(create=['RESOURCE_EXHAUSTED: There is no more capacity in the zone', ''])
  status, said = go('up', command=toy(''))
  assert status == 0 and 'no more capacity' in said[0] and len(cloud.calls(here, 'create')) == 2


WAITS = dict(states=['WAITING_FOR_RESOURCES'])
QUOTA = "Quota limit 'TPUV5s' has been exceeded: RESOURCE_EXHAUSTED"


@pytest.mark.parametrize(
  'script, flags, why, left, created',
  [
    (WAITS, ['--wait=0.0001'], 'no capacity within', COMING, 1),
    (dict(create=[QUOTA] * 9), [], 'was refused.*Quota', NOTHING, 1),  # which is not waited for
    (dict(create_breaks=True), [], 'broke off', COMING, 1),  # it was made, and the answer was lost
    (dict(describe='PERMISSION_DENIED: reauth needed'), [], '', 'p may be up and cost money (', 0),
    (dict(account=''), [], '^error: gcloud has no active account: gcloud auth login$', '', 0),
    (dict(type='v5litepod-8'), [], '^error: p is a v5litepod-8, and no v5e-16: name that', UP, 1),
  ],
)
def test_an_up_that_fails_says_why_and_what_it_left(
  place, go, toy, script, flags, why, left, created
):
  here = place(**script)
  status, said = go('up', *flags, command=toy(''))
  assert status == 1 and re.search(why, said[-2]) and said[-1].startswith(left), said
  assert said[-1] == NOTHING or said[-1].endswith(REMOVE)
  assert len(cloud.calls(here, 'create')) == created and not cloud.calls(here, 'scp')


def test_a_request_that_failed(place, go, toy):
  here = place(states=['FAILED:quota TPUV5s exceeded'])
  status, said = go('up', command=toy(''))
  assert status == 1 and 'the request failed: quota' in said[-2]
  assert said[-1].startswith('p is FAILED: it costs nothing') and said[-1].endswith(REMOVE)
  cloud.change(here / 'script.json', states=['ACTIVE'])
  cloud.change(here / 'state.json', queue=['FAILED:no capacity in the interval'])
  status, said = go('up', command=toy(''))
  assert status == 0 and 'p is FAILED (no capacity in the interval): asking anew' in said
  assert len(cloud.calls(here, 'delete')) == 1 and len(cloud.calls(here, 'create')) == 2


def test_no_gcloud_at_all(go, toy, monkeypatch, tmp_path):
  monkeypatch.setenv('PATH', '/nowhere')
  status, said = go('up', command=toy(''))
  assert status == 1 and 'gcloud cannot be started' in said[0] and REMOVE in said[-1]


@pytest.mark.parametrize(
  'goes_wrong, seen',
  [
    (WAITS, 'waiting for p'),
    (dict(hangs={'prepare0': 9, 'prepare1': 9}), 'ssh'),  # threads wait, and hear no Ctrl-C
  ],
)
def test_ctrl_c_is_heard_at_once(place, toy, tmp_path, goes_wrong, seen):
  here = place(**goes_wrong)
  argv = [*POD, 'up', *BASE, '--slice=v5e-16', '--', *toy('')]

  def heard():  # also if these tests run behind an &
    signal.signal(signal.SIGINT, signal.SIG_DFL)

  with open(tmp_path / 'out', 'w') as out:
    launcher = subprocess.Popen(argv, stdout=out, preexec_fn=heard)
  try:
    for _ in range(600):
      if seen in (tmp_path / 'out').read_text() or cloud.calls(here, seen):
        break
      time.sleep(0.1)
    launcher.send_signal(signal.SIGINT)
    assert launcher.wait(timeout=20) == 130
  finally:
    launcher.kill()
  left, last = (tmp_path / 'out').read_text().splitlines()[-2:]
  assert left.startswith('left: what runs there goes on') and last.endswith(REMOVE)
  assert not (tmp_path / 'began0').exists()


def test_the_last_line_comes_also_when_nobody_reads_the_first(place, toy):
  """`pod up | tee log`: one Ctrl-C ends both."""
  place(create=['Quota exceeded'])
  argv = [*POD, 'up', *BASE, '--slice=v5e-16', '--', *toy('')]
  read, write = os.pipe()
  os.close(read)
  done = subprocess.run(argv, stdout=write, stderr=subprocess.PIPE, text=True)
  os.close(write)
  assert done.stderr.splitlines()[-1] == NOTHING, done.stderr
  assert done.returncode == 1


def test_stop_of_what_waits(place, go, toy):
  place(**WAITS)
  go('up', '--wait=0', command=toy(''))
  status, said = go('stop')
  assert status == 0 and said[0] == 'p is WAITING_FOR_RESOURCES: nothing runs'
  assert said[-1].endswith(REMOVE)


def test_down_that_fails_says_so(place, go, toy):
  here = place()
  go('up', command=toy(''))
  cloud.change(here / 'script.json', delete='INTERNAL: try later')
  status, said = go('down')
  assert status == 1 and 'could not be removed' in said[-2] and said[-1] == UP


def test_down_after_removes_it_also_when_the_run_fails(place, go, toy):
  here = place()
  status, said = go('up', '--down_after', command=toy('sys.exit(2)'))
  assert status == 1 and said[-1] == NOTHING and len(cloud.calls(here, 'delete')) == 1


def test_a_machine_of_others_is_neither_made_nor_removed(place, go, toy):
  here = place()
  status, said = go('up', '--existing', command=toy(''))
  assert status == 1 and 'there is no TPU VM p to run on' in said[0]
  cloud.change(here / 'state.json', node='READY')
  for worker in range(2):
    cloud.machine(here / f'w{worker}')
  status, said = go('up', '--existing', '--down_after', command=toy(''))
  assert status == 0 and said[-1].endswith('tpu-vm delete p --zone=z1 --project=q --quiet')
  assert 'add --existing' in go('status')[1][-1]
  status, said = go('down', '--existing')
  assert status == 2 and 'was not made here' in said[0]
  assert not cloud.calls(here, 'create') and not cloud.calls(here, 'delete')


def test_dry_run_runs_nothing_and_shows_all(go, monkeypatch):
  monkeypatch.setenv('HF_TOKEN', 'hf_very_secret')
  path = [d for d in os.environ['PATH'].split(':') if os.path.exists(f'{d}/git')][0]
  monkeypatch.setenv('PATH', path)
  monkeypatch.setattr(subprocess, 'Popen', only_git(subprocess.Popen))
  config = ['--config=configs/ppo_llama2_7b.py', '--workdir=gs://b/ppo', '--config.steps=7']
  status, said = go('up', '--slice=v5p-128', '--dry_run', command=config)
  assert status == 0 and 'very_secret' not in ' '.join(said)
  assert said[-1] == 'a dry run: nothing of this was done'
  assert said[-2].startswith('and would end with: '), 'not that something is up'
  commands = [shlex.split(line) for line in said if line.startswith('gcloud ')]
  for worker in range(16):
    mine = [c for c in commands if f'--worker={worker}' in c]
    assert {'scp', 'ssh'} <= {c[4] for c in mine}
    assert any('start ~/jaxalign-pods/p' in c[-1] and '--config.steps=7' in c[-1] for c in mine)
  assert '--accelerator-type=v5p-128' in next(c for c in commands if 'create' in c)
  for verb in ('stop', 'down', 'status', 'logs', 'run'):
    status, said = go(verb, '--dry_run', command=config if verb == 'run' else None)
    assert status == 0 and said[0].startswith('gcloud '), verb
  status, said = go('up', '--existing', '--dry_run', command=config)
  assert status == 0 and 'done' in said and not any(' create ' in line for line in said)


def only_git(real):
  def start(argv, *given, **how):
    assert argv[0] == 'git', argv
    return real(argv, *given, **how)

  return start


def test_a_pod_of_local_processes(go, toy, tmp_path, monkeypatch):
  value = 'hf_' + '8' * 20
  monkeypatch.setenv('HF_TOKEN', value)
  pods = tmp_path / 'my pods'
  flags = ['--slice=local-2', f'--root={pods}']
  code = (
    'print(os.environ["JAX_PROCESS_ID"], "of", os.environ["JAX_NUM_PROCESSES"])\n'
    'assert os.environ["HF_TOKEN"] and sys.argv[1:] == ["a  b", "$HOME \'\\n"]\n'
    'if n: time.sleep(60)'
  )
  command = [*toy(code), 'a  b', "$HOME '\n"]
  status, said = go('up', *flags, command=command)
  assert status == 0 and '0 of 2' in said and began(tmp_path) == [1, 1], said
  assert shlex.split(said[-1].partition(': ')[2])[-1] == f'--root={pods}'
  assert 'worker 1: ended with exit status 0  1 of 2' in go('status', *flags)[1]
  files = [p for p in pods.rglob('*') if p.is_file() and p.name != 'env.json']
  assert not any(value.encode() in p.read_bytes() for p in files)
  argv = [*POD, 'run', *BASE, *flags, '--', *command]
  launcher = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
  assert any('1 of 2' in line or '0 of 2' in line for line in launcher.stdout)
  launcher.kill()
  launcher.communicate()
  pids = [int(path.read_text().split()[0]) for path in pods.glob('p/w*/jaxalign-pods/p/pid')]
  assert len(pids) == 2
  assert go('down', '--slice=local-1', f'--root={pods}')[0] == 0 and not (pods / 'p').exists()
  for pid in pids:
    with pytest.raises(ProcessLookupError):
      os.kill(pid, 0)


def test_a_laptop_needs_no_packages():
  """-S: without site-packages."""
  code = 'import launch.pod, launch.worker, sys; sys.exit("jax" in sys.modules)'
  assert subprocess.run([sys.executable, '-S', '-c', code], cwd=checkout.ROOT).returncode == 0
