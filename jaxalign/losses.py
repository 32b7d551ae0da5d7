"""Losses as pure functions: next token, token log-probabilities, Bradley-Terry.

No fp32 array of shape [B,T,V] is ever whole: from hidden states the logits exist one chunk of the
sequence at a time, forwards and again backwards. Only T is cut, so a batch sharded over 'data' and
a vocabulary sharded over 'tensor' stay where they are: nothing is gathered along V, only reduced.
"""

import functools

import jax
import jax.numpy as jnp

from jaxalign.config import UserError
from jaxalign.models.layers import exact, of_weight
from jaxalign.sharding import own_rows, pin, platform


def _wide(x):
  """The float type to compute in: fp32 at least."""
  if not jnp.issubdtype(x.dtype, jnp.floating):
    return jnp.result_type(float)
  return jnp.float64 if x.dtype == jnp.float64 else jnp.float32


def _float(x):
  x = jnp.asarray(x)
  return x.astype(_wide(x))


def bradley_terry(chosen_B, rejected_B, margin_B=None, center=0.0, *, weight_B=None, count=None):
  """-log sigmoid(chosen - rejected - margin), and `center` times (chosen + rejected)^2.

  Weight 0 drops a padding pair. The loss is the mean, or the total over `count` (the pairs of the
  whole optimizer step) where microbatches are summed.
  """
  chosen_B, rejected_B = _float(chosen_B), _float(rejected_B)
  weight_B = jnp.ones_like(chosen_B) if weight_B is None else jnp.asarray(weight_B)
  live_B, weight_B = weight_B.astype(bool), weight_B.astype(chosen_B.dtype)
  chosen_B, rejected_B = jnp.where(live_B, chosen_B, 0), jnp.where(live_B, rejected_B, 0)
  gap_B = chosen_B - rejected_B
  wanted_B = 0 if margin_B is None else jnp.where(live_B, _float(margin_B), 0).astype(gap_B.dtype)
  loss_B = jax.nn.softplus(wanted_B - gap_B) + center * (chosen_B + rejected_B) ** 2
  right_B = (jnp.sign(gap_B) + 1) / 2  # a tie is half right
  parts = {'loss': loss_B, 'accuracy': right_B, 'margin': gap_B}
  parts |= {'chosen': chosen_B, 'rejected': rejected_B}
  weight = weight_B.sum()
  stats = {name: ((weight_B * x_B).sum(), weight) for name, x_B in parts.items()}
  by = weight if count is None else jnp.asarray(count).astype(weight.dtype)
  return stats['loss'][0] / jnp.where(by > 0, by, 1), jax.lax.stop_gradient(stats)


def _checked(temperature, like):
  """The temperature in the float type of what it divides; a traced one cannot be checked."""
  if not isinstance(temperature, jax.core.Tracer) and not temperature > 0:
    raise UserError(f'temperature is {temperature}: use one above 0 (greedy has no probabilities).')
  return jnp.asarray(temperature).astype(_wide(like))


def _hits(tokens_BT, V):
  """One-hot by comparison: unlike a gather it needs no whole vocabulary on one device."""
  return tokens_BT[..., None] == jnp.arange(V, dtype=jnp.int32)


def _known(tokens_BT, V):
  return (tokens_BT >= 0) & (tokens_BT < V)


def _read(logits_BTV, tokens_BT, temperature, entropy=True):
  """(log-probability, entropy) of the tokens, and the (maximum, log mass) that the gradient needs.

  Every sum casts inside its own reduction: bf16 logits get no fp32 copy. NaN for an unknown id.
  Without `entropy`, which costs as much as the rest, None stands in its place.
  """
  V = logits_BTV.shape[-1]
  top_BT = logits_BTV.max(-1)
  shift_BTV = (_float(logits_BTV) - _float(top_BT)[..., None]) / temperature
  mass_BTV = jnp.exp(shift_BTV)
  log_mass_BT = jnp.log(mass_BTV.sum(-1))
  picked_BT = _float(jnp.where(_hits(tokens_BT, V), logits_BTV, 0).sum(-1))
  logprob_BT = (picked_BT - _float(top_BT)) / temperature - log_mass_BT
  logprob_BT = jnp.where(_known(tokens_BT, V), logprob_BT, jnp.nan)
  if not entropy:
    return (logprob_BT, None), (top_BT, log_mass_BT)
  surprise_BT = jnp.where(mass_BTV > 0, mass_BTV * shift_BTV, 0).sum(-1)  # 0 log 0 is 0
  return (logprob_BT, log_mass_BT - surprise_BT / jnp.exp(log_mass_BT)), (top_BT, log_mass_BT)


