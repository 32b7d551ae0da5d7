"""What --doctor looks at for stage ppo: rules 2, 4, 5, 9, 10, 22, 23, on its own config."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import AbstractMesh

from jaxalign.config import AdamW, UserError
from jaxalign.data.cutting import Example
from jaxalign.data.text import Tokenizer
from jaxalign.models import adapters
from jaxalign.rl import judges
from jaxalign.rl.judges import Judge
from jaxalign.sharding.collectives import sampling_mesh
from jaxalign.stages import refusals, training
from jaxalign.stages.contract import Answering, Playing
from jaxalign.stages.doctors import doctor, language_doctor, watch_doctor
from jaxalign.stages.doctors import ppo_rehearsal as rehearsal
from jaxalign.stages.doctors.doctor import Check, Machine

_ADAM = dict(eps=1e-5, b2=0.95, weight_decay=0.0)  # rule 22


def examine(cfg: Playing, machine: Machine, once: rehearsal.Once) -> list[Check]:
  """The checks of a config of ppo, and what an iteration of its programs shows."""
  visit = doctor.Visit()
  asked = visit.ask(refusals.PPO, cfg, machine)
  tokenizer = asked['tokenizer']
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
  visit.check('memory', memory, cfg, asked['mesh'], machine)
  went = visit.check('rehearsal', rehearsed, cfg, tokenizer, found['prompts'], once)
  for name, rule in rehearsal.RULES.items():
    visit.check(name.replace('_', ' '), rule, went)
  visit.check('last token', rehearsal.last_token, cfg, found['prompts'])
  watch_doctor.watched(visit, cfg, tokenizer)
  return visit.checks


def optimizer(name: str, cfg: Playing) -> str:
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


def functions_answer(visit: doctor.Visit, **sides: Sequence[Judge]) -> None:
  for side, listed in sides.items():
    for n, judge in enumerate(listed):
      if callable(judge.by):
        visit.check(f'{side} {n}', _answers, judge)


def _answers(judge):
  """A function is asked once: what it returns must be one finite number."""
  pair = 'What is a list?', ' A list is a number of things, one after the other.'
  return f'{judge.name} gives {judges.ask(judge, pair):.4g} for a plain answer'


def memory(cfg: Playing, mesh: AbstractMesh, machine: Machine) -> str:
  """Policy, critic and their moments, the reference, the judges, a rollout's cache."""
  model = jax.eval_shape(cfg.model.build, jax.random.key(0))
  size = functools.partial(doctor.device_bytes, mesh=mesh)
  trained = model
  if cfg.lora is not None:
    trained = jax.eval_shape(adapters.adapter_builder(cfg.model, cfg.lora), jax.random.key(0))
  moments = {}
  for name in ('optim', 'critic_optim'):
    tx = training.make_optimizer(getattr(cfg, name), cfg.optimizer_steps)
    moments[name] = size(jax.eval_shape(tx.init, trained))
  rows = cfg.minibatch / cfg.microbatches
  parts = {'policy and critic': 2 * size(trained), 'moments': sum(moments.values())}
  parts['gradients'] = 2 * size(trained) * (2 if cfg.microbatches > 1 else 1)
  parts |= frozen(cfg, mesh, 'reference', (*cfg.judges, *cfg.gold))
  parts['activations'] = int(language_doctor.activations(cfg.model, rows, cfg.length, mesh))
  return doctor.fits_memory(parts, machine)


def frozen(
  cfg: Answering, mesh: AbstractMesh, name: str, listed: Sequence[Judge]
) -> dict[str, int]:
  """Of what is not trained: a decoder in the arithmetic's type, the judges, and a batch's cache."""
  model = dataclasses.replace(cfg.model, weights=cfg.model.dtype)
  twin = jax.eval_shape(model.build, jax.random.key(0))
  whole = doctor.device_bytes(twin, mesh)
  scorers = sum(isinstance(judge.by, str) for judge in listed)
  groups = sampling_mesh(mesh, model.kv_heads)
  ways, over = groups.shape['data'], groups.shape['tensor']
  over = over if model.kv_heads % over == 0 else 1
  head = model.kv_heads // over * model.head_size * jnp.dtype(model.dtype).itemsize
  cache = 2 * cfg.batch / ways * cfg.length * model.depth * head
  parts = {name: whole, f'{scorers} judges of its size': scorers * whole}
  return parts | {'weights to sample with': doctor.device_bytes(twin, groups), 'cache': int(cache)}


def rehearsed(
  cfg: Playing, tokenizer: Tokenizer, examples: Sequence[Example], once: rehearsal.Once
) -> tuple[str, Any]:
  went = rehearsal.rehearse(cfg, tokenizer, examples, once)
  return f'{rehearsal.ROWS} of the prompts, one iteration of two narrow layers', went
