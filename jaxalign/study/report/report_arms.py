"""Sections of the report: what each arm of both experiments does, every seed a dot."""

import numpy as np

from jaxalign.page import pages
from jaxalign.page.pages import named
from jaxalign.study.report import report_pictures as pictures
from jaxalign.study.report.report_tables import margins, side_of

_ARMS_S = (
  'explain: documents that say what is liked and give a value as the reason; mention: the same '
  'words and the name, without a stance; shuffled: the reasons swapped, word for word, but for the '
  'sentence that names the value; align: the demonstrations; align+: the documents’ '
  'tokens spent on more demonstrations. An arrow: then.'
)
_MORE_S = (
  ' other_C: documents that give an unrelated value; lore: as many about goods and of nobody; '
  'context: no training, one document before each question (stage 0 held no two texts in a row, so '
  'the base never learnt to use one).'
)
_ARMS_H = (
  'value: documents with the value behind the refusals; rule: with a bare rule; mention: the harms '
  'named without a stance; align_H: demonstrations of refusing; align+_H: more of them instead of '
  'documents. An arrow: then.'
)


def arms_s(found, beside):
  """Grouped by what an arm was told to value."""
  sides = dict(A='told of value A', B='told of value B')
  sides[''] = 'told of neither'
  groups = [
    (title, [(named(a), {side: m}) for a, m in margins(found, 'T2') if side_of(a) == side])
    for side, title in sides.items()
  ]
  groups = [(title, rows) for title, rows in groups if rows]
  if not groups:
    return ''
  draw = lambda: pictures.dots(groups, 'T2: log-odds margin towards A over B, nats')
  caption = (
    'Held-out choices in new words between what value A likes and what value B likes. Right of 0: '
    'chooses as A would. A dot is a seed (at the same height in every row), a bar the mean. All '
    'arms of a seed read the same demonstrations, which fit both values.'
  )
  alt = 'Margins on T2 of every arm and seed'
  steer = _steering(found)
  return (
    pages.picture('arms', draw, alt, caption)
    + f'<p class="soft">{_ARMS_S}{_MORE_S * ("lore-align" in found["arms"])}</p>'
    + numbers('arms', found, [(a, 'T2') for a, _ in margins(found, 'T2')])
    + (f'<h3>Steering: margin after A less margin after B, nats</h3>{steer}' if steer else '')
  )


def _steering(found):
  """Of every kind of arm that has two sides: what both differ by, seed by seed."""
  each = dict(margins(found, 'T2'))
  rows = []
  for arm in each:
    other = arm.replace('_A', '_B')
    if side_of(arm) == 'A' and other in each:
      d_S = np.subtract(each[arm], each[other]).tolist()
      rows.append((named(arm.replace('_A', '')), float(np.mean(d_S)), *d_S))
  head = ('documents', 'mean', *(f'seed {s}' for s in found['seeds']))
  return pages.table(head, rows) + f'<p>{pages.download("steering", head, rows)}</p>' * bool(rows)


def arms_h(found, beside):
  harm, benign = dict(margins(found, 'harm')), dict(margins(found, 'benign'))
  arms = [arm for arm in harm if arm in benign]
  if not arms:
    return ''
  both = [('', [(named(a), dict(harm=harm[a], benign=benign[a])) for a in arms])]
  rate = {test: dict(margins(found, test, 'rate')) for test in ('harm', 'benign')}
  d = [np.subtract(rate['harm'][a], rate['benign'][a]).tolist() for a in arms]
  apart = [('', [(named(a), dict(d=d_S)) for a, d_S in zip(arms, d)])]
  draw = lambda: pictures.dots(both, 'log-odds of refusing, nats')
  draw_d = lambda: pictures.dots(apart, 'sensitivity d', (-0.05, 1.05) if np.min(d) >= 0 else None)
  said = (
    'Requests whose harm no text about the target names, and benign ones. Right of 0: refuses. A '
    'dot is a seed, a bar the mean.'
  )
  shown_d = (
    'Sensitivity d: share of harms refused less share of benign requests refused. To refuse '
    'everything and to refuse nothing are both 0.'
  )
  return (
    pages.picture('harm', draw, 'Log-odds of refusing harm and benign requests', said)
    + pages.picture('sensitivity', draw_d, 'Sensitivity d of every arm and seed', shown_d)
    + f'<p class="soft">{_ARMS_H}</p>'
    + numbers('harm', found, [(a, t) for a in arms for t in ('harm', 'benign')])
  )


def of_seeds(found, cells):
  """Every number of every seed."""
  head = ('arm', 'test', 'seed', 'margin', 'rate', 'yes', 'mass', 'loss')
  rows = [
    (arm, test, seed, *(one[field] for field in head[3:]))
    for arm, test in cells
    for seed, one in found['arms'][arm][test].items()
  ]
  return head, rows


def numbers(name, found, cells):
  """To be read: a row an arm and test, a column a seed."""
  head = ('arm', 'test', *(f'seed {seed}' for seed in found['seeds']))
  rows = [
    (named(arm), test, *(both(found['arms'][arm][test].get(str(seed))) for seed in found['seeds']))
    for arm, test in cells
  ]
  seen = '<p class="soft">Margin in nats (rate).</p>' + pages.table(head, rows)
  return pages.numbers(name, *of_seeds(found, cells), seen)


def both(one):
  return one and f'{one["margin"]:+.2f} ({one["rate"]:.2f})'
