"""Attention of one new token over a cache; on a TPU a kernel of its own.

A step of sampling reads every key and value once and multiplies each by one query. XLA does that
with vectors, four times slower than the memory delivers. The kernel multiplies blocks of slots by
the matrix unit, takes them from the cache where it lies, and reads only those that hold something.
"""

import functools
from typing import Any

import flax
import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu
from jax.sharding import PartitionSpec

from jaxalign.models.attention import attend
from jaxalign.models.layers import LANES, exact
from jaxalign.sharding.alphabet import spec
from jaxalign.sharding.meshes import platform

_BLOCK = 2 * LANES  # slots that are read at once, where they go evenly into a cache
_HEAVY = 32  # key heads x bytes of an entry; above it blocks are halved, or two would not fit VMEM
_HIDDEN = -1e30  # the logit of a slot that is not seen


class _Slots(flax.struct.PyTreeNode):
  """Where new tokens stand in a cache and what they may see there: the same for all layers."""

  segment_BT: jax.Array  # of the new tokens
  segment_BS: jax.Array  # of the cache, the new tokens among it
  filled: jax.Array  # int32: the slot of the first new token
  live_B1S: jax.Array  # int32: 1 where a slot is of the first new token's own segment
  first_B: jax.Array  # int32: the first of these


def new_slots(segment_BT: jax.Array, segment_BS: jax.Array, filled: jax.Array) -> _Slots:
  """Where new tokens stand, looked at once before the layers are."""
  live_BS = (segment_BS == segment_BT[:, :1]).astype(jnp.int32)
  return _Slots(segment_BT, segment_BS, filled, live_BS[:, None], jnp.argmax(live_BS, 1))


def attend_cache(
  q_BHTK: jax.Array,
  k_NBGSK: jax.Array,
  v_NBGSK: jax.Array,
  layer: jax.Array | int,
  slots: _Slots,
  window: int | None = None,
  impl: str = 'auto',
) -> jax.Array:
  """[B,H,T,K]: what new tokens see of a layer's cache, in which they already are.

  The cache is one array of all layers, or this layer's alone ([B,G,S,K]).
  """
  if _by_kernel(impl, q_BHTK, k_NBGSK):
    return _kernel(q_BHTK, k_NBGSK, v_NBGSK, layer, slots, window)
  if k_NBGSK.ndim == 5:
    of_layer = functools.partial(jax.lax.dynamic_index_in_dim, index=layer, keepdims=False)
    k_NBGSK, v_NBGSK = of_layer(k_NBGSK), of_layer(v_NBGSK)
  where = dict(segment_BT=slots.segment_BT, segment_BS=slots.segment_BS, filled=slots.filled)
  return attend(q_BHTK, k_NBGSK, v_NBGSK, window=window, impl=impl, **where)


