"""How a process finds the others, or says that it cannot."""

import os
import socket
import subprocess
import sys

import jax
import pytest
from etils import epath

from jaxalign import main, pod
from jaxalign.config import UserError
from tests.train import driver, running


@pytest.mark.parametrize(
  'env, accelerators, several',
  [
    ({}, [], False),
    ({'SLURM_NTASKS': '4', 'SLURM_PROCID': '0'}, [], True),
    ({'SLURM_NTASKS': '4'}, [], False),  # an allocation, but not inside srun
    ({'SLURM_NTASKS': '1', 'SLURM_PROCID': '0'}, [], False),
    ({}, ['/dev/accel0'], True),  # a TPU VM: jax asks its metadata server
    ({}, ['/dev/vfio/0'], True),
    ({'JAX_PLATFORMS': 'cpu'}, ['/dev/accel0'], False),
    ({'JAX_PLATFORMS': 'tpu,cpu'}, ['/dev/accel0'], True),
    ({'TPU_WORKER_HOSTNAMES': 'a,b'}, [], True),  # GKE
    ({'TPU_WORKER_HOSTNAMES': 'a'}, [], False),
    ({'TPU_WORKER_HOSTNAMES': 'a,b', 'JAX_PLATFORMS': 'cpu'}, [], False),
  ],
)
def test_where_several_processes_are_expected(monkeypatch, env, accelerators, several):
  found = lambda pattern: [
    a for a in accelerators if a.startswith(pattern.split('*')[0].split('[')[0])
  ]
  monkeypatch.setattr(pod.glob, 'glob', found)
  assert pod.expected(env) is several


JAX = {
  'JAX_COORDINATOR_ADDRESS': 'host:1',
  'JAX_NUM_PROCESSES': '4',
  'JAX_PROCESS_ID': '3',
}


@pytest.mark.parametrize(
  'flags, env, named',
  [
    ((None, None, None), {}, (None, None, None)),
    (('a:1', 2, 0), {}, ('a:1', 2, 0)),
    ((None, None, None), JAX, ('host:1', 4, 3)),
    (('a:1', 2, 0), JAX, ('a:1', 2, 0)),
    (('a:1', None, None), JAX, ('a:1', 4, 3)),
    ((None, None, None), {'JAX_PROCESS_ID': '3'}, (None, None, None)),
  ],
)
def test_flags_come_before_variables(flags, env, named):
  assert pod.named(*flags, env) == named


@pytest.mark.parametrize('missing', [0, 1, 2])
@pytest.mark.parametrize('by', ['flags', 'variables'])
def test_all_or_none(missing, by):
  flags, env = ['a:1', 2, 0], dict(JAX)
  flags[missing] = None
  del env[list(env)[missing]]
  if by == 'variables' and missing == 0:
    return  # numbers alone say nothing: other programs set them too
  with pytest.raises(UserError, match='belong together'):
    pod.named(*flags, {}) if by == 'flags' else pod.named(None, None, None, env)


def test_a_variable_that_is_no_number():
  with pytest.raises(UserError, match='JAX_PROCESS_ID=first: takes a number'):
    pod.named(None, None, None, JAX | {'JAX_PROCESS_ID': 'first'})


def test_alone_it_touches_nothing(monkeypatch):
  for name in JAX:
    monkeypatch.delenv(name, raising=False)
  monkeypatch.setattr(jax.distributed, 'initialize', lambda *_, **__: pytest.fail('joined'))
  pod.join()


def joining(*arguments):
  """(exit status, what it said) of a process that joins, patient for 2 seconds."""
  code = f'from jaxalign import pod; pod.join(*{arguments}, patience=2)'
  env = running.environment('.')
  ended = subprocess.run(
    [sys.executable, '-c', code], env=env, capture_output=True, text=True, timeout=running.PATIENCE
  )
  return ended.returncode, ended.stderr


@pytest.mark.parametrize('process', [0, 1])
def test_nobody_there_is_one_line(process):
  """The wrong address seen from a worker; workers that never come, seen from process 0."""
  port = free_port() if process == 0 else 1
  status, said = joining(f'127.0.0.1:{port}', 2, process)
  assert status == 2
  errors = [line for line in said.splitlines() if line.startswith('error: ')]
  assert len(errors) == 1 and f'at 127.0.0.1:{port} within 2 s' in errors[0]
  assert 'Aborted' not in said and 'Check failure' not in said, said


def free_port():
  with socket.socket() as s:
    s.bind(('127.0.0.1', 0))
    return s.getsockname()[1]


@pytest.mark.parametrize(
  'arguments', [('127.0.0.1', 2, 0), ('127.0.0.1:9', 2, 5), ('127.0.0.1:9', 2, -1)]
)
def test_arguments_that_cannot_be(arguments):
  with pytest.raises(UserError, match='could not join the other processes at 127.0.0.1'):
    pod.join(*arguments)
  assert not jax.distributed.is_initialized()


def test_the_command_says_it_in_one_line(tmp_path, cache):
  command = running.command(tmp_path) + ['--processes=2']
  status, said = running.finish(running.start(command, cache))
  assert status == 2 and said.startswith('error: --coordinator, --processes and --process_id')
  assert said.count('\n') == 1 and not (tmp_path / 'config.json').exists()


def test_leaving_alone_is_nothing():
  pod.leave(3)  # os._exit would end these tests


def test_what_one_does_alone_waits_for_nobody(monkeypatch):
  def waits(*_):
    raise AssertionError('would wait for ever')

  monkeypatch.setattr(jax, 'process_count', lambda: 2)
  for name in ('broadcast_one_to_all', 'sync_global_devices'):
    monkeypatch.setattr(pod.multihost_utils, name, waits)
  with pod.alone():
    assert not pod.several() and pod.agreed(True) and pod.told(b'line') == b'line'
    pod.meet('nobody')
  with pytest.raises(AssertionError, match='for ever'):
    pod.told(b'line')


@pytest.mark.parametrize('process', [0, 1])
def test_the_first_process_writes_the_config(tmp_path, monkeypatch, process):
  monkeypatch.setattr(jax, 'process_index', lambda: process)
  cfg = driver.get_config()
  ran = []
  main.run_stage(lambda cfg, workdir: ran.append(workdir), cfg, epath.Path(tmp_path), False)
  assert ran == [epath.Path(tmp_path)]
  assert sorted(os.listdir(tmp_path)) == (['config.json'] if process == 0 else [])
