"""What a running batch does on the devices: rows join, all take steps, slots move to the left."""

import functools
from collections.abc import Mapping
from typing import Any

import flax
import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxalign.models.decode_attention import slots_of
from jaxalign.models.decoder import Decoder, letters_of
from jaxalign.sharding.layout import pin


class Rows(flax.struct.PyTreeNode):
  """The batch on the devices; a row that is done waits for another."""

  cache: Any  # the decoder's
  token_B: Array  # the last of each row
  step_B: Array  # tokens given so far
  length_B: Array  # tokens at most
  done_B: Array
  key_B: Array
  temperature_B: Array  # 0: greedy
  top_k_B: Array
  top_p_B: Array


def _read(model, tokens_RP, segment_RP, prefix):
  """(cache of these prompts alone, their last hidden states)."""
  if not prefix:
    x_RPD, cache = model.prefill(tokens_RP, segment_RP, tokens_RP.shape[1])
    return cache, x_RPD[:, -1:]
  R, Q = tokens_RP.shape[0], len(prefix)
  whole = jnp.broadcast_to(jnp.asarray(prefix, jnp.int32), (1, Q))
  _, cache = model.prefill(whole, jnp.ones_like(whole), Q)

  def many(w):
    return jnp.repeat(w, R, axis=w.ndim - 4)

  k, v = jax.tree.map(many, (cache.k_NBGSK, cache.v_NBGSK))
  segment_BS, position_B = jnp.repeat(cache.segment_BS, R, 0), jnp.repeat(cache.position_B, R)
  cache = cache.replace(k_NBGSK=k, v_NBGSK=v, segment_BS=segment_BS, position_B=position_B)
  cache = model.grow(cache, Q + tokens_RP.shape[1])
  x_RPD, cache = model.extend(tokens_RP, cache, segment_RP)
  return cache, x_RPD[:, -1:]


@functools.partial(jax.jit, static_argnames=('rows', 'slots'))
def empty(model: Decoder, rows: int, slots: int) -> Rows:
  """A batch in which every row is done."""
  one = jnp.zeros((1, 1), jnp.int32)
  _, cache = model.prefill(one, one, 1)  # for its kind; nothing of it is computed
  slots = slots_of(slots)

  def of_kind(w):
    return jnp.zeros((*w.shape[:-4], rows, w.shape[-3], slots, w.shape[-1]), w.dtype)

  k, v = jax.tree.map(of_kind, (cache.k_NBGSK, cache.v_NBGSK))
  none, zeros = jnp.zeros((rows, slots), jnp.int32), jnp.zeros(rows, jnp.int32)
  cache = cache.replace(
    k_NBGSK=k, v_NBGSK=v, segment_BS=none, position_B=zeros, filled=jnp.int32(0)
  )
  state = Rows(
    cache=cache,
    token_B=zeros,
    step_B=zeros,
    length_B=zeros,
    done_B=jnp.ones(rows, bool),
    key_B=jax.vmap(jax.random.key)(zeros),
    temperature_B=jnp.zeros(rows),
    top_k_B=zeros + model.cfg.vocab,
    top_p_B=jnp.ones(rows),
  )
  return _pinned(state)


def _pinned(state):
  return jax.tree.map(lambda w: pin(w, letters_of(w)), state)


@functools.partial(jax.jit, static_argnames=('prefix', 'truncates'), donate_argnames='state')
def join(
  model: Decoder,
  state: Rows,
  tokens_RP: ArrayLike,
  segment_RP: ArrayLike,
  from_B: ArrayLike,
  how: Mapping[str, Any],
  filled: ArrayLike,
  prefix: tuple[int, ...],
  truncates: bool,
) -> tuple[Rows, Array, Array]:
  """(state with what is read in the rows that join, each row's first token, its logprob).

  from_B: which of the prompts a row joins with; -1: it does not. how: what those rows ask for.
  """
  read, x_R1D = _read(model, tokens_RP, segment_RP, prefix)
  joins_B, index_B = jnp.asarray(from_B) >= 0, jnp.maximum(from_B, 0)

  def joined(new_B, old_B):
    return jnp.where(joins_B, new_B, old_B)

  seed_B, content_B, draw_B = how['key_3B']
  fold = jax.vmap(jax.random.fold_in)
  key_B = fold(fold(jax.vmap(jax.random.key)(seed_B), content_B), draw_B)
  key_B2 = jnp.where(joins_B[:, None], jax.random.key_data(key_B), jax.random.key_data(state.key_B))
  asked = {name: joined(how[name], getattr(state, name)) for name in how if name != 'key_3B'}
  state = state.replace(
    cache=_with_rows(state.cache, read, joins_B, index_B, filled),
    step_B=joined(0, state.step_B),
    done_B=joined(False, state.done_B),
    key_B=jax.random.wrap_key_data(key_B2),
    **asked,
  )
  token_B, logprob_B = _draw(model, state, x_R1D[index_B], truncates)
  state = _after(model, state.replace(token_B=joined(token_B, state.token_B)), joins_B)
  return _pinned(state), token_B, logprob_B


