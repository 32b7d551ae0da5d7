import contextlib
import functools
import os
import signal

import jax
import numpy as np
import pytest

from jaxalign.config import Logging, Saving, UserError
from jaxalign.endings import UNFINISHED
from jaxalign.train import loop
from jaxalign.train.health import PATIENCE
from jaxalign.train.metrics import Log
from jaxalign.train.saving import Saves
from jaxalign.train.state import tensor_names
from tests.train import problem


class WatchedLog(Log):
  """The real one, saying when it is called."""

  def steps(self, end, metrics):
    assert all(isinstance(x, np.ndarray) for x in jax.tree.leaves(metrics))
    self.events.append(f'said {end}')
    super().steps(end, metrics)

  def flush(self):
    self.events.append('flushed')
    super().flush()

  def scores(self, step, scores):
    self.events.append(f'judged {step}')
    super().scores(step, scores)


class WatchedSaves(Saves):
  def save(self, state, scores=None):
    lines = (self.path.parent / 'metrics.jsonl').read_text().count('\n')
    self.events.append(f'saved {int(state.step)} with {lines} lines')
    super().save(state, scores)


def run(tmp_path, *, steps=6, saving=None, evaluate=None, before_step=None, **how):
  """(state or the exception that ended it, events) of a run with the real log and checkpoints."""
  events = []
  mesh, twin, fresh, step, feed = problem.begin(**how)
  calls = [0]

  def watched(state, batches, given):
    calls[0] += 1
    events.append(f'step {calls[0]}')
    if before_step:
      before_step(calls[0])
    return step(state, batches, given)

  saving = Saving(every=100) if saving is None else saving
  with jax.set_mesh(mesh), WatchedSaves(tmp_path, saving) as saves:
    saves.events = events
    with WatchedLog(tmp_path, Logging(), start=0, steps=steps, tokens=1, feed=feed) as log:
      log.events = events
      names = tensor_names(fresh.model)
      try:
        end = loop.fit(
          fresh, watched, feed, steps=steps, saves=saves, log=log, names=names, evaluate=evaluate
        )
      except (SystemExit, KeyboardInterrupt, UserError) as ended:
        end = ended
    return end, events


def test_metrics_are_fetched_while_the_next_step_runs(tmp_path):
  _, events = run(tmp_path, steps=4)
  flow = [e for e in events if not e.startswith('flushed')]
  assert flow == [
    'step 1', 'step 2', 'said 1', 'step 3', 'said 2', 'step 4', 'said 3', 'said 4',
    'saved 4 with 4 lines',
  ]  # fmt: skip


def test_all_a_checkpoint_stands_for_is_on_disk_before_it_is_begun(tmp_path):
  _, events = run(tmp_path, steps=7, saving=Saving(every=3, keep=9), calls=1)
  assert [e for e in events if e.startswith('saved')] == [
    f'saved {n} with {n} lines' for n in (3, 6, 7)
  ]


def test_saves_and_evaluations_fall_in_the_call_that_crosses_their_period(tmp_path):
  evaluate = (4, lambda state: dict(loss=float(state.step)))
  _, events = run(tmp_path, steps=9, saving=Saving(every=5, keep=9), evaluate=evaluate, calls=2)
  assert [e[:8] for e in events if e[:2] in ('sa', 'ju') and 'said' not in e] == [
    'judged 4', 'saved 6 ', 'judged 8', 'judged 9', 'saved 9 ',
  ]  # fmt: skip


def test_where_the_best_is_kept_every_evaluation_is_saved(tmp_path):
  scores = iter([3.0, 1.0, 2.0, 2.5])
  evaluate = (2, lambda state: dict(loss=next(scores)))
  run(tmp_path, steps=8, saving=Saving(every=100, keep=1, best='loss'), evaluate=evaluate)
  assert sorted(p.name for p in (tmp_path / 'checkpoints').iterdir()) == ['4', '8']


def test_the_best_of_nothing_is_refused(tmp_path):
  end, _ = run(tmp_path, saving=Saving(best='loss'))
  assert isinstance(end, UserError) and 'saving.best=loss' in str(end)
  end, _ = run(tmp_path, saving=Saving(best='lss'), evaluate=(2, lambda _: dict(loss=1.0)))
  assert isinstance(end, UserError) and str(end) == 'saving.best=lss: evaluation gives loss'


@pytest.mark.parametrize('calls', [1, 4])
def test_it_stops_when_too_many_steps_in_a_row_are_bad(tmp_path, calls):
  """Bad from step 3 on; with `calls` 4 that is seen at the end of a call, yet the step is named."""
  rows = functools.partial(problem.rows, poisoned=range(3, 100))
  end, events = run(tmp_path, steps=40, rows=rows, calls=calls)
  assert isinstance(end, UserError)
  says = f'up to step {3 + PATIENCE} were not finite, first in norm_F;'
  assert str(end).startswith(f'{PATIENCE} steps in a row {says}')
  assert len([e for e in events if e.startswith('step')]) <= 10


def test_one_bad_step_fewer_is_forgiven(tmp_path):
  poisoned = [n for n in range(20) if n % PATIENCE]
  rows = functools.partial(problem.rows, poisoned=poisoned)
  end, _ = run(tmp_path, steps=21, rows=rows, calls=4)
  assert int(end.step) == 21


