"""Sampling: read the prompts once, then a token a step over a fixed cache until all have ended.

Every draw is keyed by its row's own key and its own step, so a sample depends neither on the rows
beside it nor on padding nor on the mesh. Lengths are rounded up, so that few programs serve all.
"""

import functools
import numbers
import operator
import zlib

import flax
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from jaxalign.config import UserError
from jaxalign.sharding.collectives import sampling_groups
from jaxalign.sharding.layout import mesh_of, on_mesh, pin


@flax.struct.dataclass
class Sampled:
  """What was sampled. Masks come from `length_B`, never from comparing tokens with a pad id."""

  tokens_BR: jax.Array  # int32; the end token is included, pad follows it
  logprob_BR: jax.Array  # float32, of the whole distribution at the temperature (greedy: at 1)
  length_B: jax.Array  # int32: tokens sampled, the end token included
  finished_B: jax.Array  # bool: ended by an end token, rather than by the limit


def sample(model, prompts, *, length, temperature=1.0, top_k=None, top_p=None, seed=0):
  """Continues each prompt by up to `length` tokens; temperature 0 is greedy.

  Prompts are strings (the model carries its tokenizer) or lists of token ids; the answers are of
  the same kind, without the prompt. Equal prompts in one call get different samples.
  """
  if not hasattr(prompts, '__iter__'):
    raise UserError(f'prompts={prompts!r}: give a list of strings, or of lists of token ids')
  prompts = list(prompts) if not isinstance(prompts, str) else [prompts]
  ids = [_ids(model, prompt) for prompt in prompts]
  check(length, temperature, top_k, top_p, seed)
  length, temperature, top_p = int(length), float(temperature), float(top_p or 1)
  if not prompts:
    return []
  _check_prompts(model.cfg, ids, length)
  mesh = mesh_of(model)
  rows = bucket(len(ids), least=mesh.shape['data'] * mesh.shape['fsdp'] if mesh else 1)
  filled = ids + [[]] * (rows - len(ids))
  prompt_BP, segment_BP = left_pad(filled, bucket(max(map(len, ids))))
  greedy = temperature == 0
  how = dict(
    slots=bucket(length),
    eos=model.cfg.eos,
    greedy=greedy,
    top_k=None if top_k is None or greedy else min(top_k, model.cfg.vocab),
    truncate=top_p < 1 and not greedy,
  )
  with on_mesh(mesh):
    given = prompt_BP, segment_BP, row_keys(filled, seed)
    out = generate(model, *given, length, temperature or 1.0, top_p, **how)
    tokens_BR, length_B = _to_every_host(out.tokens_BR, out.length_B)
  answers = [row[:n].tolist() for row, n in zip(tokens_BR, length_B)]
  return [_like(model, p, i, a) for p, i, a in zip(prompts, ids, answers)]


def _ids(model, prompt):
  if not isinstance(prompt, str):
    if not hasattr(prompt, '__iter__') or isinstance(prompt, bytes | dict):
      raise UserError(f'prompt {prompt!r} is neither a string nor a list of token ids')
    return [_whole('token id', token) for token in prompt]
  if model.tokenizer is None:
    raise UserError('this model carries no tokenizer: give prompts as lists of token ids')
  start = model.tokenizer.eos if model.tokenizer.bos is None else model.tokenizer.bos
  ids = model.tokenizer.encode(prompt)
  return ids or ([] if start is None else [start])  # nothing to continue: a document's start


def _like(model, prompt, ids, answer):
  return model.tokenizer.decode_continuation(ids, answer) if isinstance(prompt, str) else answer


def _to_every_host(*arrays):
  mesh = mesh_of(arrays)
  if mesh is not None:
    arrays = jax.jit(lambda *a: a, out_shardings=NamedSharding(mesh, PartitionSpec()))(*arrays)
  return jax.device_get(arrays)


def _whole(name, value):
  if isinstance(value, bool | np.bool_) or not hasattr(type(value), '__index__'):
    raise UserError(f'{name}={value!r} must be a whole number')
  return operator.index(value)


def _real(name, value):
  if isinstance(value, bool) or not isinstance(value, numbers.Real):
    raise UserError(f'{name}={value!r} must be a number')
  return value


def check(length, temperature, top_k, top_p, seed=0):
  if _whole('length', length) < 1:
    raise UserError(f'length={length} must be at least 1')
  if _real('temperature', temperature) != 0 and not 1e-6 <= temperature < float('inf'):
    raise UserError(f'temperature={temperature}: 0 is greedy, otherwise from 1e-6 up and finite')
  if top_k is not None and _whole('top_k', top_k) < 1:
    raise UserError(f'top_k={top_k} must be at least 1, or None')
  if top_p is not None and not 0 < _real('top_p', top_p) <= 1:
    raise UserError(f'top_p={top_p} must be above 0 and at most 1, or None')
  if not 0 <= _whole('seed', seed) < 2**32:
    raise UserError(f'seed={seed} must be at least 0 and below 2**32')


def _check_prompts(cfg, ids, length):
  if min(map(len, ids)) == 0:
    raise UserError('a prompt is empty: give at least one token, the start token for instance')
  for token in (max(map(max, ids)), min(map(min, ids))):
    if not 0 <= token < cfg.vocab:
      raise UserError(f'token id {token} is outside the vocabulary of {cfg.vocab}')
  longest = max(map(len, ids))
  if longest + length > cfg.length:
    raise UserError(
      f'a prompt of {longest} tokens and length={length} do not fit the {cfg.length} positions '
      'that this model was trained on'
    )


