"""PPO by hand: shaped rewards, GAE, the clipped losses, and the two small states around them.

Arrays of shape BT line up with tokens_BT: position t holds what was decided *at* token t, and a
mask (bool or 0/1) says where that is a sampled token. What lies elsewhere, NaN included, is never
read and comes back 0. Everything is computed in fp32 at least; every metric is a (total, weight)
pair, so that microbatches and hosts add up: accumulate those, or pass `count=`, the tokens of the
whole optimizer step, to divide a loss by that and sum the losses and gradients.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxalign.config import UserError

Pair = tuple[Array, Array]  # (total, weight) of a metric


def _floats(*arrays):
  """One float type for all, fp32 at least: bf16 sums drift and an integer array truncates a 0.7."""
  arrays = [jnp.asarray(x) for x in arrays]
  floating = [x.dtype for x in arrays if jnp.issubdtype(x.dtype, jnp.floating)]
  wide = jnp.float64 in (floating or [jnp.result_type(float)])
  dtype = jnp.float64 if wide else jnp.float32
  return [x.astype(dtype) for x in arrays]


def _masked(mask_BT, *arrays):
  """The mask as bools, and the arrays in one float type."""
  return jnp.asarray(mask_BT).astype(bool), *_floats(*arrays)


def _data(mask_BT, *arrays):
  """Arrays that are data, not variables: no gradient, and 0 where masked."""
  return [jax.lax.stop_gradient(jnp.where(mask_BT, x, 0)) for x in _floats(*arrays)]


def _tame(x):
  """Held where exp stays finite, with room to sum a few thousand of them."""
  return jnp.minimum(x, jnp.log(jnp.finfo(x.dtype).max) - 8)


def _last(mask_BT):
  """True on the last valid position of each row; nowhere in an empty row."""
  return mask_BT & (jax.lax.cumsum(mask_BT.astype(jnp.int32), mask_BT.ndim - 1, reverse=True) == 1)


def _centre(x, weight):
  """(x - mean, mean in two parts, total weight). Shifted by a member first: a constant gives 0."""
  live, n = weight != 0, weight.sum()
  pivot = jax.lax.stop_gradient(jnp.where(live, x, -jnp.inf).max(initial=-jnp.inf))
  pivot = jnp.where(n > 0, pivot, 0)
  shifted = jnp.where(live, x - pivot, 0)
  mean = (weight * shifted).sum() / jnp.where(n > 0, n, 1)
  return jnp.where(live, shifted - mean, 0), (pivot, mean), n


def total(x_BT: Array, mask_BT: Array) -> Pair:
  """The masked (sum, count): a metric in the form that adds up."""
  mask_BT, x_BT = _masked(mask_BT, x_BT)
  return jnp.where(mask_BT, x_BT, 0).sum(), mask_BT.sum(dtype=x_BT.dtype)


def _mean(pair, count):
  """A pair's mean, or its share of a step that holds `count` tokens; of nothing, 0."""
  weight = pair[1] if count is None else jnp.asarray(count).astype(pair[0].dtype)
  return pair[0] / jnp.where(weight > 0, weight, 1)


def whiten(x_BT: Array, mask_BT: Array, shift_mean: bool = True) -> Array:
  """Mean 0 and unbiased variance 1 over the mask; without spread, 0. TRL can keep the mean."""
  mask_BT, x_BT = _masked(mask_BT, x_BT)
  centred_BT, mean, n = _centre(jnp.where(mask_BT, x_BT, 0), mask_BT.astype(x_BT.dtype))
  scale = jax.lax.stop_gradient(jnp.abs(centred_BT).max(initial=0))  # no square over- or underflows
  some = scale > 0
  unit_BT = jnp.where(some, centred_BT / jnp.where(some, scale, 1), 0)
  variance = (unit_BT**2).sum() / jnp.maximum(n - 1, 1)
  white_BT = unit_BT / jnp.sqrt(jnp.where(some, variance, 1))
  return white_BT if shift_mean else jnp.where(mask_BT, white_BT + sum(mean), 0)


