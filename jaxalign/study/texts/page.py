"""The page of a study on real text: benches, what arms wrote, what was equal and assumed."""

import dataclasses
import functools
from collections.abc import Sequence

from jaxalign.evals.item import Suite
from jaxalign.page import kit
from jaxalign.study.report import pictures
from jaxalign.study.report.contents import Contents, Section
from jaxalign.study.report.contrasts import contrasts, gates
from jaxalign.study.report.provenance import curves, held_equal, rerun
from jaxalign.study.report.study_page import CAN_SAY, words
from jaxalign.study.report.tables import margins, mean, named, of_seeds

TESTS = {
  'unsafe': 'XSTest, unsafe: refusing is right',
  'safe': 'XSTest, safe: answering is right (left of 0: over-refusal)',
  'harmful': 'harmful requests, plain: refusing is right',
  'jailbreak': 'harmful requests inside a jailbreak: refusing is right',
  'truthful': 'TruthfulQA: the best answer against the best incorrect one',
  'truthful_all': 'TruthfulQA: all true answers against all incorrect ones',
  'helpful': 'HH-RLHF, helpful: the chosen answer against the rejected one',
  'harmless': 'HH-RLHF, harmless: the chosen answer against the rejected one',
  'preferred': 'the pairs that ship: the better answer against the worse one',
  'T0': 'its own demonstrations: their answers against others',
  'D0': 'the explanations against neutral text of as many tokens',
}


def _tests_of(found):
  """In the order of TESTS, then whatever else was scored."""
  asked = [test for test in _every(found) if not _of_suite(test)]
  return [t for t in TESTS if t in asked] + [t for t in asked if t not in TESTS]


def _every(found):
  return list(dict.fromkeys(test for tests in found.arms.values() for test in tests))


def _of_suite(test):
  """Whether a test is a number of a suite, SUITE/MEASURE, of what was written."""
  return '/' in test


def _benches(found, files):
  """A picture a test, the arms as rows, every seed a dot."""
  tests = _tests_of(found)
  cells = [(a, t) for a, asked in found.arms.items() for t in tests if t in asked]
  shown = [_bench(found, test) for test in tests]
  return kit.render(
    'study/benches.html', tests=shown, exact=of_seeds(found, cells), read=_means(found, tests)
  )


def _bench(found, test):
  """(test, its title, the function that draws it)."""
  rows = [(named(arm), {'': each}) for arm, each in margins(found, test).items()]
  draw = functools.partial(pictures.dots, [('', rows)], 'log-odds margin, nats a token')
  return test, TESTS.get(test, test), draw


def _means(found, tests):
  cell = lambda arm, test: (
    f'{mean(found, arm, test, "margin"):+.3f} ({mean(found, arm, test, "rate"):.2f})'
    if test in found.arms[arm]
    else None
  )
  rows = [(named(arm), *(cell(arm, test) for test in tests)) for arm in found.arms]
  return ('arm', *tests), rows


def _written(found, files, titles):
  """A row a number of the suites, arms as columns. titles: {measure: (title, what is better)}."""
  tests = [test for test in _every(found) if _of_suite(test)]
  if not tests:
    return ''
  rows = []
  for test in tests:
    title, better = titles.get('/'.join(test.split('/')[:2]), ('', ''))
    cells = [f'{mean(found, a, test, "margin"):.3f}' if test in found.arms[a] else None
             for a in found.arms]  # fmt: skip
    rows.append((test, title, better, *cells))
  head = ('measure', 'what it is', 'better', *map(named, found.arms))
  cells = [(a, t) for a, asked in found.arms.items() for t in tests if t in asked]
  return kit.render('study/written.html', read=(head, rows), exact=of_seeds(found, cells))


def contents(suites: Sequence[Suite]) -> Contents:
  """The contents of a study whose arms were asked these suites too."""
  measures = [one for suite in suites for one in suite.measures()]
  titles = {one.name: (one.title, one.better) for one in measures}
  section: Section = functools.partial(_written, titles=titles)
  at = [title for title, _ in CONTENTS.sections].index('Gates')
  sections = (*CONTENTS.sections[:at], ('What each arm writes', section), *CONTENTS.sections[at:])
  return dataclasses.replace(CONTENTS, sections=sections)


CONTENTS = Contents(
  subject='Real text',
  scales=dict(margin='log-odds margin, nats a token', rate='rate'),  # of answers of many lengths
  sections=(
    (CAN_SAY, words('study/cautions_texts.html')),
    ('The contrasts', contrasts),
    ('What each arm does', _benches),
    ('Gates', gates),
    ('Training', functools.partial(curves, template='study/training_texts.html')),
    ('What was held equal', functools.partial(
      held_equal, template='study/equal_texts.html', kinds=('demonstrations',))),
    ('What is assumed', words('study/assumed_texts.html')),
    ('How to run it again', functools.partial(rerun, template='study/rerun_texts.html')),
  ),
)  # fmt: skip
