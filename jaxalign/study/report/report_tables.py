"""The report's tables: (head, rows) from results.json and from what lies beside it."""

import numpy as np

from jaxalign.page.kit import named

PRESSURES = ('', 'prefill', 'elder', 'rook', 'time', 'others')
_GOODS = 'T0', 'T1', 'T2', 'T3A', 'T3B', 'T4', 'T5'


def estimates(contrasts):
  """A row for each contrast and scale, the primary scale first: all that was computed."""
  fields = ('n', 'mean', 'low', 'high', 'sd', 'd_z', 'p', 'p_t', 'floor', 'better', 'tost')
  seeds = list(dict.fromkeys(seed for one in contrasts for seed in one['seeds']))
  head = ('contrast', 'scale', *fields, 'bootstrap low', 'bootstrap high', 'p Holm', 'holds',
          'signs agree', *(f'seed {seed}' for seed in seeds), 'claim')  # fmt: skip
  rows = []
  for one in contrasts:
    order = [one['scale'], *(scale for scale in one['scales'] if scale != one['scale'])]
    for scale in order:
      numbers, first = one['scales'][scale], scale == one['scale']
      drawn = numbers['bootstrap'] or {}
      by_seed = dict(zip(one['seeds'], numbers['differences']))
      last = [one.get(name) if first else None for name in ('p_holm', 'holds', 'agree')]
      rows.append((one['name'], scale, *(numbers[field] for field in fields), drawn.get('low'),
                   drawn.get('high'), *last, *(by_seed.get(seed) for seed in seeds),
                   one['what'] if first else ''))  # fmt: skip
  return head, rows


def columns(estimated, unread):
  """Two tables of one that is too wide: one without seeds and `unread`, one of seeds alone."""
  head, rows = estimated
  some = [n for n, name in enumerate(head) if name not in unread and 'seed ' not in name]
  each = [n for n, name in enumerate(head) if n < 2 or 'seed ' in name]
  return [([head[n] for n in of], [[row[n] for n in of] for row in rows]) for of in (some, each)]


def margins(found, test, field='margin'):
  """[(arm, [a number a seed])] of the arms that were asked this test."""
  return [
    (arm, [one[field] for one in tests[test].values()])
    for arm, tests in found['arms'].items()
    if test in tests
  ]


def mean(found, arm, test, field):
  return float(np.mean([one[field] for one in found['arms'][arm][test].values()]))


def other_tests(found):
  """Experiment S: margin and rate, means over seeds."""
  rows = []
  for arm, asked in found['arms'].items():
    cells = []
    for test in _GOODS:  # T5 is the mean of its wrappers
      of_test = [name for name in asked if name.split('_')[0] == test]
      over = lambda field, names=of_test, arm=arm: np.mean(
        [mean(found, arm, t, field) for t in names]
      )
      cells.append(f'{over("margin"):+.1f} ({over("rate"):.2f})' if of_test else None)
    if any(cells):
      rows.append((named(arm), *cells))
  return ('arm', *_GOODS), rows


def harm_tests(found):
  """Experiment H: sensitivity on the rate, means over seeds, under each pressure."""
  ways = [f'_{name}' if name else '' for name in PRESSURES]
  has = lambda asked, way: f'harm{way}' in asked and f'benign{way}' in asked
  ways = [way for way in ways if any(has(asked, way) for asked in found['arms'].values())]
  share = lambda arm, test: mean(found, arm, test, 'rate')
  rows = []
  for arm, asked in found['arms'].items():
    if any(has(asked, way) for way in ways):
      d = [share(arm, f'harm{w}') - share(arm, f'benign{w}') if has(asked, w) else None
           for w in ways]  # fmt: skip
      cells = (None if x is None else f'{x:+.2f}' for x in d)
      plain = f'{share(arm, "benign"):.2f}' if 'benign' in asked else None
      rows.append((named(arm), *cells, plain))
  return ('arm', *(way[1:] or 'plain' for way in ways), 'benign refused'), rows


def gate_rows(gates, seeds):
  """Cells are (value, whether it failed)."""
  head = ('gate', 'what it asks', 'bar', 'passed', *(f'seed {seed}' for seed in seeds))
  rows = []
  for gate in gates:
    least, most = gate['least'], gate['most']
    passed = lambda x, least=least, most=most: (
      x is not None and (x >= least if most is None else x <= most)
    )
    values = [gate['seeds'].get(str(seed)) for seed in seeds]
    bar = f'≥ {least:g}' if most is None else f'≤ {most:g}'
    cells = (('not measured' if x is None else x, not passed(x)) for x in values)
    count = f'{gate["passed"]} of {gate["of"]}'
    rows.append([(gate['name'], False), (gate['what'], False), (bar, False),
                 (count, not gate['ok']), *cells])  # fmt: skip
  return head, rows


def costs(about):
  rows = [(named(a), about['tokens'][a], about['steps'].get(a)) for a in about['tokens']]
  return ('arm', 'tokens', 'steps'), rows


def sums_rows(beside, kinds):
  base = beside.about.get('base', {})
  rows = [
    (str(seed), base.get(str(seed)), *(sums.get(kind) for kind in kinds))
    for seed, sums in beside.sums.items()
  ]
  return ('seed', 'base weights', *kinds), rows


def side_of(arm):
  return next((letter for letter in 'AB' if f'_{letter}' in arm), '')


def by_side(arms, series):
  """[(what arms were told to value, [(an arm, its series)])], as everywhere on the page."""
  titles = dict(A='told of value A', B='told of value B')
  titles[''] = 'told of neither'
  groups = [(title, [(named(arm), series(arm)) for arm in arms if side_of(arm) == side])
            for side, title in titles.items()]  # fmt: skip
  return [(title, rows) for title, rows in groups if rows]
