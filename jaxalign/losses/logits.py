"""Log-probabilities and entropies of tokens, from logits."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike, DTypeLike

from jaxalign.config import UserError


def wide_type(x: jax.Array) -> DTypeLike:
  """The float type to compute in: fp32 at least."""
  if not jnp.issubdtype(x.dtype, jnp.floating):
    return jnp.result_type(float)
  return jnp.float64 if x.dtype == jnp.float64 else jnp.float32


def to_float(x: ArrayLike) -> jax.Array:
  x = jnp.asarray(x)
  return x.astype(wide_type(x))


def checked_temperature(temperature: float | jax.Array, like: jax.Array) -> jax.Array:
  """The temperature in the float type of what it divides; a traced one cannot be checked."""
  if not isinstance(temperature, jax.core.Tracer) and not temperature > 0:
    raise UserError(f'temperature is {temperature}: use one above 0 (greedy has no probabilities).')
  return jnp.asarray(temperature).astype(wide_type(like))


def _hits(tokens_BT, V):
  """One-hot by comparison: unlike a gather it needs no whole vocabulary on one device."""
  return tokens_BT[..., None] == jnp.arange(V, dtype=jnp.int32)


def _known(tokens_BT, V):
  return (tokens_BT >= 0) & (tokens_BT < V)


def read_logits(
  logits_BTV: jax.Array, tokens_BT: jax.Array, temperature: float | jax.Array, entropy: bool = True
) -> tuple[tuple[jax.Array, jax.Array | None], tuple[jax.Array, jax.Array]]:
  """(log-probability, entropy) of the tokens, and the (maximum, log mass) that the gradient needs.

  Every sum casts inside its own reduction: bf16 logits get no fp32 copy. NaN for an unknown id.
  Without `entropy`, which costs as much as the rest, None stands in its place.
  """
  V = logits_BTV.shape[-1]
  top_BT = logits_BTV.max(-1)
  shift_BTV = (to_float(logits_BTV) - to_float(top_BT)[..., None]) / temperature
  mass_BTV = jnp.exp(shift_BTV)
  log_mass_BT = jnp.log(mass_BTV.sum(-1))
  picked_BT = to_float(jnp.where(_hits(tokens_BT, V), logits_BTV, 0).sum(-1))
  logprob_BT = (picked_BT - to_float(top_BT)) / temperature - log_mass_BT
  logprob_BT = jnp.where(_known(tokens_BT, V), logprob_BT, jnp.nan)
  if not entropy:
    return (logprob_BT, None), (top_BT, log_mass_BT)
  surprise_BT = jnp.where(mass_BTV > 0, mass_BTV * shift_BTV, 0).sum(-1)  # 0 log 0 is 0
  return (logprob_BT, log_mass_BT - surprise_BT / jnp.exp(log_mass_BT)), (top_BT, log_mass_BT)


def is_asked(dlogprob_BT: jax.Array, dentropy_BT: jax.Array | None) -> jax.Array:
  asked_BT = dlogprob_BT != 0
  return asked_BT if dentropy_BT is None else asked_BT | (dentropy_BT != 0)


def pulled(
  logits_BTV: jax.Array,
  tokens_BT: jax.Array,
  temperature: float | jax.Array,
  entropy_BT: jax.Array | None,
  norm: tuple[jax.Array, jax.Array],
  dlogprob_BT: jax.Array,
  dentropy_BT: jax.Array | None,
) -> jax.Array:
  """The gradient of read_logits, elementwise; 0 where nothing is asked, even if logits are NaN."""
  V = logits_BTV.shape[-1]
  asked_BT = is_asked(dlogprob_BT, dentropy_BT)
  dlogprob_BT = jnp.where(_known(tokens_BT, V) | (dlogprob_BT == 0), dlogprob_BT, jnp.nan)
  top_BT1, log_mass_BT1 = (to_float(x)[..., None] for x in norm)
  logp_BTV = (to_float(logits_BTV) - top_BT1) / temperature - log_mass_BT1
  p_BTV = jnp.exp(logp_BTV)
  dlogits_BTV = dlogprob_BT[..., None] * (_hits(tokens_BT, V).astype(p_BTV.dtype) - p_BTV)
  if entropy_BT is not None and dentropy_BT is not None:
    surprise_BTV = jnp.where(p_BTV > 0, p_BTV * logp_BTV, 0)
    dlogits_BTV -= dentropy_BT[..., None] * (surprise_BTV + p_BTV * entropy_BT[..., None])
  return jnp.where(asked_BT[..., None], dlogits_BTV / temperature, 0)
