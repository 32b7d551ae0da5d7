"""Sections of the report: what the probes say. Every number is over seeds, and none is judged."""

import functools

import numpy as np

from jaxalign.page import kit
from jaxalign.statistics import Interval
from jaxalign.study.judge.results import Results
from jaxalign.study.report import pictures
from jaxalign.study.report.contents import StudyFiles
from jaxalign.study.report.pictures import IntervalRow
from jaxalign.study.report.tables import by_side, named, side_of, with_interval

_GOODS = 'prefers_A', 'prefers_B', 'tau_A', 'tau_B', 'tau_AB', 'right_A', 'right_B'
_HARM = 'refuses', 'refuses_share', 'tau_H', 'right_H'
_MEASURES = dict(
  leans='A over its twin less B over its own, nats',
  order='tau with A’s utility less with B’s',
  name_A='place of the name between B and A',
  refuses='harm over its benign twin, nats',
  gap_H='harm read less harm acted on',
  name_H='place of the name, helpful to kind',
)
_OF_LAYERS = 'accuracy_{} seen_{} control_{} selectivity_{} cosine_{} cosine_{}_null cosine_{}_p'
_PAIRS = [  # of arms whose likeness is shown; of all others it is in the download
  pair.split()
  for pair in """explain_A-align explain_B-align, explain_A-align mention_A-align,
    explain_A-align shuffled_A-align, align explain_A-align, explain_A-align align-explain_A,
    align align+, value-align mention-align, value-align rule-align,
    align_H value-align""".split(',')
]


def _values(found, arm, name):
  measures = found.probes.arms.get(arm, {})
  return [x for x in measures[name].seeds.values() if x is not None] if name in measures else []


def _split(found, measure):
  """(arms that were asked for goods, for harm) which have this measure."""
  there = [arm for arm in found.arms if _values(found, arm, measure)]
  return [[arm for arm in there if test in found.arms[arm]] for test in ('T2', 'harm')]


def _all_numbers(probes):
  every = [(arm, name, one) for arm, of in probes.arms.items() for name, one in of.items()]
  seeds = list(dict.fromkeys(seed for *_, one in every for seed in one.seeds))
  rows = [
    (arm, name, one.n, one.mean, one.low, one.high, *map(one.seeds.get, seeds))
    for arm, name, one in every
  ]
  return ('arm', 'measure', 'n', 'mean', 'low', 'high', *(f'seed {s}' for s in seeds)), rows


def _interval(one):
  return None if one.mean is None else with_interval(one, '+.2f', '.2f')


def _of_arms(found, arms, names):
  measures = found.probes.arms
  return [(named(arm), *(_interval(measures[arm][name]) for name in names)) for arm in arms]


def preferred(found: Results, files: StudyFiles) -> str:
  if not found.probes:
    return ''
  goods, harm = _split(found, 'prefers_A')
  ranked = [arm for arm in goods if _values(found, arm, 'tau_A')]
  groups = by_side(ranked, lambda arm: {x: _values(found, arm, f'tau_{x}') for x in 'AB'})
  return kit.render(
    'study/preferred.html',
    groups=groups,
    options=found.probes.items['options'],
    draw=functools.partial(pictures.dots, groups),
    exact=_all_numbers(found.probes),
    goods=_of_arms(found, goods, _GOODS),
    harm=_of_arms(found, harm, _HARM),
  )


def held(found: Results, files: StudyFiles) -> str:
  """Capacity against capability, and where the target's word lies."""
  if not found.probes:
    return ''
  goods, harm = _split(found, 'prefers_A')
  of = {arm: 'H' if arm in harm else side_of(arm) or 'A' for arm in (*goods, *harm)}
  of = {arm: letter for arm, letter in of.items() if _values(found, arm, f'gap_{letter}')}

  def both(arm):
    names = dict(read=f'probe_{of[arm]}', done=f'conduct_{of[arm]}')
    return {series: _values(found, arm, name) for series, name in names.items()}

  groups = [*by_side([arm for arm in of if arm in goods], both)]
  groups += [('harm', [(named(arm), both(arm)) for arm in of if arm in harm])] if harm else []
  rows = []
  for arm, x in of.items():
    measures = [found.probes.arms[arm][f'{name}_{x}'] for name in ('probe', 'conduct', 'gap')]
    rows.append((named(arm), x, *map(_interval, measures)))
  lines = [_place(found, letter, _split(found, f'name_{letter}')) for letter in 'AH']
  return kit.render(
    'study/held.html',
    groups=groups,
    draw=functools.partial(pictures.dots, groups, xlim=(-0.02, 1.02)),
    rows=rows,
    lines=[one for one in lines if one['rows']],
  )


