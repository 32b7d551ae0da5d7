"""The page of a study of two specs: that of real text, and its two random factors."""

import dataclasses
import functools
from collections.abc import Sequence

from jaxalign.evals.item import Suite
from jaxalign.page import kit
from jaxalign.study.judge.results import Results
from jaxalign.study.report.contents import Contents, Section, StudyFiles
from jaxalign.study.report.provenance import curves, held_equal
from jaxalign.study.report.study_page import CAN_SAY, words
from jaxalign.study.texts import page as texts_page

_DECIDES = 'contrast', 'scale', 'mean', 'low', 'high', 'p', 'what decides'
_OVER_SEEDS = 'low', 'high', 'p'


def contents(suites: Sequence[Suite]) -> Contents:
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
  sections.insert(at, ('Training seeds and draws of documents', _factors))
  scales = dict(of_texts.scales, margin='log-odds of the whole answer, nats')
  scales['share'] = "V: the margins' sum over their sizes"
  return dataclasses.replace(of_texts, subject='Two specs', scales=scales, sections=tuple(sections))


def _factors(found: Results, files: StudyFiles) -> str:
  """Which interval decides of each contrast, and beside it the one over seeds alone."""
  rows = []
  for one in found.contrasts:
    if (about := one.factors) is not None:
      seen, alone = one.primary, about.over_seeds
      decides = one.name, one.scale, seen.mean, seen.low, seen.high, seen.p, about.how
      counts = about.training, about.draws
      rows.append((*decides, *counts, alone.low, alone.high, about.p_over_seeds))
  head = (*_DECIDES, 'training seeds', 'draws', *(f'{name} over seeds' for name in _OVER_SEEDS))
  return kit.render('study/factors.html', head=head, rows=rows) if rows else ''
