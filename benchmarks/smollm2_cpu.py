"""A real model on a CPU: jaxalign beside transformers and PyTorch, float32, all cores.

  python benchmarks/smollm2_cpu.py --model=DIR [--rounds=5] [--cores=2] [--what=score,decode,...]

DIR is a Hugging Face directory; figures in docs/performance.md are of SmolLM2-135M-Instruct. What
is compared, by the clock (with --cores=1 by CPU time), smaller ratios are better:
  score    16 rows of 96 tokens: the log-probability of each token after the first
  decode   16 rows, 48 tokens after 96, greedy: rl.sample.generate beside generate with its cache
  answers  the same asked of rl.answers, a batch that rows join and leave
  first    one row of 96: until its first token
  row      the same row: each token after the first
  lora     a training step of 4 rows of 256: adapters of rank 16 on all seven matrices, AdamW
  full     the same step of all weights, clipped by global norm
  shapes   the model's products alone, without a ratio to reach: what can be hoped for
  grads    likewise the three products of each weight in a training step
Each side lives in a process of its own; nobody computes while the other does, rounds alternate, the
best of each counts, and what both say is compared first. Spread: the middle half of the ratios of
single rounds.
"""

import argparse
import contextlib
import importlib
import itertools
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import numpy as np

ROWS, PROMPT, NEW = 16, 96, 48
TRAIN_ROWS, TRAIN_LENGTH, RANK, ALPHA = 4, 256, 16, 32.0
OPTIM = dict(lr=1e-4, b1=0.9, b2=0.95, eps=1e-8, weight_decay=0.1)
CLIP = 1.0
MATRICES = ('q', 'k', 'v', 'o', 'gate', 'up', 'down')
WHAT = {'score': 1.0, 'decode': 0.8, 'answers': 0.8, 'row': None, 'lora': 1.0, 'full': 1.0}
SHAPES_AT = (1, 16, 384, 1024, 1536)
SIDES = 'ours', 'theirs'


def main(argv=None):
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--model', type=pathlib.Path, required=True)
  parser.add_argument('--rounds', type=int, default=5)
  parser.add_argument('--what', default=','.join((*WHAT, 'shapes', 'grads')))
  parser.add_argument('--cores', type=int, default=2)
  parser.add_argument('--json', type=pathlib.Path, help='where the figures are written')
  parser.add_argument('--child', help=argparse.SUPPRESS)  # how this script calls itself
  args = parser.parse_args(argv)
  if args.child:
    return child(args.child, args.model)
  wanted = args.what.split(',')
  found = [row for what in WHAT if what in wanted for row in compare(what, args)]
  if 'shapes' in wanted:
    found += products(args, SHAPES_AT, ('y',))
  if 'grads' in wanted:
    found += products(args, (TRAIN_ROWS * TRAIN_LENGTH,), ('y', 'dx', 'dw'))
  if args.json:
    args.json.write_text(json.dumps(found, indent=1) + '\n')
  sys.exit(any(row.get('missed', False) for row in found))


def compare(what, args):
  """Prints and gives the rows of one comparison; both sides are new processes."""
  with contextlib.ExitStack() as stack:
    ours, theirs = (stack.enter_context(Player(side, args)) for side in SIDES)
    said = ours.ask(what), theirs.ask(what)
    agree(what, *(answer['said'] for answer in said))
    rounds = [(ours.ask(what)['seconds'], theirs.ask(what)['seconds']) for _ in range(args.rounds)]
  names = ('first', 'row') if what == 'row' else (what,)
  return [row_of(name, *zip(*pairs), WHAT[what]) for name, pairs in zip(names, regrouped(rounds))]


def regrouped(rounds):
  """For each figure, its pairs (ours, theirs) of all rounds."""
  return zip(*([*zip(a, b)] for a, b in rounds))


def row_of(name, ours, theirs, most):
  ratio = min(ours) / min(theirs)
  low, _, high = statistics.quantiles([a / b for a, b in zip(ours, theirs)] * 2, n=4)
  tokens = {'score': ROWS * PROMPT, 'decode': ROWS * NEW, 'answers': ROWS * NEW, 'row': 1}
  rate = tokens.get(name, TRAIN_ROWS * TRAIN_LENGTH if name in ('lora', 'full') else 0)
  speed = [f'{rate / min(side):8,.0f}/s' if rate else ' ' * 10 for side in (ours, theirs)]
  missed = most is not None and ratio > most
  print(
    f'{name:8} ours {min(ours) * 1e3:8.1f} ms {speed[0]}   theirs {min(theirs) * 1e3:8.1f} ms'
    f' {speed[1]}   ratio {ratio:.2f} ({low:.2f} to {high:.2f}, n={len(ours)})'
    + (f'   asked {most}: {"missed" if missed else "reached"}' if most else ''),
    flush=True,
  )
  return dict(what=name, ours=ours, theirs=theirs, ratio=ratio, asked=most, missed=missed)


