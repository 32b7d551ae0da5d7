"""Workers: what they say, how they fail, and that none outlives who started it."""

import functools
import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from jaxalign import compile_cache
from jaxalign.config import UserError
from jaxalign.study.run import worker_pool
from tests.study import working


def each(how, workdir, workers, tasks=(0, 1, 2)):
  said = []

  def say(*what):
    said.append(what)

  worker_pool.each(tasks, working.work, (how, workdir), workers=workers, say=say)
  return [(task, text) for task, text in said if text]


@pytest.mark.parametrize('workers', [0, 2])
def test_every_task_is_done_once_and_heard_of(tmp_path, workers):
  said = each('well', tmp_path, workers)
  assert sorted(task for task, _ in said) == [0, 1, 2]
  here = {text.endswith(f'by {os.getpid()}') for _, text in said}
  assert here == {workers == 0}


@pytest.mark.parametrize(
  'how, kind, says',
  [
    ('user', UserError, '^the corpus is empty: give another$'),
    ('fault', UserError, r'^RuntimeError: it broke \(its trace is in .*worker-\d.log\)$'),
    ('dies', UserError, 'a worker died .exit status 9; killed for memory.*the same command goes'),
    ('stops', KeyboardInterrupt, None),
    ('told', SystemExit, '^75$'),
    ('exits', UserError, r'^something called exit\(0\) before the study was done$'),
  ],
)
def test_a_worker_that_fails_ends_the_study_in_one_line(tmp_path, how, kind, says):
  with pytest.raises(kind, match=says):
    each(how, tmp_path, 2)
  if how == 'fault':
    logs = ''.join(path.read_text() for path in tmp_path.glob('worker-*.log'))
    assert 'RuntimeError: it broke' in logs and 'Traceback' in logs


def test_workers_look_where_programs_are_kept(tmp_path):
  place = tmp_path / compile_cache.cpu_features()
  with compile_cache.used(place):
    said = each('kept', tmp_path, 2, (0,))
  assert said[0][0] == 0 and said[0][1].startswith(str(place))


def test_without_workers_errors_are_as_they_are(tmp_path):
  with pytest.raises(RuntimeError, match='it broke'):
    each('fault', tmp_path, 0)


def test_what_is_printed_goes_to_a_file_where_nobody_else_works(tmp_path, capsys):
  def work(task, how, workdir, tell):
    print('step 1 of 2')
    print('loss 3', file=sys.stderr)
    tell(f'{how} is done')

  said = []
  tell = lambda *what: said.append(what)
  args = 'world', tmp_path / 'new'
  worker_pool.each([7], work, args, workers=0, say=tell, logged=True)
  assert (7, 'world is done') in said and capsys.readouterr() == ('', '')
  assert (tmp_path / 'new/worker-0.log').read_text() == 'step 1 of 2\nloss 3\n'
  worker_pool.each([7], work, args, workers=0, say=tell)
  assert capsys.readouterr() == ('step 1 of 2\n', 'loss 3\n')


def test_there_are_no_more_workers_than_tasks():
  assert worker_pool.count(0, 5) == 0 and worker_pool.count(9, 1) == 1
  assert 1 <= worker_pool.count(10_000, 10_000) <= 10_000


def test_sigterm_ends_a_study_as_unfinished_and_is_given_back(tmp_path):
  old = signal.getsignal(signal.SIGTERM)
  with pytest.raises(SystemExit, match='75'):
    kill = functools.partial(os.kill, os.getpid())
    worker_pool.each([signal.SIGTERM], lambda kind, _: kill(kind), (), workers=0, say=None)
  assert signal.getsignal(signal.SIGTERM) == old


PARENT = textwrap.dedent("""
  import pathlib, sys
  from jaxalign.study.run import worker_pool
  from tests.study import working
  if __name__ == '__main__':
    args = ('', pathlib.Path(sys.argv[1]))
    worker_pool.each([0], working.linger, args, workers=1, say=lambda *_: None)
""")


def test_a_worker_ends_with_who_started_it(tmp_path):
  (tmp_path / 'parent.py').write_text(PARENT)
  root = pathlib.Path(working.__file__).parents[2]
  env = os.environ | dict(PYTHONPATH=str(root))
  process = subprocess.Popen([sys.executable, tmp_path / 'parent.py', tmp_path], env=env)
  worker = int(waited(lambda: (tmp_path / 'pid').read_text()))
  process.kill()
  process.wait()
  waited(lambda: not alive(worker))


def waited(found, seconds=60):
  until = time.time() + seconds
  while time.time() < until:
    try:
      if got := found():
        return got
    except OSError:
      pass
    time.sleep(0.1)
  raise AssertionError(f'not within {seconds} s')


def alive(pid):
  """A process that has ended and was not waited for is a zombie: state Z."""
  try:
    with open(f'/proc/{pid}/stat') as file:
      return file.read().rsplit(')', 1)[1].split()[0] != 'Z'
  except OSError:
    return False
