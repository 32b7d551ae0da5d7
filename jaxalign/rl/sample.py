"""Sampling: read the prompts once, then a token a step over a fixed cache until all have ended.

Every draw is keyed by its row's own key and its own step, so a sample depends neither on the rows
beside it nor on padding nor on the mesh. Lengths are rounded up, so that few programs serve all.
"""

import dataclasses
import functools
import zlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import NamedSharding, PartitionSpec
from jax.typing import ArrayLike

from jaxalign.models.decode_attention import slots_of
from jaxalign.models.decoder import Decoder, letters_of
from jaxalign.sharding.collectives import goes_evenly, sampling_groups
from jaxalign.sharding.layout import mesh_of, pin

Text = tuple[Array, Array, Array]  # tokens_BT, segment_BT, response_BR


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Sampling:
  """How answers are sampled. A number may differ from call to call of one program, but for what is
  static; where it is None, the program does without it."""

  slots: int = dataclasses.field(metadata=dict(static=True))  # of an answer
  eos: tuple[int, ...] = dataclasses.field(
    default=(), metadata=dict(static=True)
  )  # each ends a row
  top_k: int | None = dataclasses.field(default=None, metadata=dict(static=True))
  top_p: ArrayLike | None = None
  temperature: ArrayLike | None = 1.0  # None: greedy
  length: ArrayLike | None = None  # tokens at most, where they are fewer than the slots


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Sampled:
  """Prompts, and what was sampled after each. A response starts in column P of every row, for
  prompts end at the right. Masks come from `length_B`, never from tokens that equal a pad id."""

  tokens_BT: Array  # int32: the prompt; the response with its end token, and pad behind
  segment_BT: Array  # int32: 1, and 0 for padding on either side
  response_BR: Array  # bool: sampled here, the end token included
  length_B: Array  # int32: tokens sampled, the end token included
  finished_B: Array  # bool: ended by an end token, rather than by the limit
  live_B: Array  # bool: has a prompt, rather than filling the batch
  sampled_BR: Array  # float32: logprobs of the whole distribution at the temperature, else 1

  @property
  def text(self) -> Text:
    return self.tokens_BT, self.segment_BT, self.response_BR

  @property
  def tokens_BR(self) -> Array:
    return self.tokens_BT[:, -self.response_BR.shape[1] :]


def to_every_host(*arrays: Array) -> Any:
  """The arrays as numpy has them, whole on every process."""
  mesh = mesh_of(arrays)
  if mesh is not None:
    arrays = _whole_on(mesh)(*arrays)
  return jax.device_get(arrays)


@functools.lru_cache(maxsize=8)
def _whole_on(mesh):
  return jax.jit(lambda *arrays: arrays, out_shardings=NamedSharding(mesh, PartitionSpec()))


def bucket(n: int, least: int = 16) -> int:
  """The next power of two times `least`, so that a new length seldom means a new program."""
  while least < n:
    least *= 2
  return least


def left_pad(ids: Sequence[Sequence[int]], length: int) -> tuple[np.ndarray, np.ndarray]:
  """(prompt_BP, segment_BP): rows end in the last column; segment 0 is padding, 1 the prompt."""
  prompt_BP = np.zeros((len(ids), length), np.int32)
  segment_BP = np.zeros((len(ids), length), np.int32)
  for row, tokens in enumerate(ids):
    prompt_BP[row, length - len(tokens) :] = tokens
    segment_BP[row, length - len(tokens) :] = 1
  return prompt_BP, segment_BP


def row_keys(ids: Sequence[Sequence[int]], seed: int) -> Array:
  """A key for each prompt, from its content and how often it stood before, not from its place."""
  seen: dict[int, int] = {}
  keys = []
  for tokens in ids:
    content = zlib.crc32(np.asarray(tokens, np.int32).tobytes())
    keys.append((content, seen.setdefault(content, 0)))
    seen[content] += 1
  content_B, again_B = (jnp.asarray(np.array(column, np.uint32)) for column in zip(*keys))
  fold = jax.vmap(jax.random.fold_in, in_axes=(0, 0))
  start = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(jax.random.key(seed), content_B)
  return fold(start, again_B)


