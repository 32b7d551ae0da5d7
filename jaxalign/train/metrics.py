"""What a run tells: a JSON line for every step, a progress line, event files when asked.

metrics.jsonl holds each step once, whatever was killed and resumed; `seconds` is its only clock.
"""

import collections
import json
import math
import resource
import sys
import time
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import numpy as np
from etils import epath

from jaxalign import chips, pod
from jaxalign.config import Logging
from jaxalign.files import content, whole_lines, write_text
from jaxalign.pictures import label
from jaxalign.train.feed import Feed
from jaxalign.train.sinks import open_sinks

Metrics = Mapping[str, tuple[np.ndarray, np.ndarray]]  # name -> (totals, weights), a step each


class Log:
  """tokens: of a step, all hosts; flops: of a token, forward and backward (6 x weights + causal
  attention, no recomputation), or 0: then there is no MFU. Only the first process writes."""

  def __init__(
    self,
    workdir: epath.PathLike,
    logging: Logging,
    *,
    start: int,
    steps: int,
    tokens: int,
    flops: float = 0.0,
    feed: Feed | None = None,
  ):
    self.every, self.total, self.tokens, self.flops = logging.every, steps, tokens, flops
    self.feed, self.profile = feed, logging.profile
    if self.profile and start >= self.profile[1]:  # before this run was resumed
      self.profile = None
    self.workdir = epath.Path(workdir)
    self.active = pod.writes()
    self._began = self._last = time.monotonic()
    self._start, self._shown = start, 0.0
    self._recent: collections.deque[tuple[float, int]] = collections.deque(maxlen=50)  # time, step
    self._tracing = False
    if self.active:
      self._file = _Lines(self.workdir / 'metrics.jsonl', start)
      self._sinks = open_sinks(self.workdir, logging, start)

  def __enter__(self):
    return self

  def __exit__(self, *_):
    if self._tracing:
      jax.profiler.stop_trace()
    if self.active:
      self._file.close()
      for sink in self._sinks:
        sink.close()
      if self._shown and sys.stderr.isatty():
        print(file=sys.stderr)

  def steps(self, end: int, metrics: Metrics) -> None:
    """Stacked metrics of the steps up to `end`: {name: (totals, weights)}."""
    self._profile(end)
    if not self.active:
      return
    now, count = time.monotonic(), len(metrics['loss'][0])
    for i in range(count):
      values = {k: float(sums[i] / max(by[i], 1e-30)) for k, (sums, by) in metrics.items()}
      step = end - count + i + 1
      self._file.add(dict(step=step, **values, seconds=round(now - self._began, 3)))
      if step % self.every == 0 or step == self.total:
        for sink in self._sinks:
          sink.write(step, values)
    self._recent.append((now, end))
    if now - self._shown > (0.5 if sys.stderr.isatty() else 5) or end >= self.total:
      self._show(end, values, now)

  def scores(self, step: int, scores: Mapping[str, Any]) -> None:
    """The results of an evaluation; they have their own file, so that each line has one meaning."""
    if self.active:
      append(self.workdir / 'evals.jsonl', [dict(step=step, **scores)], step)
      for sink in self._sinks:
        sink.write(step, scores)
      numbers = [(k, v) for k, v in scores.items() if isinstance(v, (int, float))]
      shown = '  '.join(f'{label(k)} {v:.4g}' for k, v in numbers)
      self.note(f'step {step:,}: {shown}')

  def flush(self) -> None:
    """Puts every line on the disk: before a checkpoint that stands for these steps."""
    if self.active:
      self._file.flush()

  def note(self, text: str) -> None:
    if self.active:
      print(f'\r\033[K{text}' if sys.stderr.isatty() else text, file=sys.stderr, flush=True)

  def _show(self, step, values, now):
    self._shown = now
    (t0, s0), (t1, s1) = self._recent[0], self._recent[-1]
    pace = (s1 - s0) / (t1 - t0) if t1 > t0 else 0.0
    parts = [f'step {step:,}/{self.total:,}', f'loss {values["loss"]:.4f}']
    if pace:
      parts.append(f'{_short(pace * self.tokens)} tokens/s')
      mfu = self._mfu(pace)
      parts += [f'MFU {mfu:.1%}'] if mfu else []
      parts.append(f'{_clock((self.total - step) / pace)} left')
    if self.feed is not None and now > self._began:
      parts.append(f'{self.feed.waited / (now - self._began):.0%} waiting for data')
    line = '  '.join([*parts, _memory()])
    start, end = ('\r\033[K', '') if sys.stderr.isatty() else ('', '\n')
    print(f'{start}{line}', end=end, file=sys.stderr, flush=True)

  def _mfu(self, pace):
    chip = chips.of_device(jax.devices()[0].device_kind)
    return pace * self.tokens * self.flops / (chip.flops * jax.device_count()) if chip else None

  def _profile(self, end):
    if self.profile is None:
      return
    first, last = self.profile
    if not self._tracing and end >= first:
      jax.profiler.start_trace(str(self.workdir / 'profile'))
      self._tracing = True
    elif self._tracing and end >= last:
      jax.profiler.stop_trace()
      self._tracing, self.profile = False, None


