"""Curves in a terminal: their blocks are the shape of the numbers, whatever these are."""

import pytest

from jaxalign.doors import curves
from jaxalign.doors.curves import Curve


def curve(*values, name='loss'):
  return Curve(name, tuple(range(1, 1 + len(values))), values)


@pytest.mark.parametrize(
  'values, wide, seen',
  [
    ((0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0), 8, '▁▂▃▄▅▆▇█'),
    ((1.0, 0.0), 8, '█▁'),
    ((5.0, 5.0, 5.0), 8, '▁▁▁'),
    ((3.0,), 8, '▁'),
    ((0.0, 8.0, 4.0, 4.0, 8.0, 8.0), 3, '▁▁█'),
    ((-1e308, 1e308), 4, '▁█'),
    ((0.0, 5e-324), 4, '▁▁'),
  ],
)
def test_blocks(values, wide, seen):
  assert curves.blocks(curve(*values), wide) == seen


def test_bins_are_means_of_spans_that_end_at_their_steps():
  made = curve(*map(float, range(10))).binned(3)
  assert made.steps == (3, 6, 10) and made.values == pytest.approx((1, 4, 7.5))
  few = curve(1.0, 2.0)
  assert few.binned(2) == few


def test_only_finite_numbers_are_points():
  rows = [
    {'step': 1, 'loss': 2.0, 'why': 'text', 'ok': True, 'none': None, 'big': 10**400},
    {'step': 2, 'loss': float('nan'), 'late\x1b[31m': 7},
    {'step': 5, 'loss': 1},
  ]
  found = {one.name: one for one in curves.of_rows(rows)}
  assert found.keys() == {'loss', 'late [31m'}
  assert found['loss'] == Curve('loss', (1, 5), (2.0, 1.0))


def test_a_table_says_where_each_began_and_ended_and_how_far_it_went():
  lines = curves.table([curve(3.0, 4.0, 1.0, 2.0), curve(1.0, 2.0, name='lr')], 4)
  assert lines == ['loss  ▆█▁▃  3 → 2  (1 to 4)', 'lr    ▁█    1 → 2']
  assert curves.table([curve(1.0, 1.0 + 1e-9)], 4) == ['loss  ▁█  1 throughout']
  assert curves.table([], 4) == []
