"""What PPO says of itself: (total, weight) pairs, and flags that go up before a policy is lost."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from jaxalign.rl import ppo
from jaxalign.rl.players import Rollout, Rules

_QUARTERS = 4


def distinct(tokens_BR: Array, mask_BR: Array, n: int) -> ppo.Pair:
  """(different n-grams, n-grams), each within its own row, summed."""
  R = tokens_BR.shape[1]
  if n > R:
    return jnp.zeros(()), jnp.zeros(())
  code = jnp.zeros((tokens_BR.shape[0], R - n + 1), jnp.uint32)
  whole = jnp.ones(code.shape, bool)
  for i in range(n):  # a hash: n-grams of 32 bits that agree by chance are too few to matter
    code = code * jnp.uint32(2654435761) + tokens_BR[:, i : R - n + 1 + i].astype(jnp.uint32) + 1
    whole &= mask_BR[:, i : R - n + 1 + i]
  last = jnp.uint32(2**32 - 1)
  code = jnp.sort(jnp.where(whole, jnp.minimum(code, last - 1), last), axis=1)
  new = jnp.diff(code, axis=1, prepend=code[:, :1] - 1) != 0
  return (new & (code != last)).sum(dtype=jnp.float32), whole.sum(dtype=jnp.float32)


def of_rollout(
  rules: Rules, rollout: Rollout, raw_B: Array, score_B: Array, reward_BR: Array, beta: Array
) -> dict[str, ppo.Pair]:
  """Metrics of a batch of samples. KL: nats per sequence, per token, and per token of each quarter
  of the response's slots."""
  mask_BR, live_B = rollout.response_BR, rollout.live_B
  logprobs = rollout.logprob_BR, rollout.ref_logprob_BR
  k1_BR = ppo.kl_estimate(*logprobs, 'k1')
  gap_BR = jnp.abs(rollout.sampled_BR - rollout.logprob_BR)
  one = jnp.float32(1)
  repeated = distinct(rollout.tokens_BR, mask_BR, 4)
  rows = dict(reward_raw=raw_B, reward=score_B)
  rows |= dict(reward_shaped=jnp.where(mask_BR, reward_BR, 0).sum(1), length=rollout.length_B)
  rows |= dict(finished=rollout.finished_B, truncated=~rollout.finished_B)
  metrics: dict[str, ppo.Pair] = {n: ppo.total(x_B, live_B) for n, x_B in rows.items()}
  metrics |= dict(
    reward_std=(ppo.RunningMoments().update(raw_B, live_B).std, one),
    kl_sequence=ppo.sequence_kl(*logprobs, mask_BR),
    kl_token=ppo.total(k1_BR, mask_BR),
    kl_token_k3=ppo.total(ppo.kl_estimate(*logprobs, 'k3'), mask_BR),
    entropy=ppo.total(rollout.entropy_BR, mask_BR),
    entropy_reference=ppo.total(rollout.ref_entropy_BR, mask_BR),
    sampler_gap=ppo.total(gap_BR, mask_BR),
    sampler_gap_max=(jnp.where(mask_BR, gap_BR, 0).max(initial=0), one),
    explained_variance=_explained(rollout, reward_BR, rules),
    distinct_2=distinct(rollout.tokens_BR, mask_BR, 2),
    repetition=(repeated[1] - repeated[0], repeated[1]),
    beta=(beta, one),
  )
  R = mask_BR.shape[1]
  for n in range(_QUARTERS):
    part = slice(n * R // _QUARTERS, (n + 1) * R // _QUARTERS)
    metrics[f'kl_token_q{n + 1}'] = ppo.total(k1_BR[:, part], mask_BR[:, part])
  return metrics


def _explained(rollout, reward_BR, rules):
  """Of the returns to the end (lam 1): what GAE makes of the critic itself says less of it."""
  value_BR, mask_BR = rollout.value_BR, rollout.response_BR
  after_B = jnp.where(rollout.finished_B, 0, rollout.after_B) if rules.bootstrap else None
  _, return_BR = ppo.gae(reward_BR, value_BR, mask_BR, rules.gamma, 1.0, bootstrap_B=after_B)
  return ppo.explained_variance(value_BR, return_BR, mask_BR), jnp.float32(1)


def of_updates(told: Mapping[str, Any]) -> dict[str, ppo.Pair]:
  """Sums over the optimizer steps, the first step's own, and how many were taken."""
  stats = told['stats']
  metrics = jax.tree.map(lambda x: x.sum(0), stats)
  for name in ('ratio', 'ratio_max', 'clip_fraction', 'approx_kl'):
    metrics[f'first_{name}'] = tuple(x[0] for x in stats[name])
  ok, masked = told['ok'], told['masked']
  counts = dict(optimizer_steps=ok & ~masked, masked_steps=masked, skipped=~ok & ~masked)
  for name, x in counts.items():
    metrics[name] = x.sum(dtype=jnp.float32), jnp.float32(1)
  policy, value = metrics['policy_loss'], metrics['value_loss']
  return metrics | dict(loss=(policy[0] + value[0], policy[1]))


def flags(rules: Rules, metrics: Mapping[str, ppo.Pair]) -> dict[str, ppo.Pair]:
  """1 where something is wrong that is seen early, 0 elsewhere; and their sum."""
  mean = {name: total / jnp.maximum(weight, 1e-30) for name, (total, weight) in metrics.items()}
  raised = dict(
    flag_entropy=mean['entropy'] < 0.3 * mean['entropy_reference'],  # it says one thing only
    flag_repetition=mean['repetition'] > 0.5,
    flag_truncated=mean['truncated'] > 0.5,
    flag_critic=mean['explained_variance'] < -0.5,  # worse than no critic at all
    flag_sampler=mean['sampler_gap'] > 0.1,  # the sampler is not the policy that is trained
  )
  if rules.kl_target is not None:
    raised |= dict(flag_kl=mean['kl_sequence'] > 3 * rules.kl_target)
  one = jnp.float32(1)
  found: dict[str, Any] = {name: (x.astype(jnp.float32), one) for name, x in raised.items()}
  return found | dict(flags=(sum(x for x, _ in found.values()), one))
