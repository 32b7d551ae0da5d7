"""A training step on a CPU: jaxalign's beside PyTorch's with transformers, on one core and on two.

  python benchmarks/train_cpu.py [--rounds=8] [--cores=1,2] [--sizes=1M,10M]

Llamas of about 1M and 10M parameters, 16 rows of 128 tokens, float32; next-token loss, AdamW,
clipping by global norm. Both sides start from the same weights, by way of jaxalign.export, read the
same batch, and must show the same losses over the first steps. Each lives in a process of its own,
tied to its cores; rounds alternate, nobody computes while another does, and the best round counts.
On one core the ratio is of CPU time, which a neighbour cannot stretch; on two it is of the clock:
run it alone.

Ours keeps freed memory as jaxalign.main does (jaxalign/allocator.py); PyTorch, which allocates
tensor by tensor, gains nothing from it.

The floor is the arithmetic alone: 2 FLOPs for each weight of a matrix and token forwards, 4
backwards, and the same for attention's two products over all T x T pairs (the embedding is looked
up and counts nothing), each shape at the faster of both libraries' own rates in this run.
Attention's products are counted whole, although ours leaves out most of what the mask hides. A
last line says what of PyTorch's time the floor is: where that is more than what is asked, no
program of these products can be so fast.
Expected: at most 0.9 of PyTorch's time on one core and 0.7 on two, which is the exit status.
"""

import argparse
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROWS, LENGTH, FIRST = 16, 128, 3
SIZES = {
  '1M': dict(depth=4, width=128, heads=4, kv_heads=4, mlp=344, vocab=512),
  '10M': dict(depth=6, width=320, heads=8, kv_heads=8, mlp=864, vocab=4096),
}
OPTIM = dict(lr=1e-3, b1=0.9, b2=0.95, eps=1e-8, weight_decay=0.1)
CLIP = 1.0
MOST = {1: 0.9, 2: 0.7}
SIDES = {'jaxalign': 'ours', 'torch': 'theirs'}


def main():
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--rounds', type=int, default=8, help='the best of so many is reported')
  parser.add_argument('--cores', default='1,2')
  parser.add_argument('--sizes', default=','.join(SIZES))
  parser.add_argument('--child', nargs=3, help=argparse.SUPPRESS)  # how this script calls itself
  args = parser.parse_args()
  if args.child:
    return child(*args.child)
  print('model  cores  side      first losses              cpu ms  clock ms  ratio  floor  share')
  ok = [
    compare(size, int(cores), args.rounds)
    for size in args.sizes.split(',')
    for cores in args.cores.split(',')
  ]
  sys.exit(not all(ok))


def compare(size, cores, rounds):
  """Prints the rows of one model on so many cores; whether jaxalign is as fast as expected."""
  with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
    players = {}
    for name, side in SIDES.items():  # one after the other: ours writes the weights
      players[name] = stack.enter_context(Player(side, size, cores, directory))
    runs = {name: [] for name in SIDES}
    for _ in range(rounds):
      for name, player in players.items():
        runs[name].append(player.ask('step'))
    rates = [players[name].ask('rates') for name in ('jaxalign', 'torch')]
  floor = sum(min(of_shape) for of_shape in zip(*rates))
  best = {name: [min(times) for times in zip(*runs[name])] for name in SIDES}
  losses = {name: player.losses for name, player in players.items()}
  if any(abs(a - b) > 2e-4 for name in SIDES for a, b in zip(losses[name], losses['torch'])):
    sys.exit(f'{size}: the first losses differ: {losses}')
  which = 0 if cores == 1 else 1
  ratios = {name: best[name][which] / best['torch'][which] for name in SIDES}
  for name, (cpu, clock) in best.items():
    first = ' '.join(f'{loss:.5f}' for loss in losses[name])
    print(
      f'{size:5} {cores:6}  {name:8}  {first:24} {cpu * 1e3:7.1f} {clock * 1e3:9.1f}'
      f' {ratios[name]:6.2f} {floor * 1e3:6.1f} {floor / best[name][which]:6.0%}',
      flush=True,
    )
  bound, asked = floor / best['torch'][which], MOST[cores]
  within = 'out of reach' if bound > asked else f'in reach at {bound / asked:.0%} of the rates'
  print(f'{size:5} {cores:6}  floor / torch {bound:.2f}, ours / torch at most {asked}: {within}')
  return ratios['jaxalign'] <= MOST[cores]


class Player:
  """One side in its own process, which computes only while it is asked."""

  def __init__(self, side, size, cores, directory):
    self.process = subprocess.Popen(
      [sys.executable, __file__, '--child', side, size, directory],
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      text=True,
      preexec_fn=lambda: os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-cores:]),
    )
    self.losses = self.answer()

  def __enter__(self):
    return self

  def __exit__(self, *_):
    self.process.stdin.close()
    self.process.wait()

  def ask(self, what):
    time.sleep(0.3)  # the other side's threads spin for a moment before they sleep
    self.process.stdin.write(what + '\n')
    self.process.stdin.flush()
    return self.answer()

  def answer(self):
    line = self.process.stdout.readline()
    return json.loads(line) if line else sys.exit(f'{self.process.args[3:5]} ended without answer')


