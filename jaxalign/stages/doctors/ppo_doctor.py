"""What --doctor looks at for stage ppo: rules 2, 4, 5, 9, 10, 22, 23, on its own config."""

import functools
from collections.abc import Sequence
from typing import Any

from jaxalign.config import AdamW, UserError
from jaxalign.data.cutting import Example
from jaxalign.data.text import Tokenizer
from jaxalign.rl import judges
from jaxalign.rl.judges import Judge
from jaxalign.stages import refusals, training
from jaxalign.stages.contract import Playing
from jaxalign.stages.doctors import doctor, language_doctor, ppo_memory, watch_doctor
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
  visit.check('memory', ppo_memory.words, cfg, asked['mesh'], machine)
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


def rehearsed(
  cfg: Playing, tokenizer: Tokenizer, examples: Sequence[Example], once: rehearsal.Once
) -> tuple[str, Any]:
  went = rehearsal.rehearse(cfg, tokenizer, examples, once)
  return f'{rehearsal.ROWS} of the prompts, one iteration of two narrow layers', went
