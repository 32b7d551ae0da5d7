"""What --doctor looks at for a study: every step of every arm, by the doctor of its own stage.

Corpora are made of a little of their sources, controls included; weights are not read. A line a
step: its tokens, whether it fits, its cost; a step that an earlier arm makes too costs nothing.
"""

import dataclasses
import re
import sys
import tempfile

from etils import epath

from jaxalign.chips import CHIPS
from jaxalign.config import UserError
from jaxalign.models import hub
from jaxalign.stages import doctor, finished, training
from jaxalign.study import asking, benches, contrasts, holes, kinds, real, sentiment, texts

LITTLE = dict(documents=64, background=20_000, taught=64, more=64)
SHARE = 0.4  # of the peak that training reaches, as peers report
FROZEN = 2 / 3  # of the arithmetic: an adapter's base has no gradient of its own


def examine(cfg, workdir, machine):
  del workdir
  visit = doctor.Visit()
  visit.check('verdict', verdict, cfg)
  if isinstance(cfg.world, texts.Texts):
    visit.check('init', start, cfg)
    visit.check('benches', asked, cfg.world)
  with tempfile.TemporaryDirectory() as place:
    corpora = visit.check('corpora', little, cfg, epath.Path(place))
    if isinstance(corpora, dict):
      visit.checks += steps(cfg, corpora, epath.Path(place), machine)
  return visit.checks


def verdict(cfg):
  """Too few seeds are no fault of a trial run, but should be known before one is paid for."""
  n, rules = len(cfg.seeds), cfg.rules
  if n < rules.least_seeds:
    return f'{n} seeds of the {rules.least_seeds} that a verdict needs: it will be UNINFORMATIVE'
  least = contrasts.least_p(n) * len(rules.contrasts)
  words = f'{n} seeds; the least p after Holm over {len(rules.contrasts)} is {least:.2g}'
  return words if least < rules.alpha else f'{words}: no contrast can hold, take more seeds'


def start(cfg):
  """Where all arms begin. A hub that cannot be reached from here says nothing of the run."""
  if cfg.base is not None:
    return 'a base is trained first'
  stage = cfg.recipes[0].stage
  if finished.is_workdir(stage.init):
    raw = finished.read(f'{stage.init}/config.json')
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
  text, shown = real.text_of(world), []
  for test, items in benches.asked(world.benches).items():
    fit = len(asking.fitting(items, text))
    if not fit:
      raise UserError(f'{test}: no item fits length={text.length}: raise world.length')
    shown.append(f'{test} {fit}' + (f' of {len(items)}' if fit < len(items) else ''))
  sentiment.refuse_missing(world.benches)
  shown += [f'{test} {len(items)}' for test, items in sentiment.items(world.benches).items()]
  return ', '.join(shown)


def little(cfg, place):
  """{kind: (path, sha256)} of small corpora, and what they are."""
  world = small(cfg.world, cfg.seeds[0])
  module = kinds.of(world)
  module.begin(dataclasses.replace(world, benches=()) if module is real else world, place)
  corpora = module.corpora_of(world, cfg.corpora(cfg.arms), place / 'seed')
  return f'{", ".join(corpora)}: a little of each made, and found honest', corpora


def small(world, seed):
  world = kinds.of(world).at(world, seed, False)
  if isinstance(world, texts.Texts):
    least = {name: min(n, getattr(world, name)) for name, n in LITTLE.items()}
    world = dataclasses.replace(world, **least)
  return world


def steps(cfg, corpora, place, machine):
  """A check a step, and their sum."""
  world, module = small(cfg.world, cfg.seeds[0]), kinds.of(cfg.world)
  seen, made, total = {}, {}, dict(tokens=0, flops=0)
  every = [('base', 'base', cfg.base, '')] if cfg.base else []
  for arm in cfg.arms:
    run = ''
    for step in arm.steps:
      run = f'{run}.{step.name}'
      every.append((arm.name, run, cfg.stage_of(step), step.what))
  wide = max(len(f'{arm}: {run.split(".")[-1]}') for arm, run, *_ in every)
  for arm, run, stage, what in every:
    name = f'{arm}: {run.split(".")[-1]}'.ljust(wide)
    if run in made:
      yield doctor.Check(name, 'ok', f'{stage.tokens:>13,} tokens  shared with {made[run]}')
      continue
    made[run], key = arm, (type(stage), repr(stage), what)
    if key not in seen:
      closed = holes.closed(
        stage, lambda path, what=what: corpora[path.replace('{what}', what)], {}, world, init=None,
        tokenizer=module.tokenizer_of(world, place / 'seed'), prepared=str(place / 'tokens'),
      )  # fmt: skip
      found = sys.modules[type(stage).__module__].doctor(closed, place / 'run', machine)
      seen[key] = [check for check in found if check.name != 'init']
    flops = stage.tokens * stage.model.flops(stage.length) * (FROZEN if stage.lora else 1)
    total = dict(tokens=total['tokens'] + stage.tokens, flops=total['flops'] + flops)
    yield of_step(name, seen[key], stage.tokens, flops, machine)
  words = f'{len(made)} runs a seed, {len(cfg.seeds)} seeds: {total["tokens"] * len(cfg.seeds):,}'
  every_seed = cost(total['flops'] * len(cfg.seeds), machine)
  yield doctor.Check('study', 'ok', f'{words} tokens, {every_seed}, benches apart')


def of_step(name, checks, tokens, flops, machine):
  failed = [check for check in checks if not check.ok]
  if failed:
    return doctor.Check(name, 'FAIL', '; '.join(f'{c.name}: {c.why}' for c in failed))
  memory = next(check for check in checks if check.name == 'memory')
  fits = re.match(r'[\d.]+ GiB a device', memory.why)[0]
  fits += '' if memory.state == 'ok' else ' (name a --slice)'
  return doctor.Check(name, 'ok', f'{tokens:>13,} tokens  {fits}  {cost(flops, machine)}')


def cost(flops, machine):
  kind = machine.name.split('-')[0]
  if kind not in CHIPS:
    return f'{flops / 1e15:,.3g} PFLOP'
  hours = flops / (CHIPS[kind].flops * SHARE) / 3600
  return f'{hours:,.3g} chip-hours ({hours / machine.devices:,.2g} h here) at {SHARE:.0%} of peak'
