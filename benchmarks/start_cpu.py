"""Seconds until a run's first step, by part: programs compiled anew, and read from their cache.

  python benchmarks/start_cpu.py [--config=configs/sft_smollm2.py:smoke] [--config.FIELD=VALUE ...]
      [--rounds=3]

Each round is two fresh processes of one run of a language stage, whose programs lie in a directory
of its own: the first compiles them, the second reads them. A part is by the clock, with its CPU
seconds of all threads beside it; of several rounds the best total is printed, and the spread.
"""

import argparse
import contextlib
import functools
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
TRACE = '/jax/core/compile/jaxpr_trace_duration'
LOWER = '/jax/core/compile/jaxpr_to_mlir_module_duration'
COMPILE = '/jax/core/compile/backend_compile_duration'
READ = '/jax/compilation_cache/cache_retrieval_time_sec'


def main():
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--config', default=str(ROOT / 'configs/sft_smollm2.py:smoke'))
  parser.add_argument('--rounds', type=int, default=3)
  parser.add_argument('--one', help=argparse.SUPPRESS)  # how this script calls itself
  args, given = parser.parse_known_args()
  if args.one:
    return child(args.config, given, **json.loads(args.one))
  rounds = [round_of(args.config, given) for _ in range(args.rounds)]
  for n, name in enumerate(('compiled anew', 'programs read from the cache')):
    runs = [pair[n] for pair in rounds]
    totals = [sum(clock for clock, _ in run['parts'].values()) for run in runs]
    best = runs[totals.index(min(totals))]
    print(f'{name}: {min(totals):.2f} to {max(totals):.2f} s')
    for part, (clock, cpu) in best['parts'].items():
      print(f'  {clock:7.2f} s {cpu:7.2f} CPU  {part}')
    for what, seconds in best['of_step'].items():
      print(f'     of the first step: {seconds:.2f} s {what}')


def round_of(config, given):
  """What the two processes of a round said."""
  with tempfile.TemporaryDirectory() as place:
    return [one(config, given, place, n) for n in range(2)]


def one(config, given, place, n):
  how = json.dumps(dict(workdir=f'{place}/run{n}', compiled=f'{place}/compiled', born=time.time()))
  command = [sys.executable, __file__, f'--config={config}', f'--one={how}', *given]
  env = os.environ | dict(JAX_PLATFORMS='cpu', PYTHONPATH=str(ROOT))
  told = subprocess.run(command, env=env, stdout=subprocess.PIPE, check=True)
  return json.loads(told.stdout.splitlines()[-1])


class Parts:
  """Time by part: what is measured inside another part is taken off that one."""

  def __init__(self, born):
    self.seen, self.open = {'interpreter': [time.time() - born, time.process_time()]}, []

  def timed(self, name, function):
    @functools.wraps(function)
    def call(*args, **kwargs):
      self.open.append([0.0, 0.0])
      began = time.perf_counter(), time.process_time()
      try:
        return function(*args, **kwargs)
      finally:
        spent = time.perf_counter() - began[0], time.process_time() - began[1]
        inner, total = self.open.pop(), self.seen.setdefault(name, [0.0, 0.0])
        for i in range(2):
          total[i] += spent[i] - inner[i]
          if self.open:
            self.open[-1][i] += spent[i]

    return call


def child(config, given, workdir, compiled, born):
  """A run that ends with its first line of metrics."""
  parts = Parts(born)
  cfg, stage = parts.timed('imports and config', opened)(config, given)
  of_step = {}
  instrument(parts, stage, of_step)
  from jaxalign import compile_cache

  with compile_cache.used(compiled):
    parts.timed('the rest: feed, checks, files', begun)(cfg, stage, workdir, parts)
  print(json.dumps(dict(parts=parts.seen, of_step=of_step)), flush=True)
  os._exit(0)  # the second step is under way


def opened(config, given):
  """The config, sealed, and its stage; both import most of what a run needs."""
  from jaxalign import main as start
  from jaxalign import overrides, sealing

  cfg = start.load(config)
  for name, text in overrides.of_arguments(given)[1]:
    overrides.override(cfg, name, text)
  start.stage_of(sealing.seal(cfg))
  return cfg, sys.modules[type(cfg).__module__]


def begun(cfg, stage, workdir, parts):
  from etils import epath

  from jaxalign.train import metrics

  first = metrics.Log.steps

  def said(log, *given):
    parts.timed('first line of metrics', first)(log, *given)
    raise Done

  metrics.Log.steps = said
  place = epath.Path(workdir)
  place.mkdir(parents=True)
  with contextlib.suppress(Done):
    stage.run(cfg, place)


class Done(BaseException):
  """The first step is in the metrics."""


def instrument(parts, stage, of_step):
  import jax

  from jaxalign.stages import language, training

  parts.timed('devices', jax.devices)()
  language.start = parts.timed('weights and optimizer state', language.start)
  training.open_run = parts.timed('mesh, tokenizer, refusals', training.open_run)
  training.open_data = parts.timed('data tokenised', training.open_data)
  step_of = training.step_of

  def timed_step(*given):
    step = step_of(*given)

    def call(*args):
      jax.monitoring.register_event_duration_secs_listener(heard)
      out = step(*args)
      if listening:
        jax.block_until_ready(out)
        listening.clear()
      return out

    return parts.timed('first step', call)

  listening = [True]

  def heard(event, seconds, **_):
    names = {TRACE: 'trace', LOWER: 'lower', COMPILE: 'compile or read', READ: 'of that, read'}
    if listening and event in names:
      of_step[names[event]] = of_step.get(names[event], 0.0) + seconds

  training.step_of = timed_step


if __name__ == '__main__':
  main()
