"""The page of a study of two specs: that of real text, and its two random factors."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import numpy as np

from jaxalign import paired
from jaxalign.evals.item import Suite
from jaxalign.page import kit
from jaxalign.paired import Crossed
from jaxalign.study.judge.results import Contrast, Results
from jaxalign.study.report.contents import Contents, Section, StudyFiles
from jaxalign.study.report.provenance import curves, held_equal
from jaxalign.study.report.study_page import CAN_SAY, words
from jaxalign.study.texts import page as texts_page

_Pairs = Sequence[tuple[int, int]]  # (training seed, draw of documents), a study seed each


def contents(suites: Sequence[Suite], crossing: _Pairs) -> Contents:
  """The contents of a study whose arms were asked these suites too."""
  own: dict[str, Section] = {
    CAN_SAY: words('study/cautions_two_specs.html'),
    'Training': functools.partial(curves, template='study/training_texts.html'),
    'What was held equal': functools.partial(
      held_equal, template='study/equal_two_specs.html', kinds=('demonstrations',)
    ),
    'What is assumed': words('study/assumed_two_specs.html'),
  }
  of_texts = texts_page.contents(suites)
  sections = [(title, own.get(title, section)) for title, section in of_texts.sections]
  at = [title for title, _ in sections].index('Gates')
  factors: Section = functools.partial(_factors, crossing=crossing)
  sections.insert(at, ('Training seeds and draws of documents', factors))
  scales = dict(of_texts.scales, margin='log-odds of the whole answer, nats')
  return dataclasses.replace(of_texts, subject='Two specs', scales=scales, sections=tuple(sections))


def _factors(found: Results, files: StudyFiles, crossing: _Pairs) -> str:
  head = 'contrast', 'scale', 'mean', 'low', 'high', 'p', 'training seeds', 'draws', 'how'
  rows = []
  for one in found.contrasts:
    both, shape, how = of_both(one, crossing)
    interval = both.both
    rows.append(
      (one.name, one.scale, interval.mean, interval.low, interval.high, both.p, *shape, how)
    )
  return kit.render('study/factors.html', head=head, rows=rows)


def of_both(one: Contrast, crossing: _Pairs) -> tuple[Crossed, tuple[int, int], str]:
  """(a contrast over training seeds and draws, how many of each there are, how they were drawn).

  Where each training seed read each draw, both are drawn anew at once. Else a seed stands for both:
  its differences hold the spread of the two together, and the interval is over seeds alone.
  """
  value = {crossing[seed]: x for seed, x in one.seeds.items()}
  training, draws = (sorted({pair[n] for pair in value}) for n in (0, 1))
  shape = len(training), len(draws)
  if len(value) == len(one.seeds) == shape[0] * shape[1] and min(shape) > 1:
    return _crossed(value, training, draws), shape, 'each with each, both drawn anew'
  alone = np.array(list(one.seeds.values()))[:, None]
  each = paired.crossed(alone, _units(1))
  found = one.primary
  both = paired.Interval(found.mean, found.low, found.high)
  return dataclasses.replace(each, both=both, p=found.p), shape, 'a draw a seed: over seeds alone'


def _crossed(
  value: Mapping[tuple[int, int], float], training: Sequence[int], draws: Sequence[int]
) -> Crossed:
  table_SN = np.array([[value[seed, draw] for draw in draws] for seed in training])
  return paired.crossed(table_SN, _units(len(draws)))


def _units(count: int) -> paired.Units:
  return paired.Units.of(range(count), [1.0] * count)
