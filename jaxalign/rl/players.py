"""Policy, critic, reference and judges: one teacher-forced forward each over what was sampled.

Arrays of shape BR hold the slots of the response alone: slot t is what was decided at token P + t,
from the hidden state a column before.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxalign.config import UserError
from jaxalign.losses import head
from jaxalign.models import adapters
from jaxalign.models.attention import LANES
from jaxalign.models.decoder import Decoder
from jaxalign.models.heads import Critic
from jaxalign.ranges import Bound, Count, Fraction, Sequences, Temperature, Weight, Whole
from jaxalign.rl.sample import Sampled, Sampling, Text, generate
from jaxalign.sharding.layout import pin


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Rules:
  """The numbers of PPO. There is no top-k or top-p: the ratio would be of another policy."""

  # part of the policy: of samples, old, new, reference and entropy alike
  temperature: Temperature = 1.0
  gamma: Fraction = 1.0
  lam: Fraction = 0.95
  bootstrap: bool = False  # a truncated row goes on being worth what the critic says at its end
  normalise: bool = False  # scores by the mean and spread of all scores so far
  reward_clip: Bound | None = None  # then held within +- this
  missing_eos: Weight = 0.0  # taken off the score of a row that did not end by itself
  beta: Weight = 0.05  # of the KL in the reward
  kl_target: Bound | None = None  # nats per sequence; none: beta stays as it is
  kl_horizon: Sequences = 10_000.0  # sequences over which a full error moves beta by its own size
  epochs: Count = 4
  clip_low: Fraction = 0.2
  clip_high: Weight = 0.2
  dual_clip: Bound | None = None
  value_clip: Bound | None = None  # in units of reward
  kl_stop: Bound | None = None  # nats per token: beyond it an iteration takes no further steps
  entropy: Weight = 0.0  # bonus for each nat per token
  ptx: Weight = 0.0  # weight of a pretraining token's nats beside the policy's loss
  critic_first: Whole = 0  # iterations in which the critic learns and the policy waits

  def check(self) -> None:
    if self.dual_clip is not None and self.dual_clip <= 1 + self.clip_high:
      raise UserError(f'rules.dual_clip={self.dual_clip}: above 1 + clip_high')
    if self.kl_target is not None and self.beta == 0:
      raise UserError('rules.beta=0 cannot adapt to kl_target: no factor leads away from 0')


Players = Mapping[str, Any]  # what is trained: 'policy' and 'critic', or their adapters
Given = Mapping[str, Any]  # what is frozen: 'reference', a Decoder; 'scorers', of tokens
Batch = Mapping[str, Array]  # 'tokens_BT' and 'segment_BT' of prompts; 'ptx_..' of other text


@dataclasses.dataclass(frozen=True, kw_only=True)
class Game:
  """What the two compiled programs are told: all of it decides the program."""

  rules: Rules
  response: int  # slots
  minibatches: int  # in the rollout batch
  microbatches: int  # in a minibatch
  weights: tuple[float, ...] = (1.0,)  # of the judges, in the order of their scores
  names: tuple[str, ...] = ('score',)  # of the judges, in the metrics
  lora: adapters.Lora | None = None


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Rollout(Sampled):
  """A batch of samples, and what every player says of it: log-probabilities and entropies at the
  rules' temperature, over whole distributions."""

  logprob_BR: Array  # of the policy that sampled, from the same forward as the update
  entropy_BR: Array
  ref_logprob_BR: Array
  ref_entropy_BR: Array
  value_BR: Array  # read before the token
  after_B: Array  # the value after the last slot, where the rules ask for it
  scores: tuple[Array, ...]  # a B each, of the judges that read these very tokens


def policy_of(model: Players, given: Given, lora: adapters.Lora | None) -> Decoder:
  """The policy; under LoRA it is its adapter, laid over the reference."""
  policy = model['policy']
  return policy if lora is None else adapters.attach(given['reference'], policy, lora)


def critic_of(model: Players, given: Given, lora: adapters.Lora | None) -> Critic:
  critic = model['critic']
  if lora is None:
    return critic
  laid = adapters.attach(given['reference'], critic['adapter'], lora)
  return Critic(laid, score_D=critic['score_D'])


@functools.lru_cache(maxsize=32)
def fresh_players(
  build: Callable[[Array], Decoder], lora: adapters.Lora | None = None
) -> Callable[[Array], dict[str, Any]]:
  """Maker, from a key, of the weights that are trained: policy and critic, or their adapters."""

  def fresh(key):
    policy_key, critic_key = jax.random.split(key)
    base = build(policy_key)
    critic = Critic(base, critic_key)
    if lora is None:
      return dict(policy=build(policy_key), critic=critic)
    adapter = adapters.make_adapter(base, lora, critic_key)
    policy = adapters.make_adapter(base, lora, policy_key)
    return dict(policy=policy, critic=dict(adapter=adapter, score_D=critic.score_D))

  return fresh


