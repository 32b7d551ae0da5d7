"""Section of the report on what PPO leaves of a prior: the tests again, before and after."""

import numpy as np

from jaxalign.page import kit
from jaxalign.page.kit import named
from jaxalign.study.report import report_pictures as pictures
from jaxalign.study.report.report_tables import PRESSURES

_TIMES = {3: 'before', 4: 'after'}  # columns of d
_HARM = (
  'arm', 'seed', 'pressure', 'd before', 'd after', 'harm refused before', 'benign refused before',
  'harm refused after', 'benign refused after', 'KL of PPO',
)  # fmt: skip
_GOODS = ('arm', 'seed', 'test', 'margin before', 'margin after', 'rate before', 'rate after',
          'KL of PPO')  # fmt: skip


def after_ppo(found, beside):
  """The tests of each arm again, before and after: does what documents said still show?"""
  if not found.get('after_ppo'):
    return ''
  arms = found['after_ppo']['arms']
  goods = {arm: tests for arm, tests in arms.items() if 'T2' in tests}
  harm = {arm: tests for arm, tests in arms.items() if 'harm' in tests}
  return kit.render(
    'study/after_ppo.html', goods=goods and _goods_after(found, goods),
    harm=harm and _harm_after(found, harm),
  )  # fmt: skip


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
  return dict(draw=draw, exact=(_HARM, rows))


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
  was = lambda arm, test, seed: found['arms'].get(arm, {}).get(test, {}).get(seed)
  for arm, tests in arms.items():
    both = [s for s in tests['T2'] if was(arm, 'T2', s)]
    before = [was(arm, 'T2', s)['margin'] for s in both]
    pairs[arm] = both, before, [tests['T2'][s]['margin'] for s in both]
  groups = [('', [(named(arm), dict(before=b, after=a)) for arm, (_, b, a) in pairs.items()])]
  both = lambda old, new, field: (old and old[field], new[field])
  rows = [
    (named(arm), seed, test, *both(was(arm, test, seed), new, 'margin'),
     *both(was(arm, test, seed), new, 'rate'), kl[arm][seed])
    for arm, tests in arms.items()
    for test, by_seed in tests.items()
    for seed, new in by_seed.items()
  ]  # fmt: skip
  return dict(
    draw=lambda: pictures.dots(groups, 'T2: log-odds margin towards A over B, nats'),
    exact=(_GOODS, rows), read=(_GOODS, [r for r in rows if r[2] in ('T0', 'T2', 'T3A', 'T3B')]),
    steering=_steering(pairs),
  )  # fmt: skip


def _steering(pairs):
  """(head, rows) of explain_A less explain_B, seed by seed; None where they have no seeds alike."""
  a, b = (pairs.get(f'explain_{letter}-align') for letter in 'AB')
  if not a or not b or a[0] != b[0]:
    return None
  d = [(when, np.subtract(a[n], b[n]).tolist()) for n, when in ((1, 'before'), (2, 'after PPO'))]
  head = ('steering by documents on T2, nats', 'mean', *(f'seed {seed}' for seed in a[0]))
  return head, [(when, float(np.mean(d_S)), *d_S) for when, d_S in d]
