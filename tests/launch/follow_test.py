"""A run kept going, through preemptions, deaths and connections that hang."""

import pytest

from jaxalign.endings import UNFINISHED
from tests.launch import cloud
from tests.launch.cloud import UP, began


def test_preempted_in_mid_run(place, go, toy, tmp_path):
  """The third look at worker 0 finds nothing: another machine, the same command."""
  here = place(preempt='status0:3')
  code = 'print(f"going on from step {3 * n}", flush=True)\nif n == 0: time.sleep(60)'
  status, said = go('up', '--spot', command=toy(code))
  assert status == 0, said
  assert 'p is SUSPENDED: preempted, or removed' in said
  assert 'gone: starting again from the last save (1 of 50)' in said
  assert began(tmp_path) == [2, 2] and len(cloud.calls(here, 'delete')) == 1
  assert len(cloud.calls(here, 'create')) == len(cloud.calls(here, 'create', '--spot')) == 2
  assert 'going on from step 3' in said


def test_one_worker_is_killed(place, go, toy, tmp_path):
  """The other waits for it in vain: both begin again, and what was said is streamed once."""
  place()
  code = """
said = tally.with_name('said')
while n == 0 and me == 1:
  if said.exists(): os.kill(os.getpid(), 9)
  time.sleep(0.01)
if n == 0: print('step 3/9', flush=True); said.touch(); time.sleep(100)
print('step 9/9')
"""
  status, said = go('up', '--grace=0.2', command=toy(code))
  assert status == 0, said
  assert '--- worker 1: killed by signal 9' in said
  assert 'worker 1 was killed by signal 9: starting again from the last save (1 of 50)' in said
  assert said.count('step 3/9') == 1 and said.count('step 9/9') == 1
  assert began(tmp_path) == [2, 2]


def test_bad_input_is_shown_and_not_tried_again(place, go, toy, tmp_path):
  """One refuses, the other sees it die: jax then ends by SIGABRT."""
  place()
  code = 'print("error: no such field", flush=True)\nsys.exit(2) if me == 0 else os.abort()'
  status, said = go('up', command=toy(code))
  assert status == 1 and 'the command refused its input' in said[-2] and said[-1] == UP
  assert said.count('error: no such field') == 3  # streamed, and both tails
  assert began(tmp_path) == [1, 1]


def test_what_breaks_at_once_is_not_tried_for_ever(place, go, toy, tmp_path):
  place()
  status, said = go('up', command=toy('print("step 5/9"); sys.exit(me)'))
  assert status == 1 and '3 times in a row it was broken before any new step' in said[-2]
  assert began(tmp_path) == [4, 4]  # the first reached step 5
  assert '--- worker 1: ended with exit status 1' in said and said[-1] == UP


def test_told_to_stop_by_its_machine(place, go, toy, tmp_path):
  place()
  code = f'print("step 4/9" if n == 0 else "step 9/9"); sys.exit(0 if n else {UNFINISHED})'
  status, said = go('up', command=toy(code))
  assert status == 0 and 'its machine told it to stop: starting again' in ' '.join(said)
  assert began(tmp_path) == [2, 2]


@pytest.mark.campaign
@pytest.mark.parametrize('silent, replaced', [(300, False), (1, True)])
def test_ssh_that_hangs(place, go, toy, tmp_path, silent, replaced):
  here = place(hangs={'start1': 1, 'status0': 1})
  flags = ['--ssh_patience=15', f'--silent={silent}']
  status, said = go('up', *flags, command=toy('print("step 1/1")'))
  assert status == 0, said
  assert any('worker 0 does not answer (no answer within 15 s)' in line for line in said)
  assert began(tmp_path) == ([2, 2] if replaced else [1, 1])
  assert len(cloud.calls(here, 'create')) == (2 if replaced else 1)


def test_a_dead_worker_is_named(place, go, toy, tmp_path):
  place(dead='1')
  status, said = go('up', command=toy(''))
  assert status == 1 and 'worker 1 could not install; worker 1 says: ERROR' in said[-2], said
  assert 'return code [255]' in said[-2] and said[-1] == UP
  assert not (tmp_path / 'began0').exists()


def test_a_copy_that_breaks_off_is_made_again(place, go, toy):
  place(scp_breaks={'0': 5, '1': 1})  # sshd of a machine that has just come up, or comes again
  assert go('up', command=toy(''))[0] == 0
