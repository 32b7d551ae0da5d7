"""Commands as argument lists, each with its patience: what hangs is ended, and said."""

import argparse
import concurrent.futures
import dataclasses
import os
import shlex
import signal
import subprocess
import sys
import threading

HUNG = 124  # the exit status of what was ended for taking too long, as timeout(1) has it
LIVE = set()  # processes that some thread waits for
LEFT = threading.Event()  # while set, nothing new is started: Ctrl-C, and threads yet to notice


class PodError(Exception):
  """The user's to mend: names the thing and the remedy, and is shown without a traceback."""


class OneLine(argparse.ArgumentParser):
  """Arguments whose fault is one line and exit status 2, as everywhere here."""

  def error(self, message):
    print('error:', ' '.join(f'{message} (--help says more)'.split()), file=sys.stderr)
    sys.exit(2)


@dataclasses.dataclass(frozen=True)
class Done:
  status: int
  out: str
  err: str

  @property
  def why(self):
    """The last lines it said, as one."""
    lines = [line.strip() for line in (self.err or self.out).splitlines() if line.strip()]
    return ' '.join(lines[-6:]) or f'exit status {self.status}'


def run(argv, *, given='', patience=60, env=None, cwd=None):
  """Runs it with `given` as its standard input. Never raises for what the command does."""
  if LEFT.is_set():
    return Done(HUNG, '', 'left')
  try:
    pipes = dict.fromkeys(('stdin', 'stdout', 'stderr'), subprocess.PIPE)
    how = dict(text=True, errors='replace', start_new_session=True)
    process = subprocess.Popen(argv, **pipes, **how, env=env, cwd=cwd)
  except OSError as error:
    raise PodError(f'{argv[0]} cannot be started ({error.strerror}): is it on PATH?') from error
  LIVE.add(process)
  try:
    out, err = process.communicate(given, timeout=patience)
    return Done(process.returncode, out, err)
  except subprocess.TimeoutExpired:
    end(process)
    return Done(HUNG, '', f'no answer within {patience:g} s')
  except BaseException:  # Ctrl-C: it is in a session of its own, and would stay
    end(process)
    raise
  finally:
    LIVE.discard(process)


def end(process):
  """It, and what it started: gcloud is a shell that starts Python that starts ssh."""
  try:
    os.killpg(process.pid, signal.SIGKILL)
  except ProcessLookupError:
    pass
  process.wait()
  for pipe in (process.stdin, process.stdout, process.stderr):
    pipe.close()


def leave(threads):
  """Of Ctrl-C, which only the main thread hears: ends what the others wait for, and so them."""
  LEFT.set()
  while concurrent.futures.wait(threads, timeout=0.1).not_done:
    for process in list(LIVE):
      try:
        os.killpg(process.pid, signal.SIGKILL)
      except ProcessLookupError:
        pass
  LEFT.clear()


def shown(argv, given=''):
  """As a user would type it. What goes in by standard input may be secret and is not shown."""
  return shlex.join(argv) + (' <<< (standard input)' if given else '')
