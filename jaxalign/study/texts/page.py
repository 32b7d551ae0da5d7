"""The page of a study on real text: its benches, what was equal, what is assumed."""

from jaxalign.page import pages
from jaxalign.page.pages import named, text
from jaxalign.study.report import report_pictures as pictures
from jaxalign.study.report.contents import Contents
from jaxalign.study.report.report import CAN_SAY, cautions, forest, gates
from jaxalign.study.report.report_arms import of_seeds
from jaxalign.study.report.report_origin import clock, curves
from jaxalign.study.report.report_tables import costs, margins, mean

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
_ARMS = (
  'align: the demonstrations; explain: documents on why values matter; neutral: general text of as '
  'many tokens, document by document; shuffled: the same sentences, the reasons given to other '
  'values; align+: the documents’ tokens spent on more demonstrations. An arrow: then.'
)
EQUAL = (
  'All arms and seeds start from one base, with a fresh optimizer in every lesson. A seed has a '
  'sample of the demonstrations, the same in all its arms byte for byte, and one order of batches '
  'a lesson. Every arm ends with the same replay of general text. Arms differ in what they read, '
  'and where the table says so in how much.'
)
ASSUMED = (
  'One base: seeds are draws of demonstrations, of batches and of adapters, not of pretraining.',
  'Margins are log-odds of fixed answers, per token; only BOLD looks at what a model writes.',
  'Refusing is measured at four beginnings of each kind, which a model may never use.',
  'The base may have read the benches; all arms share it, so their differences stand.',
  'Of an explanation, the last two thirds count as reasons: these are swapped when shuffled.',
  'There is no world without an effect (rho = 0) for real text: the controls are arms.',
)  # fmt: skip


def tests_of(found):
  """In the order of TESTS, then whatever else was asked."""
  asked = list(dict.fromkeys(test for tests in found['arms'].values() for test in tests))
  return [t for t in TESTS if t in asked] + [t for t in asked if t not in TESTS]


def benches(found, beside):
  """A picture a test, the arms as rows, every seed a dot."""
  parts = [f'<p class="soft">{text(_ARMS)}</p>']
  for test in tests_of(found):
    rows = [(named(arm), {'': each}) for arm, each in margins(found, test)]
    bold = test.startswith('bold_')
    unit = 'sentiment, -1 to 1' if bold else 'log-odds margin, nats a token'
    draw = lambda rows=rows, unit=unit: pictures.dots([('', rows)], unit)
    title = f'BOLD, {test[5:]}: sentiment of what follows' if bold else TESTS.get(test, test)
    items = 'each on its own items' if test == 'T0' else 'all on the same items'
    said = f'Right of 0 is as wanted. A dot is a seed ({items}), a bar the mean.'
    parts.append(f'<h3>{text(title)}</h3>' + pages.picture(test, draw, title, said))
  cells = [(a, t) for a, tests in found['arms'].items() for t in tests_of(found) if t in tests]
  return ''.join(parts) + pages.numbers('tests', *of_seeds(found, cells), table(found))


def table(found):
  tests = tests_of(found)
  cell = lambda arm, test: (
    f'{mean(found, arm, test, "margin"):+.3f} ({mean(found, arm, test, "rate"):.2f})'
    if test in found['arms'][arm]
    else None
  )
  rows = [(named(arm), *(cell(arm, test) for test in tests)) for arm in found['arms']]
  note = '<p class="soft">Margin (rate of what is wanted), means over seeds.</p>'
  return note + pages.table(('arm', *tests), rows)


def held_equal(found, beside):
  parts = [f'<p>{text(EQUAL)}</p>']
  if beside.about:
    parts.append(pages.table(*costs(beside.about)))
  base = beside.about.get('base', {})
  rows = [(s, base.get(s), sums.get('demonstrations')) for s, sums in _named_seeds(beside)]
  if rows:
    parts.append(
      '<details open><summary>sha256 of base and demonstrations, seed by seed</summary>'
      f'{pages.table(("seed", "base weights", "demonstrations"), rows)}</details>'
    )
  return ''.join(parts)


def _named_seeds(beside):
  return [(str(seed), sums) for seed, sums in beside.sums.items()]


def assumed(found, beside):
  return f'<ul>{"".join(f"<li>{text(line)}</li>" for line in ASSUMED)}</ul>'


def rerun(found, beside):
  return (
    '<p>The command that made this page, in the same directory, makes only what is missing: '
    'judging and drawing again trains nothing. The plan is plan.json, the answer to '
    'every question outcomes.jsonl (raw: sums of log-probabilities; margin: per token), and all '
    f'that stands here results.json, beside this page.</p><p>Wall-clock: {clock(found["seconds"])}.'
    '</p>'
  )


CAUTIONS = (
  (
    'R1 compares explanations with other text, R2 with the same sentences swapped: no arm says '
    'what is valued and leaves out why.'
  ),
  ('R4 is of margins, whose size may change with what came last: it is no measure of order alone.'),
  ('A contrast that is not shown says that two arms were not told apart, not that they are equal.'),
)
SECTIONS = (
  (CAN_SAY, cautions),
  ('The contrasts', forest),
  ('What each arm does', benches),
  ('Gates', gates),
  ('Training', curves),
  ('What was held equal', held_equal),
  ('What is assumed', assumed),
  ('How to run it again', rerun),
)
CURVES = (
  'Colours tell what was read; late: after the demonstrations. Panels of documents and of '
  'demonstrations each hold texts of several kinds, so levels are of the texts, and only the '
  'demonstrations’ lines can be held against each other. Every batch has its share of '
  'general text.'
)
CONTENTS = Contents(
  subject='Real text',
  scales=dict(margin='log-odds margin, nats a token', rate='rate'),  # of answers of many lengths
  curves=CURVES,
  cautions=CAUTIONS,
  sections=SECTIONS,
)
