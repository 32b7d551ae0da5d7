"""What --doctor looks at for a study on real text, beside its steps: the start, what is asked."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from jaxalign.config import UserError
from jaxalign.evals import benches
from jaxalign.stages import refusals
from jaxalign.stages.doctors import doctor, evaluate_doctor
from jaxalign.study.plan.guest import Study
from jaxalign.study.texts import answering, questions
from jaxalign.study.texts.settings import Asking, Settings


def start(cfg: Study) -> str:
  """Where all arms begin. A hub that cannot be reached from here says nothing of the run."""
  if cfg.base is not None:
    return 'a base is trained first'
  try:
    return refusals.init_fits(cfg.recipes[0].stage, {})[0]
  except UserError as error:
    if 'the hub did not give it' in str(error):
      raise doctor.Skip(str(error)) from error
    raise


def asked(world: Settings) -> str:
  text, shown = questions.text_of(world), []
  for test, items in benches.asked(world.benches).items():
    fit = len(questions.fitting(test, items, text))
    shown.append(f'{test} {fit}' + (f' of {len(items)}' if fit < len(items) else ''))
  return ', '.join(shown)


def written(
  visit: doctor.Visit,
  cfg: Study,
  world: Asking,
  workdir: Any,
  machine: doctor.Machine,
  writing: Sequence[str] = (),
) -> None:
  """What arms are asked to write: as stage evaluate's doctor counts it of one model, and of how
  many. Weights by chance stand for it: where they come from is looked at elsewhere. writing: the
  arms that do; (): all."""
  if not world.suites:
    return
  arms = len(writing) or sum(not arm.context for arm in cfg.arms)
  models = 1 + arms * len(cfg.seeds) + len(cfg.rl_arms) * len(cfg.rl_seeds)
  stage = cfg.recipes[0].stage
  one = answering.evaluation(world, stage, stage.model)
  for check in evaluate_doctor.examine(one, workdir or '.', machine):
    if check.name not in ('mesh', 'model', 'primaries'):
      each = f'; of each of {models} models' if check.name in ('cost', 'disk') else ''
      visit.checks.append(
        dataclasses.replace(check, name=f'answers: {check.name}', why=check.why + each)
      )
