"""The trunk all models share: embed, scan over the stacked blocks, normalise, unembed."""

import functools
import inspect
from collections.abc import Sequence
from typing import Any, Self

import flax
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import ArrayLike

from jaxalign.config import UserError
from jaxalign.models.attention import attend
from jaxalign.models.decode_attention import attend_cache, new_slots
from jaxalign.models.layers import lookup, position_in_segment, rope_angle, turned
from jaxalign.models.model_config import ModelConfig
from jaxalign.sharding.alphabet import axes
from jaxalign.sharding.layout import mesh_of, on_mesh, pin, pin_weights
from jaxalign.sharding.meshes import platform


class Normal(nnx.Param):
  @staticmethod
  def init(key: jax.Array, shape: tuple[int, ...], dtype: str) -> jax.Array:
    return (0.02 * jax.random.normal(key, shape)).astype(dtype)


class Ones(nnx.Param):
  @staticmethod
  def init(key: jax.Array, shape: tuple[int, ...], dtype: str) -> jax.Array:
    return jnp.ones(shape, dtype)


class Zeros(nnx.Param):
  @staticmethod
  def init(key: jax.Array, shape: tuple[int, ...], dtype: str) -> jax.Array:
    return jnp.zeros(shape, dtype)


class Weights(nnx.Module):
  """A module whose weights are declared, not built: the name says the shape, the type the start."""

  def __init__(self, cfg: ModelConfig, key: jax.Array):
    self.cfg = cfg
    for name, kind in inspect.get_annotations(type(self)).items():
      if name in cfg.absent:
        continue
      key, mine = jax.random.split(key)
      if issubclass(kind, nnx.Param):
        shape = tuple(cfg.sizes[letter] for letter in axes(name))
        setattr(self, name, kind(kind.init(mine, shape, cfg.weights)))
      else:  # a block: `depth` of them, their weights stacked along a new leading axis
        many = jax.random.split(mine, cfg.depth)
        setattr(self, name, jax.vmap(lambda key, kind=kind: kind(cfg, key))(many))


class _Cache(flax.struct.PyTreeNode):
  """Keys and values of every layer in slots: one array of all layers, or one a layer (SMALL)."""

  k_NBGSK: jax.Array | tuple[jax.Array, ...]
  v_NBGSK: jax.Array | tuple[jax.Array, ...]
  segment_BS: jax.Array  # int32; 0: padding, or still empty
  position_B: jax.Array  # int32: the position that each row's next token takes
  filled: jax.Array  # int32 scalar: slots used so far, padding included


def letters_of(w: Any) -> str:
  """The axes of an array of a cache, or of the rows of a batch, as the alphabet has them."""
  return 'NBGSK'[-w.ndim :] if w.ndim > 3 else 'B'[: w.ndim]


# A model with blocks of at most so many bytes decodes layer by layer rather than in a scan, each
# layer with its own cache. A scan copies a layer's weights and cache out of their stacks at each
# step; apart, they are multiplied where they lie, for a second copy of the weights and a program
# that grows with the depth. Sampling then also begins with half a cache: less to read.
SMALL = 2**26
_ON_ONE_CPU = 16  # times as many bytes: there a step is little more than weights that are read

# What a layer keeps for its backward pass; the rest is computed again. By name, from the config.
_KEEP = {
  'none': jax.checkpoint_policies.everything_saveable,
  'dots': jax.checkpoint_policies.save_only_these_names('dot'),
  'qkv': jax.checkpoint_policies.save_only_these_names('q', 'k', 'v', 'norm'),
  'full': jax.checkpoint_policies.nothing_saveable,
}


