"""What --doctor looks at for stage ppo: rules 2, 4, 5, 9, 10, 22, 23, on its own config."""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from jaxalign.config import AdamW, UserError
from jaxalign.models import adapters
from jaxalign.rl import judges
from jaxalign.sharding.collectives import sampling_mesh
from jaxalign.stages import refusals, training
from jaxalign.stages.doctors import doctor, language_doctor
from jaxalign.stages.doctors import ppo_rehearsal as rehearsal

_ADAM = dict(eps=1e-5, b2=0.95, weight_decay=0.0)  # rule 22


def examine(cfg, machine, once):
  """once: see stage ppo."""
  visit = doctor.Visit()
  mesh = visit.check('mesh', doctor.mesh_fits, cfg.mesh, machine)
  tokenizer = visit.ask(refusals.PPO, cfg, machine)['tokenizer']
  for name in ('optim', 'critic_optim'):
    visit.check(name, optimizer, name, cfg)
  functions_answer(visit, judge=cfg.judges, gold=cfg.gold)
  look = functools.partial(language_doctor.corpus, kind='prompt', length=cfg.prompt)
  found = {}
  for name in ('prompts', 'held_out'):
    if getattr(cfg, name) is not None:
      source = training.Corpus(source=getattr(cfg, name), long='drop')
      found[name] = visit.check(name, look, source, tokenizer, cfg)
  for n, one in enumerate(cfg.pretraining):
    visit.check(f'pretraining.{n}', language_doctor.corpus, one, tokenizer, cfg)
  visit.check('memory', memory, cfg, mesh, machine)
  went = visit.check('rehearsal', rehearsed, cfg, tokenizer, found['prompts'], once)
  for name, rule in (
    ('masks', rehearsal.masks),
    ('temperature', rehearsal.temperature),
    ('first ratio', rehearsal.first_ratio),
    ('steps', rehearsal.steps_counted),
  ):
    visit.check(name, rule, went)
  visit.check('last token', rehearsal.last_token, cfg, found['prompts'])
  return visit.checks


def optimizer(name, cfg):
  """Rule 22, for the policy's and for the critic's."""
  optim = getattr(cfg, name)
  steps = cfg.policy_steps if name == 'optim' else cfg.optimizer_steps
  words = doctor.optimizer_sane(optim, steps)
  if isinstance(optim, AdamW):
    mine = {field: getattr(optim, field) for field in _ADAM}
    other = {field: value for field, value in mine.items() if value != _ADAM[field]}
    if other:
      said = ', '.join(f'{name}.{k}={v} ({_ADAM[k]} is right)' for k, v in other.items())
      raise UserError(f'{said}: Adam takes other numbers under PPO than in pretraining; set them')
  return words


def functions_answer(visit, **sides):
  for side, listed in sides.items():
    for n, judge in enumerate(listed):
      if callable(judge.by):
        visit.check(f'{side} {n}', _answers, judge)


def _answers(judge):
  """A function is asked once: what it returns must be one finite number."""
  pair = 'What is a list?', ' A list is a number of things, one after the other.'
  return f'{judge.name} gives {judges.ask(judge, pair):.4g} for a plain answer'


def memory(cfg, mesh, machine):
  """Policy, critic and their moments, the reference, the judges, a rollout's cache."""
  model = jax.eval_shape(cfg.model.build, jax.random.key(0))
  size = functools.partial(doctor.device_bytes, mesh=mesh)
  trained = model
  if cfg.lora is not None:
    key = jax.random.key(0)
    trained = jax.eval_shape(lambda m: adapters.make_adapter(m, cfg.lora, key), model)
  moments = {}
  for name in ('optim', 'critic_optim'):
    tx = training.make_optimizer(getattr(cfg, name), cfg.optimizer_steps)
    moments[name] = size(jax.eval_shape(tx.init, trained))
  rows = cfg.minibatch / cfg.microbatches
  parts = {
    'policy and critic': 2 * size(trained), 'moments': sum(moments.values()),
    'gradients': 2 * size(trained) * (2 if cfg.microbatches > 1 else 1),
    **frozen(cfg, mesh, 'reference', (*cfg.judges, *cfg.gold)),
    'activations': int(language_doctor.activations(cfg.model, rows, cfg.length, mesh)),
  }  # fmt: skip
  return doctor.fits_memory(parts, machine)


def frozen(cfg, mesh, name, listed):
  """Of what is not trained: a decoder in the arithmetic's type, the judges, and a batch's cache."""
  model = dataclasses.replace(cfg.model, weights=cfg.model.dtype)
  twin = jax.eval_shape(model.build, jax.random.key(0))
  whole = doctor.device_bytes(twin, mesh)
  scorers = sum(isinstance(judge.by, str) for judge in listed)
  groups = sampling_mesh(mesh)
  ways, over = groups.shape['data'], groups.shape['tensor']
  over = over if model.kv_heads % over == 0 else 1
  head = model.kv_heads // over * model.head_size * jnp.dtype(model.dtype).itemsize
  cache = 2 * cfg.batch / ways * cfg.length * model.depth * head
  return {
    name: whole, f'{scorers} judges of its size': scorers * whole,
    'weights to sample with': doctor.device_bytes(twin, groups), 'cache': int(cache),
  }  # fmt: skip


def rehearsed(cfg, tokenizer, examples, once):
  went = rehearsal.rehearse(cfg, tokenizer, examples, once)
  return f'{rehearsal.ROWS} of the prompts, one iteration of two narrow layers', went