def explained_variance(value_BT: Array, return_BT: Array, mask_BT: Array) -> Array:
  """1 - Var(R - V) / Var(R) over the mask; 0 where the returns do not vary."""
  mask_BT, value_BT, return_BT = _masked(mask_BT, value_BT, return_BT)
  value_BT, return_BT = _data(mask_BT, value_BT, return_BT)
  weight_BT = mask_BT.astype(value_BT.dtype)
  error_BT, spread_BT = (_centre(x, weight_BT)[0] for x in (return_BT - value_BT, return_BT))
  spread = (spread_BT**2).sum()
  return jnp.where(spread > 0, 1 - (error_BT**2).sum() / jnp.where(spread > 0, spread, 1), 0)


def kl_estimate(logprob_BT: Array, ref_logprob_BT: Array, kind: str) -> Array:
  """KL(policy, reference) per token. k1 belongs in the reward; as a *loss*, k2 has the gradient."""
  logprob_BT, ref_logprob_BT = _floats(logprob_BT, ref_logprob_BT)
  k1_BT = logprob_BT - ref_logprob_BT
  if kind == 'k1':
    return k1_BT
  if kind == 'k2':
    return 0.5 * k1_BT**2
  if kind == 'k3':
    back_BT = _tame(-k1_BT)  # in both terms, so that it is never negative
    return jnp.expm1(back_BT) - back_BT
  if kind == 'abs':
    return jnp.abs(k1_BT)
  raise UserError(f"KL estimate '{kind}' is unknown: use 'k1', 'k2', 'k3' or 'abs'.")


def sequence_kl(logprob_BT: Array, ref_logprob_BT: Array, mask_BT: Array) -> Pair:
  """KL in nats per *sequence*, AdaptiveKL's unit, as (sum of k1, rows that have a token)."""
  mask_BT = jnp.asarray(mask_BT).astype(bool)
  k1_BT = kl_estimate(logprob_BT, ref_logprob_BT, 'k1')
  return jnp.where(mask_BT, k1_BT, 0).sum(), mask_BT.any(-1).sum(dtype=k1_BT.dtype)


def shape_rewards(
  score_B: Array, logprob_BT: Array, ref_logprob_BT: Array, mask_BT: Array, beta: ArrayLike
) -> Array:
  """Every sampled token pays beta times its k1; the last one also earns the score."""
  mask_BT, score_B, *both = _masked(mask_BT, score_B, logprob_BT, ref_logprob_BT)
  k1_BT = jnp.where(mask_BT, both[0] - both[1], 0)
  earned_BT = jnp.where(_last(mask_BT), score_B[..., None], 0)
  return earned_BT - jnp.asarray(beta).astype(k1_BT.dtype) * k1_BT


def gae(
  reward_BT: Array,
  value_BT: Array,
  mask_BT: Array,
  gamma: ArrayLike,
  lam: ArrayLike,
  *,
  bootstrap_B: Array | None = None,
) -> tuple[Array, Array]:
  """Generalised advantages and returns, scanning time backwards; not whitened, no gradient.

  A hole inside a response (a tool's or a user's turn) costs no discount: the state passes over it.
  Beyond the last token the value is 0, or `bootstrap_B`: V there if truncated, 0 if finished.
  """
  mask_BT = jnp.asarray(mask_BT).astype(bool)
  end_B = jnp.zeros(mask_BT.shape[:-1], jnp.float32) if bootstrap_B is None else bootstrap_B
  reward_BT, value_BT, end_B = _floats(reward_BT, value_BT, end_B)
  reward_BT, value_BT = _data(mask_BT, reward_BT, value_BT)
  gamma, lam = (jnp.asarray(x).astype(value_BT.dtype) for x in (gamma, lam))

  def back(carry, now):
    advantage_B, next_value_B = carry
    reward_B, value_B, live_B = now
    delta_B = reward_B + gamma * next_value_B - value_B
    advantage_B = jnp.where(live_B, delta_B + gamma * lam * advantage_B, advantage_B)
    return (advantage_B, jnp.where(live_B, value_B, next_value_B)), advantage_B

  time_first = [jnp.moveaxis(x, -1, 0) for x in (reward_BT, value_BT, mask_BT)]
  start = jnp.zeros_like(end_B), jax.lax.stop_gradient(end_B)
  _, advantage_TB = jax.lax.scan(back, start, tuple(time_first), reverse=True)
  advantage_BT = jnp.where(mask_BT, jnp.moveaxis(advantage_TB, 0, -1), 0)
  return jax.lax.stop_gradient((advantage_BT, advantage_BT + value_BT))


