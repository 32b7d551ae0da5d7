"""What --doctor looks at for stage bon."""

from typing import Any

from jaxalign.stages import refusals, training
from jaxalign.stages.doctors import doctor, language_doctor, ppo_memory
from jaxalign.stages.doctors import ppo_doctor as playing


def examine(cfg: Any, workdir: Any, machine: doctor.Machine) -> list[doctor.Check]:
  """The checks of a config of bon."""
  del workdir
  visit = doctor.Visit()
  asked = visit.ask(refusals.BON, cfg, machine)
  source = training.Corpus(source=cfg.prompts, long='drop')
  visit.check(
    'prompts', language_doctor.corpus, source, asked['tokenizer'], cfg, 'prompt', cfg.prompt
  )
  playing.functions_answer(visit, proxy=cfg.proxy, gold=cfg.gold)
  visit.check('memory', _memory, cfg, asked['mesh'], machine)
  return visit.checks


def _memory(cfg, mesh, machine):
  parts = ppo_memory.frozen(cfg, mesh, 'policy', (*cfg.proxy, *cfg.gold))
  return doctor.fits_memory(parts | ppo_memory.sampling(cfg, mesh, machine, typed=True), machine)
