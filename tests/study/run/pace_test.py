"""The pace of a run that another process makes."""

import json

import pytest

from jaxalign.study.run import pace


def write(tmp_path, rows, end=''):
  lines = (json.dumps(dict(step=step, loss=1.0, seconds=seconds)) + '\n' for step, seconds in rows)
  (tmp_path / 'metrics.jsonl').write_text(''.join(lines) + end)


def test_what_comes_before_the_first_step_is_apart(tmp_path):
  write(tmp_path, [(n, 11.0 + 0.5 * n) for n in range(1, 41)])
  assert pace.read(tmp_path, 100) == pytest.approx((0.4, 50.0, 11.5))


def test_steps_of_one_call_are_told_at_once(tmp_path):
  write(tmp_path, [(1, 9.0), (2, 9.0)])
  assert pace.read(tmp_path, 10) is None
  write(tmp_path, [(1, 9.0), (2, 9.0), (3, 11.0), (4, 11.0)])
  assert pace.read(tmp_path, 10) == pytest.approx((0.4, 10.0, 9.0))


def test_a_line_that_is_half_written_is_left_out(tmp_path):
  write(tmp_path, [(1, 1.0), (2, 2.0)], end='{"step": 3, "lo')
  assert pace.read(tmp_path, 4) == pytest.approx((0.5, 4.0, 1.0))


def test_of_a_run_that_was_gone_on_with_the_latest_call_counts(tmp_path):
  write(tmp_path, [(1, 100.0), (2, 200.0), (3, 5.0), (4, 6.0), (5, 7.0)])
  assert pace.read(tmp_path, 10) == pytest.approx((0.5, 10.0, 5.0))


def test_of_a_long_run_the_end_is_read(tmp_path):
  write(tmp_path, [(n, 3.0 + 0.001 * n) for n in range(1, 20_001)])
  share, seconds, making = pace.read(tmp_path, 40_000)
  assert (share, making) == (0.5, 3.001) and seconds == pytest.approx(40.0, rel=0.01)


def test_without_lines_there_is_no_pace(tmp_path):
  assert pace.read(tmp_path, 10) is None
  write(tmp_path, [])
  assert pace.read(tmp_path, 10) is None
