"""One NVIDIA GPU: what Llama-2-7B and Phi-2 reach of what the chip itself can do.

  python benchmarks/gpu.py [--out=gpu.json] [--minutes=8] [--parts=chip,attention,train,decode,ppo]
  python benchmarks/gpu.py --tiny                  the same on a CPU, tiny: whether it runs at all

Random weights, made on the device; the very programs of the stages (make_step with the language
loss, generate, PPO's collect and learn), packed rows of four documents, cuDNN attention. Beside
them what this chip does: a bf16 matrix product and a copy of memory, measured first. MFU is the
model's own count (forward and backward, causal attention: cfg.flops) over that product's rate;
decoding is the bytes that a token must read (weights, the cache's slots) over the copy's rate.

What does not fit in float32 with AdamW (16 bytes a weight with its gradient) is kept in bfloat16,
weights and moments alike (8 bytes): enough for a step's time, too coarse to train with. Each choice
is printed. A part that runs out of memory is tried with half the rows; one that would begin after
the time is up is left out, and said. The JSON holds all of it, with the date and the versions.
"""

import argparse
import datetime
import functools
import gc
import importlib.metadata
import json
import os
import pathlib
import platform
import sys
import time

from jaxalign import files

os.environ.setdefault('XLA_PYTHON_CLIENT_MEM_FRACTION', '.94')  # before jax: the GPU is ours alone

import jax
import jax.numpy as jnp

from jaxalign import config
from jaxalign.models import attention, llama2, phi2
from jaxalign.models.heads import Scorer
from jaxalign.rl import improve, players
from jaxalign.rl.sample import Sampling, generate
from jaxalign.sharding.meshes import make_mesh
from jaxalign.stages import language, ppo, ppo_start
from jaxalign.train.optim import make_optimizer
from jaxalign.train.state import make_state, make_step

PARTS = ('chip', 'attention', 'train', 'decode', 'ppo')
ADAM = config.AdamW(lr=1e-5, eps=1e-5, schedule=config.Schedule(shape='constant'))
MODELS = {'llama2_7b': llama2.llama2_7b(), 'phi2': phi2.phi2()}
SIZES = dict(
  product=8192, copy=2**32, seconds=4, length=2048, rows=8, prompt=512, new=256, batch=32
)
TINY_MODELS = {
  'llama2_tiny': llama2.tiny(eos=(), dtype='bfloat16'),
  'phi2_tiny': phi2.tiny(eos=(), dtype='bfloat16'),
}
TINY = dict(product=128, copy=2**16, seconds=0.05, length=64, rows=4, prompt=16, new=16, batch=4)


def main(argv=None):
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--out', type=pathlib.Path, default=pathlib.Path('gpu.json'))
  parser.add_argument('--minutes', type=float, default=8.0)
  parser.add_argument('--parts', default=','.join(PARTS))
  parser.add_argument('--tiny', action='store_true')
  args = parser.parse_args(argv)
  unknown = set(args.parts.split(',')) - set(PARTS)
  if unknown:
    parser.error(f'--parts: {", ".join(unknown)} is none of {", ".join(PARTS)}')
  if jax.default_backend() == 'cpu' and not args.tiny:
    sys.exit('error: there is no GPU here; --tiny shows whether the script runs')
  sizes, models = (TINY, TINY_MODELS) if args.tiny else (SIZES, MODELS)
  report = Report(args.out, time.monotonic() + 60 * args.minutes * 0.85)
  wanted = args.parts.split(',')
  with jax.set_mesh(make_mesh(devices=jax.devices()[:1])):
    chip = measure_chip(report, sizes)  # always: the rest is measured against it
    if 'attention' in wanted:
      report.part('attention', lambda: time_attention(report, sizes, models))
    for name, cfg in models.items():
      if 'train' in wanted:
        shrinking(report, f'train {name}', sizes['rows'], train_step, name, cfg, sizes, chip)
      if 'decode' in wanted:
        shrinking(report, f'decode {name}', sizes['batch'], decode, name, cfg, sizes, chip)
    if 'ppo' in wanted:
      name, cfg = list(models.items())[-1]  # the one whose four players fit on one chip
      shrinking(report, f'ppo {name}', sizes['batch'], ppo_phases, name, cfg, sizes, chip)
  return 0


