"""From what was seen to a better policy and critic: shaped rewards, advantages, optimizer steps."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array

from jaxalign.losses import head
from jaxalign.rl import players, ppo, watch
from jaxalign.rl.players import Batch, Game, Given, Players, Rollout, Rules
from jaxalign.sharding.layout import pin, pin_weights
from jaxalign.train.state import accumulated, faults


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class _Carried:
  """What PPO keeps from iteration to iteration beside weights and moments; in every checkpoint."""

  kl: ppo.AdaptiveKL
  moments: ppo.RunningMoments
  taken: dict[str, Array]  # optimizer steps of policy and of critic
  reference: Array  # its checksum: a run goes on against the one it began with


def carried(rules: Rules) -> _Carried:
  """As it is before the first iteration; the reference's checksum is put in by who has it."""
  numbers = (rules.beta, rules.kl_target or 1.0, rules.kl_horizon, 1e-6, 1e3)
  return _Carried(
    kl=ppo.AdaptiveKL(*(jnp.float32(x) for x in numbers)),
    moments=ppo.RunningMoments(),
    taken=dict(policy=jnp.int32(0), critic=jnp.int32(0)),
    reference=jnp.uint32(0),
  )


@dataclasses.dataclass(frozen=True, eq=False)
class Both:
  """Two optimizers as one, and the learning rate of each by the steps that it took."""

  policy: optax.GradientTransformation
  critic: optax.GradientTransformation
  rates: tuple[Callable, Callable]

  def init(self, model: Players) -> dict[str, Any]:
    return dict(policy=self.policy.init(model['policy']), critic=self.critic.init(model['critic']))

  def update(
    self, grads: Players, opt: Mapping[str, Any], model: Players
  ) -> tuple[dict[str, Any], dict[str, Any]]:
    policy, policy_opt = self.policy.update(grads['policy'], opt['policy'], model['policy'])
    critic, critic_opt = self.critic.update(grads['critic'], opt['critic'], model['critic'])
    return dict(policy=policy, critic=critic), dict(policy=policy_opt, critic=critic_opt)


def judged(
  game: Game, scores: Sequence[Array], rollout: Rollout, moments: ppo.RunningMoments
) -> tuple[Array, Array, ppo.RunningMoments]:
  """(raw_B, score_B, moments): the sum of the judges, normalised, clipped, less what a missing end
  costs, in this order."""
  rules = game.rules
  raw_B = sum(w * s_B for w, s_B in zip(game.weights, scores))
  raw_B = jnp.where(rollout.live_B, raw_B, 0).astype(jnp.float32)
  score_B = raw_B
  if rules.normalise:
    moments = moments.update(raw_B, rollout.live_B)
    score_B = moments.normalise(score_B)
  if rules.reward_clip is not None:
    score_B = jnp.clip(score_B, -rules.reward_clip, rules.reward_clip)
  return raw_B, score_B - rules.missing_eos * ~rollout.finished_B, moments


def advantages(
  rules: Rules, score_B: Array, rollout: Rollout, beta: Array
) -> tuple[Array, Array, Array]:
  """(shaped rewards, whitened advantages, returns), a BR each; over all rows of all hosts."""
  mask_BR, logprobs = rollout.response_BR, (rollout.logprob_BR, rollout.ref_logprob_BR)
  reward_BR = ppo.shape_rewards(score_B, *logprobs, mask_BR, beta)
  end_B = jnp.where(rollout.finished_B, 0, rollout.after_B) if rules.bootstrap else None
  given = reward_BR, rollout.value_BR, mask_BR, rules.gamma, rules.lam
  advantage_BR, return_BR = ppo.gae(*given, bootstrap_B=end_B)
  return reward_BR, ppo.whiten(advantage_BR, mask_BR), return_BR


def rows_of(rollout: Rollout, advantage_BR: Array, return_BR: Array) -> dict[str, Array]:
  """What an update reads of a rollout: its old logprobs are those of the forward that the update
  makes too, never the sampler's."""
  names = 'tokens_BT', 'segment_BT', 'response_BR', 'logprob_BR', 'value_BR'
  rows = {name: getattr(rollout, name) for name in names}
  return rows | dict(advantage_BR=advantage_BR, return_BR=return_BR)


def loss_of(
  game: Game, model: Players, rows: Batch, given: Given, count: Mapping[str, Array]
) -> tuple[Array, dict[str, Any]]:
  """(loss, stats): a microbatch's share of the loss of a step of `count` tokens."""
  rules, mask_BR = game.rules, rows['response_BR']
  text = rows['tokens_BT'], rows['segment_BT'], mask_BR
  policy = players.policy_of(model, given, game.lora)
  logprob_BR, entropy_BR = players.read(policy, text, rules.temperature, entropy=rules.entropy > 0)
  old = rows['logprob_BR'], rows['advantage_BR'], mask_BR
  clips = rules.clip_low, rules.clip_high, rules.dual_clip
  loss, stats = ppo.policy_loss(logprob_BR, *old, *clips, count=count['tokens'])
  critic = players.critic_of(model, given, game.lora)
  value_BR, _ = players.values(critic, text, after=rules.bootstrap)
  old = rows['value_BR'], rows['return_BR'], mask_BR
  worth, more = ppo.value_loss(value_BR, *old, rules.value_clip, count=count['tokens'])
  stats |= more
  loss += worth
  if entropy_BR is not None:  # only where the rules ask: it costs as much as the rest of the head
    entropy = ppo.total(entropy_BR, mask_BR)
    loss -= rules.entropy * entropy[0] / jnp.maximum(count['tokens'], 1)
  if rules.ptx:
    nll, weight = _pretraining(policy, rows)
    loss += rules.ptx * nll / jnp.maximum(count['ptx'], 1)
    stats |= dict(ptx_loss=jax.lax.stop_gradient((nll, weight)))
  return loss, stats


