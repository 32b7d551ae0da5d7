"""What is no pair is refused by its name, and what is one is paired whatever its order."""

import dataclasses

import numpy as np
import pytest

from jaxalign.config import UserError
from jaxalign.evals.evaluated import Margin
from jaxalign.evals.item import Measure
from jaxalign.study.answers.pairs import Arm, pair
from tests.study.answers import made

BASE = made.evaluated('base', 0.5, 0.1)


def paired(*others, unpaired_base=False):
  arms = [Arm(label=one.label, runs=(one,)) for one in (BASE, *others)]
  return pair(arms, unpaired_base)


def other(**changed):
  return made.evaluated('other', 0.9, 0.1, **changed)


def with_rows(change):
  run = other()
  return dataclasses.replace(run, rows=tuple(change(list(run.rows))))


def suite(**changed):
  return other(suites=(dataclasses.replace(made.SUITE, **changed),))


def first_j(rows):
  return next(n for n, row in enumerate(rows) if row.measure == 'xstest/J')


def without(measure, count):
  """The other model without the first so many units of a measure."""

  def change(rows):
    lost = [row for row in rows if row.measure == measure][:count]
    return [row for row in rows if row not in lost]

  return with_rows(change)


def changed_row(**changed):
  def change(rows):
    n = first_j(rows)
    rows[n] = dataclasses.replace(rows[n], **changed)
    return rows

  return with_rows(change)


CASES = {
  'units less': (
    without('xstest/J', 2),
    (
      r"xstest/J by words: 2 of 80 units are not in all, 2 not in other \('unsafe question 0 .*' "
      r'is one\); that is above 2% of them: ask both the same items, or .* --most_left_out=0.025'
    ),
  ),
  'another unit': (
    changed_row(unit='else'),
    r'2 of 81 units are not in all, 1 not in base \(unit else is one\), 1 not in other .*above 2%',
  ),
  'no unit in common': (
    with_rows(lambda rows: [dataclasses.replace(row, unit=f'other {row.unit}') for row in rows]),
    'and none is shared: ask both the same items',
  ),
  'a unit twice': (with_rows(lambda rows: [*rows, rows[0]]), 'is there twice: judge it again'),
  'no number': (changed_row(value=float('nan')), 'is nan, no number'),
  'a text': (changed_row(value='1.0\n'), 'is 1.0 , no number: judge it again'),
  'nothing': (with_rows(lambda rows: []), 'other has no row of any measure'),
  'another weight': (changed_row(weight=1.0), 'another weight or cluster'),
  'another cluster': (changed_row(cluster='else'), 'another weight or cluster'),
  'version': (suite(version='3'), r'other were asked xstest with other versions \(2 and 3\)'),
  'source': (suite(source='beef'), r'other source files \(f00d and beef\)'),
  'template': (suite(template='chat'), r'other templates \(none and chat\)'),
  'decode': (
    suite(decode=dict(length=128, stop=['\n'])),
    r'answered xstest by other decode parameters \(length 64 and 128\)',
  ),
  'judge': (
    dataclasses.replace(other(), about=made.about(judges={'words': '22' * 32})),
    r'by two judges named words \(fingerprints 11111111 and 22222222\)',
  ),
  'base': (other(base='else'), 'began with other weights.*--unpaired_base'),
  'primaries': (other(primaries=('xstest/J',)), r'different primaries \(jailbreak/asr and none'),
  'margins': (
    other(margins=(Margin(measure='canary/nats', most=0.5),)),
    r'declare different margins \(.*most=0.1',
  ),
}  # fmt: skip


@pytest.mark.parametrize('name', CASES)
def test_what_is_no_pair_is_refused_by_its_name(name):
  run, says = CASES[name]
  with pytest.raises(UserError, match=says) as refused:
    paired(run)
  assert '\n' not in str(refused.value)


def test_the_order_of_rows_says_nothing():
  shuffled = with_rows(lambda rows: rows[::-1])
  for ours, theirs in zip(paired(other()).rows, paired(shuffled).rows):
    assert ours.names == theirs.names
    np.testing.assert_array_equal(ours.value_ASN, theirs.value_ASN)
  rows = next(one for one in paired(other()).rows if one.measure.name == 'xstest/refusal_safe')
  known = {row.unit: row.value for row in BASE.rows if row.measure == 'xstest/refusal_safe'}
  assert [known[name] for name in rows.names] == rows.value_ASN[0, 0].tolist()
  assert rows.units.clusters == 10 and rows.binary


def test_what_one_alone_measured_is_left_out_by_its_name():
  more = other()
  extra = dataclasses.replace(more.rows[0], measure='bold/toxic', judge='')
  found = paired(dataclasses.replace(more, rows=(*more.rows, extra)))
  assert found.left_out == ('bold/toxic (only other)',)
  assert 'bold/toxic' not in {rows.measure.name for rows in found.rows}
  lone = dataclasses.replace(other(), rows=(extra,))
  with pytest.raises(UserError, match='base and other have no measure in common: xstest/J'):
    paired(lone)


