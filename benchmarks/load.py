"""How fast, and in how little memory, jaxalign.load reads a large checkpoint.

  python benchmarks/load.py [--model=phi2|llama2_7b] [--layers=N] [--directory=DIR] [--keep]
      [--rounds=3] [--cold]

Writes the model in bfloat16 from random numbers, once (Phi-2 5.6 GB, Llama-2-7B 13.5; a tensor at a
time), and reads it in fresh processes: on one CPU device, and over eight fake ones. The peer is
`cat files > /dev/null` right before: the time to look at every byte once. --cold: the page cache
forgets the files before each (posix_fadvise, which needs no root); else it has them. The floor is
a plain loop that reads them into new memory, whose pages the kernel clears first. Peaks are VmHWM:
interpreter, libraries and all. Bounds: peak <= 1.25 x the files, and on one device, warm, time <= 3
x cat.
Last, warm, four tokens are sampled on the one device, where memory allows (XLA's CPU multiplies
bfloat16 in float32 copies: 3.3 x the files).
"""

import argparse
import dataclasses
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

MOST_MEMORY, MOST_TIME = 1.25, 3.0
DEVICES = 8
PLAIN = """
import mmap, os, sys
held = []
for name in sys.argv[1:]:
  with open(name, 'rb', buffering=0) as file:
    memory = mmap.mmap(-1, os.fstat(file.fileno()).st_size)
    memory.madvise(mmap.MADV_HUGEPAGE)
    view, at = memoryview(memory), 0
    while at < len(view):
      at += file.readinto(view[at : at + (512 << 10)])
    held.append(view)
os._exit(0)
"""
CASES = [None, (1, 8, 1), (2, 2, 2)]
TOKENS = 4
MODELS = 'phi2', 'llama2_7b'


def main():
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--model', choices=MODELS, default='phi2')
  parser.add_argument('--layers', type=int, help='fewer than it has, of the same widths')
  parser.add_argument('--directory', type=pathlib.Path, help='where the checkpoint is, or will be')
  parser.add_argument('--keep', action='store_true', help='leave the checkpoint there')
  parser.add_argument('--rounds', type=int, default=3, help='the best of so many is reported')
  parser.add_argument('--cold', action='store_true', help='drop the page cache before each')
  parser.add_argument('--one', help=argparse.SUPPRESS)  # how this script calls itself
  args = parser.parse_args()
  if args.one:
    return print(json.dumps(measure(args.directory, *json.loads(args.one))))
  with tempfile.TemporaryDirectory() as temporary:
    directory = args.directory or pathlib.Path(temporary) / args.model
    made = not (directory / 'config.json').exists()
    if made:
      write_checkpoint(directory, args.model, args.layers)
    try:
      ok = report(directory, args.rounds, args.cold)
    finally:
      if made and not args.keep:
        for file in directory.iterdir():
          file.unlink()
        directory.rmdir()
  sys.exit(not ok)


def report(directory, rounds, cold):
  files = sorted(directory.glob('*.safetensors'))
  size = sum(file.stat().st_size for file in files)
  print(f'{len(files)} files, {size / 1e9:.2f} GB, {"cold" if cold else "warm"}; best of {rounds}')
  ready = drop if cold else cat
  ready(files)
  print('a plain loop into new memory: {:.2f} s, {:.2f} s of CPU'.format(*plain(files)))
  ok = True
  for mesh in CASES:
    pairs = []
    for _ in range(rounds):
      ready(files)
      looked = cat(files)
      ready(files)
      pairs.append((looked, fresh(directory, mesh)))
    ok &= told(mesh, size, pairs, cold)
  if cold:
    return ok
  if available() < 4 * size:
    print(f'sampling: left out, {available() / 1e9:.0f} GB of memory are too few')
    return ok
  run = fresh(directory, None, sample=True)
  print(f'sampling: {TOKENS} tokens in {run["sampled"]:.1f} s, peak {run["peak"] / 1e9:.1f} GB')
  return ok


