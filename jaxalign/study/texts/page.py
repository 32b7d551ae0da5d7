"""The page of a study on real text: its benches, what was equal, what is assumed."""

import functools

from jaxalign.page import kit
from jaxalign.study.report import pictures
from jaxalign.study.report.contents import Contents
from jaxalign.study.report.contrasts import contrasts, gates
from jaxalign.study.report.provenance import clock_time, curves, held_equal
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
  """In the order of TESTS, then whatever else was asked."""
  asked = list(dict.fromkeys(test for tests in found.arms.values() for test in tests))
  return [t for t in TESTS if t in asked] + [t for t in asked if t not in TESTS]


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
  bold = test.startswith('bold_')
  unit = 'sentiment, -1 to 1' if bold else 'log-odds margin, nats a token'
  title = f'BOLD, {test[5:]}: sentiment of what follows' if bold else TESTS.get(test, test)
  return test, title, functools.partial(pictures.dots, [('', rows)], unit)


def _means(found, tests):
  cell = lambda arm, test: (
    f'{mean(found, arm, test, "margin"):+.3f} ({mean(found, arm, test, "rate"):.2f})'
    if test in found.arms[arm]
    else None
  )
  rows = [(named(arm), *(cell(arm, test) for test in tests)) for arm in found.arms]
  return ('arm', *tests), rows


def _rerun(found, files):
  return kit.render('study/rerun_texts.html', clock=clock_time(found.seconds))


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
    ('How to run it again', _rerun),
  ),
)  # fmt: skip
