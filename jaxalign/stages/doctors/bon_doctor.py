"""What --doctor looks at for stage bon."""

from jaxalign.stages import refusals, training
from jaxalign.stages.doctors import doctor, language_doctor
from jaxalign.stages.doctors import ppo_doctor as playing


def examine(cfg, workdir, machine):
  del workdir
  visit = doctor.Visit()
  mesh = visit.check('mesh', doctor.mesh_fits, cfg.mesh, machine)
  tokenizer = visit.ask(refusals.BON, cfg, machine)['tokenizer']
  source = training.Corpus(source=cfg.prompts, long='drop')
  visit.check('prompts', language_doctor.corpus, source, tokenizer, cfg, 'prompt', cfg.prompt)
  playing.functions_answer(visit, proxy=cfg.proxy, gold=cfg.gold)
  visit.check('memory', _memory, cfg, mesh, machine)
  return visit.checks


def _memory(cfg, mesh, machine):
  return doctor.fits_memory(playing.frozen(cfg, mesh, 'policy', (*cfg.proxy, *cfg.gold)), machine)
