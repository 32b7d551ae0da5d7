"""PPO without text: a tiny Llama, prompts of random tokens, and a judge of tokens."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jaxalign.config import AdamW, Schedule
from jaxalign.models import llama2
from jaxalign.models.heads import Critic
from jaxalign.rl import improve, players
from jaxalign.rl.players import Game, Rules
from jaxalign.sharding.layout import born
from jaxalign.sharding.meshes import make_mesh
from jaxalign.stages.ppo import collect, keys, make_step
from jaxalign.stages.ppo_start import optimizers
from jaxalign.train.feed import Feed
from jaxalign.train.state import make_state

CFG = llama2.tiny(
  width=32, heads=4, kv_heads=2, mlp=48, depth=1, vocab=32, length=64, eos=(2, 9, 11), remat='none'
)
GOOD = 7  # the token that the judge likes


def likes(seen):
  R = seen.response_BR.shape[1]
  good_BR = (seen.tokens_BT[:, -R:] == GOOD) & seen.response_BR
  return good_BR.sum(1) / jnp.maximum(seen.length_B, 1)


def adam(lr):
  return AdamW(lr=lr, eps=1e-5, schedule=Schedule(shape='constant'))


def prompts(rows, P=8, seed=0):
  """(step, indices) -> left-padded prompts of unequal lengths."""

  def at(step, indices):
    made = dict(tokens_BT=np.zeros((len(indices), P), np.int32))
    made['segment_BT'] = np.zeros_like(made['tokens_BT'])
    for n, i in enumerate(indices):
      rng = np.random.default_rng((seed, step, int(i)))
      size = int(rng.integers(1, P + 1))
      made['tokens_BT'][n, P - size :] = rng.integers(3, CFG.vocab, size)
      made['segment_BT'][n, P - size :] = 1
    return made

  return at


@dataclasses.dataclass
class World:
  """Everything a run needs; `play` goes through it."""

  game: Game
  feed: Feed
  mesh: jax.sharding.Mesh
  state: object
  given: dict
  step: object
  tx: object


def spread(model):
  """Logits that differ: of weights as small as at birth every token is equally likely."""
  return jax.tree.map(lambda w: w * 4 if w.ndim > 1 else w, model)


def world(
  *, rows=16, P=8, R=6, minibatches=2, microbatches=1, mesh=(1, 1, 1), cfg=CFG, lr=1e-3, seed=0,
  judge=likes, rules=None, lora=None, **more,
):  # fmt: skip
  sizes = np.prod(mesh)
  mesh = make_mesh(*mesh, devices=jax.devices()[:sizes])
  game = Game(
    rules=rules or Rules(**more), response=R, minibatches=minibatches, microbatches=microbatches,
    lora=lora,
  )  # fmt: skip
  tx = optimizers(adam(lr), adam(lr), 1000, 1000)
  build = players.fresh_players(cfg.build, lora)
  with jax.set_mesh(mesh):
    model = born(lambda key: spread(cfg.build(key)), mesh, jax.random.key(seed))
    copy = lambda: jax.tree.map(lambda w: jnp.array(w, copy=True), model)
    _, make = make_state(build, tx, seed, mesh, lambda: improve.carried(game.rules))
    start = dict(policy=copy(), critic=Critic(copy(), jax.random.key(1)))
    state = make() if lora else make(start)
    given = dict(reference=model, scorers=())
    step = make_step(game, tx, (jax.jit(judge),))
  feed = Feed(prompts(rows, P), rows, mesh)
  return World(game, feed, mesh, state, given, step, tx)


def play(world, steps):
  """(state, the metrics of each iteration as means); the world goes on from there."""
  told = []
  with jax.set_mesh(world.mesh):
    first = int(world.state.step)
    for stacked, _ in world.feed.ahead(first, first + steps):
      world.state, (metrics, _) = world.step(world.state, stacked, world.given)
      told.append(means(metrics))
  return world.state, told


def means(metrics):
  metrics = jax.device_get(metrics)
  return {name: float(t[0] / max(w[0], 1e-30)) for name, (t, w) in metrics.items()}


def see(world, step=0, greedy=False):
  """What the players say of the prompts of a step."""
  with jax.set_mesh(world.mesh):
    stacked = world.feed.at(step, 1)
    rows = stacked['tokens_BT'].shape[1]
    key_B = keys(world.state.key, step, rows)
    return collect(world.game, world.state.model, stacked, key_B, world.given, greedy=greedy)


def weights(state):
  return [np.asarray(x) for x in jax.tree.leaves(state.model)]