class _Lines:
  """A JSON-lines file up to a step; an object store cannot append, so there it is written whole."""

  def __init__(self, path, start):
    self.path, self.remote = path, '://' in str(path)
    for torn in () if self.remote else path.parent.glob(f'{path.name}.*.tmp'):
      torn.unlink()  # of a run that was killed while it wrote
    lines = _until(path, start)
    text = ''.join(lines)
    if not path.exists() or content(path) != text.encode():
      write_text(text, path)
    self._lines = lines if self.remote else None
    self._file = None if self.remote else open(path, 'a', encoding='utf-8')

  def add(self, record):
    line = _line(record)
    if self.remote:
      self._lines.append(line)
    else:
      self._file.write(line)

  def flush(self):
    if self.remote:
      self.path.write_text(''.join(self._lines))
    else:
      self._file.flush()

  def close(self):
    self.flush()
    if not self.remote:
      self._file.close()


def _line(record):
  """Strict JSON, which has no NaN."""
  bad = {k for k, v in record.items() if isinstance(v, float) and not math.isfinite(v)}
  return json.dumps({k: None if k in bad else v for k, v in record.items()}, allow_nan=False) + '\n'


def _until(path, step):
  """The whole lines of a file up to a step."""
  return [line for line, record in whole_lines(path) if record['step'] <= step]


def lines_until(path: epath.Path, step: int) -> list[dict[str, Any]]:
  """The records of a file up to a step."""
  return [record for _, record in whole_lines(path) if record['step'] <= step]


def append(path: epath.Path, records: Iterable[Mapping[str, Any]], step: int) -> None:
  """Small and rare: written whole, so that it is never torn, and says each step once."""
  write_text(''.join([*_until(path, step - 1), *map(_line, records)]), path)


def _memory():
  """The most that was in use: of a device, or of this process where devices do not say (CPUs)."""
  stats = jax.local_devices()[0].memory_stats() or {}
  unit = 1 if sys.platform == 'darwin' else 1024  # of ru_maxrss
  resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
  return f'{stats.get("peak_bytes_in_use", resident) / 2**30:.1f} GiB'


def _short(x):
  for unit in ('', ' k', ' M', ' G'):
    if abs(x) < 1000:
      return f'{x:.3g}{unit}'
    x /= 1000
  return f'{x:.3g} T'


def _clock(seconds):
  seconds = int(seconds)
  hours, minutes = seconds // 3600, seconds // 60 % 60
  return f'{hours}:{minutes:02d}:{seconds % 60:02d}' if hours else f'{minutes}:{seconds % 60:02d}'
