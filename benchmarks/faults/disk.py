"""A disk that is full: the run ends with one line; there is space again, and it goes on to the bit.

A tmpfs of a few MB, where this process may mount one, filled but for some kilobytes; else a limit
on the size of a file, which leaves out what only a full disk does.
"""

import contextlib
import os
import resource
import subprocess

from benchmarks.faults import case, forking, kills, same

STAGES = ('explain', 'ppo', 'bon', 'study')
SIZE = {'study': 24, 'bon': 4}  # MiB of the disk; 8 for others
LEFT = (4, 60, 400, 1200)  # kB that are free at first
LIMITS = (2_000, 20_000, 60_000)  # bytes of a file, where nothing can be mounted


def run(root, args, log):
  log.expected += len(STAGES) * len(LEFT)
  (root / 'disk').mkdir()
  for stage in STAGES:
    reference, _ = kills.unbroken(root / 'disk', stage)
    place = root / f'disk-{stage}'
    place.mkdir()
    if mounted(place / 'try', 1):
      unmount(place / 'try')
      for left in LEFT:
        wrong, seconds = full(place / str(left), stage, left, reference)
        log.add('disk', f'{stage}: {left} kB free', wrong, seconds, str(place))
    else:
      log.skip('disk', f'{stage}: no tmpfs can be mounted here; files are bounded instead')
      for limit in LIMITS:
        wrong, seconds = bounded(place / str(limit), stage, limit, reference)
        log.add('disk', f'{stage}: files of {limit} bytes', wrong, seconds, str(place))


def mounted(place, size):
  place.mkdir(parents=True)
  command = ['mount', '-t', 'tmpfs', '-o', f'size={size}m', 'faults', str(place)]
  return not subprocess.run(command, capture_output=True).returncode


def unmount(place):
  with contextlib.suppress(OSError):
    subprocess.run(['umount', '-l', str(place)], capture_output=True)


def full(place, stage, left, reference):
  """(what is wrong, seconds): the disk full but for `left` kB, then with space again."""
  words = place.with_name(f'{place.name}-words')  # a full disk cannot hold what is said
  words.mkdir()
  assert mounted(place, SIZE.get(stage, 8))
  try:
    ballast = place / 'ballast'
    fill(ballast, left)
    first = started(stage, place, words).wait()
    ballast.unlink()
    second = started(stage, place, words).wait()
    wrong = ended_well(first) or went_on(second, place, reference)
    return wrong, first.seconds + second.seconds
  finally:
    unmount(place)


def fill(path, left):
  """A file that takes all the space there is but for `left` kB."""
  free = os.statvfs(path.parent)
  path.write_bytes(b'\0' * max(free.f_bavail * free.f_bsize - left * 1000, 0))


def bounded(place, stage, limit, reference):
  place.mkdir()
  words = place.with_name(f'{place.name}-words')
  words.mkdir()
  first = started(stage, place, words, limit).wait()
  second = started(stage, place, words).wait()
  return ended_well(first) or went_on(second, place, reference), first.seconds + second.seconds


def started(stage, place, words, limit=None):
  argv = kills.arguments(stage, place / 'run')
  plain = forking.calling('jaxalign.main', argv)

  def call():
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    return plain()

  return forking.Child(call if limit else plain, words, limit=300)


def ended_well(ended):
  """A run that had enough space may have gone through."""
  if ended.hung:
    return 'with a full disk: still running'
  if 'Traceback' in ended.out + ended.err:
    return f'with a full disk: a traceback: {case.last_line(ended)}'
  lines = [line for line in ended.err.splitlines() if line.startswith('error: ')]
  if ended.status == 0:
    return ''
  if ended.status < 0 or len(lines) != 1:
    return f'with a full disk: status {ended.status}, {len(lines)} lines: {case.last_line(ended)}'
  if not any(word in lines[0].lower() for word in ('space', 'full', 'too large', 'written')):
    return f'with a full disk: it does not say so: {lines[0][:300]}'
  return ''


def went_on(ended, place, reference):
  if ended.status:
    return f'with space again: status {ended.status}: {case.last_line(ended)}'
  found = same.differences(place / 'run', reference)
  return f'with space again: {found}' if found else ''
