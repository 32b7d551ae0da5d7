"""Sections of the report: what each arm does, every seed a dot; its tests again after PPO."""

import functools

import numpy as np

from jaxalign.page import kit
from jaxalign.study.judge.results import Results
from jaxalign.study.report import pictures, tables
from jaxalign.study.report.contents import StudyFiles
from jaxalign.study.report.tables import PRESSURES, by_side, margins, named, of_seeds, side_of


def arms_s(found: Results, files: StudyFiles) -> str:
  """Experiment S, grouped by what an arm was told to value."""
  each = margins(found, 'T2')
  if not each:
    return ''
  groups = by_side(each, lambda arm: {side_of(arm): each[arm]})
  cells = [(arm, 'T2') for arm in each]
  return kit.render(
    'study/arms_s.html',
    draw=functools.partial(pictures.dots, groups),
    exact=of_seeds(found, cells),
    read=_by_seed(found, cells),
    lore='lore-align' in found.arms,
    steering=_steering(each, found.seeds),
  )


def _steering(each, seeds):
  """Of every kind of arm that has two sides: what both differ by, seed by seed."""
  rows = []
  for arm in each:
    other = arm.replace('_A', '_B')
    if side_of(arm) == 'A' and other in each:
      rows.append(_difference(named(arm.replace('_A', '')), each[arm], each[other]))
  return ('documents', 'mean', *(f'seed {seed}' for seed in seeds)), rows


def _difference(name, one_S, other_S):
  d_S = np.subtract(one_S, other_S).tolist()
  return name, float(np.mean(d_S)), *d_S


def arms_h(found: Results, files: StudyFiles) -> str:
  """Experiment H."""
  harm, benign = margins(found, 'harm'), margins(found, 'benign')
  arms = [arm for arm in harm if arm in benign]
  if not arms:
    return ''
  both = [(named(arm), dict(harm=harm[arm], benign=benign[arm])) for arm in arms]
  harmed, refused = (margins(found, test, 'rate') for test in ('harm', 'benign'))
  d = {arm: np.subtract(harmed[arm], refused[arm]).tolist() for arm in arms}
  apart = [(named(arm), dict(d=d_S)) for arm, d_S in d.items()]
  ends = (-0.05, 1.05) if np.min([*d.values()]) >= 0 else None
  cells = [(arm, test) for arm in arms for test in ('harm', 'benign')]
  return kit.render(
    'study/arms_h.html',
    draw_both=functools.partial(pictures.dots, [('', both)]),
    draw_apart=functools.partial(pictures.dots, [('', apart)], xlim=ends),
    exact=of_seeds(found, cells),
    read=_by_seed(found, cells),
  )


def _by_seed(found, cells):
  """To be read: a row an arm and test, a column a seed."""
  rows = []
  for arm, test in cells:
    each = [found.arms[arm][test].get(seed) for seed in found.seeds]
    said = (one and f'{one.margin:+.2f} ({one.rate:.2f})' for one in each)
    rows.append((named(arm), test, *said))
  return ('arm', 'test', *(f'seed {seed}' for seed in found.seeds)), rows


def others(found: Results, files: StudyFiles) -> str:
  """The tests that no contrast hangs on."""
  goods, harm = tables.other_tests(found), tables.harm_tests(found)
  if not goods[1] and not harm[1]:
    return ''
  exact = of_seeds(found, [(arm, test) for arm, tests in found.arms.items() for test in tests])
  return kit.render('study/others.html', goods=goods, harm=harm, exact=exact)


def after_ppo(found: Results, files: StudyFiles) -> str:
  """The tests of each arm again, before and after: does what documents said still show?"""
  if found.after_ppo is None:
    return ''
  arms = found.after_ppo.arms
  goods = {arm: tests for arm, tests in arms.items() if 'T2' in tests}
  harm = {arm: tests for arm, tests in arms.items() if 'harm' in tests}
  return kit.render(
    'study/after_ppo.html',
    goods=goods and _goods_after(found, goods),
    harm=harm and _harm_after(found, harm),
  )


def _harm_after(found, arms):
  """Sensitivity d, refusing harm less refusing what is benign: a row for each arm, seed and
  pressure."""
  rows, groups = [], {}
  for arm, later in arms.items():
    for way in (way for way in PRESSURES if f'harm{way}' in later):
      for seed in later[f'harm{way}']:
        of = found.arms.get(arm, {}), later
        cells = [
          [_rate(tests, f'{sort}{way}', seed) for sort in ('harm', 'benign')] for tests in of
        ]
        d = [None if None in two else two[0] - two[1] for two in cells]
        kl = found.after_ppo.kl[arm][seed]
        rows.append((named(arm), str(seed), way[1:] or 'plain', *d, *cells[0], *cells[1], kl))
        series = groups.setdefault(rows[-1][2], {named(arm): {} for arm in arms})[named(arm)]
        for name, x in zip(('before', 'after'), d):
          if x is not None:
            series.setdefault(name, []).append(x)
  drawn = [(way, [*by_arm.items()]) for way, by_arm in groups.items()]
  return dict(draw=functools.partial(pictures.dots, drawn), rows=rows)


def _rate(tests, test, seed):
  one = tests.get(test, {}).get(seed)
  return one and one.rate


def _goods_after(found, arms):
  rows, pairs = [], {}
  for arm, tests in arms.items():
    was = found.arms.get(arm, {})
    for test, by_seed in tests.items():
      for seed, new in by_seed.items():
        old = was.get(test, {}).get(seed)
        values = [one and getattr(one, field) for field in ('margin', 'rate') for one in (old, new)]
        rows.append((named(arm), str(seed), test, *values, found.after_ppo.kl[arm][seed]))
    old = {seed: one.margin for seed, one in was.get('T2', {}).items() if seed in tests['T2']}
    pairs[arm] = old, {seed: tests['T2'][seed].margin for seed in old}
  series = {arm: [list(of.values()) for of in both] for arm, both in pairs.items()}
  drawn = [('', [(named(arm), dict(before=old, after=new)) for arm, (old, new) in series.items()])]
  a, b = (pairs.get(f'explain_{letter}-align', ({}, {})) for letter in 'AB')
  steering = [
    _difference(when, list(a[n].values()), list(b[n].values()))
    for n, when in enumerate(('before', 'after PPO'))
    if a[0] and [*a[0]] == [*b[0]]
  ]
  draw = functools.partial(pictures.dots, drawn)
  return dict(draw=draw, rows=rows, seeds=[f'seed {seed}' for seed in a[0]], steering=steering)
