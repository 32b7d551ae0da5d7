"""What a study says: while it runs, in a live line; at its end, results.json and what it came from.

Everything is computed from the stored outcomes, and can be computed from them again.
"""

import collections
import json
import sys
import time

from jaxalign import pod
from jaxalign.files import read_json, read_object, write_text
from jaxalign.sealing import write
from jaxalign.study.judge import contrasts, goodhart, unjudged, verdict
from jaxalign.study.report import reading, report
from jaxalign.study.run import guests
from jaxalign.study.store import clock
from jaxalign.study.store import rows as store
from jaxalign.study.store.directories import home_of, parts_of
from jaxalign.study.store.table import means

_SHOW = 5.0  # seconds between two lines where no terminal is


class Live:
  """How far the study is: a step is a base or an arm of one world."""

  def __init__(self, cfg, workdir):
    self.cfg, self.workdir = cfg, workdir
    worlds = [(s, False) for s in cfg.seeds] + [(s, True) for s in cfg.control_seeds]
    self.steps = sum(parts_of(cfg, *world) for world in worlds)
    self.began, self.shown, self.done = time.monotonic(), 0.0, 0
    self.left = collections.Counter()
    self.before = _seconds_before(workdir)

  def foretell(self):
    """Too few seeds are a line before the time is spent, and no error: trial runs have few."""
    doubt = verdict.foretold(len(self.cfg.seeds), self.cfg.rules)
    if doubt and pod.writes():
      self._print(f'{doubt}\n')

  def say(self, task, text):
    if text:
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
    kind = f'seed {seed}' + (' with rho = 0' if control else '')
    said = guests.of(self.cfg.world).progress(rows)
    self._print(f'{kind} is done{": " * bool(said)}{said}\n')

  def show(self):
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

  def seconds(self):
    """Of this call and of those before it; kept as it grows, for a call may be cut short."""
    total = self.before + time.monotonic() - self.began
    write_text(json.dumps(total), self.workdir / 'seconds.json')
    return total


def _seconds_before(workdir):
  path = workdir / 'seconds.json'
  return read_json(path, 'remove it: it only counts seconds') if path.exists() else 0.0


def rows_of(home, after='sft'):
  """after=None: of arms that went on through PPO too."""
  rows = [row for path in sorted((home / 'outcomes').glob('*.jsonl')) for row in store.read(path)]
  return [row for row in rows if after in (None, row.after)]


def conclude(cfg, workdir, seconds):
  rows = {seed: rows_of(home_of(workdir, seed, False)) for seed in cfg.seeds}
  every = [row for found in rows.values() for row in found]
  measured = contrasts.measured(every, cfg.rules)
  seen = {s: means(found) for s, found in rows.items()}
  guest = guests.of(cfg.world)
  gates = verdict.gates(guest.gate_values(cfg, seen), cfg.rules)
  control = None
  if cfg.control_seeds:
    homes = [home_of(workdir, seed, True) for seed in cfg.control_seeds]
    control = contrasts.measured([row for home in homes for row in rows_of(home)], cfg.rules)
  said = verdict.judge(measured, gates, control, cfg.rules)
  found = verdict.as_json(said, measured, gates, control, cfg.rules) | dict(
    arms={name: _per_arm(name, rows) for name in dict.fromkeys(row.arm for row in every)},
    seeds=list(cfg.seeds), control_seeds=list(cfg.control_seeds), seconds=round(seconds, 1),
    probes=guest.beside(cfg, workdir),
    secondary=unjudged.measured(every, cfg.rules, unjudged.masses(seen)),
  )  # fmt: skip
  later = {seed: rows_of(home_of(workdir, seed, False), after='ppo') for seed in cfg.rl_seeds}
  again = [row for of_seed in later.values() for row in of_seed]
  arms = {arm.name: _per_arm(arm.name, later) for arm in cfg.rl_arms}
  found |= goodhart.found(cfg, workdir, again, arms)
  every += again
  found['where'] = clock.total(path.parent for path in sorted(workdir.glob(f'*/{clock.FILE}')))
  write_text(''.join(map(store.line, every)), workdir / 'outcomes.jsonl')
  write_text(json.dumps(about(cfg, workdir), indent=1), workdir / 'about.json')
  write(cfg, workdir / 'plan.json')
  write_text(json.dumps(found, indent=1, allow_nan=False) + '\n', workdir / 'results.json')
  report.write(found, workdir, guest.contents)
  print(clock.said(found['where']))
  print(reading.plainly(said.sentence))
  return found


def _per_arm(name, rows_by_seed):
  """{test: {seed: its means}} of an arm."""
  found = collections.defaultdict(dict)
  for seed, rows in rows_by_seed.items():
    for (arm, test), mean in means(rows).items():
      if arm == name:
        found[test][str(seed)] = mean
  return dict(found)


def about(cfg, workdir):
  """What compare asks of a run: the base of each seed, the items, what each arm cost."""
  base, items = {}, {}
  for seed in cfg.seeds:
    home = home_of(workdir, seed, False)
    base[str(seed)] = read_object(home / 'outcomes' / 'base.json', 'key')['key']
    for row in rows_of(home):
      items.setdefault(row.test, {}).setdefault(str(seed), set()).add(row.prompt)
  stages = {arm.name: [cfg.stage_of(step) for step in arm.steps] for arm in cfg.arms}
  return dict(
    base=base,
    items={
      test: {seed: store.digest(sorted(prompts)) for seed, prompts in by_seed.items()}
      for test, by_seed in items.items()
    },
    tokens={name: sum(stage.tokens for stage in found) for name, found in stages.items()},
    steps={name: sum(stage.steps for stage in found) for name, found in stages.items()},
  )