def test_an_unknown_base_is_said_and_another_one_if_it_is_meant():
  def bases(*others, **more):
    found = paired(*others, **more)
    return found.bases, found.unknown_bases

  assert bases(other()) == ('same', ())
  assert bases(other(base='')) == ('same', ('other',))
  assert bases(other(base='else'), unpaired_base=True) == ('other', ())
  third = made.evaluated('third', 0.5, 0.1, base='else')
  assert bases(other(base=''), third, unpaired_base=True) == ('other', ('other',))
  with pytest.raises(UserError, match='base and third began with other weights'):
    paired(other(base=''), third)  # who is unknown hides nobody who is known


def test_what_not_all_have_is_left_out_of_all_by_name_and_number():
  """A row that is missing costs its unit, and no pair; both sides of J weigh on as before."""
  found = paired(without('xstest/J', 1), without('jailbreak/asr', 0))
  j = next(one for one in found.rows if one.measure.name == 'xstest/J')
  assert (len(j.names), j.left_out, j.value_ASN.shape) == (79, 1, (3, 1, 79))
  (told,) = found.partly
  assert told.startswith('xstest/J by words: 1 of 80 units are not in all, 1 not in other (')
  values = {row.unit: row for row in BASE.rows if row.measure == 'xstest/J'}
  sides = {
    sign: np.mean([values[n].value for n in j.names if values[n].weight * sign > 0])
    for sign in (1, -1)
  }
  known = float(np.mean(j.value_ASN[0, 0] * j.units.weight_N))
  assert known == pytest.approx(sides[1] - sides[-1])
  other_way = pair([Arm(label=r.label, runs=(r,)) for r in (without('xstest/J', 1), BASE)])
  again = next(one for one in other_way.rows if one.measure.name == 'xstest/J')
  np.testing.assert_allclose(again.units.weight_N, j.units.weight_N)
  whole = next(one for one in found.rows if one.measure.name == 'jailbreak/asr')
  assert (len(whole.names), whole.left_out) == (40, 0)


def test_weights_that_hold_a_runs_own_number_of_rows_are_scaled():
  """A document that could not be read changes what all others weigh; a side of J does, too."""

  def rescaled(rows):
    kept = [row for row in rows if not (row.measure == 'xstest/J' and row.unit == lost)]
    count = sum(row.measure == 'xstest/J' and row.weight > 0 for row in kept)
    scale = {1: 79 / count, -1: -79 / 40}
    return [
      dataclasses.replace(row, weight=scale[1 if row.weight > 0 else -1])
      if row.measure == 'xstest/J'
      else row
      for row in kept
    ]

  lost = other().rows[first_j(other().rows)].unit
  j = next(one for one in paired(with_rows(rescaled)).rows if one.measure.name == 'xstest/J')
  assert len(j.names) == 79
  assert sorted({round(w, 6) for w in j.units.weight_N}) == [-1.975, round(79 / 39, 6)]


def test_how_much_may_be_left_out_is_said():
  run = without('xstest/J', 4)
  arms = [Arm(label=one.label, runs=(one,)) for one in (BASE, run)]
  assert len(pair(arms, most_left_out=0.05).rows[0].names) == 76
  with pytest.raises(UserError, match='above 4% of them'):
    pair(arms, most_left_out=0.04)
  with pytest.raises(UserError, match='1 of 80 units are not in all'):
    pair([arms[0], Arm(label='o', runs=(without('xstest/J', 1),))], most_left_out=0.0)


def test_runs_of_an_arm_are_paired_by_their_seed():
  def arm(name, seeds):
    runs = tuple(made.evaluated(name, 0.5, 0.1, seed=s or 0) for s in seeds)
    about = [dataclasses.replace(r, about=made.about(seed=s)) for r, s in zip(runs, seeds)]
    return Arm(label=name, runs=tuple(about))

  found = pair([arm('a', [3, 1, 2]), arm('b', [1, 2, 3])])
  assert [[run.about.seed for run in one.runs] for one in found.arms] == [[1, 2, 3]] * 2
  assert found.rows[0].value_ASN.shape == (2, 3, 80)
  with pytest.raises(UserError, match='a has 2 runs and b 3'):
    pair([arm('a', [1, 2]), arm('b', [1, 2, 3])])
  for seeds in ([1, 3], [1, 1]):
    with pytest.raises(UserError, match=r'seeds \[1, 2\] and b with '):
      pair([arm('a', [1, 2]), arm('b', seeds)])
  assert len(pair([arm('a', [None, None]), arm('b', [None, 4])]).arms) == 2  # as they are given


def test_a_measure_that_nobody_describes_has_its_name():
  runs = [made.evaluated(name, 0.5, 0.1, measures=()) for name in 'ab']
  found = pair([Arm(label=run.label, runs=(run,)) for run in runs])
  assert found.rows[0].measure == Measure(name='xstest/J', title='xstest/J')