def _with_rows(cache, read, joins_B, index_B, filled):
  """The cache with rows of another one, which then end at slot `filled`, where a row joins."""
  P = read.segment_BS.shape[1]

  def placed(old, new):
    axis, along = max(old.ndim - 4, 0), old.ndim - 2 if old.ndim >= 4 else 1  # of rows, of slots
    start = [0] * old.ndim
    start[along] = filled - P
    new = jnp.take(new, index_B, axis).astype(old.dtype)
    new = jax.lax.dynamic_update_slice(jnp.zeros_like(old), new, start)
    return jnp.where(joins_B.reshape([-1] + [1] * (old.ndim - axis - 1)), new, old)

  return cache.replace(
    k_NBGSK=jax.tree.map(placed, cache.k_NBGSK, read.k_NBGSK),
    v_NBGSK=jax.tree.map(placed, cache.v_NBGSK, read.v_NBGSK),
    segment_BS=placed(cache.segment_BS, read.segment_BS),
    position_B=jnp.where(joins_B, read.position_B[index_B], cache.position_B),
    filled=filled,
  )


def _after(model, state, drew_B):
  """The state once the rows of drew_B have been given their token."""
  step_B = state.step_B + drew_B
  ends = jnp.asarray(model.cfg.eos or (-1,), jnp.int32)
  ended_B = jnp.isin(state.token_B, ends) | (step_B >= state.length_B)
  return state.replace(step_B=step_B, done_B=state.done_B | (drew_B & ended_B))


def _draw(model, state, x_B1D, truncates):
  logits_BV = pin(model.unembed(x_B1D)[:, 0], 'B')
  greedy_B = state.temperature_B == 0
  logits_BV = logits_BV / jnp.where(greedy_B, 1, state.temperature_B)[:, None]
  best_B = jnp.argmax(logits_BV, -1)

  def drawn():
    allowed_BV = _truncated(logits_BV, state.top_k_B, state.top_p_B) if truncates else logits_BV
    now_B = jax.vmap(jax.random.fold_in)(state.key_B, state.step_B)
    return jnp.where(greedy_B, best_B, jax.vmap(jax.random.categorical)(now_B, allowed_BV))

  # A random number for each token of the vocabulary costs much, where all rows are greedy.
  token_B = jax.lax.cond(greedy_B.all(), lambda: best_B, drawn).astype(jnp.int32)
  logprob_BV = jax.nn.log_softmax(logits_BV)
  return token_B, jnp.take_along_axis(logprob_BV, token_B[:, None], -1)[:, 0]


def _truncated(logits_BV, top_k_B, top_p_B):
  """As sample.truncated, by each row's own k and p."""
  best_BV, token_BV = jax.lax.top_k(logits_BV, logits_BV.shape[-1])
  rank_V = jnp.arange(logits_BV.shape[-1])
  best_BV = jnp.where(rank_V < top_k_B[:, None], best_BV, -jnp.inf)
  share_BV = jax.nn.softmax(best_BV)
  before_BV = jnp.cumsum(share_BV, -1) - share_BV
  best_BV = jnp.where(before_BV < top_p_B[:, None], best_BV, -jnp.inf)
  none_BV = jnp.full_like(logits_BV, -jnp.inf)
  return jnp.put_along_axis(none_BV, token_BV, best_BV, axis=-1, inplace=False)


@functools.partial(jax.jit, static_argnames=('tokens', 'truncates'), donate_argnames='state')
def advance(
  model: Decoder, state: Rows, gone_B: ArrayLike, tokens: int, truncates: bool
) -> tuple[Rows, Array, Array, Array, Array]:
  """(state, tokens_BR, logprob_BR, how many each row was given, steps taken)."""
  B = state.done_B.shape[0]
  state = state.replace(done_B=state.done_B | gone_B)

  def step(carry):
    n, state, tokens_BR, logprob_BR, given_B = carry
    x_B1D, cache = model.extend(state.token_B[:, None], state.cache)
    state, live_B = state.replace(cache=cache), ~state.done_B
    token_B, logprob_B = _draw(model, state, x_B1D, truncates)
    state = state.replace(token_B=jnp.where(live_B, token_B, state.token_B))
    return (
      n + 1,
      _after(model, state, live_B),
      jax.lax.dynamic_update_slice(tokens_BR, token_B[:, None], (0, n)),
      jax.lax.dynamic_update_slice(logprob_BR, logprob_B[:, None], (0, n)),
      given_B + live_B,
    )

  def more(carry):
    return (carry[0] < tokens) & ~carry[1].done_B.all()

  none = jnp.zeros((B, tokens), jnp.int32), jnp.zeros((B, tokens)), jnp.zeros(B, jnp.int32)
  steps, state, *out = jax.lax.while_loop(more, step, (jnp.int32(0), state, *none))
  tokens_BR, logprob_BR, given_B = out
  return _pinned(state), tokens_BR, logprob_BR, given_B, steps


@functools.partial(jax.jit, donate_argnames='state')
def shifted(state: Rows, by: ArrayLike) -> Rows:
  """The state, everything so many slots further to the left; to the right if negative."""
  cache, by = state.cache, jnp.asarray(by)

  def roll(w):
    return jnp.roll(w, -by, axis=w.ndim - 2)

  slot_S = jnp.arange(cache.segment_BS.shape[1])
  filled = cache.filled - by
  segment_BS = jnp.roll(cache.segment_BS, -by, axis=1)
  inside_S = (slot_S < filled) & (slot_S >= -by)
  cache = cache.replace(
    k_NBGSK=jax.tree.map(roll, cache.k_NBGSK),
    v_NBGSK=jax.tree.map(roll, cache.v_NBGSK),
    segment_BS=jnp.where(inside_S, segment_BS, 0),
    filled=filled,
  )
  return _pinned(state.replace(cache=cache))