def child(side, size, directory):
  step, product = (ours if side == 'ours' else theirs)(SIZES[size], pathlib.Path(directory))
  print(json.dumps([step() for _ in range(FIRST)]), flush=True)
  for line in sys.stdin:
    answer = seconds(step) if line == 'step\n' else floor(SIZES[size], product)
    print(json.dumps(answer), flush=True)


def ours(sizes, directory):
  """(step() -> loss, product(batch, rows, inner, columns) -> a function): compiled by now."""
  import jax
  import jax.numpy as jnp

  import jaxalign
  from jaxalign import allocator, config
  from jaxalign.models import llama2
  from jaxalign.sharding.meshes import make_mesh
  from jaxalign.stages.language import loss
  from jaxalign.train.optim import make_optimizer
  from jaxalign.train.state import make_state, make_step

  allocator.keep_freed()
  cfg = llama2.tiny(**sizes, remat='none', unroll=sizes['depth'])
  schedule = config.Schedule(shape='constant')
  tx = make_optimizer(config.AdamW(**OPTIM, clip=CLIP, schedule=schedule), 1000)
  _, make = make_state(cfg.build, tx, 0, make_mesh(devices=jax.devices()[:1]))
  state, run = make(), make_step(loss, tx)
  if not any(directory.iterdir()):
    jaxalign.export(state.model, directory, overwrite=True)
  tokens_BT = jnp.asarray(batch(sizes), jnp.int32)
  given = dict(tokens_BT=tokens_BT[None], weight_BT=jnp.ones((1, ROWS, LENGTH)))

  def step():
    nonlocal state
    state, (metrics, _) = run(state, given, None)
    total, weight = jax.block_until_ready((metrics['loss'], state))[0]
    return float(total[0] / weight[0])

  multiply = jax.jit(lambda a, b: jnp.matmul(a, b, precision='highest'))

  def product(batch, n, k, m):
    a, b = jnp.ones((batch, n, k)), jnp.ones((batch, k, m))
    a, b = (a[0], b[0]) if batch == 1 else (a, b)
    return lambda: multiply(a, b).block_until_ready()

  return step, product


def theirs(sizes, directory):
  import torch
  import transformers

  torch.set_num_threads(len(os.sched_getaffinity(0)))
  transformers.utils.logging.disable_progress_bar()
  model = transformers.AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).train()
  matrices = [p for p in model.parameters() if p.ndim > 1]
  vectors = [p for p in model.parameters() if p.ndim == 1]
  opt = torch.optim.AdamW(
    [dict(params=matrices), dict(params=vectors, weight_decay=0.0)],
    lr=OPTIM['lr'],
    betas=(OPTIM['b1'], OPTIM['b2']),
    eps=OPTIM['eps'],
    weight_decay=OPTIM['weight_decay'],
  )
  ids = torch.tensor(batch(sizes), dtype=torch.long)

  def step():
    opt.zero_grad()
    loss = model(input_ids=ids, labels=ids, use_cache=False).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
    opt.step()
    return loss.item()

  def product(batch, n, k, m):
    a, b = torch.ones(batch, n, k), torch.ones(batch, k, m)
    a, b = (a[0], b[0]) if batch == 1 else (a, b)
    return lambda: torch.matmul(a, b)

  return step, product


def batch(sizes):
  import numpy as np

  return np.random.default_rng(0).integers(3, sizes['vocab'], (ROWS, LENGTH))


def floor(sizes, product):
  """Seconds of a step's products, shape by shape: forwards, and twice as much backwards."""
  D, F, V, H, L = (sizes[name] for name in ('width', 'mlp', 'vocab', 'heads', 'depth'))
  N, K, T = ROWS * LENGTH, D // H, LENGTH
  weights = [(4 * L, D, D), (2 * L, D, F), (L, F, D), (1, D, V)]
  shapes = [
    (count, 1, *shape) for count, i, o in weights for shape in ((N, i, o), (N, o, i), (i, N, o))
  ]
  shapes += [(3 * L, ROWS * H, T, K, T), (3 * L, ROWS * H, T, T, K)]
  which = 0 if len(os.sched_getaffinity(0)) == 1 else 1

  def fastest(*shape):
    run = product(*shape)
    run()
    return min(seconds(run)[which] for _ in range(12))

  return [count * fastest(*shape) for count, *shape in shapes]


def seconds(run):
  """(CPU time of this process, time of the clock) that a run takes."""
  cpu, clock = time.process_time(), time.perf_counter()
  run()
  return time.process_time() - cpu, time.perf_counter() - clock


if __name__ == '__main__':
  main()
