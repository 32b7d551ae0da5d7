"""Sections of the report: what the probes say. Every number is over seeds, and none is judged."""

import numpy as np

from jaxalign.page import kit
from jaxalign.page.kit import named
from jaxalign.study.report import report_pictures as pictures
from jaxalign.study.report.report_tables import by_side, side_of

_GOODS = dict(prefers_A='A, nats', prefers_B='B, nats', tau_A='tau A', tau_B='tau B',
             tau_AB='tau A + B', right_A='in order, A', right_B='in order, B')  # fmt: skip
_HARM = dict(
  refuses='refuses, nats', refuses_share='refuses, share', tau_H='tau', right_H='in order'
)
_MEASURES = dict(
  leans='A over its twin less B over its own, nats', order='tau with A’s utility less with B’s',
  name_A='place of the name between B and A', refuses='harm over its benign twin, nats',
  gap_H='harm read less harm acted on', name_H='place of the name, helpful to kind',
)  # fmt: skip


def _values(probes, arm, name):
  found = probes['arms'].get(arm, {}).get(name)
  return [x for x in found['seeds'].values() if x is not None] if found else []


def _split(found, measure):
  """(arms that were asked for goods, for harm) which have this measure."""
  there = [arm for arm in found['arms'] if _values(found['probes'], arm, measure)]
  goods = [arm for arm in there if 'T2' in found['arms'][arm]]
  return goods, [arm for arm in there if 'harm' in found['arms'][arm]]


def _all_numbers(probes):
  seeds = list(dict.fromkeys(s for of in probes['arms'].values() for x in of.values()
                             for s in x['seeds']))  # fmt: skip
  head = ('arm', 'measure', 'n', 'mean', 'low', 'high', *(f'seed {s}' for s in seeds))
  rows = [
    (arm, name, one['n'], one['mean'], one['low'], one['high'], *(map(one['seeds'].get, seeds)))
    for arm, of in probes['arms'].items() for name, one in of.items()
  ]  # fmt: skip
  return head, rows


def _interval(one):
  if one['mean'] is None:
    return None
  between = '' if one['low'] is None else f' [{one["low"]:.2f}, {one["high"]:.2f}]'
  return f'{one["mean"]:+.2f}{between}'


def _of_arms(probes, arms, columns):
  rows = [(named(a), *(_interval(probes['arms'][a][name]) for name in columns)) for a in arms]
  return ('arm', *columns.values()), rows


def preferred(found, beside):
  probes = found.get('probes')
  if not probes:
    return ''
  goods, harm = _split(found, 'prefers_A')
  ranked = [a for a in goods if _values(probes, a, 'tau_A')]
  groups = by_side(ranked, lambda a: {x: _values(probes, a, f'tau_{x}') for x in 'AB'})
  read = [_of_arms(probes, arms, columns) for arms, columns in ((goods, _GOODS), (harm, _HARM))]
  return kit.render(
    'study/preferred.html', groups=groups, options=probes['items']['options'],
    draw=lambda: pictures.dots(groups, 'Kendall’s tau with the utility of A, of B'),
    exact=_all_numbers(probes), read=[one for one in read if one[1]],
  )  # fmt: skip


def held(found, beside):
  """Capacity against capability, and where the target's word lies."""
  probes = found.get('probes')
  if not probes:
    return ''
  goods, harm = _split(found, 'prefers_A')
  at = {a: 'H' if a in harm else side_of(a) or 'A' for a in (*goods, *harm)}
  at = {a: letter for a, letter in at.items() if _values(probes, a, f'gap_{letter}')}
  both = lambda a: dict(read=_values(probes, a, f'probe_{at[a]}'),
                        done=_values(probes, a, f'conduct_{at[a]}'))  # fmt: skip
  groups = by_side([a for a in at if a in goods], both)
  groups += [('harm', [(named(a), both(a)) for a in at if a in harm])] if harm else []
  rows = [(named(a), x, *(_interval(probes['arms'][a][f'{name}_{x}']) for name in
           ('probe', 'conduct', 'gap'))) for a, x in at.items()]  # fmt: skip
  names, places = _names(found, probes)
  return kit.render(
    'study/held.html', groups=groups, names=names, places=places,
    draw=lambda: pictures.dots(groups, 'share right', (-0.02, 1.02)),
    exact=(('arm', 'of', 'read', 'done', 'read less done'), rows),
  )  # fmt: skip


def _names(found, probes):
  """The pictures of where the target's word lies, and their table."""
  drawn, rows = [], []
  for letter, arms in (('A', _split(found, 'name_A')[0]), ('H', _split(found, 'name_H')[1])):
    name = f'name_{letter}'
    if not arms:
      continue
    place = lambda a, name=name: dict(d=_values(probes, a, name))
    groups = by_side(arms, place) if letter == 'A' else [('', [(named(a), place(a)) for a in arms])]
    draw = lambda groups=groups: pictures.dots(groups, 'place of the target’s word, mean of layers')
    drawn.append(dict(letter=letter, draw=draw))
    for arm in arms:
      layers = zip(probes['layers'][arm][name], probes['layers'][arm][f'{name}_known'])
      rows += [(named(arm), letter, n, _interval(x), y['mean']) for n, (x, y) in enumerate(layers)]
  head = ('arm', 'of', 'layer', 'place of the target', 'agents on their own side, left out')
  return drawn, (head, rows)


def contrasts(found, beside):
  probes = found.get('probes')
  if not probes or not probes['contrasts']:
    return ''
  every = probes['contrasts']
  seeds = list(dict.fromkeys(s for one in every for s in one['seeds']))
  fields = 'mean', 'low', 'high', 'n', 'd_z', 'p', 'floor', 'better'
  head = ('contrast', 'measure', *fields, *(f'seed {s}' for s in seeds))
  rows = [
    (one['name'], _MEASURES[one['measure']], *(one[f] for f in fields),
     *(one['seeds'].get(s) for s in seeds))
    for one in every
  ]  # fmt: skip
  shown = [(f'{one["name"]}: {_MEASURES[one["measure"]]}', _size(one), _told(one)) for one in every]
  return kit.render(
    'study/probed.html', spread=any(one['sd'] for one in every), exact=(head, rows),
    draw=lambda: pictures.intervals(shown, 'in standard deviations over seeds (d_z)'),
  )  # fmt: skip


def _size(one):
  scale = one['sd'] or np.inf
  of = lambda x: None if x is None else x / scale
  return dict(
    mean=of(one['mean']), low=of(one['low']), high=of(one['high']), floor=of(one['floor']),
    differences=[x / scale for x in one['seeds'].values()], holds=None,
  )  # fmt: skip


def _told(one):
  between = '' if one['low'] is None else f' [{one["low"]:.2g}, {one["high"]:.2g}]'
  return f'{one["mean"]:+.3g}{between}, p = {one["p"]:.2g}'
