"""Slices that share a study: which worlds each has, who begins, and whose marks count."""

import pytest

from jaxalign.config import UserError
from jaxalign.study.plan.directories import mine_of, worlds_of
from jaxalign.study.run import sharing
from jaxalign.workdir import alone
from tests.study import tiny

SHARED = dict(seeds=(0, 1, 2), control_seeds=(0, 1), slices=2)


def slices(**changes):
  return [tiny.sealed(**SHARED | changes, slice=n) for n in (0, 1)]


def test_each_world_is_of_one_slice():
  parts = [mine_of(cfg) for cfg in slices()]
  assert sorted(parts[0] + parts[1]) == sorted(worlds_of(tiny.sealed(**SHARED)))
  assert [len(part) for part in parts] == [3, 2]
  assert mine_of(tiny.sealed()) == worlds_of(tiny.sealed())


@pytest.mark.parametrize(
  'given, says',
  [
    (dict(slices=3), r'slices=3: there are 2 worlds to share, a seed each'),
    (dict(slices=2, slice=2), r'slice=2: of 2 the last is 1'),
    (dict(slice=1), r'slice=1: of 1 the last is 0'),
    (dict(slices=0), 'slices=0'),
  ],
)
def test_what_cannot_be_shared_is_refused(given, says):
  with pytest.raises(UserError, match=says):
    tiny.sealed(**given)


def test_what_all_share_is_made_by_the_first_before_any_other(tmp_path, monkeypatch, capfd):
  first, second = slices()
  made = []
  make = lambda cfg, place: made.append(cfg.slice)
  waited = []

  def sleep(seconds):
    waited.append(seconds)
    assert made == []
    if len(waited) == 2:
      sharing.begin(first, tmp_path, make)

  monkeypatch.setattr(sharing.time, 'sleep', sleep)
  sharing.begin(second, tmp_path, make)
  assert made == [0, 1] and len(waited) == 2
  assert capfd.readouterr().err.count('waiting for slice 0, which makes what all worlds share') == 1
  sharing.begin(second, tmp_path, make)  # once begun, at once
  assert made == [0, 1, 1] and len(waited) == 2


def test_marks_of_another_plan_do_not_count(tmp_path):
  first, second = slices()
  assert sharing.undone(first, tmp_path) == [1]
  assert sharing.undone(second, tmp_path) == []
  other = tiny.sealed(**SHARED | dict(seeds=(0, 1)), slice=1)
  assert sharing.undone(other, tmp_path) == [0]
  assert sharing.undone(tiny.sealed(), tmp_path) == []  # who is alone has nobody to wait for


def test_slices_of_one_machine_lock_places_of_their_own(tmp_path):
  first, second = slices()
  with alone(first.own(tmp_path)), alone(second.own(tmp_path), patience=0):
    with pytest.raises(UserError, match='another run writes there'), alone(first.own(tmp_path), 0):
      pass
  assert tiny.sealed().own(tmp_path) == tmp_path
