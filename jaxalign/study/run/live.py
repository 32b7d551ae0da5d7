"""What a study says while it runs: a live line, and a line for each seed that is done."""

import collections
import json
import sys
import time

from etils import epath

from jaxalign import pod
from jaxalign.files import read_json, write_text
from jaxalign.study.judge import verdict
from jaxalign.study.plan.directories import home_of, parts_of, worlds_of
from jaxalign.study.plan.guest import Study
from jaxalign.study.run import guests
from jaxalign.study.run.conclusion import rows_of

Task = tuple[int, str]  # a seed and a control, '' for the study itself
_SHOW = 5.0  # seconds between two lines where no terminal is


class Live:
  """How far the study is: a step is a base or an arm of one world."""

  def __init__(self, cfg: Study, workdir: epath.Path):
    self.cfg, self.workdir = cfg, workdir
    self.steps = sum(parts_of(cfg, *world) for world in worlds_of(cfg))
    self.began, self.shown, self.done = time.monotonic(), 0.0, 0
    self.left: collections.Counter[Task] = collections.Counter()
    self.before = _seconds_before(workdir)

  def foretell(self) -> None:
    """Too few seeds are a line before the time is spent, and no error: trial runs have few."""
    controls = self.cfg.controls if self.cfg.control_seeds else ()
    doubt = verdict.foretold(len(self.cfg.seeds), self.cfg.rules, controls)
    if doubt and pod.writes():
      self._print(f'{doubt}\n')

  def say(self, task: Task | None, text: str | None) -> None:
    if task and text:
      self.done += 1
      self.left[task] += 1
      self._finished(task)
    self.show()

  def _finished(self, task):
    seed, control = task
    if self.left[task] < parts_of(self.cfg, seed, control):
      return
    rows = rows_of(home_of(self.workdir, seed, control))
    if not pod.writes():
      return
    kind = f'seed {seed}' + (f' with {control} = 0' if control else '')
    said = guests.of(self.cfg.world).progress(rows)
    self._print(f'{kind} is done{": " * bool(said)}{said}\n')

  def show(self) -> None:
    if not pod.writes():
      return
    now = time.monotonic()
    live = sys.stderr.isatty()
    if now - self.shown < (0.5 if live else _SHOW):
      return
    self.shown = now
    self.seconds()
    took = now - self.began
    left = f'{took / self.done * (self.steps - self.done):.0f} s left' if self.done else ''
    self._print(
      f'{self.done} of {self.steps} arms and bases  {took:.0f} s  {left}' + ('' if live else '\n')
    )

  def _print(self, text):
    lead = '\r\033[K' if sys.stderr.isatty() else ''
    print(f'{lead}{text}', end='', file=sys.stderr, flush=True)

  def seconds(self) -> float:
    """Of this call and of those before it; kept as it grows, for a call may be cut short."""
    total = self.before + time.monotonic() - self.began
    write_text(json.dumps(total), self.workdir / 'seconds.json')
    return total


def _seconds_before(workdir):
  path = workdir / 'seconds.json'
  return read_json(path, 'remove it: it only counts seconds') if path.exists() else 0.0