def _columns(T):
  """How many columns a forward reads: the last token decides nothing, so it is left out, but where
  a kernel works on tiles that the whole row fills."""
  return T if T % LANES == 0 else T - 1


def read(
  policy: Decoder, text: Text, temperature: float, entropy: bool = True
) -> tuple[Array, Array | None]:
  """(logprob_BR, entropy_BR or None) of the response; logits exist for its slots alone, chunked."""
  tokens_BT, segment_BT, response_BR = text
  T, R = tokens_BT.shape[1], response_BR.shape[1]
  fed = _columns(T)
  x_BTD = policy(tokens_BT[:, :fed], segment_BT[:, :fed])
  x_BRD = x_BTD[:, T - R - 1 : T - 1]
  head_VD, bias_V = policy.head()
  both = head.token_logprobs_from_hidden(
    x_BRD, head_VD, bias_V, tokens_BT[:, T - R :], temperature, entropy=entropy
  )
  return jax.tree.map(lambda x_BR: jnp.where(response_BR, x_BR, 0), tuple(both))


def values(critic: Critic, text: Text, after: bool = False) -> tuple[Array, Array]:
  """(value_BR before each token of the response, the value after the last column or 0)."""
  tokens_BT, segment_BT, response_BR = text
  T, R = tokens_BT.shape[1], response_BR.shape[1]
  fed = T if after else _columns(T)
  value_BT = critic(tokens_BT[:, :fed], segment_BT[:, :fed])
  value_BR = jnp.where(response_BR, value_BT[:, T - R - 1 : T - 1], 0)
  return value_BR, value_BT[:, -1] if after else jnp.zeros(tokens_BT.shape[0])


def row_keys(key: Array, step: ArrayLike, rows: int) -> Array:
  """A key for each row of an iteration: nothing else decides what a row samples."""
  fold = jax.vmap(jax.random.fold_in, in_axes=(None, 0))
  return fold(jax.random.fold_in(key, step), jnp.arange(rows))


def collect(
  game: Game, model: Players, batch: Batch, key_B: Array, given: Given, greedy: bool = False
) -> Rollout:
  """Samples a response to every prompt, and asks every player about it.

  The players read as many rows at a time as the update does. The sampler takes the weights as they
  are now, cast to the arithmetic's type once: nothing of an older policy is left anywhere.
  """
  policy = policy_of(model, given, game.lora)
  temperature = None if greedy else game.rules.temperature
  samples = sampled(policy, batch, key_B, game.response, temperature)
  ask = functools.partial(_said, game, model, given)
  said = in_groups(ask, game.minibatches * game.microbatches, samples.text)
  return jax.tree.map(lambda x: pin(x, 'B'), Rollout(**vars(samples), **said))


def sampled(
  policy: Decoder, batch: Batch, key_B: Array, response: int, temperature: float | None
) -> Sampled:
  """A response to every prompt, of as many slots; without a temperature, the greedy one."""
  how = Sampling(slots=response, eos=policy.cfg.eos, temperature=temperature)
  return generate(policy, batch['tokens_BT'], batch['segment_BT'], key_B, how)


def _said(game, model, given, text):
  """{field of a Rollout: what a player says of these rows}."""
  policy, critic = policy_of(model, given, game.lora), critic_of(model, given, game.lora)
  logprob_BR, entropy_BR = read(policy, text, game.rules.temperature)
  ref_logprob_BR, ref_entropy_BR = read(given['reference'], text, game.rules.temperature)
  value_BR, after_B = values(critic, text, after=game.rules.bootstrap)
  return dict(
    logprob_BR=logprob_BR,
    entropy_BR=entropy_BR,
    ref_logprob_BR=ref_logprob_BR,
    ref_entropy_BR=ref_entropy_BR,
    value_BR=value_BR,
    after_B=after_B,
    scores=tuple(scorer(*text[:2]) for scorer in given['scorers']),
  )


def in_groups(f: Callable[[Any], Any], groups: int, rows: Any) -> Any:
  """f of all rows, in groups one after the other; row r in group r mod n, as microbatches are."""
  if groups == 1:
    return f(rows)

  def part(x):
    x = x.reshape(x.shape[0] // groups, groups, *x.shape[1:]).swapaxes(0, 1)
    return pin(x, 'NB')

  def join(x):
    return x.swapaxes(0, 1).reshape(-1, *x.shape[2:])

  return jax.tree.map(join, jax.lax.map(f, jax.tree.map(part, rows)))
