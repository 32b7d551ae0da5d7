"""DPO (https://arxiv.org/abs/2305.18290): the policy itself learns preferences, no reward model.

The implicit reward of an answer is beta * (log pi - log reference), and the loss is Bradley-Terry
of these. The reference is where the run began, for good: also when it is resumed.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from jaxalign.config import UserError
from jaxalign.losses import head, preference
from jaxalign.models import adapters
from jaxalign.models.decoder import Decoder
from jaxalign.ranges import Factor, Minority
from jaxalign.rl.ppo import kl_estimate
from jaxalign.sealing import YOUNG
from jaxalign.stages import pairs, trained, training, watching
from jaxalign.stages.contract import Batch, Build, Evaluation, Loss, State, Tx, Workdir
from jaxalign.stages.doctors import pairs_doctor
from jaxalign.stages.doctors.doctor import Check, Machine
from jaxalign.train.saving import Saves
from jaxalign.train.state import make_state

_Read = Callable[..., tuple[jax.Array, tuple[jax.Array, jax.Array]]]  # of (model, batch, given)


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Config(pairs.Pairwise):
  """Without init the reference is the model by chance: for tests, and to see it move."""

  beta: Factor = 0.1
  smoothing: Minority = 0.0  # the share of pairs whose label is taken to be wrong
  per_token: bool = False  # log-probabilities are means over an answer's tokens, not sums
  reference: Literal['float32', 'bfloat16'] | None = None  # its precision; None: the model's
  # What the policy is asked at every evaluation, beside the pairs that are held out.
  watch: watching.Watch | None = dataclasses.field(default=None, metadata=YOUNG)

  def check(self) -> None:
    pairs.Pairwise.check(self)
    if self.lora is not None and self.reference is not None:
      raise UserError('with lora the reference is the base itself: leave reference=none')


def run(cfg: Config, workdir: Workdir) -> State:
  watched = watching.ready(cfg.watch)
  data = pairs.opened(cfg, workdir, learner(cfg)[0])
  with training.opened(cfg, workdir, data.mesh, data.tokenizer) as saves:
    started = start(cfg, data.tx, data.mesh, saves)
    work = flops(cfg, data.mean_length)

    def asked_too(judge: Evaluation | None) -> Evaluation | None:
      policy = functools.partial(_policy_of, cfg, started[1])
      return watching.joined(judge, watched, cfg.eval_every, policy, data.tokenizer, cfg.format)

    return pairs.train(cfg, data, saves, started, 'DPO: implicit rewards', work, asked_too)


def _policy_of(cfg, given, state):
  """The model that answers: what is trained, or the base with its adapter."""
  return state.model if cfg.lora is None else adapters.attach(given, state.model, cfg.lora)


def flops(cfg: Config, length: float) -> float:
  """Of a token: forward and backward, and the reference's forward, a third of that."""
  return cfg.model.flops(length) * 4 / 3


prepare = training.prepare_corpora


def logprobs(model: Decoder, batch: Batch) -> tuple[jax.Array, jax.Array]:
  """(logprob_BT, weight_BT) of 2B texts: those of the answers' tokens, 0 elsewhere."""
  tokens_BT, weight_BT = pairs.both(batch, '_BT'), pairs.both(batch, '_weight_BT')
  x_BTD = model(tokens_BT, pairs.both(batch, '_segment_BT'))
  head_VD, bias_V = model.head()
  logprob_BT, _ = head.token_logprobs_from_hidden(
    x_BTD, head_VD, bias_V, head.after(tokens_BT), entropy=False
  )
  weight_BT = head.after(weight_BT)
  return jnp.where(weight_BT > 0, logprob_BT, 0), weight_BT


def reader(cfg: Config, sides: Callable[[Any, Any], tuple[Decoder, Decoder]]) -> _Read:
  """What reads a batch: the implicit reward_B2, and how far policy and reference are apart."""

  def read(model, batch, given):
    policy, reference = sides(model, given)
    logprob_BT, weight_BT = logprobs(policy, batch)
    ref_logprob_BT, _ = logprobs(reference, batch)
    gap_B = (logprob_BT - ref_logprob_BT).sum(1)
    if cfg.per_token:
      gap_B /= jnp.maximum(weight_BT.sum(1), 1)
    moved_BT = jnp.where(weight_BT > 0, kl_estimate(logprob_BT, ref_logprob_BT, 'k2'), 0)
    return cfg.beta * gap_B.reshape(-1, 2), (moved_BT.sum(), weight_BT.sum())

  return read


def loss_of(cfg: Config, read: _Read) -> Loss:
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


def start(cfg: Config, tx: Tx, mesh: Mesh, saves: Saves) -> pairs.Started:
  """Resumed, else from init, else from chance; given is the reference, or the adapter's base."""
  build, loss, rewards = learner(cfg)
  first = functools.partial(training.initial, cfg, mesh)
  given: Any = first() or make_state(build, optax.identity(), cfg.seed, mesh)[1]().model
  given = trained.cast(given, cfg.reference)
  return training.begin(cfg, tx, mesh, saves, build, first, given), given, loss, rewards


def learner(cfg: Config) -> tuple[Build, Loss, pairs.Rewards]:
  """What makes the weights that are trained, by chance; the loss; the implicit rewards."""
  lora = cfg.lora
  if lora is not None:
    build = adapters.adapter_builder(cfg.model, lora)
    read = reader(cfg, lambda adapter, base: (adapters.attach(base, adapter, lora), base))
  else:
    build, read = cfg.model.build, reader(cfg, lambda model, reference: (model, reference))
  return build, loss_of(cfg, read), lambda *args: read(*args)[0]


def doctor(cfg: Config, workdir: Workdir, machine: Machine) -> list[Check]:
  del workdir
  return pairs_doctor.examine(cfg, machine, learner(cfg)[0], start, cfg.lora is None)
