"""The kernel of one new token against XLA's attention over the same cache."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType

from jaxalign.models import decode_attention, llama2
from jaxalign.models.decode_attention import attend_cache, new_slots
from jaxalign.models.layers import LANES
from jaxalign.rl.sample import Sampling, generate, left_pad, row_keys

BLOCK = 256  # slots that the kernel reads at once
TOLERANCE = {'float32': 2e-6, 'bfloat16': 2e-2}
SEEDS = dict(B=4, G=2, Q=1, S=2 * BLOCK, K=16, dtype='float32', filled=300, window=None)


def case(**changes):
  """(query, caches of three layers, segments of the cache): rows padded by 0, 5, 300, all but 1."""
  it = SEEDS | changes
  B, G, Q, S, K = (it[letter] for letter in 'BGQSK')
  keys = jax.random.split(jax.random.key(0), 3)
  shapes = (B, G * Q, 1, K), (3, B, G, S, K), (3, B, G, S, K)
  q, k, v = (jax.random.normal(key, s, it['dtype']) for key, s in zip(keys, shapes))
  slot_S = jnp.arange(S)
  start_B = jnp.minimum(jnp.array([0, 5, 300, S])[:B], it['filled'])
  segment_BS = ((slot_S >= start_B[:, None]) & (slot_S <= it['filled'])).astype(jnp.int32)
  # What no query may see is poison: were it read into a sum, the answer would be nothing.
  hole = (segment_BS == 0)[None, :, None, :, None]
  return q, *(jnp.where(hole, 1e9, x) for x in (k, v)), segment_BS


def both(q, k, v, segment_BS, filled, window=None, layer=1, own=1):
  slots = new_slots(jnp.full((q.shape[0], 1), own, jnp.int32), segment_BS, jnp.int32(filled))
  return [
    jax.jit(attend_cache, static_argnames=('impl', 'window'))(
      q, k, v, layer, slots, impl=impl, window=window
    )
    for impl in ('splash', 'xla')
  ]


CASES = dict(
  plain={},
  groups=dict(G=2, Q=4),
  narrow=dict(K=80, S=LANES, filled=100),  # Phi-2's heads, a cache of one small block
  odd_blocks=dict(S=3 * LANES, filled=200),  # which large blocks do not divide
  first_of_block=dict(filled=BLOCK),
  last_of_block=dict(filled=BLOCK - 1),
  full=dict(filled=2 * BLOCK - 1),
  bfloat16=dict(dtype='bfloat16'),
  window=dict(window=40),
)


@pytest.mark.parametrize('name', CASES)
def test_the_kernel_sees_what_xla_sees(name):
  it = SEEDS | CASES[name]
  ours, theirs = both(*case(**CASES[name]), it['filled'], it['window'])
  assert ours.dtype == theirs.dtype and ours.shape == theirs.shape
  np.testing.assert_allclose(
    ours.astype('float32'), theirs.astype('float32'), atol=TOLERANCE[it['dtype']], rtol=1e-5
  )


def test_another_slot_changes_the_answer():
  """What the comparison would show, were a mask off by one."""
  given = case()
  ours, _ = both(*given, SEEDS['filled'])
  late, _ = both(*given[:3], given[3].at[:, SEEDS['filled']].set(0), SEEDS['filled'] - 1)
  assert np.abs(ours - late).max() > 0.01


def test_documents_side_by_side_in_a_cache():
  q, k, v, _ = case()
  segment_BS = jnp.where(jnp.arange(2 * BLOCK) < 270, 1, 2) * jnp.ones((4, 1), jnp.int32)
  ours, theirs = both(q, jnp.minimum(k, 1), jnp.minimum(v, 1), segment_BS, 300, own=2)
  np.testing.assert_allclose(ours, theirs, atol=2e-6)


def test_a_layer_that_lies_apart():
  q, k, v, segment_BS = case()
  ours, theirs = both(q, k[1], v[1], segment_BS, 300)
  stacked, _ = both(q, k, v, segment_BS, 300)
  np.testing.assert_allclose(ours, theirs, atol=2e-6)
  np.testing.assert_array_equal(ours, stacked)


def test_heads_and_rows_on_devices():
  given = case(G=4)
  alone, _ = both(*given, 300)
  mesh = jax.make_mesh((2, 1, 4), ('data', 'fsdp', 'tensor'), axis_types=(AxisType.Auto,) * 3)
  with jax.set_mesh(mesh):
    spread, _ = both(*given, 300)
  np.testing.assert_array_equal(alone, spread)


CHOICES = [
  (1, 256, 'splash', True),
  (1, 258, 'splash', False),
  (2, 256, 'splash', False),
  (1, 256, 'xla', False),
  (1, 256, 'auto', False),
]


@pytest.mark.parametrize('queries, slots, impl, kernel', CHOICES)
def test_whole_blocks_and_one_token_are_the_kernels(queries, slots, impl, kernel):
  """On a CPU only where it is asked for."""
  q, k, v, segment_BS = case(S=slots, filled=100)
  seen = new_slots(jnp.ones((4, queries), jnp.int32), segment_BS, jnp.int32(100))
  q = jnp.repeat(q, queries, 2)
  made = jax.make_jaxpr(lambda q, k, v: attend_cache(q, k, v, 1, seen, impl=impl))(q, k, v)
  assert ('pallas_call' in str(made)) is kernel


def test_slots_are_whole_blocks_on_a_tpu_alone(monkeypatch):
  assert decode_attention.slots_of(130) == 130
  monkeypatch.setattr(decode_attention, 'platform', lambda: 'tpu')
  assert [decode_attention.slots_of(n) for n in (1, 128, 130)] == [128, 128, 256]


@pytest.mark.parametrize('kv_heads', [2, 4])
def test_a_model_samples_the_same_through_it(kv_heads):
  """Prompts of three lengths, 100 tokens behind them: the cache's first block fills on the way."""
  cfg = llama2.tiny(eos=(), kv_heads=kv_heads, heads=4)
  ids = [[5, 6, 7], [9] * 60, [3] * 28]
  prompts = (*left_pad(ids, 156), row_keys(ids, 0))
  tokens = []
  for impl in ('xla', 'splash'):
    model = dataclasses.replace(cfg, attention=impl).build(jax.random.key(1))
    tokens.append(generate(model, *prompts, Sampling(slots=100)).tokens_BR)
  np.testing.assert_array_equal(*tokens)