def told(mesh, size, pairs, cold):
  """A line of the rounds on one mesh; whether both bounds hold."""
  looked, busy = zip(*(cost for cost, _ in pairs))
  runs = [run for _, run in pairs]
  best = min(runs, key=lambda run: run['seconds'])
  peak = max(run['peak'] for run in runs)
  ratio = best['seconds'] / min(looked)
  good = peak <= MOST_MEMORY * size and (cold or mesh or ratio <= MOST_TIME)
  name = 'one device' if mesh is None else 'mesh ' + 'x'.join(map(str, mesh))
  print(
    f'{name:>10}: {best["seconds"]:.2f} s (to {max(r["seconds"] for r in runs):.2f}), {ratio:.2f} '
    f'x cat ({min(looked):.2f} to {max(looked):.2f} s); {best["cpu"]:.2f} s of CPU, of cat '
    f'{min(busy):.2f}; peak '
    f'{peak / 1e9:.2f} GB = {peak / size:.3f} x the files, {best["before"] / 1e9:.2f} GB of it '
    f'before; {"ok" if good else "OVER ITS BOUND"}',
    flush=True,
  )
  return bool(good)


def drop(files):
  """Lets the page cache forget the files."""
  for file in files:
    with file.open('rb') as opened:
      os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def cat(files):
  return timed(['cat', *files])


def plain(files):
  """The same bytes in new memory, all of it at once."""
  return timed([sys.executable, '-c', PLAIN, *files])


def timed(command):
  """Seconds by the clock, and of CPU."""
  start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
  subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
  after = resource.getrusage(resource.RUSAGE_CHILDREN)
  busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
  return time.perf_counter() - start, busy


def fresh(directory, mesh, sample=False):
  """One load in a process of its own."""
  flags = f'--xla_force_host_platform_device_count={DEVICES if mesh else 1}'
  here = pathlib.Path(__file__).resolve()
  order = json.dumps([mesh, sample])
  command = [sys.executable, here, f'--directory={directory}', f'--one={order}']
  env = {'JAX_PLATFORMS': 'cpu', 'XLA_FLAGS': flags, 'PYTHONPATH': str(here.parents[1])}
  run = subprocess.run(command, env=env, stdout=subprocess.PIPE, check=True)
  return json.loads(run.stdout)


def measure(directory, sizes, sample):
  import jax

  import jaxalign
  from jaxalign.sharding.meshes import make_mesh

  mesh = make_mesh(*sizes) if sizes else None
  load = jaxalign.load  # which imports more, and is no part of the time
  jax.block_until_ready(jax.numpy.zeros(1))  # the backend has started
  result = dict(before=memory('VmRSS'))
  start, worked = time.perf_counter(), time.process_time()
  model = jax.block_until_ready(load(directory, mesh=mesh))
  result['seconds'] = time.perf_counter() - start
  result['cpu'] = time.process_time() - worked
  if sample:
    start = time.perf_counter()
    jaxalign.sample(model, [[1, 2, 3]], length=TOKENS, temperature=0.0)
    result['sampled'] = time.perf_counter() - start
  return result | dict(peak=memory('VmHWM'))


def memory(field):
  """Bytes, of this process; VmHWM is the most that VmRSS has been."""
  lines = pathlib.Path('/proc/self/status').read_text().splitlines()
  return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(field + ':'))


def available():
  lines = pathlib.Path('/proc/meminfo').read_text().splitlines()
  return 1024 * next(int(line.split()[1]) for line in lines if line.startswith('MemAvailable:'))


def write_checkpoint(directory, name, layers):
  """A layer at a time, through the same writer as export: shards of 5 GB and their index."""
  import jax
  import numpy as np

  from jaxalign.models import export, llama2, phi2
  from jaxalign.models.matching import their_shape
  from jaxalign.sharding.alphabet import weight_name

  module, config = dict(phi2=(phi2, phi2.phi2), llama2_7b=(llama2, llama2.llama2_7b))[name]
  cfg = config(weights='bfloat16')
  cfg = dataclasses.replace(cfg, depth=layers or cfg.depth)
  dtype, rng = np.dtype(jax.numpy.bfloat16), np.random.default_rng(0)
  shapes = jax.eval_shape(cfg.build, jax.random.key(0))

  def draw(shape):
    return (0.02 * rng.standard_normal(shape, np.float32)).astype(dtype)

  tensors = []
  for path, leaf in jax.tree.leaves_with_path(shapes):
    theirs = module.HUGGING_FACE.tensors[weight_name(path)]
    for n in range(cfg.depth if '{n}' in theirs else 1):
      shape = their_shape(weight_name(path), leaf.shape[1:] if '{n}' in theirs else leaf.shape)
      tensors.append((theirs.format(n=n), dtype, shape, lambda shape=shape: draw(shape)))
  directory.mkdir(parents=True, exist_ok=True)
  print(f'writing a random {name} to {directory}', flush=True)
  export.write_shards(directory, tensors)
  export.write_json(directory / 'config.json', module.HUGGING_FACE.write(cfg))


if __name__ == '__main__':
  main()