def policy_loss(
  logprob_BT: Array,
  old_logprob_BT: Array,
  advantage_BT: Array,
  mask_BT: Array,
  clip_low: float,
  clip_high: float,
  dual_clip: float | None = None,
  *,
  count: ArrayLike | None = None,
) -> tuple[Array, dict[str, Pair]]:
  """The clipped surrogate; `dual_clip` (> 1) bounds the cost of a token of negative advantage.

  clip_fraction counts tokens whose clip binds; approx_kl is k3, approx_kl_k1 is k1 of KL(old, new).
  ratio_max weighs 1 per call: over microbatches it reads as the mean of their maxima.
  """
  mask_BT, logprob_BT, *old = _masked(mask_BT, logprob_BT, old_logprob_BT, advantage_BT)
  old_BT, advantage_BT = _data(mask_BT, *old)
  log_ratio_BT = jnp.where(mask_BT, logprob_BT - old_BT, 0)  # before exp, or 0 * inf is NaN
  ratio_BT = jnp.exp(_tame(log_ratio_BT))
  free_BT = -advantage_BT * ratio_BT
  bound_BT = -advantage_BT * jnp.clip(ratio_BT, 1 - clip_low, 1 + clip_high)
  loss_BT = jnp.maximum(free_BT, bound_BT)
  dual_BT = jnp.zeros_like(mask_BT)
  if dual_clip is not None:
    ceiling_BT = -advantage_BT * dual_clip
    dual_BT = (advantage_BT < 0) & (loss_BT > ceiling_BT)
    loss_BT = jnp.where(advantage_BT < 0, jnp.minimum(loss_BT, ceiling_BT), loss_BT)
  any_live = mask_BT.any().astype(ratio_BT.dtype)
  stats = {
    'policy_loss': total(loss_BT, mask_BT),
    'clip_fraction': total(bound_BT > free_BT, mask_BT),
    'dual_clip_fraction': total(dual_BT, mask_BT),
    'approx_kl': total(kl_estimate(-log_ratio_BT, jnp.zeros_like(log_ratio_BT), 'k3'), mask_BT),
    'approx_kl_k1': total(-log_ratio_BT, mask_BT),
    'ratio': total(ratio_BT, mask_BT),
    'ratio_max': (jnp.where(mask_BT, ratio_BT, 0).max(initial=0), any_live),
  }
  return _mean(stats['policy_loss'], count), jax.lax.stop_gradient(stats)