class Report:
  """What was measured: printed as it comes, and written to the file after every line."""

  def __init__(self, path, deadline):
    self.path, self.deadline = path, deadline
    device = jax.devices()[0]
    version = importlib.metadata.version
    self.made = dict(
      date=datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds'),
      device=device.device_kind, memory=memory(), platform=str(device.client.platform_version),
      versions={name: version(name) for name in ('jax', 'jaxlib', 'flax', 'optax')}
      | dict(python=platform.python_version()), rows=[],
    )  # fmt: skip
    print(self.made['date'], self.made['device'], self.made['versions'], flush=True)

  def row(self, what, **values):
    self.made['rows'].append(dict(what=what, **values))
    shown = (f'{k}={v:.4g}' if isinstance(v, float) else f'{k}={v}' for k, v in values.items())
    print(f'{what:20} {"  ".join(shown)}', flush=True)
    files.write_text(json.dumps(self.made, indent=1) + '\n', self.path.absolute())

  def part(self, what, measure):
    """Whether it was measured, rather than too large for the memory."""
    if time.monotonic() > self.deadline:
      self.row(what, left_out='no time left')
      return True
    try:
      measure()
      return True
    except jax.errors.JaxRuntimeError as error:
      if 'RESOURCE_EXHAUSTED' not in str(error):
        raise
      return False
    finally:
      gc.collect()


