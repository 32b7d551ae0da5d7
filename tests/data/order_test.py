"""Which row stands where: every part of a mixture in its share, and wholly once an epoch."""

import collections

import numpy as np
import pytest

from jaxalign.data.order import Mixture

SIZES = (60, 77, 94)


def test_another_epoch_or_seed_is_another_order():
  orders = set()
  for seed in range(4):
    made = Mixture([60], [1], 1, seed)
    orders |= {tuple(made.at(60 * epoch + n, 0) for n in range(60)) for epoch in range(4)}
  assert len(orders) == 16
  assert {tuple(sorted(order)) for order in orders} == {tuple((0, n) for n in range(60))}


@pytest.mark.parametrize('weights', [(1, 1, 1), (0.7, 0.2, 0.1), (0.9, 0, 0.1), (3, 1e-3, 1)])
def test_a_mixture_keeps_its_proportions(weights):
  made = Mixture(SIZES, weights, 10, 0)
  share = np.array(weights) / sum(weights)
  drawn = np.zeros(3)
  for place in range(1500):
    drawn[made.at(place // 10, place % 10)[0]] += 1
    assert np.abs(drawn - (place + 1) * share).max() <= 2
  assert (drawn[np.array(weights) >= 0.1] > 0).all()
  far = 10**15  # each part's rows are numbered without a gap, so this is how many there were
  numbers = collections.defaultdict(list)
  for place in range(far, far + 5000):
    part, nth = made._drawn(place)
    numbers[made.part_of[part]].append(nth)
  for part, share in zip(made.part_of, made.shares):
    first = numbers[part][0]
    assert numbers[part] == list(range(first, first + len(numbers[part])))
    assert abs(first - far * share // sum(made.shares)) <= 2
  assert set(numbers) == {part for part in range(3) if weights[part]}


def test_each_source_of_a_mixture_has_its_own_epochs():
  sizes = SIZES[:2]
  made = Mixture(sizes, (3, 1), 8, 5)
  drawn = ([], [])
  for place in range(8 * sum(sizes)):
    part, row = made.at(place // 8, place % 8)
    drawn[part].append(row)
  for rows, size in zip(drawn, sizes):
    assert len(rows) > size
    for start in range(0, len(rows) - size + 1, size):
      assert sorted(rows[start : start + size]) == list(range(size))
  places = [made.at(step, index) for step in range(made.steps_per_epoch) for index in range(8)]
  assert {row for part, row in places if part == 0} == set(range(sizes[0]))
