"""Explain, sft, reward, ppo, one after the other, on a pod of local processes: broken and mended.

  python -m launch.rehearse_chain [--hosts=4] [--stages=4] [--root=DIR]

Two chains of the four `:smoke` stages, made even smaller, each stage from what the one before left.
In the second, a process is killed in every stage after its first save, a different one each time,
and the launcher starts the stage again. All goes through launch/pod.py: the checkout is sent,
worker.py starts and watches, follow.py restarts; only ssh is left out. Both must end alike, to the
bit: every step's metrics and every array of the last state. Some fifteen minutes of CPU.
"""

import json
import os
import pathlib
import signal
import sys
import tempfile
import threading
import time

from launch import local, pod
from launch.shell import OneLine

SIZES = dict(width=64, mlp=172, depth=2, heads=4, kv_heads=4)
STEPS = dict(steps=8, eval_every=8)
STEPS |= {'saving.every': 2, 'logging.every': 2, 'optim.schedule.warmup': 2}
TEXT = dict(STEPS, length=128, batch=4, steps_per_call=1)
STAGES = {
  'explain': ('explain_llama2_7b', TEXT),
  'sft': ('sft_llama2_7b', dict(TEXT, init='{explain}')),
  'reward': ('reward_llama2_7b', dict(STEPS, length=160, batch=4, init='{sft}')),
  'ppo': (
    'ppo_llama2_7b',
    dict(
      STEPS,
      prompt=32,
      response=8,
      batch=8,
      minibatch=8,
      eval_prompts=8,
      init='{sft}',
      critic='{reward}',
      **{'judges.0.by': '{reward}', 'saving.best': 'none', 'rules.epochs': 2},
    ),
  ),
}


def main(argv):
  parser = OneLine(prog='launch.rehearse_chain', description=__doc__.splitlines()[0])
  parser.add_argument('--hosts', type=int, default=4, help='processes')
  parser.add_argument('--stages', type=int, default=len(STAGES), help='so many of the four')
  parser.add_argument('--root', type=pathlib.Path, help='where all of it goes; default: a new one')
  args = parser.parse_args(argv)
  if not (1 <= args.hosts <= 64 and 1 <= args.stages <= len(STAGES)):
    parser.error(f'--hosts: 1 to 64, --stages: 1 to {len(STAGES)}')
  root = (args.root or pathlib.Path(tempfile.mkdtemp(prefix='chain'))).absolute()
  os.environ.setdefault('JAX_COMPILATION_CACHE_DIR', str(root / 'compiled'))
  os.environ.setdefault('JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS', '0')
  stages = list(STAGES)[: args.stages]
  for kind in ('unbroken', 'broken'):
    for number, stage in enumerate(stages):
      victim = number % args.hosts if kind == 'broken' else None
      if not run(root, kind, stage, args.hosts, victim):
        print(f'{kind} {stage} failed: see above')
        return 1
    pod.main(['down', *flags(root, kind, args.hosts)])
  found = [line for stage in stages for line in differences(root, stage)]
  print('\n'.join(found) or f'the broken chain ended as the unbroken one did, to the bit: {root}')
  return 1 if found else 0


def flags(root, kind, hosts):
  return [f'--name={kind}', f'--slice=local-{hosts}', f'--root={root}/pods']


def run(root, kind, stage, hosts, victim):
  """A stage by the launcher; whether it ended well, and met its killer where there was one."""
  print(f'== {kind} {stage}', flush=True)
  name, fields = STAGES[stage]
  homes = {s: str(root / kind / s) for s in STAGES}
  given = {f'model.{k}': v for k, v in SIZES.items()} | fields
  overrides = [f'--config.{k}={str(v).format(**homes)}' for k, v in given.items()]
  killed = []
  if victim is not None:
    pid = local.Local(kind, hosts, root=root / 'pods').root / f'w{victim}/jaxalign-pods/{kind}/pid'
    killer = threading.Thread(target=kill, args=(pathlib.Path(homes[stage]), pid, killed))
    killer.start()
  given = [f'--config=configs/{name}.py:smoke', f'--workdir={homes[stage]}']
  wait = ['--poll=2', '--grace=1']
  status = pod.main(['up', *flags(root, kind, hosts), *wait, '--', *overrides, *given])
  if victim is not None:
    killed.append('late')  # ends a killer that still waits
    killer.join()
  return status == 0 and (victim is None or killed[0] != 'late')


def kill(workdir, pid, killed):
  """The process whose number `pid` holds, once the run has a whole checkpoint."""
  while not killed and not any(p.name.isdigit() for p in workdir.glob('checkpoints/*')):
    time.sleep(0.005)
  if not killed:
    number = int(pid.read_text().split()[0])
    os.kill(number, signal.SIGKILL)
    killed.append(number)
    print(f'== killed process {number}', flush=True)


def differences(root, stage):
  """Lines about what differs between the two runs of a stage."""
  one, other = root / 'unbroken' / stage, root / 'broken' / stage
  if (a := metrics(one)) != (b := metrics(other)):
    at = next((n for n, (x, y) in enumerate(zip(a, b), 1) if x != y), min(len(a), len(b)) + 1)
    yield f'{stage}: metrics differ from step {at} on'
  if last_state(one) != last_state(other):
    yield f'{stage}: the last states differ'
  for name in ('evals.jsonl', 'samples.jsonl'):
    if (one / name).exists() and (one / name).read_bytes() != (other / name).read_bytes():
      yield f'{stage}: {name} differs'


def metrics(workdir):
  """Every line but for its clock; the bits of a float survive JSON."""
  lines = map(json.loads, (workdir / 'metrics.jsonl').read_text().splitlines())
  return [{k: v for k, v in line.items() if k != 'seconds'} for line in lines]


def last_state(workdir):
  """(its step, the fingerprint of every array) of the newest checkpoint."""
  step = max(int(p.name) for p in (workdir / 'checkpoints').iterdir() if p.name.isdigit())
  record = workdir / 'checkpoints' / str(step) / 'fingerprint' / 'metadata'
  return step, json.loads(record.read_text())


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
