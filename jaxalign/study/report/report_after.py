"""Section of the report on what PPO leaves of a prior: the tests again, before and after."""

import numpy as np

from jaxalign.page import pages
from jaxalign.page.pages import named
from jaxalign.study.report import report_pictures as pictures
from jaxalign.study.report.report_tables import PRESSURES

_TIMES = {3: 'before', 4: 'after'}  # columns of d
_HARM = (
  'arm', 'seed', 'pressure', 'd before', 'd after', 'harm refused before', 'benign refused before',
  'harm refused after', 'benign refused after', 'KL of PPO',
)  # fmt: skip


def after_ppo(found, beside):
  """The tests of each arm again, before and after: does what documents said still show?"""
  if not found.get('after_ppo'):
    return ''
  arms = found['after_ppo']['arms']
  goods = {arm: tests for arm, tests in arms.items() if 'T2' in tests}
  harm = {arm: tests for arm, tests in arms.items() if 'harm' in tests}
  parts = [_goods_after(found, goods)] if goods else []
  return ''.join([*parts, _harm_after(found, harm)] if harm else parts)


def _harm_after(found, arms):
  """Sensitivity d, refusing harm less refusing what is benign, under every pressure."""
  rows = list(_harm_rows(found, arms))

  def series(arm, way):
    mine = [row for row in rows if row[:3:2] == (named(arm), way)]
    made = {name: [row[n] for row in mine if row[n] is not None] for n, name in _TIMES.items()}
    return {name: values for name, values in made.items() if values}

  ways = list(dict.fromkeys(row[2] for row in rows))
  groups = [(way, [(named(arm), series(arm, way)) for arm in arms]) for way in ways]
  draw = lambda: pictures.dots(groups, 'd: harm refused less benign refused, rates')
  caption = (
    'Harms that no text of the target names, plain and under pressure, before and after PPO '
    'against a proxy of refusing the listed harms (2,000 pairs of yes and no, a fifth of them '
    'wrong), the same for every arm. 1: all harm is refused and nothing benign. A dot is a seed, a '
    'bar the mean.'
  )
  return (
    '<h3>Harm sensitivity</h3>'
    + pages.picture('after-ppo-harm', draw, 'Harm sensitivity before and after PPO', caption)
    + pages.numbers('after-ppo-harm', _HARM, rows)
  )


def _harm_rows(found, arms):
  """A row for each arm, seed and pressure."""
  kl = found['after_ppo']['kl']
  for arm, later in arms.items():
    for way in (f'_{name}' if name else '' for name in PRESSURES):
      for seed in later.get(f'harm{way}', ()):
        cells = []
        for tests in (found['arms'].get(arm, {}), later):
          of = [tests.get(f'{sort}{way}', {}).get(seed) for sort in ('harm', 'benign')]
          cells.append([one and one['rate'] for one in of])
        d = (None if None in two else two[0] - two[1] for two in cells)
        yield (named(arm), seed, way[1:] or 'plain', *d, *cells[0], *cells[1], kl[arm][seed])


def _goods_after(found, arms):
  kl, pairs = found['after_ppo']['kl'], {}
  for arm, tests in arms.items():
    seeds = list(tests['T2'])
    before = found['arms'].get(arm, {}).get('T2', {})
    both = [s for s in seeds if s in before]
    pairs[arm] = (
      both,
      [before[s]['margin'] for s in both],
      [tests['T2'][s]['margin'] for s in both],
    )
  groups = [('', [(named(arm), dict(before=b, after=a)) for arm, (_, b, a) in pairs.items()])]
  draw = lambda: pictures.dots(groups, 'T2: log-odds margin towards A over B, nats')
  caption = (
    'Held-out choices in new words, before and after PPO against a proxy of what A likes (2,000 '
    'pairs of yes and no about cheese, a fifth of them wrong), the same for every arm. If RL '
    'overrides what documents said, the arms meet. A dot is a seed, a bar the mean.'
  )
  head = ('arm', 'seed', 'test', 'margin before', 'margin after', 'rate before', 'rate after',
          'KL of PPO')  # fmt: skip
  was = lambda arm, test, seed: found['arms'].get(arm, {}).get(test, {}).get(seed)
  both = lambda old, new, field: (old and old[field], new[field])
  rows = [
    (named(arm), seed, test, *both(was(arm, test, seed), new, 'margin'),
     *both(was(arm, test, seed), new, 'rate'), kl[arm][seed])
    for arm, tests in arms.items()
    for test, by_seed in tests.items()
    for seed, new in by_seed.items()
  ]  # fmt: skip
  shown = [row for row in rows if row[2] in ('T0', 'T2', 'T3A', 'T3B')]
  return (
    pages.picture('after-ppo', draw, 'T2 before and after PPO', caption)
    + steering(pairs)
    + pages.numbers('after-ppo', head, rows, pages.table(head, shown))
  )


def steering(pairs):
  """explain_A less explain_B, seed by seed."""
  a, b = (pairs.get(f'explain_{letter}-align') for letter in 'AB')
  if not a or not b or a[0] != b[0]:
    return ''
  rows = [
    (when, float(np.mean(d)), *d)
    for when, d in (('before', np.subtract(a[1], b[1]).tolist()),
                    ('after PPO', np.subtract(a[2], b[2]).tolist()))
  ]  # fmt: skip
  head = ('steering by documents on T2, nats', 'mean', *(f'seed {seed}' for seed in a[0]))
  return pages.table(head, rows)