@jax.jit
def generate(
  model: Decoder, prompt_BP: ArrayLike, segment_BP: ArrayLike, key_B: Array, how: Sampling
) -> Sampled:
  """What is sampled after each prompt, by each row's own key. A row without a prompt (segment 0
  throughout) only fills the batch: it is finished from the start."""
  prompt_BP, segment_BP = jnp.asarray(prompt_BP), jnp.asarray(segment_BP)
  model = jax.tree.map(lambda w: w.astype(model.cfg.dtype), model)  # once, not at every step
  rows, read = prompt_BP.shape[0], None
  if goes_evenly(rows):  # whole prompts are read as in training: each device its own
    read = _read(model, prompt_BP, segment_BP)
  with sampling_groups(model) as model:
    given = jax.tree.map(lambda x: pin(x, 'B'[: jnp.ndim(x)]), (prompt_BP, segment_BP, key_B, how))
    read = jax.tree.map(lambda x: pin(x, letters_of(x)), read or _read(model, *given[:2]))
    out = _generate(model.at_hand(rows), *read, *given[1:])
  tokens_BR, sampled_BR, length_B, finished_B = (pin(x, 'B') for x in out)
  response_BR = jnp.arange(how.slots) < length_B[:, None]
  made = Sampled(
    tokens_BT=jnp.concatenate([prompt_BP, tokens_BR], 1),
    segment_BT=jnp.concatenate([segment_BP != 0, response_BR], 1).astype(jnp.int32),
    response_BR=response_BR,
    length_B=length_B,
    finished_B=finished_B,
    live_B=segment_BP[:, -1] != 0,
    sampled_BR=sampled_BR,
  )
  return jax.tree.map(lambda x: pin(x, 'B'), made)


def _read(model, prompt_BP, segment_BP):
  """(the last hidden state of each prompt, the cache that holds them)."""
  x_BPD, cache = model.prefill(prompt_BP, segment_BP, prompt_BP.shape[1])
  return x_BPD[:, -1:], cache


def _generate(model, x_B1D, cache, segment_BP, key_B, how):
  """(tokens_BR, logprob_BR, length_B, finished_B)."""
  (B, P), slots = segment_BP.shape, how.slots
  pad = how.eos[0] if how.eos else 0

  def draw(x_B1D, t, done_B):
    logits_BV = pin(model.unembed(x_B1D)[:, 0], 'B')
    if how.temperature is None:
      token_B = jnp.argmax(logits_BV, -1)
    else:
      logits_BV = logits_BV / how.temperature
      now_B = jax.vmap(jax.random.fold_in, in_axes=(0, None))(key_B, t)
      allowed_BV = truncated(logits_BV, how.top_k, how.top_p)
      token_B = jax.vmap(jax.random.categorical)(now_B, allowed_BV)
    logprob_BV = jax.nn.log_softmax(logits_BV)
    logprob_B = jnp.take_along_axis(logprob_BV, token_B[:, None], -1)[:, 0]
    return jnp.where(done_B, pad, token_B).astype(jnp.int32), jnp.where(done_B, 0, logprob_B)

  def put(t, answers, token_B, logprob_B):
    tokens_BR, logprob_BR, length_B, done_B = answers
    ended_B = jnp.isin(token_B, jnp.array(how.eos)) if how.eos else jnp.zeros(B, bool)
    return (
      jax.lax.dynamic_update_slice(tokens_BR, token_B[:, None], (0, t)),
      jax.lax.dynamic_update_slice(logprob_BR, logprob_B[:, None], (0, t)),
      jnp.where(done_B, length_B, t + 1),
      done_B | ended_B,
    )

  def step(carry):
    t, answers, token_B, cache = carry
    x_B1D, cache = model.extend(token_B[:, None], cache)
    token_B, logprob_B = draw(x_B1D, t, answers[-1])
    return t + 1, put(t, answers, token_B, logprob_B), token_B, cache

  idle_B = segment_BP[:, -1] == 0
  none = jnp.full((B, slots), pad, jnp.int32), jnp.zeros((B, slots)), jnp.zeros(B, jnp.int32)
  stops = (slots // 2, slots) if model.small and slots > 64 else (slots,)
  token_B, logprob_B = draw(x_B1D, 0, idle_B)
  carry = jnp.int32(1), put(0, (*none, idle_B), token_B, logprob_B), token_B, cache
  for stop in stops:
    last = stop if how.length is None else jnp.minimum(stop, how.length)
    carry = *carry[:3], model.grow(carry[3], slots_of(P + stop))
    carry = jax.lax.while_loop(lambda c, n=last: (c[0] < n) & ~c[1][-1].all(), step, carry)
  return carry[1]


def truncated(logits_BV: Array, top_k: int | None = None, top_p: ArrayLike | None = None) -> Array:
  """-inf outside the k most likely, then outside the fewest of these that hold the share top_p.

  Of equal tokens the lower id comes first, as in argmax: top_k=1 is greedy, always.
  """
  if top_k is None and top_p is None:
    return logits_BV
  best_BK, token_BK = jax.lax.top_k(logits_BV, top_k or logits_BV.shape[-1])
  if top_p is not None:
    share_BK = jax.nn.softmax(best_BK)
    before_BK = jnp.cumsum(share_BK, -1) - share_BK
    best_BK = jnp.where(before_BK < top_p, best_BK, -jnp.inf)
  none_BV = jnp.full_like(logits_BV, -jnp.inf)
  return jnp.put_along_axis(none_BV, token_BK, best_BK, axis=-1, inplace=False)
