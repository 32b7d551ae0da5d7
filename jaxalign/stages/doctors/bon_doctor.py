"""What --doctor looks at for stage bon."""

from jaxalign.stages import judging, overoptimisation, training
from jaxalign.stages.doctors import doctor, language_doctor
from jaxalign.stages.doctors import ppo_doctor as playing


def examine(cfg, workdir, machine):
  del workdir
  visit = doctor.Visit()
  mesh = visit.check('mesh', doctor.mesh_fits, cfg.mesh, machine)
  visit.check('batch', doctor.divides, 'batch', cfg.batch, 1, mesh)
  tokenizer = language_doctor.text_side(visit, cfg)
  source = training.Corpus(source=cfg.prompts, long='drop')
  visit.check('prompts', language_doctor.corpus, source, tokenizer, cfg, 'prompt', cfg.prompt)
  playing.judges_read(visit, cfg, tokenizer, proxy=cfg.proxy, gold=cfg.gold)
  visit.check('judges', _judges_differ, cfg)
  visit.check('memory', _memory, cfg, mesh, machine)
  visit.check('ppo', beside, cfg)
  return visit.checks


def _judges_differ(cfg):
  prints = judging.refuse_same_judge(cfg.proxy, cfg.gold)
  if not cfg.gold:
    return 'the proxy alone: without gold the report cannot say where it turns'
  return f'proxy {", ".join(prints["proxy"])}; gold {", ".join(prints["gold"])}'


def _memory(cfg, mesh, machine):
  return doctor.fits_memory(playing.frozen(cfg, mesh, 'policy', (*cfg.proxy, *cfg.gold)), machine)


def beside(cfg):
  if cfg.ppo is None:
    return 'none: the report shows best-of-n alone'
  overoptimisation.refuse_no_evaluations(cfg.ppo)
  return f'{cfg.ppo} has evaluations to stand beside'
