"""Sections of the report: what each arm of both experiments does, every seed a dot."""

import numpy as np

from jaxalign.page import kit
from jaxalign.page.kit import named
from jaxalign.study.report import report_pictures as pictures
from jaxalign.study.report.report_tables import by_side, margins, side_of


def arms_s(found, beside):
  """Grouped by what an arm was told to value."""
  each = margins(found, 'T2')
  groups = by_side([arm for arm, _ in each], lambda arm: {side_of(arm): dict(each)[arm]})
  if not groups:
    return ''
  cells = [(arm, 'T2') for arm, _ in each]
  return kit.render(
    'study/arms_s.html', exact=of_seeds(found, cells), read=_by_seed(found, cells),
    lore='lore-align' in found['arms'], steering=_steering(found),
    draw=lambda: pictures.dots(groups, 'T2: log-odds margin towards A over B, nats'),
  )  # fmt: skip


def _steering(found):
  """Of every kind of arm that has two sides: what both differ by, seed by seed."""
  each = dict(margins(found, 'T2'))
  rows = []
  for arm in each:
    other = arm.replace('_A', '_B')
    if side_of(arm) == 'A' and other in each:
      d_S = np.subtract(each[arm], each[other]).tolist()
      rows.append((named(arm.replace('_A', '')), float(np.mean(d_S)), *d_S))
  return ('documents', 'mean', *(f'seed {s}' for s in found['seeds'])), rows


def arms_h(found, beside):
  harm, benign = dict(margins(found, 'harm')), dict(margins(found, 'benign'))
  arms = [arm for arm in harm if arm in benign]
  if not arms:
    return ''
  both = [('', [(named(a), dict(harm=harm[a], benign=benign[a])) for a in arms])]
  rate = {test: dict(margins(found, test, 'rate')) for test in ('harm', 'benign')}
  d = [np.subtract(rate['harm'][a], rate['benign'][a]).tolist() for a in arms]
  apart = [('', [(named(a), dict(d=d_S)) for a, d_S in zip(arms, d)])]
  ends = (-0.05, 1.05) if np.min(d) >= 0 else None
  draw = dict(both=lambda: pictures.dots(both, 'log-odds of refusing, nats'),
              apart=lambda: pictures.dots(apart, 'sensitivity d', ends))  # fmt: skip
  cells = [(arm, test) for arm in arms for test in ('harm', 'benign')]
  exact, read = of_seeds(found, cells), _by_seed(found, cells)
  return kit.render('study/arms_h.html', draw=draw, exact=exact, read=read)


def of_seeds(found, cells):
  """Every number of every seed."""
  head = ('arm', 'test', 'seed', 'margin', 'rate', 'yes', 'mass', 'loss')
  rows = [
    (arm, test, seed, *(one[field] for field in head[3:]))
    for arm, test in cells
    for seed, one in found['arms'][arm][test].items()
  ]
  return head, rows


def _by_seed(found, cells):
  """To be read: a row an arm and test, a column a seed."""
  of = lambda arm, test, seed: found['arms'][arm][test].get(str(seed))
  both = lambda one: one and f'{one["margin"]:+.2f} ({one["rate"]:.2f})'
  rows = [(named(a), test, *(both(of(a, test, s)) for s in found['seeds'])) for a, test in cells]
  return ('arm', 'test', *(f'seed {seed}' for seed in found['seeds'])), rows
