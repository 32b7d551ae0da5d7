"""Attention on the card: packed rows compared with XLA's first, then each way timed.

Equality before speed: cuDNN's results by mask and by places must be XLA's, values and gradients,
on rows with padding, one document, and more documents than are told.
"""

import functools

import jax
import jax.numpy as jnp

from benchmarks.gpu import work
from benchmarks.gpu.report import timed
from jaxalign.models import attention, cudnn

ALLOWED = 0.05  # of values and gradients near 1, in bfloat16


def measure(report, sizes, models) -> str:
  """The attention that training is timed with beside `auto`: by places, where they were right."""
  cfg = next(iter(models.values()))
  here = jax.default_backend() == 'gpu'
  if here:
    right = [compare(report, cfg, name, row) for name, row in hard_rows(sizes.length).items()]
  time_ways(report, cfg, sizes, here)
  return 'cudnn_packed' if here and all(right) else 'auto'


def hard_rows(T):
  """{what is hard about it: segments [3,T]}."""
  at = jnp.arange(T)
  many = at // (T // 32) + 1  # more documents than are told: by mask
  four = at * 4 // T + 1
  padded = jnp.where((at < T // 8) | (at > T - T // 8), 0, four)
  hole = jnp.where((at > T // 3) & (at < T // 2), 0, jnp.where(at < T // 3, 1, 2))
  ragged = jnp.searchsorted(jnp.array([1, 7, T // 3 + 1, T - 3]), at, side='right') + 1
  rows = dict(
    one=[at * 0 + 1] * 3, told=[padded, hole, ragged], many=[many, four, hole]
  )  # fmt: skip
  return {name: jnp.stack(some).astype(jnp.int32) for name, some in rows.items()}


def compare(report, cfg, name, segment_BT):
  """Whether both of cuDNN's ways agree with XLA where nothing is padding."""
  B, T = segment_BT.shape
  q, k, v = arrays(B, T, cfg.heads, cfg.kv_heads, cfg.head_size)
  seen = (segment_BT != 0)[:, None, :, None]
  weight = jax.random.normal(jax.random.key(9), q.shape, q.dtype) * seen

  def run(impl):
    def total(q, k, v):
      out = attention.attend(q, k, v, segment_BT=segment_BT, impl=impl)
      return (out * weight).astype(jnp.float32).sum(), out * seen

    return jax.jit(jax.grad(total, (0, 1, 2), has_aux=True))(q, k, v)

  expected, worst = run('xla'), {}
  for impl in ('cudnn', 'cudnn_packed'):
    off = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), run(impl), expected)
    worst[impl] = max(jax.tree.leaves(off))
  right = all(0 <= value < ALLOWED for value in worst.values())  # nan is none of these
  report.row(f'attention equal: {name}', right=right, allowed=ALLOWED, **worst)
  return right


def arrays(B, T, H, G, K):
  shapes = (B, H, T, K), (B, G, T, K), (B, G, T, K)
  return tuple(
    jax.random.normal(jax.random.key(n), shape, jnp.bfloat16) for n, shape in enumerate(shapes)
  )


def time_ways(report, cfg, sizes, here):
  """One layer's kernel, forwards and backwards; TFLOP/s as if all of the lower half were work."""
  B, T = sizes.rows, sizes.length
  q, k, v = arrays(B, T, cfg.heads, cfg.kv_heads, cfg.head_size)
  segment_BT = work.packed(B, T, 9)[1]
  flops = 7 * B * cfg.heads * T * T * cfg.head_size  # 2 products forward, 5 backward, half hidden
  attend = functools.partial(attention.attend, impl='auto')
  ways = {
    'causal': attend,
    'packed': functools.partial(attend, segment_BT=segment_BT),
    'packed, xla': functools.partial(attend, segment_BT=segment_BT, impl='xla'),
  }
  for most in sizes.documents if here else ():
    how = dict(segment_BT=segment_BT, most=most)
    ways[f'packed, {most} places'] = functools.partial(cudnn.packed, **how)
  if here:
    whole = jnp.ones_like(segment_BT)
    ways['packed, one each'] = functools.partial(cudnn.packed, segment_BT=whole)
  causal = None
  for name, way in ways.items():
    both = jax.jit(jax.grad(lambda q, k, v, way=way: way(q, k, v).sum(), (0, 1, 2)))
    took = timed(lambda both=both: both(q, k, v), sizes.seconds / 4)
    causal = causal or took['seconds']
    rate = dict(tflops=flops / took['seconds'] / 1e12, of_causal=causal / took['seconds'])
    report.row(f'attention {name}', **rate, **took)
