"""Rows to arrays: aligned whatever their order, and refused where they cannot be paired."""

import random
from dataclasses import replace as but

import numpy as np
import pytest

from jaxalign.config import UserError
from jaxalign.study.store.table import Means, means, table
from tests.study import made_up


def rows_of(arms=('align', 'explain'), seeds=(0, 1, 2), items=4):
  return [
    made_up.row(
      10.0 * a + seed + item / 10 - 1,
      seed=seed,
      arm=arm,
      item=item,
      cluster=f'domain {item % 2}',
      prompt=f'{seed} {item}',
    )
    for a, arm in enumerate(arms)
    for seed in seeds
    for item in range(items)
  ]


def test_rows_in_any_order_become_aligned_arrays():
  rows = rows_of()
  other = but(rows[0], test='T1'), but(rows[0], after='ppo')
  shuffled = [*rows, *other]
  random.Random(0).shuffle(shuffled)
  seen = table(shuffled, 'T2', arms=('explain', 'align'))
  assert (seen.arms, seen.seeds, seen.items) == (('explain', 'align'), (0, 1, 2), (0, 1, 2, 3))
  known_SN = np.arange(3)[:, None] + np.arange(4) / 10 - 1
  np.testing.assert_allclose(seen.margin_ASN, np.stack([10 + known_SN, known_SN]))
  np.testing.assert_array_equal(seen.right_ASN, seen.margin_ASN > 0)
  assert seen.on('rate') is seen.right_ASN and seen.on('margin') is seen.margin_ASN
  assert table(rows, 'T2', seeds=[2]).margin_ASN.shape == (2, 1, 4)
  assert table(rows, 'T2', seeds=(2, 0)).seeds == (0, 2)
  cells = seen.cells(seen.margin_ASN[1])
  assert [list(np.round(x_I, 1)) for x_I in cells[1]] == [[0, 0.2], [0.1, 0.3]]


@pytest.mark.parametrize(
  'change, says',
  [
    (lambda rows: rows[1:], 'arm align, seed 0, item 0 is missing (3 of 4 items are there)'),
    (lambda rows: rows[:-4], 'arm explain, seed 2, item 0 is missing (0 of 4'),
    (lambda rows: [*rows, rows[3]], 'arm align, seed 0, item 3 is in the store twice'),
    (lambda rows: [*rows[:-1], but(rows[-1], prompt='x')], 'another prompt than in align'),
    (lambda rows: [*rows[:-1], but(rows[-1], cluster='x')], 'another prompt than in align'),
    (lambda rows: [*rows[:-1], but(rows[-1], margin=np.nan)], 'item 3: the margin is nan'),
    (lambda rows: [], 'no rows for T2 after sft'),
  ],
)
def test_what_cannot_be_paired_is_refused_in_a_line(change, says):
  with pytest.raises(UserError) as error:
    table(change(rows_of()), 'T2')
  assert says in str(error.value) and '\n' not in str(error.value)


def test_an_arm_or_seed_that_is_asked_for_must_be_there():
  with pytest.raises(UserError, match='arm shuffled, seed 0, item 0 is missing'):
    table(rows_of(), 'T2', arms=('align', 'shuffled'))
  with pytest.raises(UserError, match='seed 7, item 0 is missing'):
    table(rows_of(), 'T2', seeds=(0, 7))


def test_means_are_of_an_arm_and_a_test():
  rows = [made_up.row(margin, arm='x') for margin in (1, -4)]
  rows += [made_up.row(5, arm='y'), made_up.row(1, arm='x', test='T0', loss=0.25, mass=0.5)]
  found = means(rows)
  assert found['x', 'T2'] == Means(margin=-1.5, rate=0.5, yes=0.5, mass=None, loss=None)
  assert found['y', 'T2'].rate == 1.0 and found['x', 'T0'].loss == 0.25
