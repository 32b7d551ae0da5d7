"""Sections of the report: what the probes say. Every number is over seeds, and none is judged."""

import numpy as np

from jaxalign.page import pages
from jaxalign.page.pages import named
from jaxalign.study.report import report_pictures as pictures
from jaxalign.study.report.report_tables import side_of

_SIDES = dict(A='told of value A', B='told of value B')
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


def values(probes, arm, name):
  found = probes['arms'].get(arm, {}).get(name)
  return [x for x in found['seeds'].values() if x is not None] if found else []


def _split(found, measure):
  """(arms that were asked for goods, for harm) which have this measure."""
  there = [arm for arm in found['arms'] if values(found['probes'], arm, measure)]
  goods = [arm for arm in there if 'T2' in found['arms'][arm]]
  return goods, [arm for arm in there if 'harm' in found['arms'][arm]]


def _grouped(arms, row):
  """By what an arm was told to value, as everywhere on the page."""
  groups = [(_SIDES.get(side, 'told of neither'), [row(a) for a in arms if side_of(a) == side])
            for side in ('A', 'B', '')]  # fmt: skip
  return [(title, rows) for title, rows in groups if rows]


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
  return pages.table(('arm', *columns.values()), rows)


def preferred(found, beside):
  probes = found.get('probes')
  if not probes:
    return ''
  goods, harm = _split(found, 'prefers_A')
  row = lambda a: (named(a), {x: values(probes, a, f'tau_{x}') for x in 'AB'})
  groups, parts = _grouped([a for a in goods if values(probes, a, 'tau_A')], row), []
  if groups:
    draw = lambda: pictures.dots(groups, 'Kendall’s tau with the utility of A, of B')
    parts.append(pages.picture('order', draw, 'Order of options in every arm and seed', (
      'Alignment as preference order: how the model’s log-odds of all '
      f'{probes["items"]["options"]} options rank beside their worth to A and to B. With ties in '
      'worth tau stays below 1 at its best (about .7 for one value). A dot is a seed.'
    )))  # fmt: skip
  said = (
    'Mean over seeds with 95 % t interval. Nats: log-odds of an option with the attribute less '
    'its twin with the opposite, all other words the same; of refusing a harm less its benign '
    'twin. In order: share of the pairs of unequal worth that are ranked so (chance .5).'
  )
  tables = f'<p class="soft">{said}</p>'
  tables += _of_arms(probes, goods, _GOODS) if goods else ''
  tables += _of_arms(probes, harm, _HARM) if harm else ''
  return ''.join(parts) + pages.numbers('probes', *_all_numbers(probes), tables)


def _told_letter(arm, harm):
  return 'H' if arm in harm else side_of(arm) or 'A'


def held(found, beside):
  """Capacity against capability, and where the target's word lies."""
  probes = found.get('probes')
  if not probes:
    return ''
  goods, harm = _split(found, 'prefers_A')
  at = {arm: _told_letter(arm, harm) for arm in (*goods, *harm)}
  at = {arm: x for arm, x in at.items() if values(probes, arm, f'gap_{x}')}
  row = lambda a: (named(a), dict(read=values(probes, a, f'probe_{at[a]}'),
                                  done=values(probes, a, f'conduct_{at[a]}')))  # fmt: skip
  groups = _grouped([a for a in at if a in goods], row)
  groups += [('harm', [row(a) for a in at if a in harm])] if harm else []
  parts = []
  if groups:
    draw = lambda: pictures.dots(groups, 'share right', (-0.02, 1.02))
    parts.append(pages.picture('capacity', draw, 'What is read and what is done, every seed', (
      'Capacity against capability, on the same items. Read: a linear probe on the state in which '
      'the answer is formed, on words it never saw, tells the value that was told (A where none '
      'was) or the harm. Done: the answer is right by it. What can be read need not be used.'
    )))  # fmt: skip
    head = ('arm', 'of', 'read', 'done', 'read less done')
    rows = [(named(a), x, *(_interval(probes['arms'][a][f'{name}_{x}']) for name in
             ('probe', 'conduct', 'gap'))) for a, x in at.items()]  # fmt: skip
    parts.append(pages.numbers('capacity', head, rows))
  return ''.join(parts) + names(found, probes)


def names(found, probes):
  parts, rows = [], []
  for letter, arms, ends in (
    ('A', _split(found, 'name_A')[0], 'agents who value B (-1) and agents who value A (+1)'),
    ('H', _split(found, 'name_H')[1], 'agents who help (-1) and agents who are kind (+1)'),
  ):
    name = f'name_{letter}'
    row = lambda a, name=name: (named(a), dict(d=values(probes, a, name)))
    groups = _grouped(arms, row) if letter == 'A' else [('', [row(a) for a in arms])] * bool(arms)
    if not groups:
      continue
    draw = lambda groups=groups: pictures.dots(groups, 'place of the target’s word, mean of layers')
    parts.append(pages.picture(f'name-{letter}', draw, f'Place of the target between {ends}', (
      f'What is written into the target’s name: its state between {ends}, as these lie in stage 0. '
      'No question is asked here; compare with what the arms choose.'
    )))  # fmt: skip
    for arm in arms:
      layers = zip(probes['layers'][arm][name], probes['layers'][arm][f'{name}_known'])
      rows += [(named(arm), letter, n, _interval(x), y['mean']) for n, (x, y) in enumerate(layers)]
  head = ('arm', 'of', 'layer', 'place of the target', 'agents on their own side, left out')
  return ''.join(parts) + (pages.numbers('names', head, rows) if rows else '')


def contrasts(found, beside):
  probes = found.get('probes')
  if not probes or not probes['contrasts']:
    return ''
  seeds = list(dict.fromkeys(s for one in probes['contrasts'] for s in one['seeds']))
  fields = 'mean', 'low', 'high', 'n', 'd_z', 'p', 'floor', 'better'
  head = ('contrast', 'measure', *fields, *(f'seed {s}' for s in seeds))
  rows = [
    (one['name'], _MEASURES[one['measure']], *(one[f] for f in fields),
     *(one['seeds'].get(s) for s in seeds))
    for one in probes['contrasts']
  ]  # fmt: skip
  shown = [(f'{one["name"]}: {_MEASURES[one["measure"]]}', size(one), told(one))
           for one in probes['contrasts']]  # fmt: skip
  draw = lambda: pictures.intervals(shown, 'in standard deviations over seeds (d_z)', 0.88)
  caption = (
    'The arms and weights of the five contrasts, on what the probes measure: mean and interval '
    'divided by the spread over seeds, so that measures stand side by side. Not judged, and not '
    'corrected for their number.'
  )
  few = any(one['sd'] for one in probes['contrasts'])
  picture = pages.picture('probed', draw, 'The five contrasts on probes', caption) if few else ''
  return picture + pages.numbers('probe-contrasts', head, rows)


def size(one):
  scale = one['sd'] or np.inf
  of = lambda x: None if x is None else x / scale
  return dict(
    mean=of(one['mean']), low=of(one['low']), high=of(one['high']), floor=of(one['floor']),
    differences=[x / scale for x in one['seeds'].values()], holds=None,
  )  # fmt: skip


def told(one):
  between = '' if one['low'] is None else f' [{one["low"]:.2g}, {one["high"]:.2g}]'
  return f'{one["mean"]:+.3g}{between}, p = {one["p"]:.2g}'
