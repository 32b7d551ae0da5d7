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


def changed_row(**changed):
  def change(rows):
    n = first_j(rows)
    rows[n] = dataclasses.replace(rows[n], **changed)
    return rows

  return with_rows(change)


CASES = {
  'one unit less': (
    with_rows(lambda rows: rows[: first_j(rows)] + rows[first_j(rows) + 1 :]),
    r"xstest/J by words: 1 of 80 only in base \('unsafe question 0 .*' is one\): ask both the same",
  ),
  'another unit': (
    changed_row(unit='else'),
    r'1 of 80 only in base .*; 1 of 80 only in other \(unit else is one\)',
  ),
  'a unit twice': (with_rows(lambda rows: [*rows, rows[0]]), 'is there twice: judge it again'),
  'no number': (changed_row(value=float('nan')), 'is nan, no number'),
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
  assert paired(other()).bases == 'same'
  assert paired(other(base='')).bases == 'unknown'
  assert paired(other(base='else'), unpaired_base=True).bases == 'other'


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
