"""What --doctor looks at for a study: every step of every arm, by the doctor of its own stage.

Corpora are made of a little of their sources, controls included; weights are not read, and where a
step reads the run of one before it, a stand-in without any. A line a step: its tokens, whether it
fits, its cost; a step that an earlier arm makes too costs nothing.
"""

import dataclasses
import functools
import json
import re
import sys
import tempfile

from etils import epath

from jaxalign.chips import CHIPS
from jaxalign.data import dialogues
from jaxalign.files import write_text
from jaxalign.sealing import write
from jaxalign.stages import language, trained
from jaxalign.stages.doctors import doctor, language_doctor
from jaxalign.study.judge import contrasts
from jaxalign.study.judge import verdict as judging
from jaxalign.study.plan import placeholders
from jaxalign.study.plan.arms import Stage
from jaxalign.study.plan.directories import worlds_of
from jaxalign.study.plan.guest import Study
from jaxalign.study.run import guests, pieces
from jaxalign.train import fingerprint, saving

_SHARE = 0.4  # of the peak that training reaches, as peers report


def examine(cfg: Study, workdir: epath.Path, machine: doctor.Machine) -> list[doctor.Check]:
  visit = doctor.Visit()
  visit.check('verdict', _verdict, cfg)
  guest = guests.of(cfg.world)
  guest.examine(visit, cfg, workdir, machine)
  guest = guest.at(cfg.seeds[0]).little()
  with tempfile.TemporaryDirectory() as place:
    corpora = visit.check('corpora', _little, cfg, guest, epath.Path(place))
    if isinstance(corpora, dict):
      visit.checks += _steps(cfg, guest, corpora, epath.Path(place), machine)
  return visit.checks


def _verdict(cfg):
  """Too few seeds are no fault of a trial run, but should be known before one is paid for."""
  n, rules = len(cfg.seeds), cfg.rules
  over = max((len(rules.family_of(name)) for name in rules.decisive), default=1)
  fine = f'{n} seeds; the least p after Holm over {over} is {contrasts.least_p(n) * over:.2g}'
  return judging.foretold(n, rules, cfg.controls if cfg.control_seeds else ()) or fine


def _little(cfg, guest, place):
  """{kind: (path, sha256)} of small corpora, and what they are."""
  guest.begin(place)
  every = cfg.corpora((*cfg.arms, *cfg.rl_arms, *cfg.climbs))
  corpora = guest.corpora_of(every, place / 'seed')
  return f'{", ".join(corpora)}: a little of each made, and found honest', corpora


def _planned(cfg):
  """(arm, run, step, its stage, on how many seeds) of all that is trained, as the runner goes."""
  for arms, seeds in ((cfg.arms, cfg.seeds), ((*cfg.rl_arms, *cfg.climbs), cfg.rl_seeds)):
    for arm in arms if seeds else ():
      run = ''
      for step in arm.steps:
        run = f'{run}.{step.name}'
        yield arm.stored, run, cfg.stage_of(step), step.what, len(seeds)


