"""The loss of preferences: Bradley-Terry, on scores of pairs."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxalign.losses.logits import to_float


def bradley_terry(
  chosen_B: ArrayLike,
  rejected_B: ArrayLike,
  margin_B: ArrayLike | None = None,
  center: float = 0.0,
  *,
  weight_B: ArrayLike | None = None,
  count: ArrayLike | None = None,
) -> tuple[jax.Array, dict[str, tuple[jax.Array, jax.Array]]]:
  """-log sigmoid(chosen - rejected - margin), and `center` times (chosen + rejected)^2.

  Weight 0 drops a pair. The loss is the mean, or with `count` (pairs of the whole step) the total.
  """
  chosen_B, rejected_B = to_float(chosen_B), to_float(rejected_B)
  weight_B = jnp.ones_like(chosen_B) if weight_B is None else jnp.asarray(weight_B)
  live_B, weight_B = weight_B.astype(bool), weight_B.astype(chosen_B.dtype)
  chosen_B, rejected_B = jnp.where(live_B, chosen_B, 0), jnp.where(live_B, rejected_B, 0)
  gap_B = chosen_B - rejected_B
  wanted_B = 0 if margin_B is None else jnp.where(live_B, to_float(margin_B), 0).astype(gap_B.dtype)
  loss_B = jax.nn.softplus(wanted_B - gap_B) + center * (chosen_B + rejected_B) ** 2
  right_B = (jnp.sign(gap_B) + 1) / 2  # a tie is half right
  parts = {'loss': loss_B, 'accuracy': right_B, 'margin': gap_B}
  parts |= {'chosen': chosen_B, 'rejected': rejected_B}
  weight = weight_B.sum()
  stats = {name: ((weight_B * x_B).sum(), weight) for name, x_B in parts.items()}
  by = weight if count is None else jnp.asarray(count).astype(weight.dtype)
  return stats['loss'][0] / jnp.where(by > 0, by, 1), jax.lax.stop_gradient(stats)
