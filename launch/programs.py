"""Which compiled programs a config's stage runs, and the shapes they take: no weights are made.

Each is the very function that the stage calls, built by the stage's own code from the same config;
only the arrays are stand-ins of the same shapes, types and layout.
"""

import collections
import dataclasses

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding

from jaxalign.config import UserError
from jaxalign.data import batches
from jaxalign.models import heads
from jaxalign.sharding.alphabet import spec
from jaxalign.sharding.collectives import sampling_mesh
from jaxalign.sharding.meshes import make_mesh
from jaxalign.stages import (
  bon,
  dpo,
  evaluate,
  explain,
  judging,
  ppo,
  reward,
  sft,
  trained,
  training,
)
from jaxalign.stages import language as text
from jaxalign.stages import ppo_start as begin
from jaxalign.stages.doctors.doctor import device_bytes
from jaxalign.stages.doctors.ppo_memory import cache_bytes
from jaxalign.stages.refusals import BON, LEARNING, PPO, Found
from jaxalign.study.stage import Config as Study
from jaxalign.train.optim import make_optimizer, refuse_unmatched
from jaxalign.train.state import make_state
from launch import evaluations
from launch.program import Program


def programs_of(cfg, devices):
  """(mesh, the programs of the config's stage on these devices, in the order they run)."""
  if isinstance(cfg, Study):
    return of_study(cfg, devices)
  if not hasattr(cfg, 'mesh') or not hasattr(cfg, 'model'):
    raise UserError(f'{type(cfg).__module__} runs no program of its own')
  mesh = make_mesh(cfg.mesh.data, cfg.mesh.fsdp, cfg.mesh.tensor, devices=devices)
  match cfg:
    case explain.Config() | sft.Config():
      made, rules = language(cfg, mesh), LEARNING
    case reward.Config() | dpo.Config():
      made, rules = pairs(cfg, mesh), LEARNING
    case ppo.Config():
      made, rules = rounds(cfg, mesh), PPO
    case bon.Config():
      made, rules = best_of(cfg, mesh), BON
    case evaluate.Config():
      return mesh, list(evaluations.programs_of(cfg, mesh))
    case _:
      raise UserError(f'{type(cfg).__module__}: preflight does not know what it compiles')
  dict(rules)['batch'](cfg, Found(mesh=mesh))
  return mesh, list(made)


def of_study(cfg, devices):
  """Of the steps of all arms, a program of each shape, called as often as all seeds need."""
  runs, done = collections.Counter(), set()
  for arm in cfg.arms:  # a step that another arm has taken in the same place is taken once
    paths = [tuple(step.name for step in arm.steps[: n + 1]) for n in range(len(arm.steps))]
    new = [step.recipe for step, path in zip(arm.steps, paths) if path not in done]
    runs.update(new)
    done.update(paths)
  found = {}
  for recipe in cfg.recipes:
    if not (runs[recipe.name] or cfg.rl_arms or cfg.climbs):  # whose runs are not counted here
      continue
    mesh, made = programs_of(recipe.stage, devices)
    for program in made:
      calls = program.calls * runs[recipe.name] * len(cfg.seeds)
      key = program.name, str(jax.tree.map(_kind_of, program.args))
      if old := found.get(key):
        named, calls = f'{old.name}, {recipe.name}', calls + old.calls
      else:
        named = f'{program.name} of {recipe.name}'
      found[key] = dataclasses.replace(program, name=named, calls=calls)
  return mesh, list(found.values())


def _kind_of(x):
  """What makes a program of an argument: an array's shape and dtype, or the rules of a game."""
  return (x.shape, x.dtype) if hasattr(x, 'shape') else x


def rows(mesh, lead, sizes, types):
  """Stand-ins of a batch: {name: [*lead, B, ...]}, laid out as Feed lays them."""

  def one(name, size):
    home = NamedSharding(mesh, spec('-' * len(lead) + 'B' + '-' * (len(size) - 1)))
    return jax.ShapeDtypeStruct((*lead, *size), types.get(name, jnp.int32), sharding=home)

  return {name: one(name, size) for name, size in sizes.items()}


