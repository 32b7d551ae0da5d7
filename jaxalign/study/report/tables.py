"""The report's tables: (head, rows) from results.json and from what lies beside it."""

import dataclasses
from collections.abc import Callable, Collection, Iterable, Sequence

import numpy as np

from jaxalign.study.judge.results import Contrast, Gate, Results
from jaxalign.study.report.pictures import Estimated, Groups, Series
from jaxalign.study.store.table import Means
from jaxalign.valueworld import items

_HeadRows = tuple[Sequence[str], Sequence[Sequence[object]]]
PRESSURES = ('', '_prefill', *(f'_{name}' for name in items.WRAPPERS))  # endings of tests
_GOODS = 'T0', 'T1', 'T2', 'T3A', 'T3B', 'T4', 'T5'


def named(arm: str) -> str:
  """An arm as the page calls it: its lessons in their order."""
  return arm.replace('-', ' → ')


def side_of(arm: str) -> str:
  """The value that an arm's documents give, A or B; '' where they give neither."""
  return next((letter for letter in 'AB' if f'_{letter}' in arm), '')


def by_side(arms: Iterable[str], series: Callable[[str], Series]) -> Groups:
  """Arms with their series, grouped by what they were told to value."""
  told: dict[str, list[tuple[str, Series]]] = {'A': [], 'B': [], '': []}
  for arm in arms:
    told[side_of(arm)].append((named(arm), series(arm)))
  titles = dict(A='told of value A', B='told of value B')
  return [(titles.get(side, 'told of neither'), rows) for side, rows in told.items() if rows]


def with_interval(one: Estimated, mean: str = '+.3g', ends: str = '.3g') -> str:
  """A mean with its interval, where it has one; mean, ends: their formats."""
  between = '' if one.low is None else f' [{one.low:{ends}}, {one.high:{ends}}]'
  return f'{one.mean:{mean}}{between}'


def estimates(contrasts: Iterable[Contrast]) -> _HeadRows:
  """A row for each contrast and scale, the primary scale first: all that was computed."""
  fields = ('n', 'mean', 'low', 'high', 'sd', 'd_z', 'p', 'p_t', 'floor', 'better', 'tost')
  seeds = list(dict.fromkeys(seed for one in contrasts for seed in one.seeds))
  judged = 'bootstrap low', 'bootstrap high', 'p Holm', 'holds', 'signs agree'
  head = ('contrast', 'scale', *fields, *judged, *(f'seed {seed}' for seed in seeds), 'claim')
  rows = []
  for one in contrasts:
    for scale in (one.scale, *(scale for scale in one.scales if scale != one.scale)):
      numbers, drawn = one.scales[scale], one.scales[scale].bootstrap
      by_seed = dict(zip(one.seeds, numbers.differences or ()))
      ends = (drawn.low, drawn.high) if drawn else (None, None)
      last = (one.p_holm, one.holds, one.agree) if scale == one.scale else (None,) * 3
      values = (*(getattr(numbers, field) for field in fields), *ends, *last)
      claim = one.what if scale == one.scale else ''
      rows.append((one.name, scale, *values, *map(by_seed.get, seeds), claim))
  return head, rows


def columns(estimated: _HeadRows, unread: Collection[str]) -> list[_HeadRows]:
  """Two tables of one that is too wide: one without seeds and `unread`, one of seeds alone."""
  head, rows = estimated
  some = [n for n, name in enumerate(head) if name not in unread and 'seed ' not in name]
  each = [n for n, name in enumerate(head) if n < 2 or 'seed ' in name]
  return [([head[n] for n in of], [[row[n] for n in of] for row in rows]) for of in (some, each)]


def least_mass(found: Results) -> float:
  """The bar of G4, which a mass of yes and no must reach; 0 where there is none."""
  return next((gate.least for gate in found.gates if gate.name == 'G4'), None) or 0.0


def margins(found: Results, test: str, field: str = 'margin') -> dict[str, list[float]]:
  """{arm: a number a seed} of the arms that were asked this test."""
  return {
    arm: [getattr(one, field) for one in tests[test].values()]
    for arm, tests in found.arms.items()
    if test in tests
  }


def mean(found: Results, arm: str, test: str, field: str) -> float:
  return float(np.mean([getattr(one, field) for one in found.arms[arm][test].values()]))


def of_seeds(found: Results, cells: Iterable[tuple[str, str]]) -> _HeadRows:
  """Every number of every seed, of these (arm, test)."""
  fields = [field.name for field in dataclasses.fields(Means)]
  rows = [
    (arm, test, str(seed), *(getattr(one, field) for field in fields))
    for arm, test in cells
    for seed, one in found.arms[arm][test].items()
  ]
  return ('arm', 'test', 'seed', *fields), rows


def other_tests(found: Results) -> _HeadRows:
  """Experiment S: margin and rate, means over seeds; T5 is the mean of its wrappers."""
  rows = []
  for arm, asked in found.arms.items():
    cells = []
    for test in _GOODS:
      names = [name for name in asked if name.split('_')[0] == test]
      margin, rate = (
        np.mean([mean(found, arm, name, field) for name in names]) if names else None
        for field in ('margin', 'rate')
      )
      cells.append(f'{margin:+.1f} ({rate:.2f})' if names else None)
    if any(cells):
      rows.append((named(arm), *cells))
  return ('arm', *_GOODS), rows


def harm_tests(found: Results) -> _HeadRows:
  """Experiment H: sensitivity on the rate, means over seeds, under each pressure."""
  d = {
    arm: {
      way: mean(found, arm, f'harm{way}', 'rate') - mean(found, arm, f'benign{way}', 'rate')
      for way in PRESSURES
      if f'harm{way}' in asked and f'benign{way}' in asked
    }
    for arm, asked in found.arms.items()
  }
  ways = [way for way in PRESSURES if any(way in of for of in d.values())]
  rows = []
  for arm, of in d.items():
    if of:
      cells = [f'{of[way]:+.2f}' if way in of else None for way in ways]
      benign = f'{mean(found, arm, "benign", "rate"):.2f}' if 'benign' in found.arms[arm] else None
      rows.append((named(arm), *cells, benign))
  return ('arm', *(way[1:] or 'plain' for way in ways), 'benign refused'), rows


def gate_rows(
  gates: Iterable[Gate], seeds: Sequence[int]
) -> tuple[Sequence[str], list[list[tuple[object, bool]]]]:
  """Cells are (value, whether it failed)."""
  rows = []
  for gate in gates:
    bar = f'≥ {gate.least:g}' if gate.most is None else f'≤ {gate.most:g}'
    count = f'{gate.passed} of {gate.of}', not gate.ok
    cells = [_gate_cell(gate, gate.seeds.get(seed)) for seed in seeds]
    rows.append([(gate.name, False), (gate.what, False), (bar, False), count, *cells])
  return ('gate', 'what it asks', 'bar', 'passed', *(f'seed {seed}' for seed in seeds)), rows


def _gate_cell(gate, value):
  if value is None:
    return 'not measured', True
  return value, value < gate.least if gate.most is None else value > gate.most
