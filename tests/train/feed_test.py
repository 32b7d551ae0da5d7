import threading
import time

import numpy as np
import pytest

from jaxalign.config import UserError
from jaxalign.sharding.meshes import make_mesh
from jaxalign.train.feed import DEPTH, Feed


def numbered(step, indices):
  """Values that say where they come from."""
  row = np.array([[1000 * step + i] * 3 for i in indices], np.int32)
  return dict(tokens_BT=row, weight_B=row[:, 0] / 10)


@pytest.mark.parametrize('sizes', [(8, 1, 1), (1, 8, 1), (2, 2, 2), (1, 1, 8)])
def test_batches_are_the_rows_in_order_on_any_mesh(sizes):
  feed = Feed(numbered, 16, make_mesh(*sizes), calls=2)
  got = list(feed.ahead(3, 8))
  assert [count for _, count in got] == [2, 2, 1]
  steps = np.concatenate([np.asarray(batches['tokens_BT']) for batches, _ in got])
  expected = np.arange(3, 8)[:, None] * 1000 + np.arange(16)
  assert (steps == expected[..., None]).all()
  first = got[0][0]
  assert first['tokens_BT'].shape == (2, 16, 3) and first['weight_B'].shape == (2, 16)
  ways = sizes[0] * sizes[1]
  for array in first.values():
    assert array.sharding.shard_shape(array.shape)[:2] == (2, 16 // ways)


def test_every_row_is_asked_for_once_a_step():
  asked = []

  def rows(step, indices):
    asked.append((step, list(indices)))
    return numbered(step, indices)

  list(Feed(rows, 8, make_mesh(2, 2, 2), calls=2).ahead(0, 3))
  assert asked == [(step, list(range(8))) for step in range(3)]


def test_a_batch_the_mesh_does_not_divide_is_refused():
  with pytest.raises(UserError, match='batch=12 is not a multiple of the 8 ways'):
    Feed(numbered, 12, make_mesh(4, 2, 1))
  Feed(numbered, 12, make_mesh(2, 2, 2))


def threads():
  return {t for t in threading.enumerate() if t.name.startswith('ThreadPoolExecutor')}


def test_an_error_in_rows_is_raised_as_itself_at_its_step():
  class Unreadable(Exception):
    pass

  def rows(step, indices):
    if step == 5:
      raise Unreadable('corpus.bin')
    return numbered(step, indices)

  before, seen = threads(), []
  with pytest.raises(Unreadable, match='corpus.bin'):
    for batches, _ in Feed(rows, 8, make_mesh()).ahead(0, 20):
      seen.append(int(np.asarray(batches['weight_B'])[0, 0] // 100))
  assert seen == [0, 1, 2, 3, 4]
  assert threads() == before


def test_the_thread_ends_when_the_loop_ends_early():
  asked, before = [], threads()

  def rows(step, indices):
    asked.append(step)
    return numbered(step, indices)

  ahead = Feed(rows, 8, make_mesh()).ahead(0, 1000)
  next(ahead)
  assert len(threads() - before) == 1
  ahead.close()
  assert threads() == before
  assert max(asked) <= DEPTH  # nor does it run away from the loop


def test_waiting_for_data_is_measured():
  def slow(step, indices):
    time.sleep(0.1)
    return numbered(step, indices)

  feed = Feed(slow, 8, make_mesh())
  list(feed.ahead(0, 5))
  assert feed.waited > 0.4  # nothing else was done meanwhile

  hidden, waited = Feed(slow, 8, make_mesh()), []
  for _ in hidden.ahead(0, 4):
    waited.append(hidden.waited)
    time.sleep(0.5)  # the loop is the slow one: only the first batch is waited for
  assert waited[-1] - waited[0] < 0.3  # all but for the load here
