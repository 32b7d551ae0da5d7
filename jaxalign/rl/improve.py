"""From what was seen to a better policy and critic: shaped rewards, advantages, optimizer steps."""

from collections.abc import Callable
from typing import NamedTuple

import flax
import jax
import jax.numpy as jnp
import optax

from jaxalign.losses import head
from jaxalign.rl import ppo, watch
from jaxalign.rl.players import critic_of, policy_of, read, values
from jaxalign.sharding.layout import pin, pin_weights
from jaxalign.train.state import accumulated, faults


@flax.struct.dataclass
class _Carried:
  """What PPO keeps from iteration to iteration beside weights and moments; in every checkpoint."""

  kl: ppo.AdaptiveKL
  moments: ppo.RunningMoments
  taken: dict[str, jax.Array]  # optimizer steps of policy and of critic
  reference: jax.Array  # its checksum: a run goes on against the one it began with


def carried(rules):
  """As it is before the first iteration; the reference's checksum is put in by who has it."""
  numbers = (rules.beta, rules.kl_target or 1.0, rules.kl_horizon, 1e-6, 1e3)
  return _Carried(
    kl=ppo.AdaptiveKL(*(jnp.float32(x) for x in numbers)),
    moments=ppo.RunningMoments(),
    taken=dict(policy=jnp.int32(0), critic=jnp.int32(0)),
    reference=jnp.uint32(0),
  )


class Both(NamedTuple):
  """Two optimizers as one, and the learning rate of each by the steps that it took."""

  init: Callable
  update: Callable
  rates: tuple[Callable, Callable]


def both(policy, critic, rates):
  """The two optimizers as one `init`, for make_state; `update` runs them apart."""
  parts = dict(policy=policy, critic=critic)

  def init(model):
    return {name: tx.init(model[name]) for name, tx in parts.items()}

  def update(grads, state, model):
    moved = {n: tx.update(grads[n], state[n], model[n]) for n, tx in parts.items()}
    return {n: m[0] for n, m in moved.items()}, {n: m[1] for n, m in moved.items()}

  return Both(init, update, rates)


def judged(rules, weights, scores, seen, moments):
  """(raw_B, score_B, moments): the sum of the judges, normalised, clipped, less what a missing end
  costs, in this order."""
  raw_B = sum(w * s_B for w, s_B in zip(weights, scores))
  raw_B = jnp.where(seen.live_B, raw_B, 0).astype(jnp.float32)
  score_B = raw_B
  if rules.normalise:
    moments = moments.update(raw_B, seen.live_B)
    score_B = moments.normalise(score_B)
  if rules.reward_clip is not None:
    score_B = jnp.clip(score_B, -rules.reward_clip, rules.reward_clip)
  return raw_B, score_B - rules.missing_eos * ~seen.finished_B, moments


def advantages(rules, score_B, seen, beta):
  """(shaped rewards, whitened advantages, returns), a BR each; over all rows of all hosts."""
  said, mask_BR = seen.said, seen.response_BR
  reward_BR = ppo.shape_rewards(score_B, said.logprob_BR, said.ref_logprob_BR, mask_BR, beta)
  after_B = jnp.where(seen.finished_B, 0, said.after_B) if rules.bootstrap else None
  advantage_BR, return_BR = ppo.gae(
    reward_BR, said.value_BR, mask_BR, rules.gamma, rules.lam, bootstrap_B=after_B
  )
  return reward_BR, ppo.whiten(advantage_BR, mask_BR), return_BR


def rollout_of(seen, advantage_BR, return_BR):
  said = seen.said
  return ppo.Rollout(
    seen.tokens_BT, seen.segment_BT, seen.response_BR,
    said.logprob_BR, said.value_BR, advantage_BR, return_BR,
  )  # fmt: skip


def loss_of(game, model, rows, given, count):
  """(loss, stats): a microbatch's share of the loss of a step of `count` tokens."""
  rules, batch = game.rules, rows['rollout']
  text = batch.tokens_BT, batch.segment_BT, batch.response_BR
  policy = policy_of(model, given, game.lora)
  logprob_BR, entropy_BR = read(policy, *text, rules.temperature, entropy=rules.entropy > 0)
  loss, stats = ppo.policy_loss(
    logprob_BR, batch.logprob_BR, batch.advantage_BR, batch.response_BR,
    rules.clip_low, rules.clip_high, rules.dual_clip, count=count['tokens'],
  )  # fmt: skip
  critic = critic_of(model, given, game.lora)
  value_BR, _ = values(critic, *text, after=rules.bootstrap)
  worth, more = ppo.value_loss(
    value_BR, batch.value_BR, batch.return_BR, batch.response_BR, rules.value_clip,
    count=count['tokens'],
  )  # fmt: skip
  stats |= more
  loss += worth
  if rules.entropy:  # its gradient costs as much as the rest of the head's
    entropy = ppo.total(entropy_BR, batch.response_BR)
    loss -= rules.entropy * entropy[0] / jnp.maximum(count['tokens'], 1)
  if rules.ptx:
    nll, weight = pretraining(policy, rows)
    loss += rules.ptx * nll / jnp.maximum(count['ptx'], 1)
    stats |= dict(ptx_loss=jax.lax.stop_gradient((nll, weight)))
  return loss, stats