def agree(what, ours, theirs):
  """Ends the run where the two do not say the same."""
  if what in ('decode', 'answers', 'row'):
    same = ours == theirs
  else:
    same = max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) < 2e-3
  if not same:
    sys.exit(f'{what}: the two sides differ: {str(ours)[:200]} and {str(theirs)[:200]}')


def products(args, every, kinds):
  """Prints and gives each product at each number of rows: GFLOP/s of both libraries."""
  with contextlib.ExitStack() as stack:
    players = [stack.enter_context(Player(side, args)) for side in SIDES]
    found = []
    for rows, (name, inputs, outputs), kind in itertools.product(every, shapes(args.model), kinds):
      ask = f'shape {rows} {inputs} {outputs} {kind}'
      times = [min(p.ask(ask)['seconds'][0] for _ in range(2)) for p in players]
      rate = [2e-9 * rows * inputs * outputs / t for t in times]
      found.append(dict(what=name, of=kind, rows=rows, seconds=times, gflops=rate))
      print(
        f'{rows:5} x {name:5} {kind:2} {inputs:5} to {outputs:6}   XLA {times[0] * 1e6:9.0f} us'
        f' {rate[0]:5.0f}   torch {times[1] * 1e6:9.0f} us {rate[1]:5.0f}'
        f'   ratio {times[0] / times[1]:.2f}',
        flush=True,
      )
  return found


def shapes(directory):
  cfg = json.loads((directory / 'config.json').read_text())
  D, F, V, H = (cfg[k] for k in ('hidden_size', 'intermediate_size', 'vocab_size', HEADS))
  kv = D // H * cfg['num_key_value_heads']
  sizes = dict(q=(D, D), k=(D, kv), qkv=(D, D + 2 * kv), gate=(D, F), both=(D, 2 * F), down=(F, D))
  return [(name, *size) for name, size in (sizes | dict(head=(D, V))).items()]


HEADS = 'num_attention_heads'


class Player:
  """One side in its own process, which computes only while it is asked."""

  def __init__(self, side, args):
    cores = sorted(os.sched_getaffinity(0))[-args.cores :]
    self.process = subprocess.Popen(
      [sys.executable, __file__, '--child', side, '--model', str(args.model)],
      preexec_fn=lambda: os.sched_setaffinity(0, cores),
      env=dict(os.environ, JAX_PLATFORMS='cpu'),  # a TPU's library would look for one, and say so
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      text=True,
    )

  def __enter__(self):
    return self

  def __exit__(self, *_):
    self.process.stdin.close()
    self.process.wait()

  def ask(self, what):
    time.sleep(0.3)  # the other side's threads spin for a moment before they sleep
    self.process.stdin.write(what + '\n')
    self.process.stdin.flush()
    line = self.process.stdout.readline()
    return json.loads(line) if line else sys.exit(f'{self.process.args[3]} ended without answer')


def child(side, directory):
  """Does what each line asks for; the first time also compiles, and is compared, not counted."""
  makers, known = importlib.import_module(f'smollm2_{side}').side(directory), {}
  for line in sys.stdin:
    what, *numbers = line.split()
    if what == 'shape':
      answer = dict(seconds=[per_product(makers[what], *map(int, numbers[:3]), numbers[3])])
    else:
      run = known[what] = known.get(what) or makers[what]()
      seconds, said = run()
      answer = dict(seconds=seconds, said=said)
    print(json.dumps(answer), flush=True)


def per_product(make, rows, inputs, outputs, kind):
  """Seconds of a product whose weight lies in memory, not in a cache: one of several in turn."""
  copies = max(
    1, min(30, 2**24 // (inputs * outputs) if rows <= ROWS else 4 - 3 * (outputs > 2**15))
  )
  run = make(rows, inputs, outputs, copies, kind)
  run()
  return min(once(run)[0][0] for _ in range(12 if rows <= ROWS else 4)) / copies


def batch(vocab, rows, length):
  return np.random.default_rng(0).integers(3, vocab, (rows, length))


def once(run):
  """([seconds], what it said): by the clock; on one core CPU time, which no neighbour stretches."""
  clock = time.process_time if len(os.sched_getaffinity(0)) == 1 else time.perf_counter
  start = clock()
  said = run()
  return [clock() - start], said


def apart(first, whole):
  """([until the first token, each further token], tokens) of one row."""
  (a,), _ = once(first)
  (b,), said = once(whole)
  return [a, (b - a) / (NEW - 1)], said


if __name__ == '__main__':
  main()
