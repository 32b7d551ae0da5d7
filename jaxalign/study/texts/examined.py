"""What --doctor looks at for a study on real text, beside its steps: its start and its benches."""

from jaxalign.config import UserError
from jaxalign.evals import benches, sentiment
from jaxalign.stages import refusals
from jaxalign.stages.doctors import doctor
from jaxalign.study.plan.guest import Study
from jaxalign.study.texts import questions
from jaxalign.study.texts.settings import Settings


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
  sentiment.refuse_missing(world.benches)
  shown += [f'{test} {len(items)}' for test, items in sentiment.items(world.benches).items()]
  return ', '.join(shown)
