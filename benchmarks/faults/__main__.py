"""The fault campaign: hundreds of bad inputs, a hundred kills, a full disk, and what came of each.

  nice python -m benchmarks.faults [--inputs=600] [--kills=100] [--seed=0] [--only=KIND,KIND]
                                   [--json=FILE] [--keep=DIR]

A bad input is clear when it ends with status 2 and one line on stderr, which begins with `error: `
and names the thing, without a traceback, a hang, hunger for memory, or a file half written. A run
that was killed and started again is clear when it ends as the unbroken one did, to the bit.
Prints a table of tried, clear, wrong; exit status 1 if any is wrong. --inputs=0 takes every number
there is. By default some 40 minutes on two quiet cores, more than half of them kills.
"""

import argparse
import json
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import time

from benchmarks.faults import case, disk, forking, kills, pods

KINDS = ('commands', 'launcher', 'workdirs', 'data', 'models', 'numbers', 'valid')
LONG = ('kills', 'pods', 'disk')
AT_ONCE = 2


def main(argv):
  args = parse(argv)
  signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that disks are unmounted
  root = pathlib.Path(args.keep or tempfile.mkdtemp(prefix='faults')).absolute()
  root.mkdir(parents=True, exist_ok=True)
  forking.warm(root / 'compiled')
  log = Log(root)
  asked = inputs(args, root)
  log.expected, log.began = len(asked), time.monotonic()
  run_all(asked, root, log)
  for name, campaign in dict(kills=kills, pods=pods, disk=disk).items():
    if name in args.only:
      campaign.run(root, args, log)
  print(log.table(), flush=True)
  if args.json:
    pathlib.Path(args.json).write_text(json.dumps(log.found, indent=1) + '\n')
  if not args.keep and not log.wrong:
    shutil.rmtree(root, ignore_errors=True)
  return 1 if log.wrong else 0


def parse(argv):
  parser = argparse.ArgumentParser(prog='benchmarks.faults', description=__doc__.splitlines()[0])
  parser.add_argument('--inputs', type=int, default=600, help='so many at least; 0: all there are')
  parser.add_argument('--kills', type=int, default=100, help='so many, an eighth of two processes')
  parser.add_argument('--seed', type=int, default=0)
  parser.add_argument(
    '--only', default=','.join(KINDS + LONG), help='kinds: ' + ' '.join(KINDS + LONG)
  )
  parser.add_argument('--json', help='a file for every input and what came of it')
  parser.add_argument('--keep', help='a directory for all that is made, which stays')
  args = parser.parse_args(argv)
  args.only = args.only.split(',')
  if strange := set(args.only) - {*KINDS, *LONG}:
    parser.error(f'--only: there is no {", ".join(sorted(strange))}')
  return args


def inputs(args, root):
  """The cases: all of every kind, and of numbers as many as are missing to --inputs."""
  from benchmarks.faults import commands, data, launcher, models, numbers, places, valid

  if {'models', 'valid'} & {*args.only}:
    models.whole(root)
  if 'workdirs' in args.only:
    places.whole(root)
  made = dict(
    commands=commands.cases,
    launcher=launcher.cases,
    workdirs=lambda: places.cases(root),
    data=data.cases,
    models=lambda: models.cases(root),
    valid=lambda: [*valid.cases(root), *valid.of_each_stage()],
  )
  found = [one for kind in KINDS if kind in made and kind in args.only for one in made[kind]()]
  if 'numbers' in args.only:
    every = numbers.drawn(numbers.cases(), random.Random(args.seed))
    found += every[: max(args.inputs - len(found), 100)] if args.inputs else every
  return found


def run_all(cases, root, log):
  """Two at a time, in order."""
  waiting, running = list(enumerate(cases)), []
  while waiting or running:
    while waiting and len(running) < AT_ONCE:
      number, one = waiting.pop(0)
      place = root / f'{one.kind}-{number}'
      place.mkdir()
      if one.make:
        one.make(place)
      before = case.leftovers(place)
      running.append((one, place, before, forking.start(one, place)))
    for entry in list(running):
      one, place, before, child = entry
      if (ended := child.poll()) is not None:
        running.remove(entry)
        wrong = case.judged(one, ended, before, place)
        log.add(one.kind, one.name, wrong, ended.seconds, ' '.join(child_command(one, place)))
        if not wrong:
          shutil.rmtree(place, ignore_errors=True)
    time.sleep(0.004)


def child_command(one, place):
  return ['python', '-m', one.program, *one.command(place)]


class Log:
  """What was found, a line at a time, and the table at the end."""

  def __init__(self, root):
    self.root, self.found, self.skipped = root, [], []
    self.began, self.shown, self.expected = time.monotonic(), 0.0, 0

  @property
  def wrong(self):
    return [one for one in self.found if one['wrong']]

  def add(self, kind, name, wrong, seconds, command=''):
    one = dict(kind=kind, name=name, wrong=wrong, seconds=round(seconds, 2), command=command)
    self.found.append(one)
    if wrong:
      print(f'wrong: {kind}: {name[:150]}: {wrong}', flush=True)
    now = time.monotonic()
    if now - self.shown > 10:
      self.shown = now
      left = (now - self.began) / len(self.found) * max(self.expected - len(self.found), 0)
      print(
        f'{len(self.found)} of {self.expected} tried, {len(self.wrong)} wrong, '
        f'{kind}; some {left / 60:.0f} min left',
        flush=True,
      )

  def skip(self, kind, why):
    self.skipped.append((kind, why))
    print(f'skipped: {kind}: {why}', flush=True)

  def table(self):
    kinds = list(dict.fromkeys(one['kind'] for one in self.found))
    rows = [(k, [one for one in self.found if one['kind'] == k]) for k in kinds]
    lines = ['| kind | tried | clear | wrong |', '|---|---|---|---|']
    for kind, some in [*rows, ('all', self.found)]:
      bad = sum(bool(one['wrong']) for one in some)
      lines.append(f'| {kind} | {len(some)} | {len(some) - bad} | {bad} |')
    lines += [f'not tried: {kind}: {why}' for kind, why in self.skipped]
    return '\n'.join([*lines, f'{(time.monotonic() - self.began) / 60:.1f} min; kept: {self.root}'])


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