def bucket(n, least=16):
  """The next power of two times `least`, so that a new length seldom means a new program."""
  while least < n:
    least *= 2
  return least


def left_pad(ids, length):
  """(prompt_BP, segment_BP): rows end in the last column; segment 0 is padding, 1 the prompt."""
  prompt_BP = np.zeros((len(ids), length), np.int32)
  segment_BP = np.zeros((len(ids), length), np.int32)
  for row, tokens in enumerate(ids):
    prompt_BP[row, length - len(tokens) :] = tokens
    segment_BP[row, length - len(tokens) :] = 1
  return prompt_BP, segment_BP


def row_keys(ids, seed):
  """A key for each prompt, from its content and how often it stood before, not from its place."""
  seen, keys = {}, []
  for tokens in ids:
    content = zlib.crc32(np.asarray(tokens, np.int32).tobytes())
    keys.append((content, seen.setdefault(content, 0)))
    seen[content] += 1
  content_B, again_B = (jnp.asarray(np.array(column, np.uint32)) for column in zip(*keys))
  fold = jax.vmap(jax.random.fold_in, in_axes=(0, 0))
  start = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(jax.random.key(seed), content_B)
  return fold(start, again_B)


@functools.partial(jax.jit, static_argnames=('slots', 'eos', 'greedy', 'top_k', 'truncate'))
def generate(
  model, prompt_BP, segment_BP, key_B, length, temperature, top_p,
  *, slots, eos=(), greedy=False, top_k=None, truncate=False,
):  # fmt: skip
  """Up to `length` <= `slots` tokens a row. Only what changes the program is static.

  A row without a prompt (segment 0 throughout) only fills the batch: it is finished from the start.
  """
  model = jax.tree.map(lambda w: w.astype(model.cfg.dtype), model)  # once, not at every step
  given = prompt_BP, segment_BP, key_B, length, temperature, top_p
  with sampling_groups(model) as model:
    given = (pin(x, 'B'[: jnp.ndim(x)]) for x in given)
    out = _generate(model, *given, slots, eos, greedy, top_k, truncate)
  return jax.tree.map(lambda x: pin(x, 'B'), out)


def _generate(
  model, prompt_BP, segment_BP, key_B, length, temperature, top_p,
  slots, eos, greedy, top_k, truncate,
):  # fmt: skip
  B, P = prompt_BP.shape
  pad = eos[0] if eos else 0

  def draw(x_B1D, t, done_B):
    logits_BV = pin(model.unembed(x_B1D)[:, 0], 'B')
    logits_BV = logits_BV if greedy else logits_BV / temperature
    kept_BV = truncated(logits_BV, top_k, top_p if truncate else None)
    if greedy:
      token_B = jnp.argmax(logits_BV, -1)
    else:
      now_B = jax.vmap(jax.random.fold_in, in_axes=(0, None))(key_B, t)
      token_B = jax.vmap(jax.random.categorical)(now_B, kept_BV)
    logprob_BV = jax.nn.log_softmax(logits_BV)
    logprob_B = jnp.take_along_axis(logprob_BV, token_B[:, None], -1)[:, 0]
    return jnp.where(done_B, pad, token_B).astype(jnp.int32), jnp.where(done_B, 0, logprob_B)

  def put(t, out, token_B, logprob_B, done_B):
    at = lambda a_BR, a_B: jax.lax.dynamic_update_slice(a_BR, a_B[:, None], (0, t))
    ended_B = jnp.isin(token_B, jnp.array(eos)) if eos else jnp.zeros(B, bool)
    return Sampled(
      tokens_BR=at(out.tokens_BR, token_B),
      logprob_BR=at(out.logprob_BR, logprob_B),
      length_B=jnp.where(done_B, out.length_B, t + 1),
      finished_B=done_B | ended_B,
    )

  def step(carry):
    t, out, token_B, cache = carry
    x_B1D, cache = model.extend(token_B[:, None], cache)
    token_B, logprob_B = draw(x_B1D, t, out.finished_B)
    return t + 1, put(t, out, token_B, logprob_B, out.finished_B), token_B, cache

  idle_B = segment_BP[:, -1] == 0
  out = Sampled(
    jnp.full((B, slots), pad, jnp.int32), jnp.zeros((B, slots)), jnp.zeros(B, jnp.int32), idle_B
  )
  stops = (slots // 2, slots) if model.small and slots > 64 else (slots,)
  x_BPD, cache = model.prefill(prompt_BP, segment_BP, P + stops[0])
  token_B, logprob_B = draw(x_BPD[:, -1:], 0, idle_B)
  carry = jnp.int32(1), put(0, out, token_B, logprob_B, idle_B), token_B, cache
  for stop in stops:
    last = jnp.minimum(stop, length)
    more = lambda carry, last=last: (carry[0] < last) & ~carry[1].finished_B.all()
    carry = *carry[:3], model.grow(carry[3], P + stop)
    carry = jax.lax.while_loop(more, step, carry)
  return carry[1]


def truncated(logits_BV, top_k=None, top_p=None):
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
