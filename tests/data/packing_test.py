"""Best-fit decreasing, against a loop that looks at every row."""

import subprocess
import sys

import numpy as np
import pytest

from jaxalign.config import UserError
from jaxalign.data import packing


def naive(lengths, length):
  """How full each row is, by trying all rows for each example. (Which of two rows with the same
  room is taken changes what is in them, and never how full rows become.)"""
  room = []
  for size in sorted(lengths, reverse=True):
    fits = [(left, n) for n, left in enumerate(room) if left >= size]
    if fits:
      n = min(fits)[1]
    else:
      n = len(room)
      room.append(length)
    room[n] -= size
  return sorted(length - left for left in room)


@pytest.mark.parametrize('seed', range(40))
def test_packs_as_the_naive_loop_does(seed):
  rng = np.random.default_rng(seed)
  length = int(rng.integers(1, 40))
  low = int(rng.integers(1, length + 1))
  lengths = rng.integers(low, length + 1, rng.integers(0, 120))
  plan = packing.pack(lengths, length)
  assert sorted(int(lengths[plan.row(n)].sum()) for n in range(len(plan))) == naive(lengths, length)
  assert sorted(plan.examples) == list(range(len(lengths)))


def test_the_same_in_another_process():
  code = (
    'import numpy as np, hashlib; from jaxalign.data import packing; '
    'lengths = np.random.default_rng(1).integers(1, 100, 5000); plan = packing.pack(lengths, 128); '
    'print(hashlib.sha256(plan.starts.tobytes() + plan.examples.tobytes()).hexdigest())'
  )
  said = []
  for seed in '12':
    env = {'PYTHONHASHSEED': seed}
    said.append(subprocess.check_output([sys.executable, '-c', code], env=env))
  assert said[0] == said[1] and len(said[0]) > 60


def test_a_plan_comes_back_memory_mapped(tmp_path):
  lengths = np.random.default_rng(0).integers(1, 65, 1000)
  plan = packing.pack(lengths, 64)
  plan.save(tmp_path / 'plan.npy')
  again = packing.Plan.load(tmp_path / 'plan.npy')
  assert isinstance(again.examples, np.memmap)
  assert len(again) == len(plan)
  np.testing.assert_array_equal(again.starts, plan.starts)
  np.testing.assert_array_equal(again.examples, plan.examples)
  assert [p.name for p in tmp_path.iterdir()] == ['plan.npy']


def test_neighbours_of_one_length_are_scattered():
  plan = packing.pack(np.full(1000, 8), 64)
  assert max(np.diff(sorted(plan.row(0)))) > 8


@pytest.mark.parametrize('lengths', [[3, 9], [3, 0]])
def test_what_no_row_can_hold_is_refused(lengths):
  with pytest.raises(UserError, match='example 1 has'):
    packing.pack(np.array(lengths), 8)


def test_one_each_packs_nothing():
  plan = packing.one_each(np.array([5, 1, 3]))
  assert [plan.row(n).tolist() for n in range(len(plan))] == [[0], [1], [2]]
