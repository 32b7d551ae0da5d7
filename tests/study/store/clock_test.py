import os
import time

import pytest

from jaxalign.study.store import clock, compiling


def test_every_moment_is_charged_once_to_the_innermost_work(tmp_path, monkeypatch):
  now = iter([0.0, 1.0, 3.0, 6.0])
  monkeypatch.setattr(time, 'perf_counter', lambda: next(now, 10.0))
  timed = clock.Clock(tmp_path)  # at 0
  with timed.on('asking'):  # from 1 to 3, and 6 to 10
    with timed.on('explain'):  # from 3 to 6
      pass
  assert clock.spent_in(tmp_path) == dict(asking=6.0, explain=3.0)


def test_who_looks_on_is_told_of_what_has_a_name(tmp_path, monkeypatch):
  now, told = iter([0.0, 1.0, 3.0, 6.0]), []
  monkeypatch.setattr(time, 'perf_counter', lambda: next(now, 10.0))
  timed = clock.Clock(tmp_path, tell=told.append)
  with timed.on('asking', 'outcomes/align'), timed.on('tail', 'runs/tail'):
    pass
  with pytest.raises(ValueError), timed.on('base', 'runs/base'):
    raise ValueError
  with timed.on('base'):
    pass
  assert [(lap.name, lap.begins, lap.seconds) for lap in told] == [
    ('outcomes/align', True, 0.0), ('runs/tail', True, 0.0), ('runs/tail', False, 3.0),
    ('outcomes/align', False, 6.0), ('runs/base', True, 0.0),
  ]  # fmt: skip
  assert {lap.worker for lap in told} == {os.getpid()}


def test_making_programs_is_told_apart(tmp_path, monkeypatch):
  made, told = compiling.Compiling(), []
  monkeypatch.setattr(compiling, 'of_this_process', lambda: made)
  timed = clock.Clock(tmp_path, tell=told.append)
  with timed.on('asking', 'asked'):
    made.ended(at=1.0, seconds=1.0)
    with timed.on('tail', 'tail'):
      made.ended(at=7.0, seconds=4.0)
  assert [(lap.name, lap.compiling) for lap in told if not lap.begins] == [
    ('tail', 4.0), ('asked', 1.0)
  ]  # fmt: skip


def test_a_later_call_adds_and_worlds_are_summed(tmp_path):
  for home, seconds in (('one', 2.0), ('two', 3.0)):
    (tmp_path / home).mkdir()
    timed = clock.Clock(tmp_path / home)
    timed.spent.update(base=seconds, explain=8.0)
    with clock.Clock(tmp_path / home, writes=False).on('base'):
      pass
    assert clock.spent_in(tmp_path / home) == {}
    with timed.on('base'):
      pass
    with clock.Clock(tmp_path / home).on('align'):
      pass
  spent = clock.total([tmp_path / 'one', tmp_path / 'two'])
  assert list(spent) == ['explain', 'base', 'align']
  assert spent == dict(
    explain=16.0, base=pytest.approx(5, abs=0.2), align=pytest.approx(0, abs=0.2)
  )
  assert clock.said(spent) == 'where 21 s of work went: explain 76%, base 24%, align 0%'


def test_what_fails_is_charged_too(tmp_path):
  with pytest.raises(ValueError), clock.Clock(tmp_path).on('base'):
    raise ValueError
  assert 'base' in clock.spent_in(tmp_path)