def slots_of(slots: int) -> int:
  """Slots of a cache in which tokens are written one by one, so many at least: on a TPU whole
  blocks, which the kernel reads. A cache that is only read, or laid into another, has its own."""
  return -(-slots // LANES) * LANES if platform() == 'tpu' else slots


def _by_kernel(impl, q_BHTK, k_NBGSK):
  wanted = impl == 'splash' or (impl == 'auto' and platform() == 'tpu')
  return wanted and q_BHTK.shape[2] == 1 and k_NBGSK.shape[-2] % LANES == 0


def _kernel(q_BHTK, k_NBGSK, v_NBGSK, layer, slots, window):
  """The kernel on each device's own rows and heads; interpreted where there is no TPU."""
  if k_NBGSK.ndim == 4:
    k_NBGSK, v_NBGSK, layer = k_NBGSK[None], v_NBGSK[None], 0
  (B, _, _, K), G = q_BHTK.shape, k_NBGSK.shape[2]
  rows = q_BHTK.reshape(B, G, -1, K), k_NBGSK, v_NBGSK, slots.live_B1S, slots.first_B
  numbers = (jnp.asarray(n, jnp.int32).reshape(1) for n in (layer, slots.filled))
  local = functools.partial(_on_device, window)
  mesh = jax.sharding.get_abstract_mesh()
  if not mesh.empty:
    letters = 'BGQK', 'NBGSK', 'NBGSK', 'B-S', 'B'
    homes = tuple(spec(axes, x.shape, mesh) for axes, x in zip(letters, rows))
    specs = dict(in_specs=(*homes, *[PartitionSpec()] * 2), out_specs=homes[0])
    local = jax.shard_map(local, mesh=mesh, check_vma=False, **specs)
  return local(*rows, *numbers).reshape(q_BHTK.shape)


def _on_device(window, q_BGQK, k_NBGSK, v_NBGSK, live_B1S, first_B, layer, filled):
  (B, G, Q, K), S = q_BGQK.shape, live_B1S.shape[2]
  heavy = G * q_BGQK.dtype.itemsize > _HEAVY
  block = LANES if heavy or S % _BLOCK else _BLOCK

  def slots(b, s, first_B, filled):
    """The block of slots to be read; none before a row's first or behind its last is."""
    return jnp.clip(s, jax.lax.div(first_B[b], block), jax.lax.div(filled[0], block))

  def of_cache(b, s, layer, filled, first_B):
    return layer[0], b, 0, slots(b, s, first_B, filled), 0

  def of_live(b, s, layer, filled, first_B):
    return b, 0, slots(b, s, first_B, filled)

  row = pl.BlockSpec((1, G, Q, K), lambda b, s, *_: (b, 0, 0, 0))
  cache = pl.BlockSpec((1, 1, G, block, K), of_cache)
  sums = [pltpu.VMEM((G, Q, n), jnp.float32) for n in (LANES, LANES, K)]
  call = pl.pallas_call(
    functools.partial(_block, block, window, K**-0.5),
    grid_spec=pltpu.PrefetchScalarGridSpec(
      num_scalar_prefetch=3,
      grid=(B, S // block),
      in_specs=[row, cache, cache, pl.BlockSpec((1, 1, block), of_live)],
      out_specs=row,
      scratch_shapes=sums,
    ),
    out_shape=jax.ShapeDtypeStruct(q_BGQK.shape, q_BGQK.dtype),
    interpret=platform() == 'cpu',
    name='decode_attention',
  )
  return call(layer, filled, first_B, q_BGQK, k_NBGSK, v_NBGSK, live_B1S)


def _block(
  block: int,
  window: int | None,
  scale: float,
  layer: Any,
  filled: Any,
  first_B: Any,
  q: Any,
  k: Any,
  v: Any,
  live: Any,
  out: Any,
  most_GQ: Any,
  sum_GQ: Any,
  mean_GQK: Any,
) -> None:
  """One block of a row's slots, taken into the softmax over all of them as it stands so far."""
  b, s = pl.program_id(0), pl.program_id(1)

  @pl.when(s == 0)
  def _():
    most_GQ[...] = jnp.full(most_GQ.shape, _HIDDEN, jnp.float32)
    sum_GQ[...] = jnp.zeros(sum_GQ.shape, jnp.float32)
    mean_GQK[...] = jnp.zeros(mean_GQK.shape, jnp.float32)

  first, last = jax.lax.div(first_B[b], block), jax.lax.div(filled[0], block)

  @pl.when((s >= first) & (s <= last))
  def _():
    how = dict(precision=exact(k), preferred_element_type=jnp.float32)
    logits_GQS = scale * jnp.einsum('GQK,GSK->GQS', q[0], k[0, 0], **how)
    slot_1S = s * block + jax.lax.broadcasted_iota(jnp.int32, (1, block), 1)
    seen_1S = (slot_1S <= filled[0]) & (live[0] != 0)
    if window is not None:
      seen_1S &= slot_1S > filled[0] - window
    logits_GQS = jnp.where(seen_1S[None], logits_GQS, _HIDDEN)
    before_GQ = most_GQ[...]
    most_GQ[...] = jnp.maximum(before_GQ, logits_GQS.max(-1, keepdims=True))
    share_GQS = jnp.exp(logits_GQS - most_GQ[..., :1])
    fade_GQ = jnp.exp(before_GQ - most_GQ[...])
    sum_GQ[...] = fade_GQ * sum_GQ[...] + share_GQS.sum(-1, keepdims=True)
    new_GQK = jnp.einsum('GQS,GSK->GQK', share_GQS.astype(v.dtype), v[0, 0], **how)
    mean_GQK[...] = fade_GQ[..., :1] * mean_GQK[...] + new_GQK

  @pl.when(s == pl.num_programs(1) - 1)
  def _():
    out[0] = (mean_GQK[...] / sum_GQ[..., :1]).astype(out.dtype)