def _asked(dlogprob_BT, dentropy_BT):
  asked_BT = dlogprob_BT != 0
  return asked_BT if dentropy_BT is None else asked_BT | (dentropy_BT != 0)


def _pull(logits_BTV, tokens_BT, temperature, entropy_BT, norm, dlogprob_BT, dentropy_BT):
  """The gradient of _read, elementwise. Where nothing is asked it is 0, even if logits are NaN."""
  V = logits_BTV.shape[-1]
  asked_BT = _asked(dlogprob_BT, dentropy_BT)
  dlogprob_BT = jnp.where(_known(tokens_BT, V) | (dlogprob_BT == 0), dlogprob_BT, jnp.nan)
  top_BT1, log_mass_BT1 = (_float(x)[..., None] for x in norm)
  logp_BTV = (_float(logits_BTV) - top_BT1) / temperature - log_mass_BT1
  p_BTV = jnp.exp(logp_BTV)
  dlogits_BTV = dlogprob_BT[..., None] * (_hits(tokens_BT, V).astype(p_BTV.dtype) - p_BTV)
  if dentropy_BT is not None:
    surprise_BTV = jnp.where(p_BTV > 0, p_BTV * logp_BTV, 0)
    dlogits_BTV -= dentropy_BT[..., None] * (surprise_BTV + p_BTV * entropy_BT[..., None])
  return jnp.where(asked_BT[..., None], dlogits_BTV / temperature, 0)


