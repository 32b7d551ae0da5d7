"""What a study says while it runs: what it will do, a live line, and a line for each seed done."""

import collections
import json
import sys
import threading
import time

from etils import epath

from jaxalign import files, pod
from jaxalign.study.judge import verdict
from jaxalign.study.plan.directories import home_of, mine_of, own_of, parts_of, worlds_of
from jaxalign.study.plan.guest import Study
from jaxalign.study.run import forecast, guests, pace, pieces
from jaxalign.study.run.conclusion import rows_of
from jaxalign.study.store.clock import Lap

Task = tuple[int, str]  # a seed and a control, '' for the study itself
_SHOW = 5.0  # seconds between two lines where no terminal is


class Live:
  """How far the study is: what is counted is bases and arms, what is timed are pieces of work."""

  def __init__(self, cfg: Study, workdir: epath.Path, workers: int = 1, kept: bool = False):
    """workers: how many there will be; kept: whether they find each other's programs."""
    self.cfg, self.workdir, self.out = cfg, workdir, sys.stderr
    mine = mine_of(cfg)
    self.parts = sum(parts_of(cfg, *world) for world in mine)
    self.began, self.shown, self.done = time.monotonic(), 0.0, 0
    self.told: collections.Counter[Task] = collections.Counter()
    self.before, self.lock = _seconds_before(own_of(cfg, workdir)), threading.Lock()
    left = {world: pieces.left_of(cfg, workdir, *world) for world in mine}
    self.forecast = forecast.Forecast(left, workers, kept)

  def foretell(self) -> None:
    """What will be done and where its page will be. Too few seeds are a line before the time is
    spent, and no error: trial runs have few."""
    if not pod.writes():
      return
    self._print(f'{self._plan()}\n{self._how()}\n')
    controls = self.cfg.controls if self.cfg.control_seeds else ()
    doubt = verdict.foretold(len(self.cfg.seeds), self.cfg.rules, controls)
    if doubt:
      self._print(f'{doubt}\n')

  def _plan(self):
    """The question, and how much is done to answer it."""
    cfg, question = self.cfg, guests.of(self.cfg.world).contents.question
    arms, seeds = _counted(len(cfg.arms), 'arm'), _counted(len(cfg.seeds), 'seed')
    more = [f'{one} = 0 on {_counted(len(cfg.control_seeds), "seed")}' for one in cfg.controls]
    beside = f', with {" and ".join(more)} beside them' if cfg.control_seeds else ''
    return f'{question} {arms} on {seeds}{beside}.{self._share()}'

  def _share(self):
    """What of it this slice runs, where there are several."""
    cfg = self.cfg
    if cfg.slices == 1:
      return ''
    whole = _counted(len(worlds_of(cfg)), 'world')
    return f' Slice {cfg.slice} of {cfg.slices}: {len(mine_of(cfg))} of {whole}.'

  def _how(self):
    """How it is gone about, as far as it is known yet, and where it will be read."""
    every = list(self.forecast.left.values())
    todo = sum(any(name != pieces.CORPORA for name in one) for one in every)
    page = f'the page will be {self.workdir / "report.html"}'
    if not todo:
      return f'All of it is there already and is judged again; {page}.'
    done, count = len(every) - todo, self.forecast.count
    verb = 'is' if done == 1 else 'are'
    there = f'{done} of {_counted(len(every), "world")} {verb} there already; ' if done else ''
    train = sum(bool(piece.arithmetic) for one in every for piece in one.values())
    side = f'{count} worlds at a time' if count > 1 else 'one world after the other'
    when = 'how long is said as soon as work has been timed'
    return f'{there}{_counted(train, "lesson")} to train, {side}; {when}; {page}.'

  def judging(self) -> None:
    """Said before all that is stored is read and judged: of many seeds that takes a minute."""
    if pod.writes():
      self._print('all of it is there, and is judged now\n')

  def leave(self, others: list[int]) -> None:
    """This slice has done its part; others: those that have not."""
    self.seconds()
    if pod.writes():
      rest = f'{_counted(len(others), "slice")} ({", ".join(map(str, others))})'
      self._print(
        f'slice {self.cfg.slice} of {self.cfg.slices} is done; not done: {rest}, of which the last '
        'makes the page\n'
      )

  def say(self, task: Task | None, told: Lap | str | None) -> None:
    """Takes note of what a worker tells: a piece of work, or the name of a base or an arm."""
    with self.lock:  # without workers, who only looks on is another thread
      if task and isinstance(told, Lap):
        self.forecast.hear(task, told, time.monotonic())
      elif task and told:
        self.done += 1
        self.told[task] += 1
        self._finished(task)
      self._show()

  def _finished(self, task):
    seed, control = task
    if self.told[task] < parts_of(self.cfg, seed, control):
      return
    rows = rows_of(home_of(self.workdir, seed, control))
    if not pod.writes():
      return
    kind = f'seed {seed}' + (f' with {control} = 0' if control else '')
    said = guests.of(self.cfg.world).progress(rows)
    self._print(f'{kind} is done{": " * bool(said)}{said}\n')

  def _show(self):
    if not pod.writes():
      return
    now = time.monotonic()
    live = self.out.isatty()
    if now - self.shown < (0.5 if live else _SHOW):
      return
    self.shown = now
    self.seconds()
    for world, piece in self.forecast.going():
      if told := pace.read(home_of(self.workdir, *world) / piece.name, piece.steps):
        self.forecast.paced(world, piece, *told)
    took = _spoken(now - self.began)
    line = f'{self.done} of {self.parts} arms and bases, {took} so far, {self._left_said(now)}'
    self._print(line + '\n' * (not live))

  def _left_said(self, now):
    left = self.forecast.seconds(now)
    if left is None:
      return 'not known yet how much longer'
    more = '' if left.whole else ', and what was not timed yet'
    return f'about {_spoken(left.seconds)} left{more}'

  def _print(self, text):
    lead = '\r\033[K' if self.out.isatty() else ''
    print(f'{lead}{text}', end='', file=self.out, flush=True)

  def seconds(self) -> float:
    """Of this call and of those before it; kept as it grows, for a call may be cut short."""
    total = self.before + time.monotonic() - self.began
    files.write_text(json.dumps(total), own_of(self.cfg, self.workdir) / 'seconds.json')
    return total


def _counted(count, what):
  return f'{count} {what}{"s" * (count != 1)}'


def _spoken(seconds: float) -> str:
  """'40 s', '7 min', '3.2 h'."""
  if seconds < 99.5:
    return f'{seconds:.0f} s'
  return f'{seconds / 60:.0f} min' if seconds < 5970 else f'{seconds / 3600:.1f} h'


def _seconds_before(workdir):
  path = workdir / 'seconds.json'
  return files.read_json(path, 'remove it: it only counts seconds') if path.exists() else 0.0
