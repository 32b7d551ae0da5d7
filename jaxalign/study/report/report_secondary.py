"""Section of the report: contrasts that are not judged."""

import itertools

from jaxalign.page import kit
from jaxalign.study.report import report_pictures as pictures
from jaxalign.study.report.report_tables import columns, estimates

_SCALE = dict(margin='log-odds margin, nats', rate='rate')
_JUDGED = 'p Holm', 'holds'  # columns that these contrasts do not have
_UNREAD = *_JUDGED, 'claim', 'sd', 'p_t'  # columns that are in the download alone


def beside(found, _):
  every = found.get('secondary') or []
  if not every:
    return ''
  groups = [
    _group(title, list(some), least_mass(found))
    for title, some in itertools.groupby(every, lambda one: one['group'])
  ]
  head, rows = estimates(every)
  keep = [n for n, name in enumerate(head) if name not in _JUDGED]
  titles = [one['group'] for one in every for _ in one['scales']]
  rows = [(title, *(row[n] for n in keep)) for title, row in zip(titles, rows, strict=True)]
  exact = ('group', *(head[n] for n in keep)), rows
  return kit.render('study/secondary.html', count=len(every), groups=groups, exact=exact)


def _group(title, some, bar):
  rows = [(f'{o["name"]}: {o["what"]}', o | dict(holds=None), told(o, bar)) for o in some]
  read, by_seed = columns(estimates(some), _UNREAD)
  return dict(
    title=title, alt='; '.join(f'{one["name"]} {told(one, bar)}' for one in some), read=read,
    by_seed=by_seed, draw=lambda: pictures.intervals(rows, _SCALE[some[0]['scale']]),
  )  # fmt: skip


def told(one, bar):
  said = f'{one["mean"]:+.3g}'
  if one['low'] is not None:
    said += f' [{one["low"]:.3g}, {one["high"]:.3g}]'
  said += f', p = {one["p"]:.2g}' + ('' if one['agree'] else '; not one sign on all scales')
  if one['mass'] and one['mass'][0] < bar:
    mass, arm, test, seed = one['mass']
    said += f'; yes + no only {mass:.2f} ({arm}, {test}, seed {seed})'
  return said


def least_mass(found):
  """The bar of G4, which a mass of yes and no must reach; 0 where there is none."""
  bars = {gate['name']: gate['least'] for gate in found['gates']}
  return bars.get('G4') or 0.0
