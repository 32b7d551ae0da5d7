"""Causal attention within segments, behind one signature and the kernels of three platforms.

A query sees a key when the key's slot is not after its own and both carry the same segment id. That
one rule covers packed documents, left padding (segment 0 is padding) and a half-filled cache.
"""

import functools

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_kernel as splash
from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_mask as splash_mask

from jaxalign.models import cudnn
from jaxalign.models.layers import LANES, exact
from jaxalign.sharding.alphabet import spec
from jaxalign.sharding.meshes import platform

BLOCKS, LONG = 4, 128  # of queries, on a CPU; sequences below LONG are not cut


def attend(
  q_BHTK: jax.Array,
  k_BGSK: jax.Array,
  v_BGSK: jax.Array,
  *,
  segment_BT: jax.Array | None = None,
  segment_BS: jax.Array | None = None,
  filled: jax.Array | None = None,
  window: int | None = None,
  impl: str = 'auto',
) -> jax.Array:
  """Grouped-query attention, [B,H,T,K] in and out. Query t stands in slot `filled` + t.

  window: a query sees so many slots, its own the last; None: all before it.
  impl: 'xla', 'cudnn' (NVIDIA), 'cudnn_packed' (the same, told where documents lie) or 'splash'
  (TPU); 'auto' takes the platform's own. A kernel serves where it can (whole sequences, its dtypes
  and sizes); XLA serves the rest: decoding, short ones.
  """
  if filled is None:
    segment_BS = segment_BT
  window = None if window is None or window >= k_BGSK.shape[2] else window  # it hides nothing
  kernel = choose(impl, q_BHTK, k_BGSK, cached=filled is not None, window=window)
  if kernel == 'splash':  # reads q scaled; scaled after it is kept, it would be written twice
    q_BHTK *= q_BHTK.shape[3] ** -0.5
  if filled is None:
    q_BHTK, k_BGSK, v_BGSK = map(checkpoint_name, (q_BHTK, k_BGSK, v_BGSK), 'qkv')
  if kernel == 'splash':
    return _splash(q_BHTK, k_BGSK, v_BGSK, segment_BT, window)
  if kernel == 'cudnn_packed' and segment_BT is not None:
    return cudnn.packed(q_BHTK, k_BGSK, v_BGSK, segment_BT)
  if kernel.startswith('cudnn'):
    return cudnn.masked(q_BHTK, k_BGSK, v_BGSK, segment_BT)
  mask_BTS = visible(q_BHTK.shape[2], k_BGSK.shape[2], segment_BT, segment_BS, filled, window)
  blocks = BLOCKS if filled is None and platform() == 'cpu' else 1
  return _xla(q_BHTK, k_BGSK, v_BGSK, mask_BTS, blocks)


def choose(
  impl: str,
  q_BHTK: jax.Array,
  k_BGSK: jax.Array,
  cached: bool,
  where: str | None = None,
  window: int | None = None,
) -> str:
  """The kernel that will run: a static choice, from shapes, dtypes and the platform alone."""
  T, K = q_BHTK.shape[2:]
  if impl == 'auto':
    own = {'tpu': 'splash', 'gpu': 'cudnn', 'cuda': 'cudnn'}
    impl = own.get(where or platform(), 'xla')
  if impl == 'splash' and (cached or T % LANES):
    return 'xla'
  half = q_BHTK.dtype in (jnp.bfloat16, jnp.float16)
  odd = T % 2 == 1  # with a mask, cuDNN has no gradient
  if impl.startswith('cudnn') and (cached or window or odd or not half or K % 8 or K > 128):
    return 'xla'
  return impl


def visible(
  T: int,
  S: int,
  segment_BT: jax.Array | None = None,
  segment_BS: jax.Array | None = None,
  filled: jax.Array | None = None,
  window: int | None = None,
) -> jax.Array:
  """mask_BTS (B = 1 without segments): which keys each query may look at."""
  slot_T = jnp.arange(T) + (0 if filled is None else filled)
  mask_BTS = (jnp.arange(S) <= slot_T[:, None])[None]
  if window is not None:
    mask_BTS &= jnp.arange(S) > slot_T[:, None] - window
  if segment_BT is not None and segment_BS is not None:
    mask_BTS &= segment_BT[:, :, None] == segment_BS[:, None, :]
  return mask_BTS


