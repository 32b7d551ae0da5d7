"""What a worker of a pod does: install, start, answer. Copied there with the checkout.

  python3 worker.py prepare|start|hold|status|tail|stop|kill HOME [...]

Needs only the Python that the machine came with (3.9 or newer) and imports nothing of ours. HOME
holds all there is to know of the run: `log`, `pid`, `rc`, `run.json`; the last line of what is
printed is the answer, `POD {json}`. Secrets come by standard input and lie in env.json, mode 600.
"""

import argparse
import fcntl
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

TREE = pathlib.Path(__file__).resolve().parents[1]
LOCK = TREE / 'launch' / 'requirements-tpu.lock'
PYTHON = '3.12'  # that the lock file was made for
CHUNK = 200_000  # bytes of a log in one answer


def main(argv):
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('verb', choices=VERBS)
  parser.add_argument('home', type=lambda text: pathlib.Path(text).expanduser())
  parser.add_argument('--offset', type=int, help='status: the log from here; below 0: its end')
  parser.add_argument('--lines', type=int, default=20, help='tail: so many')
  parser.add_argument('--env', action='append', default=[], help='start: NAME=VALUE, no secrets')
  cut = argv.index('--') if '--' in argv else len(argv)
  args = parser.parse_args(argv[:cut])
  args.command = argv[cut + 1 :]
  args.home.mkdir(parents=True, exist_ok=True)
  answer = VERBS[args.verb](args)
  if answer is not None:
    print('POD ' + json.dumps(answer), flush=True)


def prepare(args):
  """Secrets, and the packages of the lock file; what was done before is not done again."""
  given = sys.stdin.read() or '{}'  # of an ssh that hangs it never ends: nobody waits for that
  with open(args.home.parent / 'prepare.lock', 'w') as alone:
    fcntl.flock(alone, fcntl.LOCK_EX)  # an ssh that was given up may still be at it
    write(args.home / 'env.json', given, mode=0o600)
    link(args.home / 'tree', TREE)
    if os.environ.get('JAXALIGN_PYTHON'):  # a rehearsal: what is installed here is taken
      write(args.home / 'python', os.environ['JAXALIGN_PYTHON'])
      return dict(ok=True, said='taken from JAXALIGN_PYTHON')
    return install(args.home)


def install(home):
  mark = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]
  venv = home.parent / f'venv-{mark}'
  whole = venv / '.whole'  # written last: an installation that was cut short is made anew
  if not whole.exists():
    shutil.rmtree(venv, ignore_errors=True)
    with open(home / 'install.log', 'ab') as log:
      for command in installation(venv):
        log.write(f'$ {" ".join(command)}\n'.encode())
        log.flush()
        if subprocess.call(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=TREE):
          return dict(ok=False, said=last_lines(home / 'install.log', 12))
    whole.touch()
  write(home / 'python', str(venv / 'bin' / 'python'))
  return dict(ok=True, said=f'{LOCK.name} {mark}')


def installation(venv):
  """The commands, one after the other; each must succeed."""
  uv = shutil.which('uv', path=f'{os.environ.get("PATH", "")}:{pathlib.Path.home()}/.local/bin')
  if uv is None:
    yield [sys.executable, '-m', 'pip', 'install', '--quiet', '--user', 'uv']
    uv = str(pathlib.Path.home() / '.local' / 'bin' / 'uv')
  python = str(venv / 'bin' / 'python')
  yield [uv, 'venv', '--quiet', '--python', PYTHON, str(venv)]
  yield [uv, 'pip', 'sync', '--quiet', '--require-hashes', '--python', python, str(LOCK)]
  yield [python, '-c', 'import jax, flax, orbax.checkpoint']


def start(args):
  """Starts the command, unless it runs. One that has ended begins anew, with a log of its own."""
  there = state(args.home)
  if there['state'] == 'running':
    same = there['command'] == args.command
    return dict(there, ok=same, said='runs already' if same else 'another command runs')
  for name in ('rc', 'pid', 'stopped'):
    (args.home / name).unlink(missing_ok=True)
  if (args.home / 'log').exists():
    (args.home / 'log').replace(args.home / 'log.before')
  (args.home / 'log').touch()
  env = dict(pair.split('=', 1) for pair in args.env)
  write(args.home / 'run.json', json.dumps(dict(command=args.command, env=env)))
  how = detach(args.home)
  for _ in range(200):  # until it can be asked about
    if state(args.home)['state'] != 'none':
      return dict(state(args.home), ok=True, said=how)
    time.sleep(0.05)
  return dict(state(args.home), ok=False, said=f'nothing came up within 10 s of starting ({how})')


