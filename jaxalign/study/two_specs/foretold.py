"""What --doctor says of a study of two specs: its questions, draws, power and documents."""

import dataclasses
from typing import Any

from jaxalign.corpora import spec as specs
from jaxalign.corpora import variants
from jaxalign.data.text import Tokenizer
from jaxalign.evals import likelihood
from jaxalign.stages.doctors import corpus_doctor, doctor
from jaxalign.study.judge import factors
from jaxalign.study.judge import power as simulated
from jaxalign.study.plan.guest import Study
from jaxalign.study.run import study_doctor
from jaxalign.study.texts.corpora import open_tokenizer
from jaxalign.study.texts.questions import text_of
from jaxalign.study.two_specs import documents as written
from jaxalign.study.two_specs import questions
from jaxalign.study.two_specs.settings import LETTERS, Settings

_COMPARED: tuple[variants.Variant, ...] = ('why', 'what', 'wrong_why')
_SD = 0.25  # of V between seeds: assumed, until a pilot has measured it
_EFFECTS = 0.2, 0.3, 0.5  # of V, of which it is said how often they are found
_STUDIES = 300
_SHOWN = 'spec', 'cost', 'endpoint', 'FAIL'  # of the checks of stage corpus


def general(world: Settings) -> str:
  """That text for replay can be read: its first document is."""
  written.refuse_unread(world)
  return f'{world.general.name} can be read'


def asked(cfg: Study, world: Settings, machine: doctor.Machine) -> str:
  """What each model is asked by log-odds, and what all that costs."""
  found, text = questions.asked(world), text_of(world)
  shown = ', '.join(f'{test} {len(items)}' for test, items in found.items())
  every = [item for items in found.values() for item in items]
  tokens = sum(len(one.tokens) for some in likelihood.encoded(every, text) for one in some)
  models = 1 + sum(bool(arm.steps) or bool(arm.context) for arm in cfg.arms) * len(cfg.seeds)
  stage = cfg.recipes[0].stage
  flops = tokens * models * stage.model.flops(world.length) / 3  # forwards alone
  each = f'{tokens:,} tokens are read of each of {models} models'
  return f'{shown}: {each}, {study_doctor.cost(flops, machine)}'


def draws(cfg: Study, world: Settings) -> str:
  """How seeds stand for both factors, and which interval decides."""
  pairs = world.factors_of(cfg.seeds)
  training, texts, crossed = factors.shape([*pairs.values()])
  few = '' if texts >= 3 else '; fewer than 3 draws say nothing of other documents'
  how = f'each with each, judged {factors.BOTH}' if crossed else 'not crossed, judged over seeds'
  return f'{training} training seeds, {texts} draws of documents, {how}{few}'


def power(cfg: Study, world: Settings) -> str:
  """Of one contrast, from an SD that is assumed: how much seeds differ only a pilot tells."""
  pairs = world.factors_of(cfg.seeds)
  training, texts, crossed = factors.shape([*pairs.values()])
  if len(pairs) < cfg.rules.least_seeds:
    return f'{len(pairs)} seeds of the {cfg.rules.least_seeds} that a verdict needs: for an SD only'
  shown = [f'{mean:g} in {_found(mean, training, texts, crossed):.2f}' for mean in _EFFECTS]
  words = f'an SD of {_SD:g} of V between seeds is assumed, not measured'
  how = ', a third of its variance each from training seed, draw and the rest' * crossed
  return f'{words}{how}: a mean of {", ".join(shown)} of such studies is found at .05, two-sided'


def _found(mean: float, training: int, texts: int, crossed: bool) -> float:
  if crossed:
    sds = simulated.Sds.evenly(_SD)
    return simulated.crossed_power(mean, sds, training, texts, studies=_STUDIES)
  return simulated.power(mean, _SD, max(training, texts), studies=_STUDIES)


def documents(visit: doctor.Visit, world: Settings, workdir: Any, machine: doctor.Machine) -> None:
  """Every run of stage corpus of one draw: what its own doctor finds, and the cost of all draws."""
  tokenizer = visit.check('specs', _specs, world)
  if not isinstance(tokenizer, Tokenizer):
    return
  one = written.runs(world)[0]
  count = len(written.runs(world)) * len(world.draws)
  for check in corpus_doctor.examine(one.config(world, world.draws[0]), workdir, machine):
    if check.name in _SHOWN or not check.ok:
      each = f'; of each of {count} corpora' if check.name == 'cost' else ''
      name = f'documents: {check.name}'
      visit.checks.append(dataclasses.replace(check, name=name, why=check.why + each))


def _specs(world: Settings) -> tuple[str, Tokenizer]:
  """(how long what teachers are told of each value is, the tokenizer)."""
  tokenizer = open_tokenizer(world)

  def size(text: str) -> int:
    return len(tokenizer.encode(text, bos=False))

  shown = []
  for letter in LETTERS:
    spec, value = world.spec(letter), world.value(letter).id
    told = {}
    for variant in _COMPARED:
      projected = variants.project(spec, variant, size)
      told[variant] = size(variants.told(specs.only(projected, (value,))))
    shown.append(f'{letter} {value}: ' + ', '.join(f'{name} {n}' for name, n in told.items()))
  return f'{"; ".join(shown)} tokens', tokenizer
