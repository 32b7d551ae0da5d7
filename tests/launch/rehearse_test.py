"""What many hosts do, done by local processes: and it is what one host does."""

import json
import shutil
import signal
import subprocess
import sys

import pytest

from jaxalign.endings import UNFINISHED
from launch import rehearse
from tests.train import running

FIELDS = dict(steps=6, saving_every=4, microbatches=1)
DATA, FSDP, ALL = (4, 1, 1), (1, 4, 1), (1, 2, 2)
TOLERANCE = 1e-5


@pytest.fixture(scope='module')
def trained(tmp_path_factory, cache):
  """trained(hosts, mesh) is the workdir of that run of 4 devices; each is run once."""
  done = {}

  def get(hosts, mesh):
    if (hosts, mesh) not in done:
      path = tmp_path_factory.mktemp('run')
      sizes = dict(zip(('mesh_data', 'mesh_fsdp', 'mesh_tensor'), mesh))
      command = running.command(path, **FIELDS, **sizes)
      command = running.pod(command, hosts, 4 // hosts) if hosts > 1 else command
      done[hosts, mesh] = path, running.run(command, cache, devices=4)
    return done[hosts, mesh]

  return get


@pytest.fixture(scope='module')
def alone(trained):
  """The run of one host that all others are compared with."""
  return trained(1, ALL)


MORE = [
  pytest.param(*case, marks=pytest.mark.campaign) for case in ((1, DATA), (1, FSDP), (4, FSDP))
]


@pytest.mark.parametrize('hosts, mesh', [(2, ALL), *MORE])
def test_hosts_and_meshes_agree(trained, alone, hosts, mesh):
  loss, weight = running.assert_close_run(trained(hosts, mesh)[0], alone[0], TOLERANCE)
  print(f'{hosts} x {4 // hosts}, mesh {mesh}: losses within {loss:.1e}, weights {weight:.1e}')


def rows_made(workdir, host):
  made = json.loads((workdir / f'rows{host}.json').read_text())
  assert len(made) == FIELDS['steps'] and all(indices == made[0] for indices in made)
  return made[0]


def test_each_process_makes_its_own_rows_only(trained):
  """The batch is split over data x fsdp; the hosts follow one another in the mesh."""
  path, _ = trained(2, ALL)
  assert [rows_made(path, host) for host in range(2)] == [[0, 1, 2, 3], [4, 5, 6, 7]]
  assert rows_made(trained(1, ALL)[0], 0) == list(range(8))


def test_the_first_process_alone_speaks_and_writes(trained):
  path, said = trained(2, ALL)
  progress = [line for line in said.splitlines() if ' loss ' in line]
  assert progress and all(line.startswith('[0] step ') for line in progress)
  files = {p.name for p in path.iterdir()}
  ours = {'rows0.json', 'rows1.json', 'final.npz'}  # of driver.py
  assert files - ours == {'checkpoints', 'config.json', 'metrics.jsonl'}
  assert len(running.metrics(path)) == FIELDS['steps']


def test_a_checkpoint_of_two_hosts_is_taken_up_by_one_on_another_mesh(trained, tmp_path, cache):
  """Written by 2 x 2 at step 4, read by 1 x 4: only the steps after it differ, by rounding."""
  shutil.copytree(trained(2, ALL)[0], tmp_path / 'run')
  shutil.rmtree(tmp_path / 'run' / 'checkpoints' / '6')
  (tmp_path / 'run' / 'final.npz').unlink()
  command = running.command(tmp_path / 'run', **FIELDS, mesh_data=4, mesh_fsdp=1)
  running.run(command, cache, devices=4)
  running.assert_close_run(tmp_path / 'run', trained(1, ALL)[0], TOLERANCE)


SAY = 'import os, sys; print(os.environ["JAX_PROCESS_ID"], "of", os.environ["JAX_NUM_PROCESSES"]);'


def small(hosts, code, timeout=60):
  """(exit status, lines) of a rehearsal of plain Python processes."""
  command = running.pod([sys.executable, '-c', SAY + code], hosts, 3)
  process = running.start(command, '.')
  status, said = running.finish(process)
  return status, said.splitlines()


def test_every_process_gets_its_number_its_devices_and_a_prefix():
  status, lines = small(3, 'print(os.environ["XLA_FLAGS"], os.environ["JAX_PLATFORMS"])')
  assert status == 0
  for n in range(3):
    mine = [line for line in lines if line.startswith(f'[{n}] ')]
    flags = f'{running.PATIENT} {running.QUICK} --xla_force_host_platform_device_count=3'
    assert mine[1:] == [f'[{n}] {n} of 3', f'[{n}] {flags} cpu']


def test_it_ends_as_the_first_that_fails(monkeypatch):
  status, lines = small(2, 'sys.exit(7 * (os.environ["JAX_PROCESS_ID"] == "1"))')
  assert status == 7
  assert '[1] ended with 7; the others have 60 s' in lines or len(lines) == 4


def test_it_is_unfinished_where_those_that_did_not_fail_were_told_to_stop(capsys):

  def ended(code):
    return subprocess.Popen(['sh', '-c', f'exit {code}'])

  assert rehearse.wait([ended(0), ended(UNFINISHED)]) == UNFINISHED
  assert 'the others have' not in capsys.readouterr().out
  assert rehearse.wait([ended(UNFINISHED), ended(1)]) == 1


def test_those_that_wait_in_vain_are_ended(monkeypatch, capsys):
  monkeypatch.setattr(rehearse, 'GRACE', 0.5)
  sleeper = [sys.executable, '-c', 'import time; time.sleep(100)']
  failing = [sys.executable, '-c', 'import os; os.kill(os.getpid(), 9)']
  slept = subprocess.Popen(sleeper)
  assert rehearse.wait([slept, subprocess.Popen(failing)]) == 137
  assert slept.returncode != 0  # it did not sleep to its end
  assert '[1] ended with -9; the others have 0.5 s' in capsys.readouterr().out


@pytest.mark.parametrize('kind', [signal.SIGTERM, signal.SIGINT])
def test_signals_reach_everyone(kind):
  code = """
import signal, time
def hear(kind, frame): print('heard', kind.real, flush=True); sys.exit(0)
signal.signal(signal.SIGTERM, hear); signal.signal(signal.SIGINT, hear)
print('ready', flush=True); time.sleep(100)"""
  process = running.start(running.pod([sys.executable, '-c', SAY + code], 2, 1), '.')
  ready = 0
  while ready < 2:
    ready += 'ready' in process.stdout.readline()
  status, said = running.kill(process, kind)
  assert status == 0 and said.count(f'heard {int(kind)}') == 2


@pytest.mark.parametrize(
  'args, says',
  [
    (['--hosts', '2'], 'give the command after --'),
    (['--hosts', '0', '--', 'true'], 'hosts and devices are at least 1'),
    (['--devices', 'x', '--', 'true'], 'invalid int value'),
  ],
)
def test_bad_arguments(args, says, capsys):
  with pytest.raises(SystemExit, match='2'):
    rehearse.main(args)
  said = capsys.readouterr().err
  assert says in said and said.startswith('error: ') and said.count('\n') == 1