def packed(mesh, lead, batch, length, prefix=''):
  """A batch of data.batches.Batches."""
  names = [prefix + name for name in ('tokens_BT', 'weight_BT', 'segment_BT', 'position_BT')]
  types = {f'{prefix}weight_BT': jnp.float32}
  return rows(mesh, lead, dict.fromkeys(names, (batch, length)), types)


def state_of(cfg, mesh, build, loss):
  """(the state's twin, the step): of a stage that trains one model by one optimizer."""
  tx = make_optimizer(cfg.optim, cfg.steps)
  twin, _ = make_state(build, tx, cfg.seed, mesh)
  refuse_unmatched(twin.model, cfg.optim)
  with jax.set_mesh(mesh):
    return twin, training.step_of(cfg, tx, loss)


def language(cfg, mesh):
  build, loss = text.learner(cfg)
  state, step = state_of(cfg, mesh, build, loss)
  given = None if cfg.lora is None else trained.twin_of(cfg.model.build, mesh)
  stacked = packed(mesh, (cfg.steps_per_call,), cfg.batch, cfg.length)
  tokens = cfg.steps_per_call * cfg.batch * cfg.length
  yield Program(
    'train',
    step,
    (state, stacked, given),
    tokens=tokens,
    flops=tokens * cfg.model.flops(cfg.length),
    calls=-(-cfg.steps // cfg.steps_per_call),
  )


def pairs(cfg, mesh):
  """Of the widths that a batch may have, the widest."""
  stage = reward if isinstance(cfg, reward.Config) else dpo
  build, loss, _ = stage.learner(cfg)
  state, step = state_of(cfg, mesh, build, loss)
  given = None
  if cfg.lora is not None or stage is dpo:
    given = trained.twin_of(cfg.model.build, mesh)
  if stage is dpo and cfg.lora is None:
    given = trained.twin_of(lambda key: trained.cast(cfg.model.build(key), cfg.reference), mesh)
  T = batches.widths(cfg.length)[-1]
  sides = [f'{side}{what}' for side in ('chosen', 'rejected') for what in SIDES]
  sizes = dict.fromkeys(sides, (cfg.batch, T)) | dict(margin_B=(cfg.batch,), weight_B=(cfg.batch,))
  types = {name: jnp.float32 for name in sizes if 'weight' in name or 'margin' in name}
  tokens = 2 * cfg.batch * T
  yield Program(
    'train',
    step,
    (state, rows(mesh, (1,), sizes, types), given),
    tokens=tokens,
    flops=tokens * stage.flops(cfg, T),
    calls=cfg.steps,
  )


SIDES = ('_BT', '_weight_BT', '_segment_BT')


def scorer_twin(cfg, by, dtype, mesh):
  """A reward model's shapes: of the workdir `by`; where there is none yet, of the policy's kind."""
  model = cfg.model
  if trained.is_workdir(by):
    model = trained.model_config(by, trained.raw_of(by))

  def build(key):
    scorer = heads.fresh(model)(key)
    return heads.Scorer(trained.cast(scorer.decoder, dtype), score_D=scorer.score_D)

  return trained.twin_of(build, mesh)


def readers_of(cfg, listed, mesh):
  """The judges that are models, taken to read the policy's own tokens."""
  listed = [judge.by for judge in listed if isinstance(judge.by, str)]
  return tuple(scorer_twin(cfg, by, cfg.model.dtype, mesh) for by in listed)


def prompts(cfg, mesh, lead):
  names = ('tokens_BT', 'segment_BT', 'position_BT')
  return rows(mesh, lead, dict.fromkeys(names, (cfg.batch, cfg.prompt)), {})


def turn_bytes(cfg, mesh):
  """What a device must read for each token it samples: all weights, and its part of the cache."""
  model = dataclasses.replace(cfg.model, weights=cfg.model.dtype)
  weights = jax.eval_shape(model.build, jax.random.key(0))
  return device_bytes(weights, sampling_mesh(mesh, cfg.model.kv_heads)) + cache_bytes(cfg, mesh)


def rounds(cfg, mesh):
  """Of ppo: what collects (sampling, and every player's forward over it), then what learns."""
  tx = begin.optimizers_of(cfg)
  critic = None
  if cfg.critic is not None:
    critic = begin.as_critic(cfg, scorer_twin(cfg, cfg.critic, cfg.model.weights, mesh))
  state, _ = begin.maker(cfg, tx, mesh, critic)
  scorers = readers_of(cfg, cfg.judges, mesh)
  given = dict(reference=trained.twin_of(begin.frozen_model(cfg).build, mesh), scorers=scorers)
  names, weights = zip(*((judge.name, float(judge.weight)) for judge in cfg.judges))
  game = ppo.game_of(cfg, judging.unique(names), weights)
  gold = device_bytes(readers_of(cfg, cfg.gold, mesh), mesh)
  stacked = prompts(cfg, mesh, (1,))
  if cfg.rules.ptx:
    stacked |= packed(mesh, (1,), cfg.batch, cfg.ptx_length, 'ptx_')
  key_B = whole(mesh, jax.eval_shape(ppo.keys, state.key, state.step, cfg.batch))
  evaluations = 1 + cfg.steps // cfg.eval_every if cfg.held_out else 0
  collects = cfg.steps + evaluations * 2 * -(-cfg.eval_prompts // cfg.batch)
  one, tokens = cfg.model.flops(cfg.length) / 3, cfg.batch * cfg.length  # of a forward
  yield Program(
    'collect',
    ppo.collect,
    (game, state.model, stacked, key_B, given),
    beside=gold + device_bytes((state.opt, state.extra), mesh),
    tokens=tokens,
    flops=tokens * one * (4 + len(scorers)),
    calls=collects,
    turns=cfg.response - 1,
    read=turn_bytes(cfg, mesh),
  )
  B = jax.ShapeDtypeStruct((cfg.batch,), jnp.float32, sharding=NamedSharding(mesh, spec('B')))
  with jax.set_mesh(mesh):
    seen = jax.eval_shape(ppo.collect, game, state.model, stacked, key_B, given)

  def put(x):
    return jax.ShapeDtypeStruct(
      x.shape, x.dtype, sharding=NamedSharding(mesh, spec('B' + '-' * (x.ndim - 1)))
    )

  worth = tokens * cfg.rules.epochs * 2 * 3 * one  # policy and critic, forwards and backwards
  if cfg.rules.ptx:
    text = cfg.batch * cfg.ptx_length
    worth += text * cfg.rules.epochs * cfg.model.flops(cfg.ptx_length)
  yield Program(
    'learn',
    ppo.learn,
    (game, tx, state, stacked, jax.tree.map(put, seen), (B,) * len(names), given),
    beside=gold,
    tokens=tokens,
    flops=worth,
    calls=cfg.steps,
  )


def whole(mesh, shapes):
  """Stand-ins that lie whole on every device."""
  home = NamedSharding(mesh, spec(''))
  return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=home), shapes)


