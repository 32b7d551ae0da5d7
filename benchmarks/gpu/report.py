"""Figures as they come: printed, timed by the clock with n and spread, and kept in a file."""

import datetime
import gc
import importlib.metadata
import json
import pathlib
import platform
import statistics
import sys
import time
from collections.abc import Callable

import jax

from jaxalign import files


class Report:
  """What was measured, written to its file after every line."""

  def __init__(self, path: pathlib.Path, deadline: float):
    self.path, self.deadline = path, deadline
    device = jax.devices()[0]
    version = importlib.metadata.version
    self.made = dict(
      date=now(), device=device.device_kind, memory=memory(),
      driver=str(device.client.platform_version),
      versions={name: version(name) for name in ('jax', 'jaxlib', 'flax', 'optax')}
      | dict(python=platform.python_version()), rows=[],
    )  # fmt: skip
    print(self.made['date'], self.made['device'], self.made['versions'], flush=True)

  def row(self, what: str, **values):
    self.made['rows'].append(dict(what=what, **values))
    print(shown(what, values), flush=True)
    files.write_text(json.dumps(self.made, indent=1) + '\n', self.path.absolute())

  @property
  def left(self) -> float:
    """Seconds until it must end."""
    return self.deadline - time.monotonic()

  def part(self, what: str, measure: Callable[[], None]) -> bool:
    """Whether it was measured, rather than too large for the memory."""
    if self.left < 0:
      self.row(what, left_out='no time left')
      return True
    try:
      measure()
      return True
    except jax.errors.JaxRuntimeError as error:
      if 'RESOURCE_EXHAUSTED' not in str(error):
        raise
      return False
    finally:
      gc.collect()


def shown(what: str, values: dict) -> str:
  def text(value):
    return f'{value:.4g}' if isinstance(value, float) else str(value)

  return f'{what:24} {"  ".join(f"{k}={text(v)}" for k, v in values.items())}'


def now() -> str:
  return datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds')


def memory() -> int | None:
  """Bytes that a program may have here; None on a CPU."""
  return (jax.devices()[0].memory_stats() or {}).get('bytes_limit')


def shrinking(report: Report, what: str, rows: int, measure: Callable, *given):
  """measure(report, rows, *given), with half the rows where the memory does not hold them."""
  if report.part(what, lambda: measure(report, rows, *given)):
    return
  if rows == 1:
    return report.row(what, left_out='does not fit')
  report.row(what, out_of_memory=f'{rows} rows, trying half')
  shrinking(report, what, rows // 2, measure, *given)


def timed(run: Callable, at_least: float, done: Callable = jax.block_until_ready) -> dict:
  """seconds (the median), n, and the middle half of all; the first run compiles and is not
  counted. done: waits until what run gives is there."""
  done(run())
  times, end = [], time.perf_counter() + at_least
  while len(times) < 3 or time.perf_counter() < end:
    begun = time.perf_counter()
    done(run())
    times.append(time.perf_counter() - begun)
  return spread(times)


def spread(times: list[float]) -> dict:
  low, _, high = statistics.quantiles(times, n=4)
  return dict(seconds=statistics.median(times), n=len(times), low=low, high=high)


def refuse_no_gpu(tiny: bool):
  if jax.default_backend() == 'cpu' and not tiny:
    sys.exit('error: there is no GPU here; --tiny shows whether the script runs')
