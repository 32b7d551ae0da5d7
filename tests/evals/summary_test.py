"""What a measure comes to, against closed forms and by hand."""

import numpy as np
import pytest

from jaxalign import proportions
from jaxalign.evals import summary
from jaxalign.evals.item import Measure, Row


def rows(values, weights=None, clusters=None, measure='s/m', judge=''):
  weights = weights or [1.0] * len(values)
  clusters = clusters or [str(n) for n in range(len(values))]
  return [
    Row(measure=measure, unit=str(n), cluster=c, value=v, weight=w, judge=judge)
    for n, (v, w, c) in enumerate(zip(values, weights, clusters))
  ]


def line(given):
  (found,) = summary.lines([Measure(name='s/m', title='t')], given)
  return found


def test_a_rate_of_independent_items_has_wilsons_interval():
  found = line(rows([1.0] * 3 + [0.0] * 7))
  assert (found.mean, found.n, found.clusters) == (0.3, 10, 10)
  assert (found.low, found.high) == (
    pytest.approx(0.1078, abs=1e-4),
    pytest.approx(0.6032, abs=1e-4),
  )
  none = line(rows([0.0] * 20))
  assert none.low == 0 and none.high == pytest.approx(0.1611, abs=1e-4)


def test_a_mean_has_the_interval_of_its_clusters():
  x_N = np.random.default_rng(3).normal(size=400)
  found = line(rows(x_N.tolist()))
  half = 1.96 * x_N.std() / 20
  assert found.high - found.low == pytest.approx(2 * half, rel=0.08)
  doubled = line(rows(np.repeat(x_N, 2).tolist(), clusters=[str(n // 2) for n in range(800)]))
  assert doubled.clusters == 400 and doubled.mean == pytest.approx(found.mean)
  assert doubled.high - doubled.low == pytest.approx(2 * half, rel=0.08)
  alone = line(rows([0.5, 0.7], clusters=['c', 'c']))
  assert (alone.low, alone.high) == pytest.approx(proportions.wilson(0.6, 1))
  tokens = [Measure(name='s/m', title='t', unit='tokens')]
  (alone,) = summary.lines(tokens, rows([5.0, 7.0], clusters=['c', 'c']))
  assert (alone.low, alone.high) == (None, None)


def test_a_difference_of_two_rates_is_drawn_side_by_side():
  refused = [1.0] * 60 + [0.0] * 40 + [1.0] * 20 + [0.0] * 80
  weights = [2.0] * 100 + [-2.0] * 100
  found = line(rows(refused, weights))
  assert found.mean == pytest.approx(0.4)
  half = 1.96 * np.sqrt(0.6 * 0.4 / 100 + 0.2 * 0.8 / 100)
  assert (found.low, found.high) == (
    pytest.approx(0.4 - half, abs=0.02), pytest.approx(0.4 + half, abs=0.02),
  )  # fmt: skip
  always = line(rows([1.0] * 200, weights))
  half = proportions.wilson(0, 100)[1]
  assert always.mean == 0 and (always.low, always.high) == pytest.approx((-half, half))


def test_clusters_without_spread_are_as_few_as_they_are():
  """80 zeros in ten clusters are not 80 zeros: `compare` counts ten, and so does the table."""
  given = rows([0.0] * 80, clusters=[str(n // 8) for n in range(80)])
  found = line(given)
  assert (found.mean, found.low, found.high) == (0, *proportions.wilson(0, 10))
  assert line(rows([0.0] * 80)).high == proportions.wilson(0, 80)[1] < found.high


def test_a_rate_stays_within_its_bounds_and_other_numbers_have_none():
  values, clusters = [1.0] * 30 + [0.0], [str(n // 5) for n in range(31)]
  rate = line(rows(values, clusters=clusters))
  assert rate.low < rate.mean < rate.high < 1  # one of 31 was not so
  tokens = Measure(name='s/m', title='t', unit='tokens')
  (long,) = summary.lines([tokens], rows(values, clusters=clusters))
  assert long.high > 1


def test_means_alone_are_those_of_the_lines():
  measures = [Measure(name='s/n', title='t')]
  given = [*rows([0.2, 0.4], [0.5, 1.5]), *rows([1.0, 0.0], measure='s/n', judge='b')]
  found = summary.means(measures, given)
  assert found == {('s/n', 'b'): 0.5, ('s/m', ''): pytest.approx(0.35)}
  assert found == {(one.measure, one.judge): one.mean for one in summary.lines(measures, given)}


def test_the_table_has_a_line_a_measure_and_judge():
  known = dict(chance=0.5, baselines=(('longest', 0.6186),))
  measures = [Measure(name='s/m', title='t', **known), Measure(name='s/n', title='u')]
  given = [*rows([1.0, 0.0], measure='s/n', judge='b'), *rows([1.0, 1.0], judge='a')]
  head, first, second = summary.table(measures, list(summary.lines(measures, given)))
  assert head.split() == ['measure', 'judge', 'n', 'value', '95', '%', 'baselines']
  assert first.endswith('  chance 0.500, longest 0.619') and 'chance' not in second
  assert first.split()[:4] == ['s/m', 'a', '2', '1.000']
  assert second.split()[:4] == ['s/n', 'b', '2', '0.500']


def test_slices_are_shown_one_by_one_where_the_measure_names_them():
  by = Measure(name='s/m', title='t', sliced=('template', 'topic'))
  made = [
    Row(measure='s/m', unit=str(n), cluster=str(n // 2), value=float(n % 2), judge=judge,
        slices=(('template', 'ab'[n % 2]), *([('topic', 'x')] if n > 3 else [])))
    for judge in ('p', 'q') for n in range(6)
  ]  # fmt: skip
  found = list(summary.parts([by, Measure(name='s/n', title='u')], made))
  assert [(one.judge, one.by, one.part, one.n, one.clusters, one.mean) for one in found[:3]] == [
    ('p', 'template', 'a', 3, 3, 0.0),
    ('p', 'template', 'b', 3, 3, 1.0),
    ('p', 'topic', 'x', 2, 1, 0.5),
  ]
  assert len(found) == 6
  head, first, *_ = summary.parts_table(found)
  assert head.split()[:3] == ['measure', 'judge', 'slice'] and 'template=a' in first
  assert summary.parts_table([]) == []