def shrinking(report, what, rows, measure, *given):
  if report.part(what, lambda: measure(report, rows, *given)):
    return
  if rows == 1:
    return report.row(what, left_out='does not fit')
  report.row(what, out_of_memory=f'{rows} rows, trying half')
  shrinking(report, what, rows // 2, measure, *given)


def memory():
  return (jax.devices()[0].memory_stats() or {}).get('bytes_limit')


def seconds(run, at_least):
  """The median of several runs, the first of which compiles and is not counted."""
  jax.block_until_ready(run())
  times, end = [], time.perf_counter() + at_least
  while len(times) < 3 or time.perf_counter() < end:
    begun = time.perf_counter()
    jax.block_until_ready(run())
    times.append(time.perf_counter() - begun)
  return sorted(times)[len(times) // 2]


def measure_chip(report, sizes):
  """Its own rates: FLOPs a second of a bf16 product, bytes a second of a copy, both ways."""
  n = sizes['product']
  a = jnp.ones((n, n), jnp.bfloat16)
  loop = jax.jit(lambda a: jax.lax.fori_loop(0, 8, lambda _, x: (x @ a) * (1 / n), a))
  product = 8 * 2 * n**3 / seconds(lambda: loop(a), sizes['seconds'])
  big = jnp.ones(sizes['copy'] // 4, jnp.float32)
  copy = 2 * big.nbytes / seconds(lambda: jax.jit(jnp.negative)(big), sizes['seconds'])
  report.row('chip', matmul_tflops=product / 1e12, copy_gbs=copy / 1e9)
  return dict(flops=product, bandwidth=copy)


def packed(rows, length, vocab):
  """Token ids and four documents a row, as packing leaves them."""
  tokens_BT = jax.random.randint(jax.random.key(0), (rows, length), 3, vocab)
  segment_BT = jnp.broadcast_to(jnp.arange(length) * 4 // length + 1, (rows, length))
  return tokens_BT, segment_BT.astype(jnp.int32)


def time_attention(report, sizes, models):
  """One layer's kernel, forward and backward: plain causal, packed, and XLA's own."""
  cfg, B, T = next(iter(models.values())), sizes['rows'], sizes['length']
  shape = B, cfg.heads, T, cfg.head_size
  q, k, v = (jax.random.normal(jax.random.key(n), shape, jnp.bfloat16) for n in range(3))
  segment_BT = packed(B, T, 9)[1]
  flops = 7 * B * cfg.heads * T * T * cfg.head_size  # 2 products forward, 5 backward, half masked
  cases = (
    ('causal', 'auto', None),
    ('packed', 'auto', segment_BT),
    ('packed, xla', 'xla', segment_BT),
  )
  for name, impl, segments in cases:
    look = functools.partial(attention.attend, segment_BT=segments, impl=impl)
    both = jax.jit(jax.grad(lambda q, k, v, look=look: look(q, k, v).sum(), (0, 1, 2)))
    took = seconds(lambda both=both: both(q, k, v), sizes['seconds'] / 4)
    kernel = attention.choose(impl, q, k, cached=False)
    report.row(f'attention {name}', kernel=kernel, ms=1e3 * took, tflops=flops / took / 1e12)


def fitting(cfg, copies, share=0.75):
  """The config with the widest stored weights of which so many trained copies fit, in words too."""
  weights = sum(w.size for w in jax.tree.leaves(jax.eval_shape(cfg.build, jax.random.key(0))))
  wide = memory() is None or copies * 16 * weights < share * memory()
  dtype = 'float32' if wide else 'bfloat16'
  words = f'{weights / 1e9:.2f} B weights, stored with moments in {dtype}'
  return type(cfg)(**{**vars(cfg), 'weights': dtype}), words


def train_step(report, rows, name, cfg, sizes, chip):
  T = sizes['length']
  cfg, choice = fitting(cfg, 1)
  tokens_BT, segment_BT = packed(rows, T, cfg.vocab)
  batch = dict(tokens_BT=tokens_BT, segment_BT=segment_BT, weight_BT=jnp.ones((rows, T)))
  batch = jax.tree.map(lambda x: x[None], batch)
  tx = make_optimizer(ADAM, 1000)
  held = [make_state(cfg.build, tx, 0, jax.sharding.get_mesh())[1]()]  # the step takes it over
  step = make_step(language.loss, tx)

  def once():
    held[0], out = step(held[0], batch, None)
    return out

  took = seconds(once, sizes['seconds'])
  rate = rows * T / took
  pace = dict(tokens_s=rate, mfu=rate * cfg.flops(T) / chip['flops'], ms=1e3 * took)
  report.row(f'train {name}', **pace, rows=rows, length=T, remat=cfg.remat, choice=choice)


def decode(report, rows, name, cfg, sizes, chip):
  """Prompts read, and the pace of a token after them: two lengths of one program apart."""
  cfg = type(cfg)(**{**vars(cfg), 'weights': 'bfloat16', 'eos': ()})
  P, R = sizes['prompt'], sizes['new']
  model = jax.jit(cfg.build)(jax.random.key(0))
  tokens_BP, _ = packed(rows, P, cfg.vocab)
  segment_BP = jnp.ones_like(tokens_BP)
  read = jax.jit(lambda model, t, s: model.prefill(t, s, P + R)[0][:, -1])
  took = seconds(lambda: read(model, tokens_BP, segment_BP), sizes['seconds'] / 2)
  rate = rows * P / took
  report.row(
    f'prefill {name}',
    tokens_s=rate,
    mfu=rate * cfg.flops(P) / 3 / chip['flops'],
    rows=rows,
    prompt=P,
  )
  key_B = jax.random.split(jax.random.key(1), rows)

  def say(n):
    return generate(model, tokens_BP, segment_BP, key_B, Sampling(slots=R, length=n))

  few = R // 8
  short, long = (seconds(lambda n=n: say(n), sizes['seconds'] / 2) for n in (few, R))
  pace = max((long - short) / (R - few), 1e-9)
  # Every slot of the cache is read at every step, whether it is filled or not.
  cache = 2 * 2 * rows * cfg.depth * cfg.kv_heads * (P + R) * cfg.head_size
  embed = 0 if cfg.tied else cfg.vocab * cfg.width  # looked up, not read
  weights = 2 * (sum(w.size for w in jax.tree.leaves(model)) - embed)
  rate = (weights + cache) / pace
  made = dict(tokens_s=rows / pace, ms_a_token=1e3 * pace, rows=rows, new=R)
  report.row(f'decode {name}', **made, gbs=rate / 1e9, of_copy=rate / chip['bandwidth'])


def ppo_phases(report, rows, name, cfg, sizes, chip):
  """One iteration: policy and critic trained, reference and reward model beside them."""
  P, R = sizes['prompt'], sizes['new']
  cfg, choice = fitting(cfg, 2, share=0.6)
  cfg = type(cfg)(**{**vars(cfg), 'eos': ()})
  half = type(cfg)(**{**vars(cfg), 'weights': cfg.dtype})
  rules = players.Rules(epochs=1, value_clip=0.2)
  game = players.Game(rules=rules, response=R, minibatches=2, microbatches=1)
  tx = ppo_start.optimizers(ADAM, ADAM, 1000, 1000)
  build, mesh = players.fresh_players(cfg.build), jax.sharding.get_mesh()
  held = [make_state(build, tx, 0, mesh, functools.partial(improve.carried, rules))[1]()]

  def fresh(n):
    return jax.jit(half.build)(jax.random.key(n))

  given = dict(reference=fresh(1), scorers=(Scorer(fresh(2), jax.random.key(3)),))
  tokens_BP, _ = packed(rows, P, cfg.vocab)
  batch = dict(tokens_BT=tokens_BP[None], segment_BT=jnp.ones_like(tokens_BP)[None])
  key_B = players.row_keys(jax.random.key(4), 0, rows)
  prompt = tokens_BP, batch['segment_BT'][0], key_B, Sampling(slots=R)
  alone = lambda: generate(held[0].model['policy'], *prompt)
  collect = lambda: ppo.collect(game, held[0].model, batch, key_B, given)
  sampling, collecting = seconds(alone, sizes['seconds'] / 2), seconds(collect, 0)
  seen = collect()

  def learn():
    held[0], out = ppo.learn(game, tx, held[0], batch, seen, seen.scores, given)
    return out

  learning = seconds(learn, sizes['seconds'] / 2)
  report.row(
    f'ppo {name}', sample_s=sampling, score_s=max(collecting - sampling, 0.0), learn_s=learning,
    sequences_s=rows / (collecting + learning), rows=rows, prompt=P, response=R, choice=choice,
  )  # fmt: skip


if __name__ == '__main__':
  sys.exit(main())
