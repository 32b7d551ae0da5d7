"""Runs of driver.py as processes of their own, as a user or a cluster starts them.

They compile into one cache: what is tested is the run, and a compilation takes most of a tiny one.
"""

import importlib.metadata
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
DRIVER = ROOT / 'tests' / 'train' / 'driver.py'
OLD = importlib.metadata.version('jaxlib').startswith('0.10.')  # a flag unknown ends a process
# Tiny programs compile a tenth sooner in one piece than in 32 for as many threads.
QUICK = '--xla_cpu_parallel_codegen_split_count=1'
QUICK += ' --xla_cpu_use_fusion_emitters=false' if OLD else ''
# Devices that are threads wait for one another; on a busy machine longer than XLA's 40 seconds.
PATIENT = '--xla_cpu_collective_call_terminate_timeout_seconds=600'
PATIENCE = 600  # seconds; nothing here takes a minute on an idle machine


def command(workdir, config=DRIVER, **fields):
  """fields: saving_every=3 is --config.saving.every=3 where the config has `saving`."""
  groups = ('optim', 'mesh', 'saving', 'logging')
  given = []
  for name, value in fields.items():
    group, _, rest = name.partition('_')
    field = f'{group}.{rest}' if group in groups and rest else name
    given.append(f'--config.{field}={value}')
  main = [sys.executable, '-m', 'jaxalign.main', f'--config={config}', f'--workdir={workdir}']
  return [*main, *given]


def pod(command, hosts, devices):
  rehearse = [sys.executable, '-m', 'launch.rehearse', '--hosts', str(hosts)]
  return [*rehearse, '--devices', str(devices), '--', *command]


def environment(cache, devices=2):
  """Without optimizations: they take most of the time, and nothing here depends on them."""
  unset = ('SLURM_', 'JAX_', 'XLA_', 'TPU_')
  kept = {k: v for k, v in os.environ.items() if not k.startswith(unset)}
  return kept | {
    'PYTHONPATH': str(ROOT),
    'JAX_PLATFORMS': 'cpu',
    'XLA_FLAGS': f'--xla_force_host_platform_device_count={devices} {PATIENT} {QUICK}'.strip(),
    'JAX_COMPILATION_CACHE_DIR': str(cache),
    'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0',
    'JAX_DISABLE_MOST_OPTIMIZATIONS': '1',
    'PYTHONUNBUFFERED': '1',
  }


def start(command, cache, devices=2):
  pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace')
  return subprocess.Popen(command, env=environment(cache, devices), cwd=ROOT, **pipes)


def finish(process):
  """(exit status, all it said)."""
  try:
    said, _ = process.communicate(timeout=PATIENCE)
  except subprocess.TimeoutExpired:
    process.kill()
    said, _ = process.communicate()
    raise AssertionError(f'still running after {PATIENCE} s:\n{said}') from None
  return process.returncode, said


def run(command, cache, devices=2):
  status, said = finish(start(command, cache, devices))
  assert status == 0, said
  return said


def wait_for(condition, process):
  """Polls until the condition holds; False if the process ended first."""
  end = time.monotonic() + PATIENCE
  while not condition():
    if process.poll() is not None:
      return False
    assert time.monotonic() < end, 'waited too long'
    time.sleep(0.005)
  return True


def kill(process, kind=signal.SIGKILL):
  """Ends the process, or finds that it has ended."""
  process.send_signal(kind)
  return finish(process)


def host_pid(process, host):
  """The process id of a host of a pod, from what rehearse prints first."""
  for line in process.stdout:
    if found := re.match(rf'\[{host}\] process (\d+)', line):
      return int(found[1])
  raise AssertionError(f'host {host} never started')


def metrics(workdir):
  """Every line of metrics.jsonl but for its clock; the bits of a float survive JSON."""
  lines = (pathlib.Path(workdir) / 'metrics.jsonl').read_text().splitlines()
  return [{k: v for k, v in json.loads(line).items() if k != 'seconds'} for line in lines]


def final(workdir):
  with np.load(pathlib.Path(workdir) / 'final.npz') as file:
    return {name: file[name] for name in file.files}


def assert_same_run(one, other):
  """Bitwise: what was said at every step, once each, and every leaf of the last state."""
  assert metrics(one) == metrics(other)
  steps = [line['step'] for line in metrics(one)]
  assert steps == list(range(1, len(steps) + 1))
  a, b = final(one), final(other)
  assert a.keys() == b.keys()
  for name in a:
    assert a[name].dtype == b[name].dtype and a[name].tobytes() == b[name].tobytes(), name


def assert_close_run(one, other, atol=1e-5):
  """The largest difference of a loss and of a weight."""
  losses = [np.array([line['loss'] for line in metrics(w)]) for w in (one, other)]
  loss = np.abs(losses[0] - losses[1]).max()
  a, b = final(one), final(other)
  weights = [name for name in a if name.startswith('.model')]
  weight = max(np.abs(a[name] - b[name]).max() for name in weights)
  assert loss < atol and weight < atol, (loss, weight)
  return loss, weight
