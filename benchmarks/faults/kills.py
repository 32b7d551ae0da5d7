"""Kills of every stage: a run is ended at random moments, started again each time, and at its end
it is the run that was not, to the bit.

SIGTERM ends a run with STOPPED and never 0, unless it had reached its end; before a run listens, by
the signal itself.
"""

import random
import signal
import time

from benchmarks.faults import case, forking, same

STAGES = ('explain', 'sft', 'reward', 'dpo', 'ppo', 'bon', 'study')
CHAIN = 6  # kills of one run at most
GRACE = 60  # seconds that SIGTERM gives
STUDY = ('--config=configs/study_valueworld.py:smoke',)


def run(root, args, log):
  wanted = args.kills - args.kills // 8 if 'pods' in args.only else args.kills
  in_turn(root, 'kills', STAGES, args.seed, wanted, CHAIN, unbroken, chain, log)


def in_turn(root, name, stages, seed, wanted, longest, unbroken, chain, log):
  """Chains of kills, the stages in turn, until there are as many as wanted."""
  rng, met, number, whole = random.Random(seed), 0, 0, {}
  log.expected += wanted
  while met < wanted:
    stage = stages[number % len(stages)]
    if stage not in whole:
      whole[stage] = unbroken(root, stage)
    kills = min(longest, wanted - met)
    met += chain(root / f'{name}-{number}', stage, whole[stage], rng, kills, log)
    number += 1


def arguments(stage, workdir):
  config = STUDY if stage == 'study' else (f'--config={case.STAGES}:{stage}',)
  return [*config, f'--workdir={workdir}']


def started(stage, place, limit=300):
  argv = arguments(stage, place / 'run')
  return forking.Child(forking.calling('jaxalign.main', argv), place, limit=limit)


def unbroken(root, stage):
  """(the record of a run that nobody broke, the seconds it took with programs compiled before)."""
  for name in ('first', 'whole'):  # the first compiles
    place = root / f'{name}-{stage}'
    place.mkdir()
    ended = started(stage, place, 600).wait()
    if ended.status:
      raise SystemExit(f'{stage} failed where nobody broke it: {case.last_line(ended)}')
  return same.record(place / 'run'), ended.seconds


def chain(place, stage, whole, rng, kills, log):
  """The kills that met the run alive; each is in the log, and wrong if anything after it was."""
  reference, seconds = whole
  place.mkdir()
  met, misses = [], 0
  while len(met) < kills and misses < 3:
    kind = rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM])
    child = started(stage, place)
    after = moment(child, place / 'run', rng, seconds)
    child.signal(kind, group=kind == signal.SIGKILL)
    child.limit = time.monotonic() - child.began + GRACE
    ended = child.wait()
    name = f'{stage}: {kind.name} after {after:.2f} s'
    if ended.status == 0 and not same.differences(place / 'run', reference):
      misses += 1  # it had ended; of a run that is whole nothing more can be broken
      break
    met.append((name, after_signal(kind, ended), ended.seconds))
  final = started(stage, place).wait()
  wrong = '' if final.status == 0 else f'it did not go on: status {final.status}: '
  wrong = wrong + case.last_line(final) if wrong else same.differences(place / 'run', reference)
  for name, itself, took in met:
    log.add(
      'kills', name, itself or (wrong and f'in a chain of {len(met)}: {wrong}'), took, str(place)
    )
  if not met:
    log.add('kills', f'{stage}: run through', wrong, final.seconds, str(place))
  return len(met)


def after_signal(kind, ended):
  """What is wrong with how the signal ended it."""
  if 'Traceback' in ended.out + ended.err:
    return f'a traceback: {case.last_line(ended)}'
  if ended.hung:
    return f'{kind.name}: still running {GRACE} s later'
  expected = (-kind,) if kind == signal.SIGKILL else (case.STOPPED, -kind)
  if ended.status not in expected:
    return f'{kind.name}: status {ended.status}: {case.last_line(ended)}'
  return ''


def moment(child, workdir, rng, seconds):
  """Waits for a moment: any of the run, or one while something is written."""
  until = rng.random() * seconds
  writing, before = rng.random() < 0.5, names(workdir)
  while child.poll() is None:
    passed = time.monotonic() - child.began
    if passed > until and not (writing and passed < seconds and names(workdir) == before):
      break
    time.sleep(0.002)
  if writing:
    time.sleep(rng.random() * 0.05)
  return time.monotonic() - child.began


def names(workdir):
  return {
    path
    for pattern in ('*', 'checkpoints/*', 'checkpoints/*/*', 'seed-*/*/*')
    for path in workdir.glob(pattern)
  }
