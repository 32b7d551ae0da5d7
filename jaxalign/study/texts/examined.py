"""What --doctor looks at for a study on real text, beside its steps: its start and its benches."""

from jaxalign.config import UserError
from jaxalign.evals import benches, likelihood, sentiment
from jaxalign.models import hub
from jaxalign.stages import finished, training
from jaxalign.stages.doctors import doctor
from jaxalign.study.texts import questions


def start(cfg):
  """Where all arms begin. A hub that cannot be reached from here says nothing of the run."""
  if cfg.base is not None:
    return 'a base is trained first'
  stage = cfg.recipes[0].stage
  if finished.is_workdir(stage.init):
    raw = finished.raw_of(stage.init)
    training.refuse_other_model(stage, finished.model_config(stage.init, raw))
    return f'{stage.init} fits model'
  try:
    there, whole = hub.examine(stage.init)
  except UserError as error:
    if 'the hub did not give it' in str(error):
      raise doctor.Skip(str(error)) from error
    raise
  training.refuse_other_model(stage, there)
  return f'{stage.init} fits model; ' + (
    'every tensor is there' if whole else 'its weights come with the run'
  )


def asked(world):
  text, shown = questions.text_of(world), []
  for test, items in benches.asked(world.benches).items():
    fit = len(likelihood.fitting(items, text))
    if not fit:
      raise UserError(f'{test}: no item fits length={text.length}: raise world.length')
    shown.append(f'{test} {fit}' + (f' of {len(items)}' if fit < len(items) else ''))
  sentiment.refuse_missing(world.benches)
  shown += [f'{test} {len(items)}' for test, items in sentiment.items(world.benches).items()]
  return ', '.join(shown)
