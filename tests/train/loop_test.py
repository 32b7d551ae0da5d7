import contextlib
import functools
import os
import re
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


def refused(tmp_path, says, **how):
  """The events of a run that ends with what it says."""
  end, events = run(tmp_path, **how)
  assert isinstance(end, UserError) and re.match(says, str(end)), end
  return events


def poisoned(*steps):
  return functools.partial(problem.rows, poisoned=steps)


def saved(tmp_path):
  return sorted(p.name for p in (tmp_path / 'checkpoints').iterdir())


def test_metrics_are_fetched_while_the_next_step_runs(tmp_path):
  """And all that a checkpoint stands for is on the disk before it is begun."""
  _, events = run(tmp_path, steps=5, saving=Saving(every=3, keep=9))
  flow = ', '.join(e for e in events if not e.startswith('flushed'))
  until_3 = 'step 1, step 2, said 1, step 3, said 2, said 3, saved 3 with 3 lines'
  assert flow == f'{until_3}, step 4, step 5, said 4, said 5, saved 5 with 5 lines'


def test_saves_and_evaluations_fall_in_the_call_that_crosses_their_period(tmp_path):
  evaluate = (4, lambda state: dict(loss=float(state.step)))
  _, events = run(tmp_path, steps=9, saving=Saving(every=5, keep=9), evaluate=evaluate, calls=2)
  found = [' '.join(e.split()[:2]) for e in events if e.startswith(('saved', 'judged'))]
  assert found == ['judged 4', 'saved 6', 'judged 8', 'judged 9', 'saved 9']


def test_where_the_best_is_kept_every_evaluation_is_saved(tmp_path):
  scores = iter([3.0, 1.0, 2.0, 2.5])
  evaluate = (2, lambda state: dict(loss=next(scores)))
  run(tmp_path, steps=8, saving=Saving(every=100, keep=1, best='loss'), evaluate=evaluate)
  assert saved(tmp_path) == ['4', '8']


def test_the_best_of_nothing_is_refused(tmp_path):
  refused(tmp_path, 'saving.best=loss', saving=Saving(best='loss'))
  unknown = dict(saving=Saving(best='lss'), evaluate=(2, lambda _: dict(loss=1.0)))
  refused(tmp_path, 'saving.best=lss: evaluation gives loss$', **unknown)


@pytest.mark.parametrize('calls', [1, 4])
def test_it_stops_when_too_many_steps_in_a_row_are_bad(tmp_path, calls):
  """Bad from step 3 on; with `calls` 4 that is seen at the end of a call, yet the step is named."""
  says = f'{PATIENCE} steps in a row up to step {3 + PATIENCE} were not finite, first in norm_F;'
  events = refused(tmp_path, says, steps=40, rows=poisoned(*range(3, 100)), calls=calls)
  assert len([e for e in events if e.startswith('step')]) <= 10


def test_one_bad_step_fewer_is_forgiven(tmp_path):
  bad = [n for n in range(20) if n % PATIENCE]
  end, _ = run(tmp_path, steps=21, rows=poisoned(*bad), calls=4)
  assert int(end.step) == 21


@pytest.mark.parametrize('calls', [1, 4])
def test_a_run_whose_last_step_is_not_finite_is_not_done(tmp_path, calls):
  says = 'step 8 was not finite, first in norm_F; lower the learning rate'
  how = dict(steps=8, saving=Saving(every=4, keep=9), calls=calls)
  events = refused(tmp_path, says, rows=poisoned(7), **how)
  assert saved(tmp_path) == ['4'] and events[-1].startswith('said 8')


def test_nothing_is_saved_while_steps_are_not_finite(tmp_path):
  end, _ = run(tmp_path, steps=7, saving=Saving(every=1, keep=9), rows=poisoned(3, 4))
  assert int(end.step) == 7 and saved(tmp_path) == ['1', '2', '3', '6', '7']


def test_what_no_step_before_it_was_is_not_blamed_on_the_learning_rate(tmp_path):
  says = '3 steps in a row up to step 3 were not finite, first in norm_F; no step before was finite'
  refused(tmp_path, f'{says}(?!.*lower the learning rate)', steps=3, rows=poisoned(*range(9)))


def test_weights_that_a_finite_gradient_would_make_infinite_are_never_taken(tmp_path):
  how = problem.adamw(lr=float('inf'))  # seal refuses it; the loop must, too
  refused(tmp_path, '.*first in (bias|in)_D.*its gradient is finite', steps=3, how=how)
  assert saved(tmp_path) == []


@pytest.mark.parametrize('score', [float('nan'), float('inf')])
def test_a_held_out_loss_that_is_not_finite_is_not_saved(tmp_path, score):
  evaluate = (3, lambda state: dict(loss=score if state.step > 3 else 1.0))
  says = f'step 6: loss is {score}'
  refused(tmp_path, says, steps=6, saving=Saving(every=3), evaluate=evaluate)
  assert saved(tmp_path) == ['3']


def test_a_cost_may_be_infinite(tmp_path):
  evaluate = (3, lambda state: dict(held_out_cost=float('inf')))
  end, _ = run(tmp_path, steps=3, evaluate=evaluate)
  assert int(end.step) == 3


def empty(step, indices, until):
  made = problem.rows(step, indices)
  return made | dict(weight_B=made['weight_B'] * (step >= until))


@pytest.mark.parametrize('until, steps', [(99, 3), (99, 50), (PATIENCE, 50)])
def test_a_run_that_learns_from_nothing_is_refused(tmp_path, until, steps):
  says = f'.*in the {min(steps, PATIENCE)} steps so far no token'
  refused(tmp_path, says, steps=steps, rows=functools.partial(empty, until=until))


def test_an_empty_batch_is_no_reason_to_stop(tmp_path):
  end, _ = run(tmp_path, steps=6, rows=functools.partial(empty, until=3))
  assert int(end.step) == 6


def test_the_loop_moves_nothing_unasked_once_it_is_compiled(tmp_path):
  """The loop's own thread; the one of the feed is there to move things."""
  with contextlib.ExitStack() as stack:

    def guard(n):
      if n == 2:
        stack.enter_context(jax.transfer_guard('disallow'))

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


@pytest.mark.parametrize(
  'kind, times, ended', [(signal.SIGTERM, 3, SystemExit), (signal.SIGINT, 2, KeyboardInterrupt)]
)
def test_told_twice_is_told_once_but_the_keyboard_does_not_wait(tmp_path, kind, times, ended):
  end, _ = run(tmp_path, before_step=tell(kind, 2, times))
  assert isinstance(end, ended) and saved(tmp_path) == (['2'] if ended is SystemExit else [])


@pytest.mark.parametrize('kind', [signal.SIGTERM, signal.SIGINT])
def test_what_comes_after_the_last_question_ends_the_run_too(kind):
  """A study runs many: one that lost it would go on with the next."""
  old = signal.getsignal(kind)
  with pytest.raises(SystemExit) as end:
    with loop.Interrupt() as interrupt:
      assert not interrupt.told(1, 1)
      signal.raise_signal(kind)
  assert end.value.code == UNFINISHED and signal.getsignal(kind) == old
  with pytest.raises(UserError, match='what went wrong'):
    with loop.Interrupt():
      signal.raise_signal(kind)
      raise UserError('what went wrong')
  with loop.Interrupt():
    pass
