"""What jaxalign does on the card: a process of its own, which ends before the peer's begins."""

import argparse
import os
import pathlib
import sys
import time

os.environ.setdefault('XLA_PYTHON_CLIENT_MEM_FRACTION', '.94')  # before jax: the GPU is ours alone

import jax
import jax.numpy as jnp

from benchmarks.gpu import attending, playing, sampling, training, work
from benchmarks.gpu.report import Report, refuse_no_gpu, shrinking, timed
from jaxalign.sharding.meshes import make_mesh


def main(argv=None):
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--out', type=pathlib.Path, required=True)
  parser.add_argument('--seconds', type=float, default=1e9)
  parser.add_argument('--parts', required=True)
  parser.add_argument('--label', default='', help='what is named behind each figure')
  parser.add_argument('--tiny', action='store_true')
  args = parser.parse_args(argv)
  refuse_no_gpu(args.tiny)
  sizes, models = work.of(args.tiny)
  report = Report(args.out, time.monotonic() + args.seconds)
  wanted = args.parts.split(',')
  with jax.set_mesh(make_mesh(1, 1, 1, devices=jax.devices()[:1])):
    card = measure_card(report, sizes)  # always: the rest is measured against it
    run(report, wanted, models, sizes, card, args.label)
  return 0


def run(report, wanted, models, sizes, card, label):
  packed = 'auto'
  if 'attention' in wanted:
    packed = attending.measure(report, sizes, models)
  for name, cfg in models.items():
    if 'train' in wanted:
      training.measure(report, name, cfg, sizes, card, packed)
    if 'decode' in wanted:
      given = name, cfg, sizes, card, label
      shrinking(report, f'decode {name}{label}', sizes.batch, sampling.measure, *given)
  if 'ppo' in wanted:
    name, cfg = list(models.items())[-1]  # the one whose four players fit on one card
    shrinking(report, f'ppo {name}', sizes.batch, playing.measure, name, cfg, sizes, card)


def measure_card(report, sizes):
  """Its own rates: FLOPs a second of a bf16 product, bytes a second of a copy, both ways."""
  n = sizes.product
  a = jnp.ones((n, n), jnp.bfloat16)
  loop = jax.jit(lambda a: jax.lax.fori_loop(0, 8, lambda _, x: (x @ a) * (1 / n), a))
  product = timed(lambda: loop(a), sizes.seconds)
  report.row('card matmul', tflops=8 * 2 * n**3 / product['seconds'] / 1e12, **product)
  big = jnp.ones(sizes.copy // 4, jnp.float32)
  turned = jax.jit(jnp.negative)
  copy = timed(lambda: turned(big), sizes.seconds)
  report.row('card copy', gbs=2 * big.nbytes / copy['seconds'] / 1e9, **copy)
  return dict(flops=8 * 2 * n**3 / product['seconds'], bandwidth=2 * big.nbytes / copy['seconds'])


if __name__ == '__main__':
  sys.exit(main())
