"""DPO (https://arxiv.org/abs/2305.18290): the policy itself learns preferences, no reward model.

The implicit reward of an answer is beta * (log pi - log reference), and the loss is Bradley-Terry
of these. The reference is where the run began, for good: also when it is resumed.
"""

import dataclasses
from typing import Literal

import jax.numpy as jnp

from jaxalign.config import UserError
from jaxalign.losses import head, preference
from jaxalign.models import adapters
from jaxalign.ranges import Factor, Minority
from jaxalign.rl.ppo import kl_estimate
from jaxalign.stages import pairs, trained, training
from jaxalign.stages.doctors import pairs_doctor


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Config(pairs.Pairwise):
  """Without init the reference is the model by chance: for tests, and to see it move."""

  beta: Factor = 0.1
  smoothing: Minority = 0.0  # the share of pairs whose label is taken to be wrong
  per_token: bool = False  # log-probabilities are means over an answer's tokens, not sums
  reference: Literal['float32', 'bfloat16'] | None = None  # its precision; None: the model's

  def check(self):
    pairs.Pairwise.check(self)
    if self.lora is not None and self.reference is not None:
      raise UserError('with lora the reference is the base itself: leave reference=none')


def run(cfg, workdir):
  return pairs.run(cfg, workdir, 'DPO: implicit rewards', learner(cfg)[0], start, flops(cfg))


def flops(cfg):
  """length -> of a token: forward and backward, and the reference's forward, a third of that."""
  return lambda length: cfg.model.flops(length) * 4 / 3


prepare = training.prepare_corpora


def logprobs(model, batch):
  """(logprob_BT, weight_BT) of 2B texts: those of the answers' tokens, 0 elsewhere."""
  tokens_BT, weight_BT = pairs.both(batch, '_BT'), pairs.both(batch, '_weight_BT')
  x_BTD = model(tokens_BT, pairs.both(batch, '_segment_BT'))
  head_VD, bias_V = model.head()
  logprob_BT, _ = head.token_logprobs_from_hidden(
    x_BTD, head_VD, bias_V, head.after(tokens_BT), entropy=False
  )
  weight_BT = head.after(weight_BT)
  return jnp.where(weight_BT > 0, logprob_BT, 0), weight_BT


def reader(cfg, policy_of):
  """Both readings of a batch: (implicit reward_B2, how far the policy is from the reference).

  policy_of(model, given) -> (policy, reference).
  """

  def read(model, batch, given):
    policy, reference = policy_of(model, given)
    logprob_BT, weight_BT = logprobs(policy, batch)
    ref_logprob_BT, _ = logprobs(reference, batch)
    gap_B = (logprob_BT - ref_logprob_BT).sum(1)
    if cfg.per_token:
      gap_B /= jnp.maximum(weight_BT.sum(1), 1)
    moved_BT = jnp.where(weight_BT > 0, kl_estimate(logprob_BT, ref_logprob_BT, 'k2'), 0)
    return cfg.beta * gap_B.reshape(-1, 2), (moved_BT.sum(), weight_BT.sum())

  return read


def loss_of(cfg, read):
  def loss(model, batch, key=None, given=None):
    """A pair whose label is wrong is the same pair the other way round."""
    del key
    reward_B2, moved = read(model, batch, given)
    how = dict(weight_B=batch['weight_B'], count=1)
    total, stats = preference.bradley_terry(reward_B2[:, 0], reward_B2[:, 1], **how)
    if cfg.smoothing:
      other, _ = preference.bradley_terry(reward_B2[:, 1], reward_B2[:, 0], **how)
      total = (1 - cfg.smoothing) * total + cfg.smoothing * other
    return stats | dict(loss=(total, stats['loss'][1]), kl=moved)

  return loss


def start(cfg, tx, mesh, saves):
  """(state, the reference, the loss, implicit rewards)."""
  build, loss, rewards = learner(cfg)
  if cfg.lora is not None:
    given, first = training.initial(cfg, mesh), lambda: None
  else:
    first = lambda: training.initial(cfg, mesh) if cfg.init else None
    given = first() or training.chance(cfg, mesh, build)
    given = trained.cast(given, cfg.reference)
  state = training.begin(cfg, tx, mesh, saves, build, first, given)
  return state, given, loss, rewards


def learner(cfg):
  """(key -> what is trained, by chance; the loss; implicit rewards)."""
  if cfg.lora is not None:
    build = adapters.adapter_builder(cfg.model, cfg.lora)
    read = reader(cfg, lambda adapter, base: (adapters.attach(base, adapter, cfg.lora), base))
  else:
    build, read = cfg.model.build, reader(cfg, lambda model, reference: (model, reference))
  return build, loss_of(cfg, read), lambda *args: read(*args)[0]


def doctor(cfg, workdir, machine):
  del workdir
  return pairs_doctor.examine(cfg, machine, learner(cfg)[0], start, cfg.lora is None)