@pytest.mark.parametrize('calls', [1, 4])
def test_a_run_whose_last_step_is_not_finite_is_not_done(tmp_path, calls):
  rows = functools.partial(problem.rows, poisoned=[7])
  saving = Saving(every=4, keep=9)
  end, events = run(tmp_path, steps=8, saving=saving, rows=rows, calls=calls)
  assert isinstance(end, UserError)
  assert str(end).startswith('step 8 was not finite, first in norm_F; lower the learning rate')
  assert [p.name for p in (tmp_path / 'checkpoints').iterdir()] == ['4']
  assert events[-1].startswith('said 8')


def test_nothing_is_saved_while_steps_are_not_finite(tmp_path):
  rows = functools.partial(problem.rows, poisoned=[3, 4])
  end, events = run(tmp_path, steps=7, saving=Saving(every=1, keep=9), rows=rows)
  assert int(end.step) == 7
  assert [e.split()[1] for e in events if e.startswith('saved')] == ['1', '2', '3', '6', '7']


def test_what_no_step_before_it_was_is_not_blamed_on_the_learning_rate(tmp_path):
  rows = functools.partial(problem.rows, poisoned=range(9))
  end, _ = run(tmp_path, steps=3, rows=rows)
  assert isinstance(end, UserError)
  says = '3 steps in a row up to step 3 were not finite, first in norm_F; no step before was finite'
  assert str(end).startswith(says) and 'lower the learning rate' not in str(end)


def test_weights_that_a_finite_gradient_would_make_infinite_are_never_taken(tmp_path):
  how = problem.adamw(lr=float('inf'))  # seal refuses it; the loop must, too
  end, _ = run(tmp_path, steps=3, how=how)
  assert isinstance(end, UserError) and 'its gradient is finite' in str(end)
  assert 'first in bias_D' in str(end) or 'first in in_DF' in str(end), str(end)
  assert not [p for p in (tmp_path / 'checkpoints').iterdir() if p.name.isdigit()]


@pytest.mark.parametrize('score', [float('nan'), float('inf')])
def test_a_held_out_loss_that_is_not_finite_is_not_saved(tmp_path, score):
  evaluate = (3, lambda state: dict(loss=score if state.step > 3 else 1.0))
  end, _ = run(tmp_path, steps=6, saving=Saving(every=3), evaluate=evaluate)
  assert isinstance(end, UserError) and str(end).startswith(f'step 6: loss is {score}')
  assert [p.name for p in (tmp_path / 'checkpoints').iterdir()] == ['3']


def test_a_cost_may_be_infinite(tmp_path):
  evaluate = (3, lambda state: dict(held_out_cost=float('inf')))
  end, _ = run(tmp_path, steps=3, evaluate=evaluate)
  assert int(end.step) == 3


def empty(step, indices, until):
  made = problem.rows(step, indices)
  return made | dict(weight_B=made['weight_B'] * (step >= until))


@pytest.mark.parametrize('until, steps', [(99, 3), (99, 50), (PATIENCE, 50)])
def test_a_run_that_learns_from_nothing_is_refused(tmp_path, until, steps):
  end, _ = run(tmp_path, steps=steps, rows=functools.partial(empty, until=until))
  assert isinstance(end, UserError)
  assert f'in the {min(steps, PATIENCE)} steps so far no token' in str(end)


def test_an_empty_batch_is_no_reason_to_stop(tmp_path):
  end, _ = run(tmp_path, steps=6, rows=functools.partial(empty, until=3))
  assert int(end.step) == 6


def test_the_loop_moves_nothing_unasked_once_it_is_compiled(tmp_path):
  """The loop's own thread; the one of the feed is there to move things."""
  with contextlib.ExitStack() as stack:
    guard = lambda n: stack.enter_context(jax.transfer_guard('disallow')) if n == 2 else None
    end, _ = run(tmp_path, steps=5, saving=Saving(every=3), before_step=guard)
    with pytest.raises(Exception, match='Disallowed'):
      jax.numpy.sin(np.ones(3))  # the guard was awake
  assert int(end.step) == 5


def tell(kind, at, times=1):
  def before_step(n):
    if n == at:
      for _ in range(times):
        os.kill(os.getpid(), kind)

  return before_step


@pytest.mark.parametrize('kind', [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize('at', [1, 3])
def test_told_to_stop_it_saves_this_step_and_ends_unfinished(tmp_path, capsys, kind, at):
  """Step 1 is where it compiles."""
  old = signal.getsignal(kind)
  end, events = run(tmp_path, before_step=tell(kind, at))
  assert isinstance(end, SystemExit) and end.code == UNFINISHED
  assert events[-1] == f'saved {at} with {at} lines'
  assert (tmp_path / 'checkpoints' / str(at)).is_dir()
  assert f'saved at step {at}' in capsys.readouterr().err
  assert signal.getsignal(kind) == old


def test_told_twice_is_told_once(tmp_path):
  end, _ = run(tmp_path, before_step=tell(signal.SIGTERM, 2, times=3))
  assert isinstance(end, SystemExit) and (tmp_path / 'checkpoints' / '2').is_dir()


def test_the_keyboard_asked_twice_does_not_wait(tmp_path):
  end, _ = run(tmp_path, before_step=tell(signal.SIGINT, 2, times=2))
  assert isinstance(end, KeyboardInterrupt)


def test_crossing():
  crossed = [n for n in range(0, 21, 4) if n and loop.crosses(n, 4, 6)]
  assert crossed == [8, 12, 20]
  assert [n for n in range(1, 10) if loop.crosses(n, 1, 3)] == [3, 6, 9]
