"""What --doctor says of a study of two specs: its questions, draws, power and documents."""

import dataclasses
from typing import Any

from jaxalign import statistics
from jaxalign.corpora import spec as specs
from jaxalign.corpora import variants
from jaxalign.data.text import Tokenizer
from jaxalign.stages.doctors import corpus_doctor, doctor
from jaxalign.study.plan.guest import Study
from jaxalign.study.texts.corpora import open_tokenizer
from jaxalign.study.two_specs import documents as written
from jaxalign.study.two_specs import questions
from jaxalign.study.two_specs.settings import LETTERS, Settings

_COMPARED: tuple[variants.Variant, ...] = ('why', 'what', 'wrong_why')
_SHOWN = 'spec', 'cost', 'endpoint', 'FAIL'  # of the checks of stage corpus


def asked(world: Settings) -> str:
  found = questions.asked(world)
  return ', '.join(f'{test} {len(items)}' for test, items in found.items())


def draws(cfg: Study, world: Settings) -> str:
  pairs = [world.crossing[seed] for seed in cfg.seeds]
  training, texts = ({pair[n] for pair in pairs} for n in (0, 1))
  crossed = len(set(pairs)) == len(training) * len(texts) == len(pairs)
  how = 'each with each' if crossed else 'not each with each: their variances are not told apart'
  few = '' if len(texts) >= 3 else '; fewer than 3 draws say nothing of other documents'
  return f'{len(training)} training seeds, {len(texts)} draws of documents, {how}{few}'


def power(cfg: Study) -> str:
  """By how many seeds there are; how much they differ only a pilot tells."""
  n = len(cfg.seeds)
  if n < 2:
    return 'one seed finds nothing: it has no SD'
  floor = statistics.detection_floor(1.0, n)
  return f'{n} seeds find a contrast of {floor:.2g} of its SD in 4 studies of 5 (5 % two-sided)'


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