def _xla(q_BHTK, k_BGSK, v_BGSK, mask_BTS, blocks=1):
  """XLA's attention; with `blocks` of queries, none looks at keys behind its own last query."""
  B, H, T, K = q_BHTK.shape
  G = k_BGSK.shape[1]
  q_BGQTK = q_BHTK.reshape(B, G, H // G, T, K)
  if blocks == 1 or T < LONG:
    return _core(q_BGQTK, k_BGSK, v_BGSK, mask_BTS).reshape(B, H, T, K)
  size, parts = -(-T // blocks), []
  for at in range(0, T, size):
    end = min(at + size, T)
    seen = k_BGSK[:, :, :end], v_BGSK[:, :, :end], mask_BTS[:, at:end, :end]
    parts.append(_core(q_BGQTK[..., at:end, :], *seen))
  return jnp.concatenate(parts, 3).reshape(B, H, T, K)


@jax.custom_vjp
def _core(q_BGQTK, k_BGSK, v_BGSK, mask_BTS):
  """Its gradient is written out, to keep one array of [T,S] where autodiff keeps four."""
  return _core_forward(q_BGQTK, k_BGSK, v_BGSK, mask_BTS)[0]


def _core_forward(q_BGQTK, k_BGSK, v_BGSK, mask_BTS):
  how = dict(precision=exact(q_BGQTK))
  wide = dict(how, preferred_element_type=jnp.float32)
  logits_BGQTS = jnp.einsum('BGQTK,BGSK->BGQTS', q_BGQTK, k_BGSK, **wide)
  logits_BGQTS *= q_BGQTK.shape[-1] ** -0.5
  logits_BGQTS = jnp.where(mask_BTS[:, None, None], logits_BGQTS, -1e30)
  weights_BGQTS = jax.nn.softmax(logits_BGQTS, -1).astype(v_BGSK.dtype)
  out_BGQTK = jnp.einsum('BGQTS,BGSK->BGQTK', weights_BGQTS, v_BGSK, **how)
  return out_BGQTK, (q_BGQTK, k_BGSK, v_BGSK, weights_BGQTS, out_BGQTK)


def _core_backward(saved, dout_BGQTK):
  """A masked key has weight 0, and so gradient 0: every query sees at least its own slot."""
  q_BGQTK, k_BGSK, v_BGSK, weights_BGQTS, out_BGQTK = saved
  how = dict(precision=exact(q_BGQTK))
  wide = dict(how, preferred_element_type=jnp.float32)
  mean_BGQT = jnp.einsum('BGQTK,BGQTK->BGQT', dout_BGQTK, out_BGQTK, **wide)
  dweights_BGQTS = jnp.einsum('BGQTK,BGSK->BGQTS', dout_BGQTK, v_BGSK, **wide)
  dlogits_BGQTS = weights_BGQTS.astype(jnp.float32) * (dweights_BGQTS - mean_BGQT[..., None])
  dlogits_BGQTS = (dlogits_BGQTS * q_BGQTK.shape[-1] ** -0.5).astype(q_BGQTK.dtype)
  dq_BGQTK = jnp.einsum('BGQTS,BGSK->BGQTK', dlogits_BGQTS, k_BGSK, **how)
  dk_BGSK = jnp.einsum('BGQTS,BGQTK->BGSK', dlogits_BGQTS, q_BGQTK, **how)
  dv_BGSK = jnp.einsum('BGQTS,BGQTK->BGSK', weights_BGQTS, dout_BGQTK, **how)
  return dq_BGQTK, dk_BGSK, dv_BGSK, None


_core.defvjp(_core_forward, _core_backward)


def _splash(q_BHTK, k_BGTK, v_BGTK, segment_BT, window):
  """The TPU kernel on each device's own rows and heads; interpreted where there is no TPU."""
  mesh = jax.sharding.get_abstract_mesh()
  if mesh.empty:
    return _splash_local(window, q_BHTK, k_BGTK, v_BGTK, segment_BT)
  if spec('G', k_BGTK.shape[1:], mesh) != spec('H', q_BHTK.shape[1:], mesh):
    # Too few key heads to split: one for each query head.
    repeat = q_BHTK.shape[1] // k_BGTK.shape[1]
    k_BGTK, v_BGTK = (jnp.repeat(x, repeat, axis=1) for x in (k_BGTK, v_BGTK))
  given = dict(BHTK=q_BHTK, BGTK=k_BGTK, BGSK=v_BGTK)
  given |= {} if segment_BT is None else dict(BT=segment_BT)
  where = tuple(spec(letters, x.shape, mesh) for letters, x in given.items())
  local = jax.shard_map(
    functools.partial(_splash_local, window),
    mesh=mesh,
    in_specs=where,
    out_specs=where[0],
    check_vma=False,
  )
  return local(*given.values())


def _splash_local(window, q_BHTK, k_BGTK, v_BGTK, segment_BT=None):
  kernel = _splash_kernel(q_BHTK.shape[1], q_BHTK.shape[2], window, platform() == 'cpu')
  if segment_BT is None:
    return jax.vmap(kernel)(q_BHTK, k_BGTK, v_BGTK)
  ids = splash.SegmentIds(q=segment_BT, kv=segment_BT)
  return jax.vmap(kernel)(q_BHTK, k_BGTK, v_BGTK, ids)


def _splash_kernel(heads, T, window, interpret):
  block = max(n for n in (128, 256, 512) if T % n == 0)
  of_pass = ('q', 'kv', 'kv_compute', 'q_dkv', 'kv_dkv', 'kv_dkv_compute', 'q_dq', 'kv_dq')
  sizes = splash.BlockSizes(**{f'block_{name}': block for name in of_pass})
  seen = splash_mask.CausalMask((T, T))
  if window is not None:
    seen = splash_mask.LocalMask((T, T), window_size=(window - 1, 0), offset=0)
  mask = splash_mask.MultiHeadMask([seen] * heads)
  how = dict(head_shards=1, q_seq_shards=1, interpret=interpret)
  return splash.make_splash_mha(mask, block_sizes=sizes, **how)
