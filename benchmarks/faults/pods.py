"""Kills of a pod of two processes here: the other ends by itself, both go on, to the bit."""

import signal
import time

from benchmarks.faults import case, forking, kills, same

STAGES = ('explain', 'reward', 'ppo')
CHAIN = 4
ENDS = 120  # seconds until the one that was left has ended


def run(root, args, log):
  wanted = max(args.kills // 8, 1)
  kills.in_turn(root, 'pods', STAGES, args.seed + 1, wanted, CHAIN, unbroken, chain, log)


def started(stage, place, limit=400):
  """Both processes, as launch.rehearse starts them, but from the warm parent."""
  from launch import rehearse

  port, both = rehearse.free_port(), []
  for host in range(2):
    own = place / f'host{host}'
    own.mkdir(exist_ok=True)
    argv = [*kills.arguments(stage, place / 'run'), '--config.mesh.data=2']
    call = forking.calling('jaxalign.main', argv)
    environ = rehearse.together(host, 2, 1, port)
    both.append(forking.Child(call, own, limit=limit, environ=environ))
  return both


def wait(both):
  while True:
    ended = [child.poll() for child in both]
    if None not in ended:
      return ended
    time.sleep(0.005)


def unbroken(root, stage):
  for name in ('first', 'pair'):
    place = root / f'{name}-pod-{stage}'
    place.mkdir()
    both = wait(started(stage, place))
    if any(ended.status for ended in both):
      said = ' | '.join(case.last_line(ended) for ended in both)
      raise SystemExit(f'a pod of {stage} failed where nobody broke it: {said}')
  return same.record(place / 'run'), both[0].seconds


def chain(place, stage, whole, rng, wanted, log):
  reference, seconds = whole
  place.mkdir()
  met = []
  while len(met) < wanted:
    kind, victim = rng.choice([signal.SIGKILL, signal.SIGTERM]), rng.randrange(2)
    both = started(stage, place)
    after = kills.moment(both[victim], place / 'run', rng, seconds)
    both[victim].signal(kind)
    for child in both:
      child.limit = time.monotonic() - child.began + ENDS
    ended = wait(both)
    if all(one.status == 0 for one in ended) and not same.differences(place / 'run', reference):
      break
    name = f'{stage}: {kind.name} to process {victim} after {after:.2f} s'
    met.append((name, how(kind, ended, victim), ended[victim].seconds))
  final = wait(started(stage, place))
  bad = [one for one in final if one.status]
  wrong = f'it did not go on: {case.last_line(bad[0])}' if bad else ''
  wrong = wrong or same.differences(place / 'run', reference)
  for name, itself, took in met:
    log.add(
      'pods', name, itself or (wrong and f'in a chain of {len(met)}: {wrong}'), took, str(place)
    )
  if not met:
    log.add('pods', f'{stage}: run through', wrong, final[0].seconds, str(place))
  return len(met)


def how(kind, ended, victim):
  """What is wrong with how both ended: a signal to one must end the other, and not with 0."""
  other = ended[1 - victim]
  if any(one.hung for one in ended):
    return f'{kind.name}: a process was still running {ENDS} s later'
  if kind == signal.SIGKILL and other.status == 0:
    return 'SIGKILL: the other process ended with 0'
  statuses = [one.status for one in ended]
  if kind == signal.SIGTERM and ended[victim].status not in (case.STOPPED, -kind):
    return f'SIGTERM: statuses {statuses}: {case.last_line(ended[victim])}'
  if kind == signal.SIGTERM and other.status == 0:
    return f'SIGTERM: statuses {statuses}: the other ended with 0'
  return ''