def _pretraining(policy, rows):
  """(sum of nats, tokens) of the packed text that came along, one row with each prompt."""
  x_BTD = policy(rows['ptx_tokens_BT'], rows['ptx_segment_BT'], rows['ptx_position_BT'])
  head_VD, bias_V = policy.head()
  targets = (head.after(rows[name]) for name in ('ptx_tokens_BT', 'ptx_weight_BT'))
  return head.next_token(x_BTD, head_VD, *targets, bias_V)[:2]


def order(game: Game, key: Array, rows: int) -> Array:
  """[steps, rows of a minibatch]: a fresh permutation of the batch for every epoch."""

  def one(epoch):
    return jax.random.permutation(jax.random.fold_in(key, epoch), rows)

  return jax.vmap(one)(jnp.arange(game.rules.epochs)).reshape(-1, rows // game.minibatches)


def _make_update(game, tx, given, iteration):
  """(carry, rows of a minibatch) -> (carry, what it says): one optimizer step, or none."""
  rules = game.rules

  def gradient(model, rows, count, given):
    loss = functools.partial(loss_of, game)
    grads, stats = jax.grad(loss, has_aux=True)(model, rows, given, count)
    return pin_weights(grads), stats

  def update(carry, rows):
    model, opt, taken, skipped, stopped = carry
    count = dict(tokens=rows['response_BR'].sum())
    if rules.ptx:
      count |= dict(ptx=rows['ptx_weight_BT'][:, 1:].sum())
    grads, stats = accumulated(gradient, game.microbatches, model, rows, count, given)
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
    stats |= {f'{n}_grad_norm': (norms[n], jnp.float32(1)) for n in moves}
    carry = (
      _moved(moves, new, model),
      _moved(moves, new_opt, opt),
      {n: taken[n] + moves[n] for n in moves},
      jnp.where(ok, jnp.where(stopped, skipped, 0), skipped + 1),
      stopped,
    )
    return carry, dict(stats=stats, bad_L=bad_L, ok=ok, masked=stopped, skipped=carry[3])

  def masked(carry, rows):
    shapes = jax.eval_shape(update, carry, rows)[1]
    nothing = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
    return carry, nothing | dict(ok=jnp.array(True), masked=jnp.array(True), skipped=carry[3])

  if rules.kl_stop is None:
    return update
  return lambda carry, rows: jax.lax.cond(carry[4], masked, update, carry, rows)


def _moved(moves, new, old):
  """{player: its new tree where it moves, else its old one}."""
  choose = {name: functools.partial(jnp.where, moved) for name, moved in moves.items()}
  return {name: jax.tree.map(choose[name], new[name], old[name]) for name in moves}


def improve(
  game: Game,
  tx: Both,
  state: Any,  # of train/state: its weights are Players, its extra is what carried() began
  batch: Batch,
  rollout: Rollout,
  scores: Sequence[Array],
  given: Given,
) -> tuple[Any, tuple[dict[str, Any], tuple[Array, Array]]]:
  """(state after an iteration, (metrics, (bad tensors, skipped in a row))), as `fit` wants them."""
  rules, extra = game.rules, state.extra
  raw_B, score_B, moments = judged(game, scores, rollout, extra.moments)
  reward_BR, advantage_BR, return_BR = advantages(rules, score_B, rollout, extra.kl.beta)
  rows = rows_of(rollout, advantage_BR, return_BR)
  rows |= {name: x for name, x in batch.items() if name.startswith('ptx_')}
  shuffle = jax.random.fold_in(jax.random.fold_in(state.key, 1), state.step)
  update = _make_update(game, tx, given, state.step)

  def step(carry, at_M):
    return update(carry, jax.tree.map(lambda x: pin(x[at_M], 'B'), rows))

  start = state.model, state.opt, extra.taken, state.skipped, jnp.array(False)
  order_SM = order(game, shuffle, rollout.tokens_BT.shape[0])
  (model, opt, taken, skipped, _), told = jax.lax.scan(step, start, order_SM)
  controller = extra.kl
  if rules.kl_target is not None:
    kl, n = ppo.sequence_kl(rollout.logprob_BR, rollout.ref_logprob_BR, rollout.response_BR)
    controller = controller.update(kl / jnp.maximum(n, 1), n)
  metrics = watch.of_rollout(rules, rollout, raw_B, score_B, reward_BR, extra.kl.beta)
  metrics |= {f'score_{n}': ppo.total(s_B, rollout.live_B) for n, s_B in zip(game.names, scores)}
  metrics |= watch.of_updates(told)
  rates = zip(('policy', 'critic'), tx.rates)
  metrics |= {f'{n}_lr': (rate(extra.taken[n]), jnp.float32(1)) for n, rate in rates}
  metrics |= watch.flags(rules, metrics)
  worst = jnp.argmax(told['bad_L'].any(1))  # the first step that had one
  faults = told['bad_L'][worst], told['skipped'].max()
  extra = dataclasses.replace(extra, kl=controller, moments=moments, taken=taken)
  after = dict(step=state.step + 1, model=model, opt=opt, skipped=skipped, extra=extra)
  state = pin_weights(state.replace(**after))
  return state, jax.tree.map(lambda x: x[None], (metrics, faults))
