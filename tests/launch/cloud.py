"""A stand-in for gcloud, put on PATH: it records each call and plays what a script says.

Workers are directories; ssh runs the command there for real, in bash, with the directory as home.
`script.json` beside it says what goes wrong: see `play`. Run as a program it is gcloud itself.
"""

import contextlib
import fcntl
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(os.environ.get('CLOUD_HERE', '.'))
BASE = ['--name=p', '--zone=z1', '--project=q', '--poll=0.02', '--grace=5', '--ssh_patience=90']
REMOVE = 'gcloud compute tpus queued-resources delete p --zone=z1 --project=q --force --quiet'
UP = 'p is up and costs money until this is run: ' + REMOVE  # a last line, as the next two
COMING = 'p is WAITING_FOR_RESOURCES and will cost money until this is run: ' + REMOVE
NOTHING = 'nothing is left up: p is not there'


def install(place, workers=2, **script):
  """Makes the cloud; PATH must begin with place/bin, CLOUD_HERE must be place."""
  (place / 'bin').mkdir(parents=True)
  program = place / 'bin' / 'gcloud'
  program.write_text(f'#!/bin/sh\nexec {sys.executable} -S {pathlib.Path(__file__)} "$@"\n')
  program.chmod(0o755)
  (place / 'script.json').write_text(json.dumps(dict(workers=workers, account='me') | script))
  (place / 'state.json').write_text(json.dumps(dict(queue=None, node=None, counts={})))
  (place / 'calls.jsonl').touch()


def change(file, **fields):
  """Other fields in script.json or state.json."""
  file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def began(tmp_path):
  return [len((tmp_path / f'began{w}').read_text()) for w in range(2)]


def calls(place, *words):
  """The argument lists that hold all the words, in order."""
  made = [json.loads(line) for line in (place / 'calls.jsonl').read_text().splitlines()]
  return [c for c in made if all(any(w in a for a in c['argv']) for w in words)]


@contextlib.contextmanager
def state():
  """The cloud's state, one caller at a time."""
  with open(HERE / 'state.json', 'r+') as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    now = json.load(file)
    yield now
    file.seek(0)
    file.truncate()
    json.dump(now, file)


def main(argv):
  given = '' if sys.stdin.closed or 'ssh' not in argv else sys.stdin.read()
  with open(HERE / 'calls.jsonl', 'a') as file:
    file.write(json.dumps(dict(argv=argv, given=given)) + '\n')
  script = json.loads((HERE / 'script.json').read_text())
  if argv[:2] == ['auth', 'list']:
    print(script['account'])
    return 0
  kind, verb, name = argv[2:5]
  return VERBS[verb](script, kind, name, argv, given)


def fail(text, status=1):
  print(f'ERROR: (gcloud) {text}', file=sys.stderr)
  return status


def nth(now, what):
  now['counts'][what] = now['counts'].get(what, 0) + 1
  return now['counts'][what]


def create(script, kind, name, argv, given):
  with state() as now:
    answers = script.get('create', [])
    n = nth(now, 'create')
    if n <= len(answers) and answers[n - 1]:
      return fail(answers[n - 1])
    if now['queue']:
      return fail('ALREADY_EXISTS: it is there')
    now['queue'] = list(script.get('states', ['WAITING_FOR_RESOURCES', 'PROVISIONING', 'ACTIVE']))
    now['node'] = 'READY'
    for worker in range(script['workers']):
      machine(HERE / f'w{worker}')
  return fail('the connection broke off') if script.get('create_breaks') else 0


def machine(home):
  (home / 'bin').mkdir(parents=True, exist_ok=True)
  (home / 'bin' / 'python3').write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
  (home / 'bin' / 'python3').chmod(0o755)


def describe(script, kind, name, argv, given):
  if script.get('describe'):
    return fail(script['describe'])
  with state() as now:
    if kind == 'queued-resources':
      if not now['queue']:
        return fail('NOT_FOUND: Resource not found')
      word = now['queue'].pop(0) if len(now['queue']) > 1 else now['queue'][0]
      word, _, why = word.partition(':')
      more = dict(failedData=dict(error=dict(message=why))) if why else {}
      print(json.dumps(dict(state=dict(state=word, **more))))
      return 0
    if now['node'] is None:
      return fail('NOT_FOUND: Resource not found')
    ends, kind = [{}] * script['workers'], script.get('type', 'v5litepod-16')
    print(json.dumps(dict(state=now['node'], networkEndpoints=ends, acceleratorType=kind)))
  return 0


def delete(script, kind, name, argv, given):
  if script.get('delete'):
    return fail(script['delete'])
  with state() as now:
    if not (now['queue'] if kind == 'queued-resources' else now['node']):
      return fail('NOT_FOUND: Resource not found')
    now['queue'] = now['node'] = None
  lose_machines()
  return 0


def lose_machines():
  for pid in HERE.glob('w*/jaxalign-pods/*/pid'):
    with contextlib.suppress(OSError, ValueError):
      os.killpg(int(pid.read_text().split()[0]), signal.SIGKILL)
  time.sleep(0.2)  # what holds them writes their end
  for home in HERE.glob('w*'):
    shutil.rmtree(home, ignore_errors=True)


def scp(script, kind, name, argv, given):
  worker = next(a.partition('=')[2] for a in argv if a.startswith('--worker='))
  source, target = argv[4:6]
  with state() as now:
    if nth(now, f'scp{worker}') <= script.get('scp_breaks', {}).get(worker, 0):
      return fail('[scp] exited with return code [1].')
  shutil.copyfile(source, HERE / f'w{worker}' / target.partition(':')[2])
  return 0


def ssh(script, kind, name, argv, given):
  flags = dict(a[2:].split('=', 1) for a in argv if a.startswith('--') and '=' in a)
  worker, command = flags['worker'], flags['command']
  verbs = 'prepare', 'start', 'status', 'stop', 'kill', 'tail'
  verb = next(v for v in verbs if f'.py {v} ' in command)
  with state() as now:
    n = nth(now, f'{verb}{worker}')
    if now['node'] is None:
      return fail('NOT_FOUND: Resource not found')
    if script.get('dead') == worker and verb in script.get('dead_to', [verb]):
      return fail('[/usr/bin/ssh] exited with return code [255].')
    hangs = n <= script.get('hangs', {}).get(f'{verb}{worker}', 0)
    if script.get('preempt') and f'{verb}{worker}:{n}' == script['preempt']:
      now['queue'], now['node'] = ['SUSPENDED'], None
      lose_machines()
      return fail('[/usr/bin/ssh] exited with return code [255].')
  if hangs:
    time.sleep(60)
  home = HERE / f'w{worker}'
  env = dict(os.environ, HOME=str(home), TMUX_TMPDIR=str(home), ANSWERS=f'{verb}{worker}:{n}')
  env['PATH'] = f'{home}/bin:{env["PATH"]}'
  shell = ['bash', '-c', command]
  return subprocess.run(shell, input=given, text=True, env=env, cwd=home).returncode


VERBS = dict(create=create, describe=describe, delete=delete, scp=scp, ssh=ssh)

if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
