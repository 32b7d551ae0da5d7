"""The fault campaign's judge: what is clear, and that each way to be wrong is called wrong."""

import json
import random
import signal
import subprocess
import sys
from typing import Annotated

import pytest

from benchmarks.faults import case, numbers, same

REFUSED = case.Case(kind='k', name='n', argv=(), says=r'\boptim\.lr\b')
LINE = 'error: config.optim.lr=-1.0: at least 1e-12\n'


def ended(status=2, err=LINE, out='', **rest):
  return case.Ended(status=status, out=out, err=err, seconds=0.1, **rest)


def test_one_line_that_names_the_thing_is_clear(tmp_path):
  said = 'prepare 100%  2 docs/s\n  row 3: invalid JSON\nx: 3 rows read, 2 kept\n' + LINE
  assert case.judged(REFUSED, ended(out='step 1/8\n'), place=tmp_path) == ''
  assert case.judged(REFUSED, ended(err=said)) == ''


@pytest.mark.parametrize(
  'one, says',
  [
    (ended(status=0), 'status 0'),
    (ended(status=1), 'status 1'),
    (ended(status=-signal.SIGSEGV), 'status -11'),
    (ended(err='Traceback (most recent call last):\n  x\nKeyError: 3\n'), 'a traceback: KeyErr'),
    (ended(err=''), '0 lines'),
    (ended(err=LINE * 2), '2 lines'),
    (ended(err='error: something is wrong\n'), 'does not name'),
    (ended(err='error: optim.lre=3\n'), 'does not name'),
    (ended(status=-9, hung=True), 'still running'),
    (ended(status=-9, greedy=True), 'MiB'),
  ],
)
def test_each_way_to_be_wrong_is_called_wrong(one, says):
  assert says in case.judged(REFUSED, one)


def test_what_is_half_written_is_wrong_and_what_was_there_is_not(tmp_path):
  (tmp_path / 'run/checkpoints/4').mkdir(parents=True)
  before = case.leftovers(tmp_path)
  assert case.judged(REFUSED, ended(), before, tmp_path) == ''
  (tmp_path / 'run/config.json.tmp').write_text('{')
  assert 'left behind: run/config.json.tmp' in case.judged(REFUSED, ended(), before, tmp_path)
  assert 'checkpoints/4' in case.judged(REFUSED, ended(), frozenset(), tmp_path)


@pytest.mark.parametrize('loss, wrong', [(2.5, ''), (float('nan'), 'not finite'), (None, 'loss')])
def test_a_right_input_must_end_with_finite_losses(tmp_path, loss, wrong):
  right = case.Case(kind='k', name='n', argv=(), status=case.DONE)
  (tmp_path / 'metrics.jsonl').write_text(json.dumps(dict(step=1, loss=loss)) + '\n')
  found = case.judged(right, ended(status=0, err=''), place=tmp_path)
  assert wrong in found and bool(found) == bool(wrong)
  assert 'status 2' in case.judged(right, ended(), place=tmp_path)


PARENT = f"""
import pathlib, signal, sys, time
from benchmarks.faults import case, forking

place = pathlib.Path(sys.argv[1])
refused = case.Case(kind='k', name='n', argv=(), says=r'optim.lr')
said = lambda: print({LINE.strip()!r}, file=sys.stderr) or 2
assert case.judged(refused, forking.Child(said, place).wait()) == ''
late = forking.Child(lambda: time.sleep(600), place, limit=0.05).wait()
assert late.hung and late.status == -signal.SIGKILL
assert 'still running' in case.judged(refused, late)
"""


def test_a_child_is_judged_by_its_status_its_words_and_its_time(tmp_path):
  """In a process of its own: one with threads, as the tests' may have, cannot be forked well."""
  command = [sys.executable, '-c', PARENT, str(tmp_path)]
  subprocess.run(command, check=True, cwd=case.ROOT, timeout=600)


class Positive:
  def holds(self, value):
    return value > 0


@pytest.mark.parametrize(
  'name, kind, text, out',
  [
    ('optim.lr', Annotated[float, Positive()], '0', True),
    ('optim.lr', Annotated[float, Positive()], '1e-320', False),
    ('optim.clip', Annotated[float, Positive()] | None, 'none', False),
    ('optim.lr', float, 'nan', True),
    ('optim.lr', float, 'none', True),
    ('optim.b1', float, '0', False),
    ('steps', int, '0', True),
    ('mesh.fsdp', int, '-1', False),
    ('steps', int, '1e308', True),
    ('steps', int, '1' + '0' * 30, True),
  ],
)
def test_only_numbers_that_no_run_can_mean_are_bad(name, kind, text, out):
  assert numbers.refused(name, kind, text) == out


def test_runs_that_differ_in_a_bit_are_told_apart_and_clocks_are_not(tmp_path):
  row = dict(step=1, loss=0.1, seconds=3.0)
  (tmp_path / 'metrics.jsonl').write_text(json.dumps(row))
  whole = same.record(tmp_path)
  (tmp_path / 'metrics.jsonl').write_text(json.dumps(row | dict(seconds=9.0)))
  assert same.differences(tmp_path, whole) == ''
  (tmp_path / 'metrics.jsonl').write_text(json.dumps(row | dict(loss=0.1 + 2**-56)))
  assert same.differences(tmp_path, whole) == 'metrics.jsonl differs'
  (tmp_path / 'evals.jsonl').write_text('')
  assert 'it left evals.jsonl' in same.differences(tmp_path, whole)


def test_any_first_part_of_the_numbers_has_every_stage():
  named = [f'{stage} f{n}=0' for stage in ('sft', 'study') for n in range(20)]
  every = [case.Case(kind='numbers', name=name, argv=()) for name in [*named, 'bon f=0']]
  found = [one.name for one in numbers.drawn(every, random.Random(0))]
  assert [name.split()[0] for name in found[:5]] == ['sft', 'study', 'bon', 'sft', 'study']
  assert sorted(found) == sorted([*named, 'bon f=0'])