def _in_slices(read, tokens_BT, *given, size=128):
  """read(tokens, *given) on one slice of T at a time, so that its fp32 intermediates stay small.

  Sliced in place, not cut: logits are large. The last slice overlaps where T does not divide.
  """
  axis = tokens_BT.ndim - 1
  T = tokens_BT.shape[axis]
  size = min(size, T)

  def one(i, whole):
    start = jnp.minimum(i * size, T - size)
    part = (jax.lax.dynamic_slice_in_dim(x, start, size, axis) for x in (tokens_BT, *given))
    put = functools.partial(jax.lax.dynamic_update_slice_in_dim, start_index=start, axis=axis)
    return jax.tree.map(put, whole, read(*part))

  shapes = jax.eval_shape(read, tokens_BT, *given)
  whole = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
  return jax.lax.fori_loop(0, -(-T // max(size, 1)), one, whole)


@jax.custom_vjp
def _from_logits(logits_BTV, tokens_BT, temperature):
  return _from_logits_forward(logits_BTV, tokens_BT, temperature)[0]


def _from_logits_forward(logits_BTV, tokens_BT, temperature):
  out, norm = _in_slices(lambda t, x: _read(x, t, temperature), tokens_BT, logits_BTV)
  return out, (logits_BTV, tokens_BT, temperature, out[1], *norm)


def _from_logits_backward(saved, cotangents):
  logits_BTV, tokens_BT, temperature, *rest = saved

  def pull(tokens_BT, logits_BTV, entropy_BT, top_BT, log_mass_BT, *wanted):
    norm = top_BT, log_mass_BT
    dlogits_BTV = _pull(logits_BTV, tokens_BT, temperature, entropy_BT, norm, *wanted)
    return dlogits_BTV.astype(logits_BTV.dtype)

  return _in_slices(pull, tokens_BT, logits_BTV, *rest, *cotangents), None, None


_from_logits.defvjp(_from_logits_forward, _from_logits_backward)


def token_logprobs(logits_BTV, tokens_BT, temperature=1.0):
  """fp32 log-softmax of logits / temperature, at the tokens; keeps only the given logits."""
  logits_BTV, tokens_BT = jnp.asarray(logits_BTV), jnp.asarray(tokens_BT, jnp.int32)
  return _from_logits(logits_BTV, tokens_BT, _checked(temperature, logits_BTV))[0]


def token_entropy(logits_BTV, temperature=1.0):
  """Entropy in nats of softmax(logits / temperature) at each position."""
  logits_BTV = jnp.asarray(logits_BTV)
  tokens_BT = jnp.zeros(logits_BTV.shape[:-1], jnp.int32)
  return _from_logits(logits_BTV, tokens_BT, _checked(temperature, logits_BTV))[1]


def _cast(head_VD, x_BTD):
  """The head in the type of x, before it is gathered."""
  return pin(head_VD.astype(x_BTD.dtype), 'VD')


def _chunk(chunk, x_BTD):
  """Tokens of T at a time. A TPU takes at least 512 of all rows: each turn of the loop reads and
  writes the head's whole gradient."""
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
  wide = _wide(x_BTD)
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
      return None, _read(_logits(part_BTD, head_VD, bias_V), part_BT, temperature, entropy)

    size = _chunk(chunk, x_BTD)
    _, out = jax.lax.scan(one, None, (_cut(x_BTD, size), _cut(tokens_BT, size)))
    return jax.tree.map(lambda x: _join(x, tokens_BT.shape[1]), out), None

  whole = _cast(head_VD, x_BTD), bias_V, temperature
  (read, norm), _ = own_rows(local, (x_BTD, tokens_BT), whole)
  return read, ((x_BTD, head_VD, bias_V, tokens_BT, temperature), read[1], norm)


def _chunked_backward(chunk, entropy, saved, cotangents):
  """Recomputes each chunk's logits; the head's gradient is summed over chunks in fp32."""
  (x_BTD, head_VD, bias_V, tokens_BT, temperature), entropy_BT, norm = saved
  wide = _wide(x_BTD)

  def local(rows, whole):
    head_VD, bias_V, temperature = whole

    def one(sums, now):
      part_BTD, part_BT, entropy_BT, norm, wanted = now
      part_BTD = jnp.where(_asked(*wanted)[..., None], part_BTD, 0)  # NaN * 0 would reach the head
      logits_BTV = _logits(part_BTD, head_VD, bias_V)
      dlogits_BTV = _pull(logits_BTV, part_BT, temperature, entropy_BT, norm, *wanted)
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
  """Gradients, of which the head's is summed over devices before the layers' backward pass begins.

  It is large and in float32, and a TPU's compiler would keep it whole until the end."""
  return jax.lax.optimization_barrier(grads) if platform() == 'tpu' else grads


def _through_head(dlogits_BTV, x_BTD, head_VD):
  """((dhead, dbias) summed in fp32, dx in the type of x)."""
  wide = _wide(x_BTD)
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
  x_BTD, head_VD, bias_V, tokens_BT, temperature=1.0, chunk=128, entropy=True
):
  """token_logprobs and token_entropy of the logits x head^T + bias (or None), in chunks of T.

  An id outside the vocabulary reads NaN. A position whose result is masked with `where` sends no
  gradient, whatever its x holds. Without `entropy`, half of the cost here, None stands for it.
  """
  *given, chunk = _given(x_BTD, head_VD, bias_V, tokens_BT, chunk)
  return _chunked(*given, _checked(temperature, x_BTD), chunk, entropy)


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
  wide, chunk = _wide(x_BTD), _chunk(chunk, x_BTD)

  def one(sums, now):
    part_BTD, part_BT, weight_BT = now
    part_BTD = jnp.where(weight_BT[..., None] != 0, part_BTD, 0)  # NaN * 0 would reach the head
    logits_BTV = _logits(part_BTD, cast_VD, bias_V)
    (logprob_BT, _), norm = _read(logits_BTV, part_BT, 1.0, entropy=False)
    nll_BT = jnp.where(weight_BT != 0, -weight_BT * logprob_BT, 0)
    right_BT = _best(logits_BTV, norm[0]) == part_BT
    own = nll_BT.sum(), jnp.where(right_BT, weight_BT, 0).sum()
    if not grads:
      return jax.tree.map(jnp.add, sums, (own, ())), None
    dlogits_BTV = _pull(logits_BTV, part_BT, 1.0, None, norm, -weight_BT, None)
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


def after(a_BT):
  """What stands one place on, 0 behind the end: a token is learned from the place before it."""
  return jnp.pad(a_BT[:, 1:], ((0, 0), (0, 1)))


def next_token(x_BTD, head_VD, targets_BT, weight_BT, bias_V=None, chunk=128):
  """(sum of weight * -log p(target), sum of weight, sum of weight where the argmax is right).

  x_BTD are final hidden states, head_VD the head or the tied embedding in [V, D]. Where the weight
  is 0 neither x nor the target is read. Divide once, by the weight of the whole optimizer step.
  """
  x_BTD, head_VD, bias_V, targets_BT, chunk = _given(x_BTD, head_VD, bias_V, targets_BT, chunk)
  weight_BT = jax.lax.stop_gradient(jnp.asarray(weight_BT).astype(_wide(x_BTD)))
  nll, right = _nll(x_BTD, head_VD, bias_V, targets_BT, weight_BT, chunk)
  return nll, weight_BT.sum(), right