def detach(home):
  """In tmux, where a person can look at it (tmux -L jaxalign attach); else without a terminal."""
  hold = [sys.executable, str(pathlib.Path(__file__).resolve()), 'hold', str(home)]
  if shutil.which('tmux'):
    text = '"$@" & hold=$!; tail -n +1 -F "$LOG" & wait $hold; sleep 1; kill $!'
    command = ['env', f'LOG={home / "log"}', 'sh', '-c', text, 'sh', *hold]
    quiet = dict(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    tmux = ['tmux', '-L', 'jaxalign']
    subprocess.run([*tmux, 'kill-session', '-t', f'={home.name}'], **quiet)  # of a run that ended
    for _ in range(3):  # a server whose last session was just killed may be about to end
      made = subprocess.run([*tmux, 'new-session', '-d', '-s', home.name, *command], **quiet)
      if made.returncode == 0:
        return 'in tmux'
      time.sleep(0.1)
  quiet = dict(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
  subprocess.Popen(hold, start_new_session=True, **quiet)
  return 'detached'


def hold(args):
  """Runs the command to its end and writes how it ended; outlives the connection and tmux."""
  signal.signal(signal.SIGHUP, signal.SIG_IGN)
  run = json.loads((args.home / 'run.json').read_text())
  command = list(run['command'])
  if command[0] == 'python':
    command[0] = (args.home / 'python').read_text()
  env = dict(os.environ, PYTHONUNBUFFERED='1', PYTHONPATH=str(TREE), **run['env'])
  env.update(json.loads((args.home / 'env.json').read_text()))
  with open(args.home / 'log', 'ab') as log:
    try:
      child = subprocess.Popen(
        command,
        cwd=TREE,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
      )
    except OSError as error:
      log.write(f'error: {command[0]} cannot be started: {error.strerror}\n'.encode())
      write(args.home / 'rc', '127')
      return
    write(args.home / 'pid', f'{child.pid} {born(child.pid)}')
    rc = child.wait()
    try:  # what it started and left behind would hold the chips
      os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
      pass
    write(args.home / 'rc', str(rc))


def state(home):
  """none, running, ended (with rc), or lost: it ran, and its machine has been started anew."""
  said = dict(state='none', rc=None, command=None, stopped=(home / 'stopped').exists())
  if (home / 'run.json').exists():
    said['command'] = json.loads((home / 'run.json').read_text())['command']
  if (home / 'rc').exists():
    said.update(state='ended', rc=int((home / 'rc').read_text()))
  elif (home / 'pid').exists():
    pid, when = (home / 'pid').read_text().split()
    said.update(state='running' if born(int(pid)) == when else 'lost', pid=int(pid))
    if (home / 'rc').exists():  # written since we looked
      said.update(state='ended', rc=int((home / 'rc').read_text()))
  return said


def born(pid):
  """When a process began, so that another one of the same number is told apart."""
  try:
    text = pathlib.Path(f'/proc/{pid}/stat').read_text()
    boot = pathlib.Path('/proc/sys/kernel/random/boot_id').read_text().strip()
  except OSError:
    return 'gone'
  fields = text.rsplit(')', 1)[1].split()
  return 'gone' if fields[0] == 'Z' else f'{boot}:{fields[19]}'


def status(args):
  said = dict(state(args.home), last=last_lines(args.home / 'log', 3))
  if args.offset is not None:
    said.update(chunk(args.home / 'log', args.offset, whole=said['state'] == 'running'))
  return said


def chunk(path, offset, whole):
  """Of a log, from an offset; whole lines only, while more may come."""
  if not path.exists():
    return dict(text='', offset=0)
  with open(path, 'rb') as file:
    size = file.seek(0, os.SEEK_END)
    offset = max(0, size + offset) if offset < 0 else min(offset, size)
    file.seek(offset)
    data = file.read(CHUNK)
  if whole or offset + len(data) < size:
    data = data[: data.rfind(b'\n') + 1] or (data if len(data) == CHUNK else b'')
  return dict(text=data.decode(errors='replace'), offset=offset + len(data))


def tail(args):
  offset = chunk(args.home / 'log', -1, whole=False)['offset']  # from where to go on
  return dict(state(args.home), text=last_lines(args.home / 'log', args.lines), offset=offset)


def last_lines(path, count):
  if not path.exists():
    return ''
  text = chunk(path, -64_000, whole=False)['text']
  return '\n'.join(text.replace('\r', '\n').splitlines()[-count:])


def stop(args):
  """Asks it to save and end; it is asked about, not waited for."""
  if state(args.home)['state'] == 'running':
    (args.home / 'stopped').touch()
    send(args.home, signal.SIGTERM)
  return state(args.home)


def kill(args):
  """Ends it now. A run that is killed loses what came after its last checkpoint, and no more."""
  if state(args.home)['state'] == 'running':
    send(args.home, signal.SIGKILL)
    for _ in range(200):
      if state(args.home)['state'] != 'running':
        break
      time.sleep(0.05)
  return state(args.home)


def send(home, kind):
  pid = int((home / 'pid').read_text().split()[0])
  try:
    os.killpg(pid, kind)
  except ProcessLookupError:
    pass


def write(path, text, mode=0o644):
  """Whole, or not at all, and never readable by others for a moment."""
  beside = path.with_name(path.name + '.tmp')
  beside.unlink(missing_ok=True)
  with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), 'w') as file:
    file.write(text)
  beside.replace(path)


def link(path, to):
  beside = path.with_name(path.name + '.tmp')
  beside.unlink(missing_ok=True)
  beside.symlink_to(to)
  beside.replace(path)


VERBS = dict(
  prepare=prepare, start=start, hold=hold, status=status, tail=tail, stop=stop, kill=kill
)

if __name__ == '__main__':
  main(sys.argv[1:])
