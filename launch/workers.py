"""Words with all workers at once: send the checkout, prepare, start, ask, stop."""

import concurrent.futures
import dataclasses
import itertools
import json
import shlex
import time

from jaxalign.endings import UNFINISHED
from launch import shell
from launch.shell import PodError

AT_ONCE = 32  # gcloud processes; each is a Python of its own on the user's laptop


@dataclasses.dataclass(kw_only=True)
class Limits:
  """Seconds, but for counts."""

  poll: float = 5  # between looks at the first worker
  others: float = 60  # between looks at all of them
  queue: float = 30  # between looks at a request that waits for capacity
  wait: float = 24 * 3600  # for capacity, at most
  ssh: float = 120  # for a word with a worker
  reach: float = 300  # for a worker to be reached first: one that starts takes minutes
  install: float = 1800
  grace: float = 60  # for the others to end by themselves after one has failed
  silent: float = 900  # that workers may be unreachable before the machine counts as lost
  stop: float = 1800  # for a run to save after it was asked to end
  tries: int = 3
  restarts: int = 50
  fruitless: int = 3  # restarts in a row that reached no new step


@dataclasses.dataclass(kw_only=True)
class Job:
  """A run on a pod, and how to speak of it."""

  name: str
  cloud: object  # a Slice or a Local
  say: object  # prints a line, without secrets
  command: list[str] = dataclasses.field(default_factory=list)
  secrets: dict[str, str] = dataclasses.field(default_factory=dict)
  limits: Limits = dataclasses.field(default_factory=Limits)

  @property
  def home(self):
    return f'~/jaxalign-pods/{self.name}'


def everywhere(job, act, workers=None):
  """{worker: act(worker)}"""
  workers = list(job.cloud.workers() if workers is None else workers)
  with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
    asked = [pool.submit(act, worker) for worker in workers]
    try:
      return {worker: one.result() for worker, one in zip(workers, asked)}
    except KeyboardInterrupt:
      pool.shutdown(wait=False, cancel_futures=True)
      shell.leave(asked)
      raise


def ask(job, worker, words, *, given='', patience=None, tries=None):
  """What worker.py answers there; dict(state='unreachable', why) if it does not."""
  program = f'{job.home}/tree/launch/worker.py'
  command = f'test -e {program} && exec python3 {program} {words}; echo \'POD {{"state": "none"}}\''
  return retried(job, worker, command, given, patience or job.limits.ssh, tries)


def retried(job, worker, command, given, patience, tries=None):
  for n in range(tries or job.limits.tries):
    if n:
      shell.LEFT.wait(min(job.limits.poll * n, 30))
    got = job.cloud.ask(worker, command, given=given, patience=patience)
    for line in reversed(got.out.splitlines()):
      if line.startswith('POD '):
        return json.loads(line[4:])
  return dict(state='unreachable', why=got.why)


def prepare(job, packed):
  """The checkout and its packages on every worker; an error names the workers that lack them."""
  path, mark = packed
  tar = f'.jaxalign-{job.name}-{mark}.tar'
  job.say(f'sending the checkout ({path.stat().st_size >> 10:,} KiB) and installing')

  def copy(worker):
    end = time.monotonic() + job.limits.reach
    for n in itertools.count(1):
      got = job.cloud.copy(worker, path, tar)
      if got.status == 0 or (n >= job.limits.tries and time.monotonic() > end):
        return got
      if shell.LEFT.wait(2 * job.limits.poll):
        return got

  first, *rest = job.cloud.workers()
  got = {first: copy(first)} | everywhere(job, copy, rest)  # the first call makes gcloud's ssh key
  lost = {w: done.why for w, done in got.items() if done.status}
  refuse(job, 'received no checkout', lost)
  tree = f'{job.home}/tree-{mark}'
  command = (
    f'test -e {tree}/.whole || {{ rm -rf {tree} && mkdir -p {tree} && tar -xf ~/{tar} -C {tree} && '
    f'touch {tree}/.whole; }} && rm -f ~/{tar} && '
    f'exec python3 {tree}/launch/worker.py prepare {job.home}'
  )

  def install(worker):
    return retried(job, worker, command, json.dumps(job.secrets), job.limits.install)

  got = everywhere(job, install)
  again = [w for w, answer in got.items() if not answer.get('ok')]
  if again:  # a download that broke off: what is whole is not made anew
    job.say(f'{len(again)} of {len(got)} workers could not install; once more')
    got |= everywhere(job, install, again)
  lost = {w: a.get('said') or a.get('why', '') for w, a in got.items() if not a.get('ok')}
  refuse(job, 'could not install', lost)


def refuse(job, what, faults):
  if faults:
    worker, why = next(iter(faults.items()))
    names = ', '.join(map(str, list(faults)[:8])) + (', ...' if len(faults) > 8 else '')
    raise PodError(f'worker {names} {what}; worker {worker} says: {why}')


def start(job):
  """{worker: answer}; those that run the same command already go on."""
  environments = job.cloud.environments()

  def one(worker):
    plain = {k: v for k, v in environments[worker].items() if k not in job.secrets}
    env = ''.join(f'--env={shlex.quote(f"{k}={v}")} ' for k, v in plain.items())
    return ask(job, worker, f'start {job.home} {env}-- {shlex.join(job.command)}')

  got = everywhere(job, one)
  for worker, answer in got.items():
    if answer.get('said') == 'another command runs':
      raise PodError(
        f'worker {worker} runs another command ({shlex.join(answer["command"])}): stop it first '
        f'(python -m launch.pod stop), or take another --name'
      )
  return got


def states(job, tries=1):
  return everywhere(job, lambda worker: ask(job, worker, f'status {job.home}', tries=tries))


def kill(job):
  return everywhere(job, lambda worker: ask(job, worker, f'kill {job.home}', tries=1))


def stop(job):
  """Asks all to save and end; ends what has not after limits.stop. Their last states."""
  got = everywhere(job, lambda worker: ask(job, worker, f'stop {job.home}'))
  end = time.monotonic() + job.limits.stop
  while any(a['state'] == 'running' for a in got.values()) and time.monotonic() < end:
    time.sleep(job.limits.poll)
    got = states(job)
  if any(a['state'] == 'running' for a in got.values()):
    job.say(f'some did not end within {job.limits.stop:g} s: they are killed')
    got = kill(job)
  return got


def show_tails(job, got, lines=20, most=8):
  """The end of the log of each of these workers."""
  for worker in list(got)[:most]:
    answer = ask(job, worker, f'tail {job.home} --lines={lines}', tries=1)
    job.say(f'--- worker {worker}: {told(got[worker])}')
    job.say(answer.get('text') or answer.get('why') or '(its log is empty)')
  if len(got) > most:
    job.say(f'--- and {len(got) - most} more (python -m launch.pod logs --worker=N)')


def told(answer):
  """A state in words."""
  if answer['state'] == 'ended':
    rc = answer['rc']
    if rc == UNFINISHED:
      return f'told to stop, and saved (exit status {rc})'
    return f'killed by signal {-rc}' if rc < 0 else f'ended with exit status {rc}'
  if answer['state'] == 'unreachable':
    return f'unreachable ({answer["why"]})'
  return {'lost': 'lost: its machine was started anew', 'none': 'nothing was started'}.get(
    answer['state'], answer['state']
  )