class Decoder(Weights):
  """A model provides embed_VD, blocks, norm(x_BTD) and head() -> (weight_VD, bias_V or None)."""

  tokenizer: Any = None  # the text side, where there is one: jaxalign.load sets it; static data
  format: Any = None  # how it is spoken to, where something says so: likewise
  apart: Any = None  # each layer's weights as they decode fastest, where `at_hand` made them

  def __call__(self, tokens_BT, segment_BT=None, position_BT=None, *, tap=None):
    """Final hidden states x_BTD; with a tap, also tap(x_BTD) of every layer's output, stacked.

    segment_BT: ids of packed documents, 0 for padding (an attention mask serves as it is).
    Positions count from 0 in every segment unless given.
    """
    if position_BT is None:
      position_BT = _positions(tokens_BT, segment_BT)
    x_BTD, _, _, seen = self._layers(tokens_BT, position_BT, segment_BT, tap=tap)
    return (x_BTD, seen) if tap else x_BTD

  def prefill(
    self, tokens_BP: jax.Array, segment_BP: jax.Array, slots: int
  ) -> tuple[jax.Array, _Cache]:
    """Final states and a new cache of `slots` slots, of prompts padded on the left (segment 0)."""
    position_BP = _positions(tokens_BP, segment_BP)
    x_BPD, _, new, _ = self._layers(tokens_BP, position_BP, segment_BP, keep=True)
    k_NBGSK, v_NBGSK = (tuple(kv) if self._split else kv for kv in new)
    filled = jnp.int32(tokens_BP.shape[1])
    cache = _Cache(k_NBGSK, v_NBGSK, segment_BP, position_BP[:, -1] + 1, filled)
    return x_BPD, self.grow(cache, slots)

  def grow(self, cache: _Cache, slots: int) -> _Cache:
    """The same cache with empty slots behind, `slots` in all."""
    empty = slots - cache.segment_BS.shape[1]

    def wider(w):
      w = jnp.pad(w, [(0, 0)] * (w.ndim - 2) + [(0, empty), (0, 0)])
      return pin(w, letters_of(w))

    k, v = jax.tree.map(wider, (cache.k_NBGSK, cache.v_NBGSK))
    segment_BS = jnp.pad(cache.segment_BS, [(0, 0), (0, empty)])
    return cache.replace(k_NBGSK=k, v_NBGSK=v, segment_BS=segment_BS)

  @property
  def _bytes(self):
    return sum(w.nbytes for w in jax.tree.leaves(self.blocks))

  @property
  def small(self) -> bool:
    return self._bytes <= SMALL

  @property
  def _split(self):
    """Whether each layer's cache lies apart."""
    return self._bytes <= SMALL * (_ON_ONE_CPU if _one_cpu() else 1)

  def at_hand(self, rows: int) -> Self:
    """The same model, made ready for many steps of `rows` rows: on a CPU with a second copy of its
    layers, which lie apart there, large matrices turned."""
    if self.apart is not None or self.small or not (self._split and _one_cpu()):
      return self
    model = self.under(self.cfg)
    model.apart = nnx.data(tuple(_layer(self, n, rows > 1) for n in range(self.cfg.depth)))
    return model

  def extend(
    self, tokens_BT: jax.Array, cache: _Cache, segment_BT: jax.Array | None = None
  ) -> tuple[jax.Array, _Cache]:
    """Appends tokens to every row of a cache: (x_BTD, cache).

    segment_BT: 0 is padding, on the left: its slots stay empty and take no position.
    """
    if segment_BT is None:
      segment_BT = jnp.ones_like(tokens_BT)
    position_BT = cache.position_B[:, None] + jnp.cumsum(segment_BT, 1) - 1
    slots_BS = jax.lax.dynamic_update_slice(cache.segment_BS, segment_BT, (0, cache.filled))
    cache = cache.replace(segment_BS=slots_BS)
    x_BTD, (k, v), _, _ = self._layers(tokens_BT, position_BT, segment_BT, cache=cache)
    position_B, filled = cache.position_B + segment_BT.sum(1), cache.filled + tokens_BT.shape[1]
    return x_BTD, cache.replace(k_NBGSK=k, v_NBGSK=v, position_B=position_B, filled=filled)

  def _layers(self, tokens_BT, position_BT, segment_BT, *, cache=None, keep=False, tap=None):
    """(x_BTD, the cache's new keys and values, each layer's own keys and values, what tap saw)."""
    cfg = self.cfg
    how = dict(window=cfg.window, impl=cfg.attention)
    angle_BTK = rope_angle(position_BT, cfg.frequencies())
    slots = cache and new_slots(segment_BT, cache.segment_BS, cache.filled)
    ready = self.apart is not None and cache is not None and tokens_BT.shape[1] == 1

    def layer(carry, block):
      x_BTD, n, kv = carry
      own = None

      def look(q_BHTK, k_BGTK, v_BGTK):
        nonlocal kv, own
        own = k_BGTK, v_BGTK
        if cache is None:
          return attend(q_BHTK, *own, segment_BT=segment_BT, **how)
        kv = tuple(_store(w, x, n, cache.filled) for w, x in zip(kv, own))
        return attend_cache(q_BHTK, *kv, n, slots, **how)

      if not ready:
        block = pin_weights(jax.tree.map(lambda w: w.astype(cfg.dtype), block))
      x_BTD = pin(block(x_BTD, angle_BTK, look), 'B')
      return (x_BTD, n + 1, kv), (own if keep else None, tap(x_BTD) if tap else None)

    if cache is None and not keep and cfg.remat != 'none':
      layer = jax.checkpoint(layer, policy=_KEEP[cfg.remat], prevent_cse=False)
    with jax.default_matmul_precision('highest' if cfg.dtype == 'float32' else 'default'):
      table_VD = pin(self.embed_VD.astype(cfg.dtype), 'VD')
      x_BTD = pin(lookup(table_VD, tokens_BT), 'B')
      kv = cache and (cache.k_NBGSK, cache.v_NBGSK)
      split = cache is not None and isinstance(cache.k_NBGSK, tuple)
      if split and (self.small or ready):
        x_BTD, kv = _one_by_one(layer, x_BTD, kv, self.apart if ready else self.blocks)
        return self.norm(x_BTD), kv, None, None
      start = x_BTD, jnp.int32(0), tuple(map(jnp.stack, kv)) if split else kv
      (x_BTD, _, kv), (own, seen) = jax.lax.scan(layer, start, self.blocks, unroll=cfg.unroll)
      return self.norm(x_BTD), tuple(map(tuple, kv)) if split else kv, own, seen

  def under(self, cfg: ModelConfig) -> Self:
    """The same weights under another config: its arithmetic, its kernels, what its layers keep."""
    model = jax.tree.map(lambda w: w, self)
    model.cfg = model.blocks.cfg = cfg
    return model

  def unembed(self, x_BTD: jax.Array) -> jax.Array:
    """Logits in float32, over x's own precision."""
    weight_VD, bias_V = self.head()
    with jax.default_matmul_precision('highest' if self.cfg.dtype == 'float32' else 'default'):
      weight_VD = pin(weight_VD.astype(x_BTD.dtype), 'V-')
      wide = dict(preferred_element_type=jnp.float32)
      logits_BTV = jnp.einsum('BTD,VD->BTV', x_BTD, weight_VD, **wide)
    logits_BTV = pin(logits_BTV, 'B-V')  # or, for a few rows, the whole head would be gathered
    return logits_BTV if bias_V is None else logits_BTV + bias_V.astype(jnp.float32)

  def logits(
    self, tokens_BT: ArrayLike | Sequence, segment_BT: ArrayLike | None = None
  ) -> jax.Array:
    """float32 [B,T,V]; compiled once a shape, on whatever mesh the weights lie."""
    if not isinstance(tokens_BT, jax.Array):  # on the host they can be looked at for nothing
      tokens_BT = np.asarray(tokens_BT)
      least, most = tokens_BT.min(initial=0), tokens_BT.max(initial=0)
      if tokens_BT.ndim != 2 or not 0 <= least <= most < self.cfg.vocab:
        raise UserError(f'logits take ids [B, T] from 0 to {self.cfg.vocab - 1}')
    with on_mesh(mesh_of(self)):
      return _logits(self, jnp.asarray(tokens_BT), segment_BT)