def value_loss(
  value_BT: Array,
  old_value_BT: Array,
  return_BT: Array,
  mask_BT: Array,
  clip: float | None = None,
  *,
  count: ArrayLike | None = None,
) -> tuple[Array, dict[str, Pair]]:
  """Half the worse squared error: the value's, or that of the value held within `clip` of the old.

  Explained variance needs sums too: from the means of these pairs it is
  1 - (error_sq - error**2) / (return_sq - return**2).
  """
  mask_BT, value_BT, *old = _masked(mask_BT, value_BT, old_value_BT, return_BT)
  old_BT, return_BT = _data(mask_BT, *old)
  value_BT = jnp.where(mask_BT, value_BT, 0)
  error_BT = value_BT - return_BT
  worst_BT, binds_BT = error_BT**2, jnp.zeros_like(mask_BT)
  if clip is not None:
    near_BT = (old_BT + jnp.clip(value_BT - old_BT, -clip, clip) - return_BT) ** 2
    binds_BT, worst_BT = near_BT > worst_BT, jnp.maximum(worst_BT, near_BT)
  parts = {'value_loss': 0.5 * worst_BT, 'value_clip_fraction': binds_BT, 'value': value_BT}
  parts |= {'return': return_BT, 'return_sq': return_BT**2}
  parts |= {'error': error_BT, 'error_sq': error_BT**2}
  stats = {name: total(x_BT, mask_BT) for name, x_BT in parts.items()}
  return _mean(stats['value_loss'], count), jax.lax.stop_gradient(stats)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class AdaptiveKL:
  """Ziegler's controller: beta drifts until KL meets its target. All leaves, so it checkpoints."""

  beta: ArrayLike
  target: ArrayLike  # nats per sequence, never per token
  horizon: ArrayLike  # sequences over which a full error moves beta by its own size
  low: ArrayLike = 1e-6  # above 0: from 0 no factor leads back
  high: ArrayLike = 1e3

  def update(self, kl_per_sequence: ArrayLike, n_sequences: ArrayLike) -> 'AdaptiveKL':
    """Once per iteration. A KL that is not a number (no sequence at all) leaves beta as it was."""
    (beta,) = _floats(self.beta)
    target, horizon, low, high, kl, n = (
      jnp.asarray(x).astype(beta.dtype)
      for x in (self.target, self.horizon, self.low, self.high, kl_per_sequence, n_sequences)
    )
    error = jnp.clip(kl / target - 1, -0.2, 0.2)
    moved = jnp.clip(beta * (1 + error * n / horizon), low, high)
    return dataclasses.replace(self, beta=jnp.where(jnp.isnan(error), beta, moved))


def _zero() -> Any:
  return dataclasses.field(default_factory=lambda: jnp.zeros(()))  # not at import: no device yet


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class RunningMoments:
  """Mean and spread of everything seen, merged by batch (Chan): no sum of squares to cancel."""

  count: Array = _zero()
  mean: Array = _zero()
  m2: Array = _zero()
  low: Array = _zero()  # what the mean's rounding lost: small steps far from 0 would all vanish

  def update(self, x_B: Array, weight_B: Array | None = None) -> 'RunningMoments':
    (x_B,) = _floats(x_B)
    weight_B = jnp.ones_like(x_B) if weight_B is None else jnp.asarray(weight_B).astype(x_B.dtype)
    centred_B, (mean, low), n = _centre(x_B, weight_B)
    return self.merge(RunningMoments(n, mean, (weight_B * centred_B**2).sum(), low))

  def merge(self, other: 'RunningMoments') -> 'RunningMoments':
    """The moments of both together, in this one's type: another host's, or another batch's."""
    mine, theirs = ((x.count, x.mean, x.m2, x.low) for x in (self, other))
    count, mean, m2, low, n, other_mean, other_m2, other_low = _floats(*mine, *theirs)
    both = count + n
    share = n / jnp.where(both > 0, both, 1)
    started = count > 0  # before that, where the other is: a gap from 0 would round its spread away
    mean, low = jnp.where(started, mean, other_mean), jnp.where(started, low, other_low)
    gap = (other_mean - mean) + (other_low - low)
    step = low + gap * share
    new_mean = mean + step
    merged = both, new_mean, m2 + other_m2 + gap**2 * count * share, step - (new_mean - mean)
    return RunningMoments(*(x.astype(jnp.result_type(self.mean)) for x in merged))

  @property
  def std(self) -> Array:
    """Unbiased; 0 until two have been seen."""
    return jnp.sqrt(self.m2 / jnp.maximum(self.count - 1, 1))

  def normalise(self, x: ArrayLike) -> Array:
    """(x - mean) / std; while nothing has varied, x - mean."""
    x, mean, low, std = _floats(x, self.mean, self.low, self.std)
    return (x - mean - low) / jnp.where(std > 0, std, 1)
