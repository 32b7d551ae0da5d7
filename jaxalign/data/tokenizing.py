"""Shards are written by as many processes as there are cores, and a line says how far they are."""

import concurrent.futures
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Iterator

from jaxalign.config import UserError
from jaxalign.data import shards
from jaxalign.data.shards import Job, Side
from jaxalign.data.text import Tokenizer
from jaxalign.files import read_object


def write_all(
  jobs: Iterator[Job], tokenizer: Tokenizer, workers: int, progress: 'Progress'
) -> list[Side]:
  """The side files of all jobs, in order. One worker is this process, whose tokenizer has threads;
  more are processes, since threads wait for one another to turn ids into Python's lists."""
  sides: dict[int, Side] = {}
  with _Workers(tokenizer, workers) as hired:
    for number, job in enumerate(jobs):
      there = _finished_before(job)
      for done, side in [(number, there)] if there else hired.give(number, job):
        sides[done] = side
        progress.add(side, fresh=not there)
    for done, side in hired.rest():
      sides[done] = side
      progress.add(side, fresh=True)
  progress.end()
  return [sides[number] for number in sorted(sides)]


def _finished_before(job: Job) -> Side | None:
  file = shards.side_file(job.path)
  if not file.exists():
    return None
  try:
    side = read_object(file, 'items', 'lengths', 'records', 'characters')
  except UserError:  # torn by a power cut: the shard is made again
    return None
  return side if side['items'] == shards.fingerprint(job) else None


class _Workers:
  """Processes with two jobs each in hand, or none where one is enough."""

  def __init__(self, tokenizer: Tokenizer, count: int):
    self.tokenizer, self.count = tokenizer, count
    self.given: dict[concurrent.futures.Future[Side], int] = {}
    self.pool = None
    if count > 1:
      spawn = multiprocessing.get_context('spawn')  # a fork would copy JAX's locked threads
      self.pool = concurrent.futures.ProcessPoolExecutor(
        count, spawn, initializer=_begin, initargs=(tokenizer,)
      )

  def __enter__(self) -> '_Workers':
    return self

  def __exit__(self, *_: object) -> None:
    if self.pool:
      self.pool.shutdown(cancel_futures=True)

  def give(self, number: int, job: Job) -> Iterator[tuple[int, Side]]:
    """Hands a job over; gives the jobs that were finished meanwhile."""
    if not self.pool:
      yield number, shards.write(job, self.tokenizer)
      return
    self.given[self.pool.submit(_work, job)] = number
    while len(self.given) >= 2 * self.count:
      yield from self._finished()

  def rest(self) -> Iterator[tuple[int, Side]]:
    while self.given:
      yield from self._finished()

  def _finished(self) -> list[tuple[int, Side]]:
    done, _ = concurrent.futures.wait(self.given, return_when='FIRST_COMPLETED')
    try:
      return [(self.given.pop(future), future.result()) for future in done]
    except concurrent.futures.process.BrokenProcessPool as error:
      raise UserError(
        'a process that tokenizes died, perhaps for want of memory: run the same again with fewer '
        'workers; finished shards are kept'
      ) from error


_mine: list[Tokenizer] = []  # of a worker process: built once, it takes longer than many a job


def _begin(tokenizer: Tokenizer) -> None:
  os.environ['TOKENIZERS_PARALLELISM'] = 'false'
  _mine.append(tokenizer)
  threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
  """Where the parent is killed, nothing else tells its processes."""
  parent = multiprocessing.parent_process()
  assert parent is not None
  parent.join()
  os._exit(1)


def _work(job: Job) -> Side:
  return shards.write(job, _mine[0])


class Progress:
  """One line on stderr, written over at a terminal and now and then elsewhere."""

  def __init__(self, characters: int):
    self.total, self.began, self.shown = characters, time.monotonic(), -1.0
    self.records = self.tokens = self.done = self.fresh = 0
    self.terminal = sys.stderr.isatty()

  def add(self, side: Side, fresh: bool) -> None:
    self.done += side['characters']
    if fresh:  # shards of an earlier run say nothing about this one's speed
      self.fresh += side['characters']
      self.records += side['records']
      self.tokens += sum(side['lengths'])
    now = time.monotonic()
    if now - self.shown > (0.2 if self.terminal else 10):
      self.shown = now
      self._show('\r' if self.terminal else '\n')

  def end(self) -> None:
    self._show('\n')

  def _show(self, end: str) -> None:
    passed = max(time.monotonic() - self.began, 1e-9)
    left = (self.total - self.done) * passed / max(self.fresh, 1)
    line = (
      f'prepare {self.done / max(self.total, 1):4.0%}  {self.records / passed:,.0f} docs/s  '
      f'{self.tokens / passed:,.0f} tokens/s  {left:,.0f} s left  '
    )
    print(line, end=end, file=sys.stderr, flush=True)
