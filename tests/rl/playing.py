"""PPO without text: a tiny Llama, prompts of random tokens, and a judge of tokens."""

import types

import jax
import jax.numpy as jnp
import numpy as np

from jaxalign.config import AdamW, Schedule
from jaxalign.models import llama2
from jaxalign.models.heads import Critic
from jaxalign.rl import improve, players
from jaxalign.rl.players import Game, Rules
from jaxalign.rl.sample import left_pad
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


def prompts(P=8, seed=0):
  """(step, indices) -> left-padded prompts of unequal lengths."""

  def at(step, indices):
    rows = [np.random.default_rng((seed, step, int(i))) for i in indices]
    ids = [rng.integers(3, CFG.vocab, int(rng.integers(1, P + 1))).tolist() for rng in rows]
    return dict(zip(('tokens_BT', 'segment_BT'), left_pad(ids, P)))

  return at


def spread(model):
  """Logits that differ: of weights as small as at birth every token is equally likely."""
  return jax.tree.map(lambda w: w * 4 if w.ndim > 1 else w, model)


def world(
  *, rows=16, P=8, R=6, minibatches=2, microbatches=1, mesh=(1, 1, 1), cfg=CFG, lr=1e-3, seed=0,
  judge=likes, lora=None, **rules,
):  # fmt: skip
  """Everything a run needs; `play` goes through it."""
  mesh = make_mesh(*mesh, devices=jax.devices()[: np.prod(mesh)])
  how = dict(minibatches=minibatches, microbatches=microbatches, lora=lora)
  game = Game(rules=Rules(**rules), response=R, **how)
  tx = optimizers(adam(lr), adam(lr), 1000, 1000)
  build = players.fresh_players(cfg.build, lora)
  with jax.set_mesh(mesh):
    model = born(lambda key: spread(cfg.build(key)), mesh, jax.random.key(seed))
    one, other = (jax.tree.map(lambda w: jnp.array(w, copy=True), model) for _ in range(2))
    _, make = make_state(build, tx, seed, mesh, lambda: improve.carried(game.rules))
    state = make() if lora else make(dict(policy=one, critic=Critic(other, jax.random.key(1))))
  return types.SimpleNamespace(
    game=game,
    tx=tx,
    mesh=mesh,
    state=state,
    given=dict(reference=model, scorers=()),
    step=make_step(game, tx, (jax.jit(judge),)),
    feed=Feed(prompts(P), rows, mesh),
  )


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
