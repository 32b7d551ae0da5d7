"""One iteration of PPO by its phases: policy and critic learn, reference and judge beside them."""

import functools

import jax
import jax.numpy as jnp

from benchmarks.gpu import work
from benchmarks.gpu.report import memory, timed
from jaxalign.models.heads import Scorer
from jaxalign.rl import improve, players
from jaxalign.rl.sample import Sampling, generate
from jaxalign.stages import ppo, ppo_start
from jaxalign.train.state import make_state

BEFORE = 6.61  # seconds of an iteration of Phi-2, 32 rows of 512 + 256, as first measured


def measure(report, rows, name, cfg, sizes, card):
  P, R = sizes.prompt, sizes.new
  cfg, choice = work.stored(cfg, memory(), copies=2, share=0.6)
  cfg = work.changed(cfg, eos=())
  half = work.changed(cfg, weights=cfg.dtype)
  rules = players.Rules(epochs=1, value_clip=0.2)
  game = players.Game(rules=rules, response=R, minibatches=2, microbatches=1)
  tx = ppo_start.optimizers(work.ADAM, work.ADAM, 1000, 1000)
  build, mesh = players.fresh_players(cfg.build), jax.sharding.get_mesh()
  held = [make_state(build, tx, 0, mesh, functools.partial(improve.carried, rules))[1]()]

  def fresh(n):
    return jax.jit(half.build)(jax.random.key(n))

  given = dict(reference=fresh(1), scorers=(Scorer(fresh(2), jax.random.key(3)),))
  tokens_BP, _ = work.packed(rows, P, cfg.vocab)
  batch = dict(tokens_BT=tokens_BP[None], segment_BT=jnp.ones_like(tokens_BP)[None])
  key_B = players.row_keys(jax.random.key(4), 0, rows)
  prompt = tokens_BP, batch['segment_BT'][0], key_B, Sampling(slots=R)

  def collect():
    return ppo.collect(game, held[0].model, batch, key_B, given)

  sampled = timed(lambda: generate(held[0].model['policy'], *prompt), sizes.seconds / 2)
  collected = timed(collect, 0)
  seen = collect()

  def learn():
    held[0], out = ppo.learn(game, tx, held[0], batch, seen, seen.scores, given)
    return out

  learned = timed(learn, sizes.seconds / 2)
  tell(report, name, cfg, sizes, card, rows, choice, sampled, collected, learned)


def tell(report, name, cfg, sizes, card, rows, choice, sampled, collected, learned):
  """A row for each phase beside its floor, and one of the iteration."""
  P, R = sizes.prompt, sizes.new
  forward = rows * (P + R) * cfg.flops(P + R) / 3 / card['flops']
  reading = rows * P * cfg.flops(P) / 3 / card['flops']
  tokens = (R - 1) * work.token_bytes(cfg, rows, P + R) / card['bandwidth']
  floors = dict(sample=reading + tokens, score=4 * forward, learn=2 * 3 * forward)
  scored = {key: collected[key] - sampled['seconds'] for key in ('seconds', 'low', 'high')}
  phases = dict(sample=sampled, score=scored | dict(n=collected['n']), learn=learned)
  for phase, took in phases.items():
    how = dict(floor_s=floors[phase], of_floor=floors[phase] / max(took['seconds'], 1e-9))
    report.row(f'ppo {name}, {phase}', rows=rows, **how, **took)
  seconds = collected['seconds'] + learned['seconds']
  how = dict(n=learned['n'], prompt=P, response=R, choice=choice)
  report.row(
    f'ppo {name}', rows=rows, seconds=seconds, floor_s=sum(floors.values()),
    sequences_s=rows / seconds, of_before=BEFORE / seconds, **how,
  )  # fmt: skip
