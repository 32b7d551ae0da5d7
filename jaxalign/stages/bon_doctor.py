"""What --doctor looks at for stage bon."""

from jaxalign.stages import doctor, judging, language_doctor, training


def examine(cfg, workdir, machine):
  del workdir
  visit = doctor.Visit()
  mesh = visit.check('mesh', doctor.mesh_fits, cfg.mesh, machine)
  visit.check('batch', doctor.divides, 'batch', cfg.batch, 1, mesh)
  tokenizer = language_doctor.text_side(visit, cfg)
  source = training.Corpus(source=cfg.prompts, long='drop')
  visit.check('prompts', language_doctor.corpus, source, tokenizer, cfg, 'prompt', cfg.prompt)
  visit.check('judges', judges_differ, cfg)
  return visit.checks


def judges_differ(cfg):
  judging.refuse_absent((*cfg.proxy, *cfg.gold))
  prints = judging.refuse_same_judge(cfg.proxy, cfg.gold)
  if not cfg.gold:
    return 'the proxy alone: without gold the report cannot say where it turns'
  return f'proxy {", ".join(prints["proxy"])}; gold {", ".join(prints["gold"])}'
