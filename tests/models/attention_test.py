"""Attention: XLA against a loop, the TPU kernel (interpreted) against XLA, and the choice."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxalign.models import attention
from jaxalign.sharding.meshes import make_mesh
from tests.golden.cases import TOLERANCE

pytestmark = pytest.mark.usefixtures('optimized')


def qkv(B, H, G, T, K, S=None, seed=0):
  draw = np.random.default_rng(seed).standard_normal
  shapes = (B, H, T, K), (B, G, S or T, K), (B, G, S or T, K)
  return [jnp.array(draw(shape), jnp.float32) for shape in shapes]


def loop(q, k, v, sees):
  """One query at a time, in float64; sees(b, t, s) says which keys it may look at."""
  q, k, v = (np.asarray(x, np.float64) for x in (q, k, v))
  out = np.zeros_like(q)
  (B, H, T, K), group = q.shape, q.shape[1] // k.shape[1]
  for b, h, t in np.ndindex(B, H, T):
    keys = [s for s in range(k.shape[2]) if sees(b, t, s)]
    score = np.array([q[b, h, t] @ k[b, h // group, s] for s in keys]) / np.sqrt(K)
    weight = np.exp(score - score.max())
    out[b, h, t] = weight @ v[b, h // group, keys] / weight.sum()
  return out


@pytest.mark.parametrize('H, G', [(4, 4), (4, 2), (4, 1)])
def test_xla_is_the_loop(H, G):
  q, k, v = qkv(2, H, G, 6, 8)
  segment_BT = np.array([[0, 0, 1, 1, 1, 1], [1, 1, 1, 2, 2, 0]], np.int32)

  def sees(b, t, s):
    return s <= t and segment_BT[b, s] == segment_BT[b, t]

  ours = attention.attend(q, k, v, segment_BT=segment_BT, impl='xla')
  np.testing.assert_allclose(ours, loop(q, k, v, sees), atol=1e-5)
  whole = attention.attend(q, k, v, impl='xla')
  np.testing.assert_allclose(whole, loop(q, k, v, lambda b, t, s: s <= t), atol=1e-5)


@pytest.mark.parametrize('T', [attention.LONG, attention.LONG + 3])
@pytest.mark.parametrize('segments', [False, True], ids=['whole', 'segments'])
def test_blocks_of_queries_are_the_whole(T, segments):
  """A CPU leaves out most of what the mask hides; values and gradients are those of all of it."""
  q, k, v = qkv(2, 4, 2, T, 8)
  segment_BT = packed(2, T) if segments else None
  mask_BTS = attention.visible(T, T, segment_BT, segment_BT)
  weight = jnp.sin(jnp.arange(q.size).reshape(q.shape))

  def run(attend):
    total = jax.value_and_grad(lambda *qkv: (weight * attend(*qkv)).sum(), (0, 1, 2))
    return jax.jit(total)(q, k, v)

  with jax.default_matmul_precision('highest'):
    ours = run(lambda *qkv: attention.attend(*qkv, segment_BT=segment_BT))
    whole = run(lambda *qkv: attention._xla(*qkv, mask_BTS))
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=5 * TOLERANCE), ours, whole)


def test_a_cpu_computes_little_of_what_the_mask_hides():
  q, k, v = qkv(1, 4, 4, 256, 16)
  xla = jax.jit(attention._xla, static_argnums=4)
  parts, whole = (
    xla.lower(q, k, v, attention.visible(256, 256), blocks).compile().cost_analysis()['flops']
    for blocks in (attention.BLOCKS, 1)
  )
  assert parts < 0.65 * whole


def test_a_query_in_a_half_filled_cache_is_the_loop():
  q, k, v = qkv(2, 4, 2, 3, 8, S=9)
  slots_BS = np.array([[0, 0, 1, 1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1, 1, 0, 0]], np.int32)
  filled = 4  # before these three
  ours = attention.attend(
    q, k, v, segment_BT=np.ones((2, 3), np.int32), segment_BS=slots_BS, filled=jnp.int32(filled)
  )

  def sees(b, t, s):
    return s <= filled + t and slots_BS[b, s] == 1

  np.testing.assert_allclose(ours, loop(q, k, v, sees), atol=1e-5)


def test_a_padding_query_yields_numbers():
  """A row of padding looks at padding only; its output is unused, but NaN would spread."""
  q, k, v = qkv(1, 2, 2, 4, 8)
  segment_BT = jnp.zeros((1, 4), jnp.int32)
  slope = jax.grad(lambda q: attention.attend(q, k, v, segment_BT=segment_BT).sum())(q)
  assert jnp.isfinite(slope).all()


def packed(B, T):
  """Left padding in even rows, packed documents in odd ones."""
  at = np.arange(T)
  rows = [(at >= T // 4) if b % 2 == 0 else 1 + at // (T // 3) for b in range(B)]
  return jnp.array(np.array(rows), jnp.int32)


def both(q, k, v, segment_BT, mesh=None):
  """Values and gradients of the kernel and of XLA, everything jitted."""

  def run(impl, q, k, v):
    weight = jnp.sin(jnp.arange(q.size).reshape(q.shape))
    out = attention.attend(q, k, v, segment_BT=segment_BT, impl=impl)
    return (out * weight).sum(), out

  def graded(impl):
    return jax.jit(jax.value_and_grad(lambda *qkv: run(impl, *qkv), (0, 1, 2), has_aux=True))

  with jax.default_matmul_precision('highest'):
    xla = graded('xla')(q, k, v)
    if mesh is None:
      return graded('splash')(q, k, v), xla
    with jax.set_mesh(mesh):
      return graded('splash')(q, k, v), xla


def test_what_is_kept_of_q_is_what_the_kernel_reads():
  """Scaled: if it were scaled after that, each layer would write it twice."""
  q, k, v = qkv(1, 1, 1, attention.LANES, 128)
  total = lambda q: attention.attend(jnp.sin(q), k, v, impl='splash').sum()
  policy = jax.checkpoint_policies.save_only_these_names('q')
  _, back = jax.vjp(jax.checkpoint(total, policy=policy), q)
  kept = [x for x in jax.tree.leaves(back) if x.shape == q.shape]
  same = lambda wanted: [x for x in kept if np.allclose(x, wanted, atol=1e-6)]
  assert same(jnp.sin(q) * 128**-0.5) and not same(jnp.sin(q))


def check_same(splash, xla, segment_BT):
  """Padding queries may differ: nothing reads them."""
  (_, out), grads = splash
  (_, expected), expected_grads = xla
  np.testing.assert_allclose(out, expected, atol=TOLERANCE)
  for ours, theirs in zip(grads, expected_grads):
    assert np.abs(theirs).max() > 0.1
    np.testing.assert_allclose(ours, theirs, atol=5 * TOLERANCE)  # sums of up to T x 2 terms


SHAPES = [  # B, H, G, T, K
  (1, 2, 2, 128, 128),  # Llama's head
  (1, 2, 1, 128, 80),  # Phi's
  (2, 4, 2, 256, 16),  # several blocks of a small one
]


@pytest.mark.parametrize('shape', SHAPES, ids=str)
@pytest.mark.parametrize('segments', [False, True], ids=['whole', 'segments'])
def test_splash_is_xla(shape, segments):
  segment_BT = packed(shape[0], shape[3]) if segments else None
  q, k, v = qkv(*shape)
  assert attention.choose('splash', q, k, cached=False) == 'splash'
  splash, xla = both(q, k, v, segment_BT)
  check_same(splash, xla, segment_BT)


@pytest.mark.parametrize('heads', [(4, 2), (4, 1)], ids=['split', 'repeated'])
@pytest.mark.parametrize('segments', [False, True], ids=['whole', 'segments'])
def test_splash_on_a_mesh_is_xla(heads, segments):
  """With one key head a tensor axis of 2 cannot split it, and it is repeated."""
  segment_BT = packed(4, 128) if segments else None
  q, k, v = qkv(4, *heads, 128, 16)
  splash, xla = both(q, k, v, segment_BT, make_mesh(2, 2, 2))
  check_same(splash, xla, segment_BT)


BF16, FP16, FP32 = jnp.bfloat16, jnp.float16, jnp.float32
CHOICES = [  # impl, platform, dtype, T, K, cached, chosen
  ('auto', 'tpu', BF16, 256, 128, False, 'splash'),
  ('auto', 'tpu', FP32, 256, 80, False, 'splash'),
  ('auto', 'tpu', BF16, 200, 128, False, 'xla'),  # no tile fits
  ('auto', 'tpu', BF16, 256, 128, True, 'xla'),
  ('auto', 'gpu', BF16, 200, 128, False, 'cudnn'),
  ('auto', 'cuda', FP16, 200, 80, False, 'cudnn'),
  ('auto', 'gpu', FP32, 256, 128, False, 'xla'),
  ('auto', 'gpu', BF16, 199, 128, False, 'xla'),  # odd
  ('auto', 'gpu', BF16, 256, 60, False, 'xla'),  # not a multiple of 8
  ('auto', 'gpu', BF16, 256, 136, False, 'xla'),  # too wide
  ('auto', 'gpu', BF16, 1, 128, True, 'xla'),
  ('auto', 'cpu', BF16, 256, 128, False, 'xla'),
  ('xla', 'tpu', BF16, 256, 128, False, 'xla'),
  ('xla', 'gpu', BF16, 256, 128, False, 'xla'),
  ('splash', 'cpu', FP32, 256, 128, False, 'splash'),
  ('splash', 'tpu', FP32, 130, 128, False, 'xla'),
  ('cudnn', 'cpu', BF16, 256, 64, False, 'cudnn'),
  ('cudnn', 'gpu', FP32, 256, 64, False, 'xla'),
  ('cudnn_packed', 'gpu', BF16, 256, 64, False, 'cudnn_packed'),
  ('cudnn_packed', 'gpu', BF16, 1, 64, True, 'xla'),
]


@pytest.mark.parametrize('impl, platform, dtype, T, K, cached, chosen', CHOICES)
def test_choose(impl, platform, dtype, T, K, cached, chosen):
  q, k = (jax.ShapeDtypeStruct((1, heads, T, K), dtype) for heads in (4, 2))
  assert attention.choose(impl, q, k, cached, platform) == chosen


def test_auto_takes_the_platform_that_runs():
  q, k, _ = qkv(1, 2, 2, 128, 16)
  assert attention.choose('auto', q, k, cached=False) == 'xla'  # these tests run on CPU


@pytest.mark.parametrize('segments', [False, True], ids=['whole', 'segments'])
def test_what_cudnn_is_told_is_what_xla_computes(segments, monkeypatch):
  """Its kernel is not here: what it is asked for is, and another implementation answers that."""
  given = jax.nn.dot_product_attention
  asked = []

  def by_xla(*arrays, implementation, **how):
    asked.append((implementation, how['is_causal']))
    return given(*arrays, implementation='xla', **how)

  monkeypatch.setattr(jax.nn, 'dot_product_attention', by_xla)
  segment_BT = packed(2, 128) if segments else None
  q, k, v = (x.astype(BF16) for x in qkv(2, 4, 2, 128, 16))
  ours = attention.attend(q, k, v, segment_BT=segment_BT, impl='cudnn')
  xla = attention.attend(q, k, v, segment_BT=segment_BT, impl='xla')
  assert asked == [('cudnn', True)] and ours.dtype == BF16
  np.testing.assert_allclose(ours.astype(FP32), xla.astype(FP32), atol=0.02)