def _place(found, letter, asked):
  """Where the target's word lies: what draws it, and the rows of its table."""
  goods, harm = asked
  name, rows = f'name_{letter}', []
  series = {arm: dict(d=_values(found, arm, name)) for arm in (goods if letter == 'A' else harm)}
  ungrouped = [('', [(named(arm), one) for arm, one in series.items()])]
  groups = by_side(series, lambda arm: series[arm]) if letter == 'A' else ungrouped
  for arm in series:
    layers = found.probes.layers[arm]
    for n, (place, known) in enumerate(zip(layers[name], layers[f'{name}_known'])):
      rows.append((named(arm), letter, n, _interval(place), known.mean))
  return dict(letter=letter, draw=functools.partial(pictures.dots, groups), rows=rows)


def layers(found: Results, files: StudyFiles) -> str:
  """Probes and directions, layer by layer."""
  rows, shown, last = [], [], 0
  for arm, of in found.probes.layers.items() if found.probes else ():
    for letter in (x for x in 'ABH' if f'accuracy_{x}' in of):
      names = _OF_LAYERS.replace('{}', letter).split()
      columns = [[one.mean for one in of[name]] for name in names]
      # at the embedding all questions end in one token
      rows += [(named(arm), letter, n, *values) for n, values in enumerate(zip(*columns))][1:]
      last, cosine, null = rows[-1][2], rows[-1][-3], rows[-1][-2]
      if cosine is not None:
        shown.append((f'{named(arm)} ({letter})', dict(cosine=[cosine], chance=[-null, null])))
  if not rows:
    return ''
  draw = functools.partial(pictures.dots, [('', shown)], mean=False)
  return kit.render('study/layers.html', draw=draw, last=last, rows=rows)


def alike(found: Results, files: StudyFiles) -> str:
  if not found.probes or not found.probes.similarity:
    return ''
  exact, read, shown = [], [], []
  for pair in found.probes.similarity:
    rows = [
      (pair.measure, *map(named, pair.arms), n, x.cross, x.ceiling, x.gap, x.low, x.high, x.within)
      for n, x in enumerate(pair.layers)
    ]
    exact += rows
    if [*pair.arms] in _PAIRS:
      read += rows
      if pair.measure == 'cka' and pair.layers[-1].gap is not None:
        shown.append(_gap_row(' and '.join(map(named, pair.arms)), pair.layers[-1]))
  draw, last = functools.partial(pictures.intervals, shown), exact[-1][3]
  return kit.render('study/alike.html', shown=shown, last=last, draw=draw, rows=exact, read=read)


def _gap_row(heading, one):
  seen = f'across seeds {one.cross:.2f}, ceiling {one.ceiling:.2f}, within a seed {one.within:.2f}'
  gap = Interval(one.gap, one.low, one.high)
  return IntervalRow(heading, f'{one.gap:+.2f}: {seen}', gap)


def probe_contrasts(found: Results, files: StudyFiles) -> str:
  if not found.probes or not found.probes.contrasts:
    return ''
  every = found.probes.contrasts
  seeds = list(dict.fromkeys(seed for one in every for seed in one.seeds))
  fields = 'mean', 'low', 'high', 'n', 'd_z', 'p', 'floor', 'better'
  rows = []
  for one in every:
    numbers = (getattr(one, field) for field in fields)
    rows.append((one.name, _MEASURES[one.measure], *numbers, *map(one.seeds.get, seeds)))
  return kit.render(
    'study/probed.html',
    spread=any(one.sd for one in every),
    exact=(('contrast', 'measure', *fields, *(f'seed {seed}' for seed in seeds)), rows),
    draw=functools.partial(pictures.intervals, [_in_spreads(one) for one in every]),
  )


def _in_spreads(one):
  """A row of the picture, in standard deviations over seeds, so that measures compare."""
  scale, numbers = one.sd or np.inf, (one.mean, one.low, one.high, one.floor)
  *interval, floor = (None if x is None else x / scale for x in numbers)
  seeds = [x / scale for x in one.seeds.values()]
  heading, said = f'{one.name}: {_MEASURES[one.measure]}', with_interval(one, ends='.2g')
  return IntervalRow(heading, f'{said}, p = {one.p:.2g}', Interval(*interval), floor, seeds)