def pretraining(policy, rows):
  """(sum of nats, tokens) of the packed text that came along, one row with each prompt."""
  x_BTD = policy(rows['ptx_tokens_BT'], rows['ptx_segment_BT'], rows['ptx_position_BT'])
  head_VD, bias_V = policy.head()
  targets = (head.after(rows[name]) for name in ('ptx_tokens_BT', 'ptx_weight_BT'))
  return head.next_token(x_BTD, head_VD, *targets, bias_V)[:2]


def order(game, key, rows):
  """[steps, rows of a minibatch]: a fresh permutation of the batch for every epoch."""

  def one(epoch):
    return jax.random.permutation(jax.random.fold_in(key, epoch), rows)

  return jax.vmap(one)(jnp.arange(game.rules.epochs)).reshape(-1, rows // game.minibatches)


def gradient(game):
  """The shape that `accumulated` sums over microbatches: (gradients, stats)."""

  def of(model, rows, count, given):
    total = lambda model: loss_of(game, model, rows, given, count)
    grads, stats = jax.grad(total, has_aux=True)(model)
    return pin_weights(grads), stats

  return of


def _make_update(game, tx, given, iteration):
  """(carry, rows of a minibatch) -> (carry, what it says): one optimizer step, or none."""
  rules = game.rules

  def update(carry, rows):
    model, opt, taken, skipped, stopped = carry
    count = dict(tokens=rows['rollout'].response_BR.sum())
    if rules.ptx:
      count |= dict(ptx=rows['ptx_weight_BT'][:, 1:].sum())
    grads, stats = accumulated(gradient(game), game.microbatches, model, rows, count, given)
    updates, new_opt = tx.update(grads, opt, model)
    new = optax.apply_updates(model, updates)
    bad_L = faults(grads, new)
    norms = {name: optax.tree.norm(grads[name]) for name in grads}
    losses_and_norms = stats['policy_loss'][0] + stats['value_loss'][0] + sum(norms.values())
    ok = ~bad_L.any() & jnp.isfinite(losses_and_norms)
    if rules.kl_stop is not None:
      over = stats['approx_kl'][0] > rules.kl_stop * jnp.maximum(stats['approx_kl'][1], 1)
      stopped |= over
    moves = dict(critic=ok & ~stopped)
    moves |= dict(policy=moves['critic'] & (iteration >= rules.critic_first))
    keep = lambda name, new, old: jax.tree.map(
      lambda n, o: jnp.where(moves[name], n, o), new[name], old[name]
    )
    one = jnp.float32(1)
    stats |= {f'{n}_grad_norm': (norms[n], one) for n in moves}
    carry = (
      {n: keep(n, new, model) for n in moves},
      {n: keep(n, new_opt, opt) for n in moves},
      {n: taken[n] + moves[n] for n in moves},
      jnp.where(ok, jnp.where(stopped, skipped, 0), skipped + 1),
      stopped,
    )
    said = dict(stats=stats, bad_L=bad_L, ok=ok, masked=stopped, skipped=carry[3])
    return carry, said

  def masked(carry, rows):
    shapes = jax.eval_shape(update, carry, rows)[1]
    nothing = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
    return carry, nothing | dict(ok=jnp.array(True), masked=jnp.array(True), skipped=carry[3])

  if rules.kl_stop is None:
    return update
  return lambda carry, rows: jax.lax.cond(carry[4], masked, update, carry, rows)


def improve(game, tx, state, batch, seen, scores, given):
  """(state after an iteration, (metrics, (bad tensors, skipped in a row))), as `fit` wants them."""
  rules, rl = game.rules, state.extra
  raw_B, score_B, moments = judged(rules, game.weights, scores, seen, rl.moments)
  reward_BR, advantage_BR, return_BR = advantages(rules, score_B, seen, rl.kl.beta)
  rollout = rollout_of(seen, advantage_BR, return_BR)
  rows = dict(rollout=rollout) | {k: v for k, v in batch.items() if k.startswith('ptx_')}
  shuffle = jax.random.fold_in(jax.random.fold_in(state.key, 1), state.step)
  update = _make_update(game, tx, given, state.step)

  def step(carry, at_M):
    return update(carry, jax.tree.map(lambda x: pin(x[at_M], 'B'), rows))

  start = state.model, state.opt, rl.taken, state.skipped, jnp.array(False)
  order_SM = order(game, shuffle, seen.tokens_BT.shape[0])
  (model, opt, taken, skipped, _), told = jax.lax.scan(step, start, order_SM)
  kl = ppo.sequence_kl(seen.said.logprob_BR, seen.said.ref_logprob_BR, seen.response_BR)
  controller = rl.kl
  if rules.kl_target is not None:
    controller = controller.update(kl[0] / jnp.maximum(kl[1], 1), kl[1])
  names = zip(game.names, scores)
  metrics = watch.of_rollout(rules, seen, raw_B, score_B, reward_BR, rl.kl.beta)
  metrics |= {f'score_{n}': watch.rows_mean(s_B, seen.live_B) for n, s_B in names}
  metrics |= watch.of_updates(told)
  rates = zip(('policy', 'critic'), tx.rates)
  metrics |= {f'{n}_lr': (rate(rl.taken[n]), jnp.float32(1)) for n, rate in rates}
  metrics |= watch.flags(rules, metrics)
  worst = jnp.argmax(told['bad_L'].any(1))  # the first step that had one
  faults = told['bad_L'][worst], told['skipped'].max()
  state = state.replace(
    step=state.step + 1, model=model, opt=opt, skipped=skipped,
    extra=rl.replace(kl=controller, moments=moments, taken=taken),
  )  # fmt: skip
  return state, jax.tree.map(lambda x: x[None], (metrics, faults))
