"""The one loop of every stage: step, write, evaluate, save, stop when told to."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
from jax.experimental import multihost_utils

from jaxalign.config import UserError
from jaxalign.endings import UNFINISHED
from jaxalign.train.feed import Feed
from jaxalign.train.health import Health, refuse_scores
from jaxalign.train.metrics import Log
from jaxalign.train.saving import Saves


def fit(
  state: Any,
  step: Callable[[Any, Any, Any], tuple[Any, Any]],
  feed: Feed,
  *,
  steps: int,
  given: Any = None,
  saves: Saves,
  log: Log,
  names: Sequence[str],
  evaluate: tuple[int, Callable[[Any], Mapping[str, Any]]] | None = None,
) -> Any:
  """Runs from state.step to `steps`; `step` takes as many batches in a call as `feed` hands out.

  Metrics are fetched while the next step runs, and are on disk before a checkpoint of their steps
  is begun: a killed run says every step once. Steps that are not finite are saved only if told to
  stop. evaluate: (period, f(state) -> scores), each of a checkpoint where the best is kept."""
  n, pending, best = int(state.step), None, saves.saving.best
  health = Health(names, n, steps)
  if best is not None and evaluate is None:
    raise UserError(f'saving.best={best}, but this run evaluates nothing')

  def flush(pending):
    if pending is not None:
      end, (metrics, faults) = jax.device_get(pending)
      log.steps(end, metrics)
      health.see(end, metrics, faults, state.opt)

  with Interrupt() as interrupt, contextlib.closing(feed.ahead(n, steps)) as ahead:
    for batches, count in ahead:
      state, out = step(state, batches, given)
      flush(pending)
      n, pending = n + count, (n + count, out)
      told = interrupt.told(n - count + 1, n)
      last = n >= steps
      judged = evaluate and (last or _crosses(n, count, evaluate[0]))
      due = last or told or _crosses(n, count, saves.saving.every) or (judged and best is not None)
      if due or judged:
        flush(pending)
        pending = None
      lost = int(jax.device_get(state.skipped)) if due else 0
      if lost and last:
        health.refuse(n, lost, state.opt)
      scores = _scored(n, evaluate[1](state), log) if evaluate and judged else None
      if due and (told or not lost):
        log.flush()
        saves.save(state, scores)
      if told:
        _stop(n, saves, log)
  return state


def _scored(n, scores, log):
  if scores:
    log.scores(n, scores)
    refuse_scores(n, scores)
  return scores


def _stop(n, saves, log):
  saves.wait()
  log.note(f'told to stop: saved at step {n}; the same command goes on from here')
  raise SystemExit(UNFINISHED)


def _crosses(n: int, count: int, every: int) -> bool:
  """Whether one of the last `count` steps was a multiple of `every`."""
  return n // every > (n - count) // every


def _pass_on(*_):
  os.kill(os.getpid(), signal.SIGTERM)  # which jax's own notifier hears


class Interrupt:
  """SIGTERM and SIGINT become a question the loop asks; all hosts get the same answer.

  One that comes after the last question ends the run all the same where the loop is left: whoever
  runs several of them, as a study, would go on for hours.
  """

  def __enter__(self):
    self._told = False
    self._old = {}
    if threading.current_thread() is threading.main_thread() and jax.process_count() == 1:
      for kind in (signal.SIGTERM, signal.SIGINT):
        self._old[kind] = signal.signal(kind, self._hear)
    elif threading.current_thread() is threading.main_thread():
      self._old[signal.SIGINT] = signal.signal(signal.SIGINT, _pass_on)
    return self

  def __exit__(self, failed, *_):
    for kind, old in self._old.items():
      signal.signal(kind, old)
    if self._told and failed is None:
      raise SystemExit(UNFINISHED)

  def _hear(self, kind, frame):
    if self._told and kind == signal.SIGINT:  # asked twice
      raise KeyboardInterrupt
    self._told = True

  def told(self, first: int, last: int) -> bool:
    """Asked after each call, which took the steps `first` to `last`. Hosts agree on the one after
    the last that any of them asked about: so every step is asked about, also those within a call.
    (Nor may it be another count than that of steps: Orbax asks too, about the step it saves.)"""
    if jax.process_count() == 1:
      return self._told
    return any(multihost_utils.reached_preemption_sync_point(n) for n in range(first, last + 1))
