"""Losses through the head, from hidden states.

No fp32 array of shape [B,T,V] is ever whole: the logits exist one chunk of the sequence at a time,
forwards and again backwards. Only T is cut, so a batch sharded over 'data' and a vocabulary sharded
over 'tensor' stay where they are: nothing is gathered along V, only reduced.
"""

import functools

import jax
import jax.numpy as jnp

from jaxalign.config import UserError
from jaxalign.losses.logits import checked_temperature, is_asked, pulled, read_logits, wide_type
from jaxalign.models.layers import exact, of_weight
from jaxalign.sharding.collectives import own_rows
from jaxalign.sharding.layout import pin
from jaxalign.sharding.meshes import platform


def _cast(head_VD, x_BTD):
  """The head in the type of x, before it is gathered."""
  return pin(head_VD.astype(x_BTD.dtype), 'VD')


def _chunk(chunk, x_BTD):
  """Tokens of T at a time; a TPU takes 512 of all rows: each turn moves the whole gradient."""
  B, T = x_BTD.shape[:2]
  return min(max(chunk, 512 // B), T) if platform() == 'tpu' else chunk


def _cut(x, chunk):
  """[B,T,...] -> [chunks,B,chunk,...], padded with zeros; B and T are never merged."""
  B, T = x.shape[:2]
  chunks = -(-T // chunk)
  x = jnp.pad(x, [(0, 0), (0, chunks * chunk - T)] + [(0, 0)] * (x.ndim - 2))
  return jnp.moveaxis(x.reshape(B, chunks, chunk, *x.shape[2:]), 1, 0)


def _join(x, T):
  """The inverse of _cut."""
  chunks, B, chunk = x.shape[:3]
  return jnp.moveaxis(x, 0, 1).reshape(B, chunks * chunk, *x.shape[3:])[:, :T]


def _logits(x_BTD, head_VD, bias_V):
  """The matmul in the type of x, summed in fp32."""
  wide = wide_type(x_BTD)
  how = dict(preferred_element_type=wide, precision=exact(x_BTD))
  logits_BTV = jnp.einsum('BTD,VD->BTV', x_BTD, head_VD, **how)
  return logits_BTV + bias_V.astype(wide)


def _best(logits_BTV, top_BT):
  """The argmax, by a faster reduction."""
  id_V = jnp.arange(logits_BTV.shape[-1], dtype=jnp.int32)
  return jnp.where(logits_BTV == top_BT[..., None], id_V, id_V.size).min(-1)


@functools.partial(jax.custom_vjp, nondiff_argnums=(5, 6))
def _chunked(x_BTD, head_VD, bias_V, tokens_BT, temperature, chunk, entropy):
  """(log-probability, entropy), each BT, one chunk of T after the other."""
  return _chunked_forward(x_BTD, head_VD, bias_V, tokens_BT, temperature, chunk, entropy)[0]


def _chunked_forward(x_BTD, head_VD, bias_V, tokens_BT, temperature, chunk, entropy):

  def local(rows, whole):
    x_BTD, tokens_BT = rows
    head_VD, bias_V, temperature = whole

    def one(_, now):
      part_BTD, part_BT = now
      return None, read_logits(_logits(part_BTD, head_VD, bias_V), part_BT, temperature, entropy)

    size = _chunk(chunk, x_BTD)
    _, out = jax.lax.scan(one, None, (_cut(x_BTD, size), _cut(tokens_BT, size)))
    return jax.tree.map(lambda x: _join(x, tokens_BT.shape[1]), out), None

  whole = _cast(head_VD, x_BTD), bias_V, temperature
  (read, norm), _ = own_rows(local, (x_BTD, tokens_BT), whole)
  return read, ((x_BTD, head_VD, bias_V, tokens_BT, temperature), read[1], norm)


def _chunked_backward(chunk, entropy, saved, cotangents):
  """Recomputes each chunk's logits; the head's gradient is summed over chunks in fp32."""
  (x_BTD, head_VD, bias_V, tokens_BT, temperature), entropy_BT, norm = saved
  wide = wide_type(x_BTD)

  def local(rows, whole):
    head_VD, bias_V, temperature = whole

    def one(sums, now):
      part_BTD, part_BT, entropy_BT, norm, wanted = now
      part_BTD = jnp.where(is_asked(*wanted)[..., None], part_BTD, 0)  # else NaN * 0 gets through
      logits_BTV = _logits(part_BTD, head_VD, bias_V)
      dlogits_BTV = pulled(logits_BTV, part_BT, temperature, entropy_BT, norm, *wanted)
      grads, dx_BTD = _through_head(dlogits_BTV, part_BTD, head_VD)
      return jax.tree.map(jnp.add, sums, grads), dx_BTD

    zeros = jnp.zeros(head_VD.shape, wide), jnp.zeros(bias_V.shape, wide)
    size = _chunk(chunk, rows[0])
    sums, dx = jax.lax.scan(one, zeros, jax.tree.map(lambda x: _cut(x, size), rows))
    return _join(dx, rows[0].shape[1]), sums

  rows = x_BTD, tokens_BT, entropy_BT, norm, cotangents
  whole = _cast(head_VD, x_BTD), bias_V, temperature
  dx_BTD, (dhead_VD, dbias_V) = _home_first(own_rows(local, rows, whole, ('VD', 'V')))
  return dx_BTD, dhead_VD.astype(head_VD.dtype), dbias_V.astype(bias_V.dtype), None, None


def _home_first(grads):
  """Gradients, the head's summed over devices first: a TPU would keep it whole until the end."""
  return jax.lax.optimization_barrier(grads) if platform() == 'tpu' else grads


def _through_head(dlogits_BTV, x_BTD, head_VD):
  """((dhead, dbias) summed in fp32, dx in the type of x)."""
  wide = wide_type(x_BTD)
  dbias_V = dlogits_BTV.sum((0, 1))
  dlogits_BTV = dlogits_BTV.astype(x_BTD.dtype)
  how = dict(preferred_element_type=wide, precision=exact(x_BTD))
  dx_BTD = jnp.einsum('BTV,VD->BTD', dlogits_BTV, head_VD, **how)
  flat = dlogits_BTV.reshape(-1, dlogits_BTV.shape[-1]), x_BTD.reshape(-1, x_BTD.shape[-1])
  dhead_VD = of_weight(*flat, preferred_element_type=wide)
  return (dhead_VD, dbias_V), dx_BTD.astype(x_BTD.dtype)


_chunked.defvjp(_chunked_forward, _chunked_backward)


def _given(x_BTD, head_VD, bias_V, tokens_BT, chunk):
  if chunk < 1:
    raise UserError(f'chunk is {chunk}: use at least 1 token of the sequence at a time.')
  x_BTD, head_VD, tokens_BT = (jnp.asarray(x) for x in (x_BTD, head_VD, tokens_BT))
  bias_V = jnp.zeros(head_VD.shape[0], x_BTD.dtype) if bias_V is None else jnp.asarray(bias_V)
  chunk = max(1, min(chunk, tokens_BT.shape[1]))
  return x_BTD, head_VD, bias_V, tokens_BT.astype(jnp.int32), chunk


def token_logprobs_from_hidden(
  x_BTD: jax.Array,
  head_VD: jax.Array,
  bias_V: jax.Array | None,
  tokens_BT: jax.Array,
  temperature: float | jax.Array = 1.0,
  chunk: int = 128,
  entropy: bool = True,
) -> tuple[jax.Array, jax.Array | None]:
  """(log-probabilities of the tokens, entropies), each BT, of the logits x head^T + bias, which are
  made in chunks of T.

  An id outside the vocabulary reads NaN. A position whose result is masked with `where` sends no
  gradient, whatever its x holds. Without `entropy`, half of the cost here, None stands for it.
  """
  *given, chunk = _given(x_BTD, head_VD, bias_V, tokens_BT, chunk)
  return _chunked(*given, checked_temperature(temperature, x_BTD), chunk, entropy)


def logprobs_and_best(
  x_BTD: jax.Array,
  head_VD: jax.Array,
  bias_V: jax.Array | None,
  tokens_BT: jax.Array,
  chunk: int = 128,
) -> tuple[jax.Array, jax.Array]:
  """(log-probabilities of the tokens, bools: is it the argmax), each BT, as above and without
  gradients. Of equal tokens the lowest id is the argmax, as in greedy sampling."""
  x_BTD, head_VD, bias_V, tokens_BT, chunk = _given(x_BTD, head_VD, bias_V, tokens_BT, chunk)

  def local(rows, whole):
    size = _chunk(chunk, rows[0])

    def one(_, now):
      part_BTD, part_BT = now
      logits_BTV = _logits(part_BTD, *whole)
      (logprob_BT, _), (top_BT, _) = read_logits(logits_BTV, part_BT, 1.0, entropy=False)
      return None, (logprob_BT, _best(logits_BTV, top_BT) == part_BT)

    _, out = jax.lax.scan(one, None, jax.tree.map(lambda x: _cut(x, size), rows))
    return jax.tree.map(lambda x: _join(x, rows[1].shape[1]), out), None

  return own_rows(local, (x_BTD, tokens_BT), (_cast(head_VD, x_BTD), bias_V))[0]


@functools.partial(jax.custom_vjp, nondiff_argnums=(5,))
def _nll(x_BTD, head_VD, bias_V, targets_BT, weight_BT, chunk):
  """(sum of weight * -log p, sum of weight where the argmax is right)."""
  return _nll_sums(x_BTD, head_VD, bias_V, targets_BT, weight_BT, chunk, grads=False)[0]


def _nll_forward(*args):
  """A sum's gradient is known but for a factor: made here, no logits are computed twice."""
  return _nll_sums(*args, grads=True)


def _nll_sums(x_BTD, head_VD, bias_V, targets_BT, weight_BT, chunk, grads):
  local = functools.partial(_nll_local, chunk=chunk, grads=grads)
  whole = _cast(head_VD, x_BTD), bias_V
  letters = ('', ''), (('VD', 'V') if grads else ())
  dx_BTD, (sums, of_head) = own_rows(local, (x_BTD, targets_BT, weight_BT), whole, letters)
  if not grads:
    return sums, None
  dx_BTD, (dhead_VD, dbias_V) = _home_first((dx_BTD, of_head))
  return sums, (dx_BTD, dhead_VD.astype(head_VD.dtype), dbias_V.astype(bias_V.dtype))


def _nll_local(rows, whole, chunk, grads):
  (x_BTD, targets_BT, weight_BT), (cast_VD, bias_V) = rows, whole
  wide, chunk = wide_type(x_BTD), _chunk(chunk, x_BTD)

  def one(sums, now):
    part_BTD, part_BT, weight_BT = now
    part_BTD = jnp.where(weight_BT[..., None] != 0, part_BTD, 0)  # else NaN * 0 gets through
    logits_BTV = _logits(part_BTD, cast_VD, bias_V)
    (logprob_BT, _), norm = read_logits(logits_BTV, part_BT, 1.0, entropy=False)
    nll_BT = jnp.where(weight_BT != 0, -weight_BT * logprob_BT, 0)
    right_BT = _best(logits_BTV, norm[0]) == part_BT
    own = nll_BT.sum(), jnp.where(right_BT, weight_BT, 0).sum()
    if not grads:
      return jax.tree.map(jnp.add, sums, (own, ())), None
    dlogits_BTV = pulled(logits_BTV, part_BT, 1.0, None, norm, -weight_BT, None)
    of_head, dx_BTD = _through_head(dlogits_BTV, part_BTD, cast_VD)
    return jax.tree.map(jnp.add, sums, (own, of_head)), dx_BTD

  zeros = (jnp.zeros(cast_VD.shape, wide), jnp.zeros(bias_V.shape, wide)) if grads else ()
  start = (jnp.zeros((), wide),) * 2, zeros
  cuts = tuple(_cut(x, chunk) for x in (x_BTD, targets_BT, weight_BT))
  sums, dx = jax.lax.scan(one, start, cuts)
  return _join(dx, x_BTD.shape[1]) if grads else None, sums


def _nll_backward(chunk, grads, cotangents):
  return *((cotangents[0] * g).astype(g.dtype) for g in grads), None, None


_nll.defvjp(_nll_forward, _nll_backward)


def after(a_BT: jax.Array) -> jax.Array:
  """What stands one place on, 0 behind the end: a token is learned from the place before it."""
  return jnp.pad(a_BT[:, 1:], ((0, 0), (0, 1)))


def next_token(
  x_BTD: jax.Array,
  head_VD: jax.Array,
  targets_BT: jax.Array,
  weight_BT: jax.Array,
  bias_V: jax.Array | None = None,
  chunk: int = 128,
) -> tuple[jax.Array, jax.Array, jax.Array]:
  """(sum of weight * -log p(target), sum of weight, sum of weight where the argmax is right).

  x_BTD are final hidden states, head_VD the head or the tied embedding in [V, D]. Where the weight
  is 0 neither x nor the target is read. Divide once, by the weight of the whole optimizer step.
  """
  x_BTD, head_VD, bias_V, targets_BT, chunk = _given(x_BTD, head_VD, bias_V, targets_BT, chunk)
  weight_BT = jax.lax.stop_gradient(jnp.asarray(weight_BT).astype(wide_type(x_BTD)))
  nll, right = _nll(x_BTD, head_VD, bias_V, targets_BT, weight_BT, chunk)
  return nll, weight_BT.sum(), right
