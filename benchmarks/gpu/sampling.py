"""Prompts read, and the pace of a token after them: what weights cost, and what the cache."""

import functools

import jax
import jax.numpy as jnp

from benchmarks.gpu import work
from benchmarks.gpu.report import timed
from jaxalign.rl.sample import Sampling, generate


def measure(report, rows, name, cfg, sizes, card, label):
  """The pace is that of two lengths of one program apart; with two sizes of cache, its slope."""
  cfg = work.changed(cfg, weights='bfloat16', eos=())
  P, R = sizes.prompt, sizes.new
  model = jax.jit(cfg.build)(jax.random.key(0))
  tokens_BP, _ = work.packed(rows, P, cfg.vocab)
  given = tokens_BP, jnp.ones_like(tokens_BP), jax.random.split(jax.random.key(1), rows)
  if not label:
    prefill(report, name, model, given, sizes, card)
  paces = {}
  for slots in (R, 4 * R):
    row = pace(model, given, slots, sizes)
    read = work.token_bytes(cfg, rows, P + slots)
    row |= dict(floor_s=read / card['bandwidth'], gbs=read / row['seconds'] / 1e9)
    row |= dict(of_copy=row['floor_s'] / row['seconds'], tokens_s=rows / row['seconds'])
    what = f'decode {name}{label}' if slots == R else f'decode {name}{label}, {P + slots} slots'
    report.row(what, rows=rows, slots=P + slots, **row)
    paces[slots] = row['seconds'], read
  (one, fewer), (other, more) = paces.values()
  if other > one:
    per_byte = (other - one) / (more - fewer)
    rest = one - per_byte * (fewer - work.token_bytes(cfg, rows, 0))
    how = dict(cache_gbs=1e-9 / per_byte, weights_gbs=work.token_bytes(cfg, rows, 0) / rest / 1e9)
    report.row(f'decode {name}{label}, by parts', **how, cache_s=one - rest, weights_s=rest)


def prefill(report, name, model, given, sizes, card):
  P, slots = sizes.prompt, sizes.prompt + sizes.new
  read = jax.jit(lambda model, t, s: model.prefill(t, s, slots)[0][:, -1])
  took = timed(lambda: read(model, *given[:2]), sizes.seconds / 2)
  rows = given[0].shape[0]
  floor = rows * P * model.cfg.flops(P) / 3 / card['flops']
  how = dict(tokens_s=rows * P / took['seconds'], mfu=floor / took['seconds'], floor_s=floor)
  report.row(f'prefill {name}', rows=rows, prompt=P, **how, **took)


def pace(model, given, slots, sizes):
  """Seconds a token, over caches of so many slots for answers; the spread is of whole answers."""
  few, many = max(sizes.new // 32, 1), max(sizes.new // 4, 12)  # all slots are read at each

  def say(n):
    return generate(model, *given, Sampling(slots=slots, length=n))

  short, long = (timed(functools.partial(say, n), sizes.seconds / 2) for n in (few, many))
  if short['seconds'] >= long['seconds']:  # lost in noise: an upper bound, with the prompt in it
    short = dict.fromkeys(short, 0.0)
  pairs = dict(seconds=('seconds', 'seconds'), low=('low', 'high'), high=('high', 'low'))
  apart = {k: max(long[a] - short[b], 0.0) / (many - few) for k, (a, b) in pairs.items()}
  return apart | dict(n=long['n'])
