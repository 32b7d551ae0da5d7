"""What PPO begins with: policy, critic, reference and their optimizers, resumed or new."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxalign.config import Optimizer, UserError
from jaxalign.models import heads
from jaxalign.models.decoder import Decoder
from jaxalign.rl import improve, players
from jaxalign.sharding.layout import born
from jaxalign.stages import trained, training
from jaxalign.stages.contract import ModelConfig, Playing, Stage, State
from jaxalign.train.optim import learning_rate, make_optimizer, refuse_unmatched
from jaxalign.train.saving import Saves
from jaxalign.train.state import make_state


def start(
  cfg: Playing, tx: improve.Both, mesh: Mesh, saves: Saves, scorers: Sequence[heads.Scorer] = ()
) -> tuple[State, dict[str, Any]]:
  """The state, resumed, else from init, else from chance; and what is frozen."""
  first = weights_of(cfg, cfg.init, mesh)
  other = weights_of(cfg, cfg.reference, mesh) if cfg.reference else first
  frozen = frozen_model(cfg)
  reference = jax.tree.map(lambda w: jnp.array(w, frozen.weights, copy=True), other).under(frozen)
  mark = training.mark_of(cfg.reference or cfg.init, reference)
  scorer = _critic_from(cfg, mesh)
  twin, make = maker(cfg, tx, mesh, scorer)
  refuse_unmatched(twin.model['policy'], cfg.optim)
  refuse_unmatched(twin.model['critic'], cfg.critic_optim)
  given = dict(reference=reference, scorers=tuple(scorers))
  state = saves.restore(twin)
  if state is not None:
    if int(state.extra.reference) != mark:
      raise UserError(
        f'{saves.path} was trained against another reference than reference={cfg.reference}, '
        f'init={cfg.init} hold now: put back the weights that the run began with'
      )
    return state, given
  if cfg.lora is not None:
    state = make()
  else:
    if scorer is None:
      key = jax.random.fold_in(jax.random.key(cfg.seed), 1)
      scorer = heads.Critic(jax.tree.map(lambda w: jnp.array(w, copy=True), first), key)
    state = make(dict(policy=first, critic=scorer))
  mark = jax.device_put(np.uint32(mark), twin.extra.reference.sharding)
  return state.replace(extra=dataclasses.replace(state.extra, reference=mark)), given


def frozen_model(cfg: Stage) -> ModelConfig:
  """The model config of the reference: nothing but its arithmetic's own type is kept of it."""
  return dataclasses.replace(cfg.model, weights=cfg.model.dtype)


def maker(
  cfg: Playing, tx: improve.Both, mesh: Mesh, scorer: Any = None
) -> tuple[State, Callable[..., State]]:
  """The abstract twin of a state, and what makes it. scorer: the first critic, or its shapes."""
  build = players.fresh_players(cfg.model.build, cfg.lora)
  if scorer is not None and not _as_built(build, scorer):

    def build(key):
      zeros = jax.tree.map(lambda w: jnp.zeros(w.shape, w.dtype), scorer)
      return dict(policy=cfg.model.build(key), critic=zeros)

  return make_state(build, tx, cfg.seed, mesh, _carried_by(cfg.rules))


def weights_of(cfg: Any, init: str | None, mesh: Mesh) -> Decoder:
  """A decoder with the weights of `init` under this run's config; of the seed where it is none."""
  model = training.initial(dataclasses.replace(cfg, init=init), mesh)
  return born(cfg.model.build, mesh, jax.random.key(cfg.seed)) if model is None else model


def _critic_from(cfg, mesh):
  """The critic that a reward model starts as, or None."""
  if cfg.critic is None:
    return None
  scorer, *_ = trained.scorer_of(cfg.critic, dtype=cfg.model.weights, mesh=mesh)
  return as_critic(cfg, scorer)


def as_critic(cfg: Stage, scorer: heads.Scorer) -> heads.Critic:
  """A reward model as the critic it starts; it computes as the policy does."""
  how = {name: getattr(cfg.model, name) for name in ('dtype', 'remat', 'attention', 'unroll')}
  decoder = scorer.decoder.under(dataclasses.replace(scorer.decoder.cfg, **how))
  return heads.Critic(decoder, score_D=scorer.score_D)


def _as_built(build, critic):
  """Whether a critic is what `build` makes for the policy, as it is where its reward model came
  from that: then all runs of a process are one program."""
  ours = _shapes_of(build)['critic']
  pairs = zip(jax.tree.leaves(ours), jax.tree.leaves(critic))
  same = all((a.shape, a.dtype) == (b.shape, b.dtype) for a, b in pairs)
  return same and jax.tree.structure(ours) == jax.tree.structure(critic)


@functools.lru_cache(maxsize=32)
def _shapes_of(build):
  return jax.eval_shape(build, jax.random.key(0))


@functools.cache
def _carried_by(rules):
  return functools.partial(improve.carried, rules)


def optimizers_of(cfg: Playing) -> improve.Both:
  """Of the policy, whose schedule waits as long as it does, and of the critic."""
  return optimizers(cfg.optim, cfg.critic_optim, cfg.policy_steps, cfg.optimizer_steps)


@functools.cache
def optimizers(
  policy: Optimizer, critic: Optimizer, policy_steps: int, critic_steps: int
) -> improve.Both:
  """The same object for the same configs, so that a second run of a process compiles nothing."""
  rates = learning_rate(policy, policy_steps), learning_rate(critic, critic_steps)
  mine, its = make_optimizer(policy, policy_steps), make_optimizer(critic, critic_steps)
  return improve.Both(mine, its, rates)