def _steps(cfg, guest, corpora, place, machine):
  """A check a step, and their sum."""
  look = functools.partial(_examined, cfg, guest, corpora, place, machine)
  seen, first, made, tokens, flops = {}, {}, {}, 0, 0
  every = [('base', 'base', cfg.base, '', len(cfg.seeds))] if cfg.base else []
  every += _planned(cfg)
  wide = max(len(f'{arm}: {run.split(".")[-1]}') for arm, run, *_ in every)
  for arm, run, stage, what, seeds in every:
    name, (count, work) = f'{arm}: {run.split(".")[-1]}'.ljust(wide), _spent(stage)
    if run in made:
      yield doctor.Check(name, 'ok', f'{count:>13,} tokens  shared with {made[run]}')
      continue
    made[run], recipe = arm, (type(stage), repr(stage))
    key = *recipe, what
    if key not in seen:
      seen[key] = look(stage, what, first.get(recipe))
      first.setdefault(recipe, seen[key])
    tokens, flops = tokens + count * seeds, flops + work * seeds
    yield _of_step(name, seen[key], count, work, machine)
  words = f'{len(made)} runs a seed, {len(cfg.seeds)} seeds'
  words += f', RL on {len(cfg.rl_seeds)} of them' * bool(cfg.rl_arms or cfg.climbs)
  words = f'{words}: {tokens:,} tokens, {cost(flops, machine)}, what is asked apart'
  yield doctor.Check('study', 'ok', words)
  if cfg.slices > 1:
    worlds = len(worlds_of(cfg))
    most = -(-worlds // cfg.slices)
    fullest = cost(flops * most / worlds, machine)
    words = f'{cfg.slices} slices, {most} of {worlds} worlds on the fullest: {fullest}'
    yield doctor.Check('slices', 'ok', f'{words}; slice 0 makes what all of them share')


def _examined(cfg, guest, corpora, place, machine, stage, what, before):
  """The checks of a step by the doctor of its stage. before: those of the same recipe with another
  corpus, or None; where these found nothing, only texts are looked at: a real step of a vocabulary
  of 49,000 compiles for seconds, and a plan of 25 arms has 20 such pairs."""
  tokenizer = guest.tokenizer_of(place / 'seed')
  recipes, runs = {recipe.name: recipe.stage for recipe in cfg.recipes}, {}
  for name in placeholders.runs(stage):
    runs[name] = str(place / 'runs' / name)
    _stand_in(recipes[name], tokenizer, place / 'runs' / name)

  def corpus(path):
    return corpora[path.replace('{what}', what)]

  fields = dict(init=None, tokenizer=tokenizer, prepared=str(place / 'tokens'))
  closed = placeholders.closed(stage, corpus, runs, guest.config, **fields)
  if isinstance(closed, language.Language) and before and all(check.ok for check in before):
    alike = [check for check in before if check.name in language_doctor.OF_ARRAYS]
    found = [*language_doctor.texts(closed, machine), *alike]
  else:
    found = sys.modules[type(stage).__module__].doctor(closed, place / 'run', machine)
  return [check for check in found if check.name != 'init']


def _stand_in(stage, tokenizer, place):
  """A directory as the run of this stage leaves it, but for weights: what reads it, as PPO reads a
  reward model, is looked at before there is one."""
  tokens = trained.tokenizer_of(dict(tokenizer=tokenizer, init=None))
  path = place / saving.DIRECTORY / str(stage.steps)
  write(dataclasses.replace(stage, tokenizer=tokenizer), place / 'config.json')
  about = trained.text_record(tokens, dialogues.resolved(stage.format, tokens))
  write_text(json.dumps(about), path / 'about' / 'metadata')
  record = fingerprint.sealed({f'model.{place.name}': ['none', 0]})
  write_text(json.dumps(record), path / 'fingerprint' / 'metadata')


def _spent(stage: Stage) -> tuple[int, float]:
  """(tokens, arithmetic) of a step."""
  return stage.tokens, pieces.arithmetic(stage)


def _of_step(name, checks, tokens, flops, machine):
  failed = [check for check in checks if not check.ok]
  if failed:
    return doctor.Check(name, 'FAIL', '; '.join(f'{c.name}: {c.why}' for c in failed))
  memory = next(check for check in checks if check.name == 'memory')
  fits = re.match(r'[\d.]+ GiB a device', memory.why)[0]
  fits += '' if memory.state == 'ok' else ' (name a --slice)'
  return doctor.Check(name, 'ok', f'{tokens:>13,} tokens  {fits}  {cost(flops, machine)}')


def cost(flops: float, machine: doctor.Machine) -> str:
  """So much arithmetic in chip-hours of the machine, where its chips are known."""
  kind = machine.name.split('-')[0]
  if kind not in CHIPS:
    return f'{flops / 1e15:,.3g} PFLOP'
  hours = flops / (CHIPS[kind].flops * _SHARE) / 3600
  return f'{hours:,.3g} chip-hours ({hours / machine.devices:,.2g} h here) at {_SHARE:.0%} of peak'
