"""Seconds that this process spends on making programs, by jax's own word."""

import functools
import time

import jax

_MAKING = '/jax/core/compile/'  # tracing, lowering, compiling or loading: how such events begin


class Compiling:
  """Adds up stretches of which jax tells the length when they end. One may lie inside another, a
  traced function in one that calls it, and counts once."""

  def __init__(self) -> None:
    self._whole = 0.0  # of stretches that no later one can hold
    self._open: list[tuple[float, float]] = []  # (begin, end) of the latest, none inside another

  def ended(self, at: float, seconds: float) -> None:
    begin, inside = at - seconds, []
    while self._open and self._open[-1][1] > begin:
      inside.append(self._open.pop())
    begin = min([begin, *(start for start, _ in inside)])
    self._open.append((begin, at))
    if len(self._open) > 1000:  # which takes seconds, and no stretch holds those before it
      old, self._open = self._open[:-500], self._open[-500:]
      self._whole += _sum(old)

  @property
  def seconds(self) -> float:
    return self._whole + _sum(self._open)


def _sum(stretches):
  return sum(end - begin for begin, end in stretches)


@functools.cache
def of_this_process() -> Compiling:
  """The Compiling that hears of all that is compiled from now on."""
  found = Compiling()

  def hear(event: str, duration_secs: float, **_: str | int) -> None:
    if event.startswith(_MAKING):
      found.ended(time.perf_counter(), duration_secs)

  jax.monitoring.register_event_duration_secs_listener(hear)
  return found
