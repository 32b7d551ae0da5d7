"""The report's tables: (head, rows) from results.json and from what lies beside it."""

import numpy as np

PRESSURES = ('', 'prefill', 'elder', 'rook', 'time', 'others')
GOODS = ('T0', 'T1', 'T2', 'T3A', 'T3B', 'T4', 'T5_elder', 'T5_rook', 'T5_time', 'T5_others')


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
      last = [one[name] if first else None for name in ('p_holm', 'holds', 'agree')]
      rows.append((one['name'], scale, *(numbers[field] for field in fields), drawn.get('low'),
                   drawn.get('high'), *last, *(by_seed.get(seed) for seed in seeds),
                   one['what'] if first else ''))  # fmt: skip
  return head, rows


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
  tests = [t for t in GOODS if any(t in asked for asked in found['arms'].values())]
  cell = lambda arm, t: f'{mean(found, arm, t, "margin"):+.1f} ({mean(found, arm, t, "rate"):.2f})'
  rows = [
    (arm, *(cell(arm, t) if t in asked else None for t in tests))
    for arm, asked in found['arms'].items()
    if any(t in asked for t in tests)
  ]
  return ('arm', *(t.replace('_', ' ') for t in tests)), rows


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
      rows.append((arm, *cells, plain))
  return ('arm', *(way[1:] or 'plain' for way in ways), 'benign refused'), rows


def gate_rows(gates, seeds):
  """Cells are (value, whether it failed)."""
  head = ('gate', 'bar', *(f'seed {seed}' for seed in seeds), 'passed', 'what it asks')
  rows = []
  for gate in gates:
    least, most = gate['least'], gate['most']
    passed = lambda x, least=least, most=most: x is not None and (
      x >= least if most is None else x <= most
    )
    values = [gate['seeds'].get(str(seed)) for seed in seeds]
    bar = f'≥ {least:g}' if most is None else f'≤ {most:g}'
    cells = (('not measured' if x is None else x, not passed(x)) for x in values)
    count = f'{gate["passed"]} of {gate["of"]}'
    rows.append([(gate['name'], False), (bar, False), *cells, (count, not gate['ok']),
                 (gate['what'], False)])  # fmt: skip
  return head, rows


def costs(about):
  rows = [(arm, about['tokens'][arm], about['steps'].get(arm)) for arm in about['tokens']]
  return ('arm', 'tokens after the base', 'steps'), rows


def sums_rows(beside):
  kinds = ('demonstrations', 'refusals')
  base = beside.about.get('base', {})
  rows = [
    (str(seed), base.get(str(seed)), *(sums.get(kind) for kind in kinds))
    for seed, sums in beside.sums.items()
  ]
  return ('seed', 'base weights', *kinds), rows