@jax.jit
def _logits(model, tokens_BT, segment_BT):
  segment_BT = None if segment_BT is None else jnp.asarray(segment_BT, jnp.int32)
  return model.unembed(model(tokens_BT, segment_BT))


def _store(cache, own_BGTK, n, filled):
  """The cache with a layer's new slots."""
  if cache.ndim == 4:  # this layer's alone
    return jax.lax.dynamic_update_slice(cache, own_BGTK, (0, 0, filled, 0))
  return jax.lax.dynamic_update_slice(cache, own_BGTK[None], (n, 0, 0, filled, 0))


def _one_by_one(layer, x_BTD, kv, blocks):
  """The scan over layers as a loop of Python, for layers whose caches lie apart."""
  after = []
  for n, before in enumerate(zip(*kv)):
    block = blocks[n] if isinstance(blocks, tuple) else jax.tree.map(lambda w, n=n: w[n], blocks)
    (x_BTD, _, now), _ = layer((x_BTD, n, before), block)
    after.append(now)
  return x_BTD, tuple(zip(*after))


@functools.partial(jax.jit, static_argnames='turn')
def _layer(model, n, turn):
  """The block of layer n as it decodes; turn: with its large matrices Turned."""
  block = jax.tree.map(lambda w: w[n].astype(model.cfg.dtype), model.blocks)
  for name, w in list(vars(block).items()) if turn else ():
    if (other := turned(name, w)) is not w:
      setattr(block, name, nnx.data(other))
  return block


def _one_cpu():
  return platform() == 'cpu' and jax.sharding.get_abstract_mesh().size <= 1


def _positions(tokens_BT, segment_BT):
  if segment_BT is None:
    return jnp.broadcast_to(jnp.arange(tokens_BT.shape[1], dtype=jnp.int32), tokens_BT.shape)
  return position_in_segment(segment_BT)
