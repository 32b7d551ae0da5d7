"""cuDNN's attention, on NVIDIA GPUs: causal, and within segments by a mask or by where they lie.

A mask of [T,T] is read by every head and hides nothing from the kernel, which computes all of the
lower half. Told where each document begins and how long it is, it computes documents alone. For
that there is no public call (jax.nn.dot_product_attention takes one length a row), and none that
has run here: `auto` goes by the mask until benchmarks/gpu has compared the two on a card.
"""

import functools
import typing

import jax
import jax.numpy as jnp

# Documents in a row, padding counted as one, that are told by their places. The kernel's gradient
# takes memory for each, used or not: rows x heads x T x K float32, 258 MiB in 8 rows of Llama-2-7B,
# with grouped keys twice as much.
_DOCUMENTS = 8


class _Places(typing.NamedTuple):
  """Runs of equal segment ids in each row: padding too, so that every slot is of one."""

  begin_BM: jax.Array  # int32: the slot where a run begins; -1: there are fewer
  length_BM: jax.Array  # int32: its slots; -1 likewise
  whole: jax.Array  # bool: every row is one run
  told: jax.Array  # bool: these runs say all: no row has more, and no document lies in pieces


def places(segment_BT: jax.Array, most: int = _DOCUMENTS) -> _Places:
  """Where up to `most` runs of each row lie."""
  T = segment_BT.shape[1]
  new_BT = jnp.diff(segment_BT, axis=1, prepend=segment_BT[:, :1] - 1) != 0
  run_BT = jnp.cumsum(new_BT, 1) - 1
  count_B = run_BT[:, -1] + 1
  here_BMT = run_BT[:, None] == jnp.arange(most)[:, None]
  length_BM = here_BMT.sum(-1, dtype=jnp.int32)
  begin_BM = jnp.argmax(here_BMT, -1).astype(jnp.int32)
  there_BM = length_BM > 0
  id_BM = jnp.take_along_axis(segment_BT, jnp.minimum(begin_BM, T - 1), 1)
  again_BMM = (id_BM[:, None] == id_BM[:, :, None]) & jnp.tri(most, k=-1, dtype=bool)
  pieces_B = (again_BMM & (there_BM & (id_BM != 0))[:, :, None]).any((1, 2))
  return _Places(
    begin_BM=jnp.where(there_BM, begin_BM, -1),
    length_BM=jnp.where(there_BM, length_BM, -1),
    whole=(count_B == 1).all(),
    told=((count_B <= most) & ~pieces_B).all(),
  )


def masked(
  q_BHTK: jax.Array, k_BGTK: jax.Array, v_BGTK: jax.Array, segment_BT: jax.Array | None = None
) -> jax.Array:
  """Causal by its own flag, so that the kernel leaves out the upper half; a mask for segments."""
  mask_B1TT = None
  if segment_BT is not None:
    mask_B1TT = (segment_BT[:, :, None] == segment_BT[:, None, :])[:, None]
  q_BTHK, k_BTGK, v_BTGK = (x.swapaxes(1, 2) for x in (q_BHTK, k_BGTK, v_BGTK))
  out_BTHK = jax.nn.dot_product_attention(
    q_BTHK, k_BTGK, v_BTGK, mask=mask_B1TT, is_causal=True, implementation='cudnn'
  )
  return out_BTHK.swapaxes(1, 2)


def packed(
  q_BHTK: jax.Array,
  k_BGTK: jax.Array,
  v_BGTK: jax.Array,
  segment_BT: jax.Array,
  most: int = _DOCUMENTS,
) -> jax.Array:
  """The same by places: where each row is one document, by the causal flag alone; where a row has
  more than `most`, or one lies in pieces, by the mask. Which is decided as it runs."""
  if not _can_place(q_BHTK, k_BGTK):
    return masked(q_BHTK, k_BGTK, v_BGTK, segment_BT)
  found = places(segment_BT, most)
  ways = (
    masked,
    functools.partial(_by_places, found),
    functools.partial(masked, segment_BT=segment_BT),
  )
  way = jnp.where(found.whole, 0, jnp.where(found.told, 1, 2))
  return jax.lax.switch(way, ways, q_BHTK, k_BGTK, v_BGTK)


def _can_place(q_BHTK, k_BGTK):
  """Whether kernel and jax know packed rows: on one device, from Hopper on, in 32-bit offsets;
  before 0.11.2 jax counted those of grouped keys by the heads of queries."""
  mesh = jax.sharding.get_abstract_mesh()
  grouped = q_BHTK.shape[1] != k_BGTK.shape[1]
  # A device that is not there, for which a program is compiled, is taken for one that can.
  capability = float(getattr(jax.devices()[0], 'compute_capability', 9.0))
  return (
    (mesh.empty or mesh.size == 1)
    and capability >= 9
    and q_BHTK.size < 2**31
    and not (grouped and jax.__version_info__ < (0, 11, 2))
  )


def _by_places(found, q_BHTK, k_BGTK, v_BGTK):
  from jax._src.cudnn import fused_attention_stablehlo as fused  # private: only who asks needs it

  begin_BN = jnp.pad(found.begin_BM, [(0, 0), (0, 1)], constant_values=-1)  # as many as ends
  out_BTHK = fused.dot_product_attention(
    *(x.swapaxes(1, 2) for x in (q_BHTK, k_BGTK, v_BGTK)),
    q_seqlen=found.length_BM,
    kv_seqlen=found.length_BM,
    q_offsets=begin_BN,
    kv_offsets=begin_BN,
    scale=q_BHTK.shape[3] ** -0.5,
    mask_type=fused.MaskType.PADDING_CAUSAL,
  )
  return out_BTHK.swapaxes(1, 2)
