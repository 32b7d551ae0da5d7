"""What --doctor looks at for the stages that learn from pairs: reward and dpo."""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np

from jaxalign.config import UserError
from jaxalign.data.cutting import Example
from jaxalign.stages.contract import Build
from jaxalign.stages.doctors import doctor, language_doctor, watch_doctor
from jaxalign.stages.doctors.doctor import Check, Machine
from jaxalign.stages.pairs import Pairwise, Started

_Start = Callable[..., Started]


def examine(
  cfg: Pairwise, machine: Machine, build: Build, start: _Start, reference: bool = False
) -> list[Check]:
  """build, start: the stage's own; reference: whether a frozen copy of the model lies beside it."""
  visit, asked, examples = language_doctor.supervised(cfg, machine, build)
  visit.check('pairs', differ, examples[0])
  how = cfg, asked['weights'], asked['mesh'], machine, 2, reference
  visit.check('memory', language_doctor.memory, *how)
  visit.check('one step', one_step, cfg, examples[0], start)
  if hasattr(cfg, 'watch'):  # a reward model says nothing
    watch_doctor.watched(visit, cfg, asked['tokenizer'])
  return visit.checks


def differ(examples: Sequence[Example]) -> str:
  """A pair of equal answers teaches nothing, and many of them are a mistake in the corpus."""
  sides = list(zip(examples[::2], examples[1::2]))
  same = sum(np.array_equal(a.tokens, b.tokens) for a, b in sides)
  if same > len(sides) / 10:
    raise UserError(
      f'{same} of the first {len(sides)} pairs have two equal answers: mend the corpus'
    )
  longer = np.mean([len(a.tokens) > len(b.tokens) for a, b in sides])
  return f'the longer answer is the chosen one in {longer:.0%} of the first {len(sides)}'


def one_step(cfg: Pairwise, examples: Sequence[Example], start: _Start) -> str:
  """Chosen against rejected, by the stage's own loss; an adapter's stage without its adapter."""
  small = dataclasses.replace(cfg, model=doctor.twin(cfg.model), init=None, lora=None)
  rows = 2 * language_doctor.ROWS
  both = language_doctor.rows_of(examples, rows)
  batch = dict(margin_B=np.zeros(rows // 2, np.float32), weight_B=np.ones(rows // 2, np.float32))
  for side, name in enumerate(('chosen', 'rejected')):
    for what in ('tokens', 'weight', 'segment'):
      ours = f'{name}_BT' if what == 'tokens' else f'{name}_{what}_BT'
      batch[ours] = both[f'{what}_BT'][side::2]

  def begin(tx, mesh):
    return start(small, tx, mesh, doctor.Unsaved())[:3]

  return language_doctor.step_words(cfg, batch, begin, math.log(2))