def best_of(cfg, mesh):
  """Of bon: what samples, and what each reward model does."""
  frozen = dataclasses.replace(cfg.model, weights=cfg.model.dtype)
  policy = trained.twin_of(frozen.build, mesh)
  listed = readers_of(cfg, (*cfg.proxy, *cfg.gold), mesh)
  batch = prompts(cfg, mesh, ())
  batch |= rows(mesh, (), dict.fromkeys(('prompt_B', 'answer_B'), (cfg.batch,)), {})
  calls = -(-cfg.count * cfg.n // cfg.batch)
  one, tokens = cfg.model.flops(cfg.length) / 3, cfg.batch * cfg.length
  how, key = (cfg.response, cfg.temperature), whole(mesh, jax.eval_shape(jax.random.key, 0))
  yield Program(
    'sample',
    bon.draw,
    (how, policy, batch, key),
    beside=device_bytes(listed, mesh),
    tokens=tokens,
    flops=tokens * one,
    calls=calls,
    turns=cfg.response - 1,
    read=turn_bytes(cfg, mesh),
  )
  texts = rows(mesh, (), dict.fromkeys(('tokens_BT', 'segment_BT'), (cfg.batch, cfg.length)), {})
  for n, scorer in enumerate(listed):
    yield Program(
      f'score {n}',
      judging.read,
      (scorer, *texts.values()),
      tokens=tokens,
      flops=tokens * one,
      beside=device_bytes((policy, *listed[:n], *listed[n + 1 :]), mesh),
      calls=calls,
    )
