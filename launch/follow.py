"""A run kept going: wait for the machine, start everywhere, stream, start anew what was broken."""

import pathlib
import re
import tempfile
import time
from signal import SIGABRT  # by which jax ends itself when another process has died

from jaxalign.endings import BAD_INPUT, UNFINISHED
from launch import checkout, workers
from launch.gcloud import GONE, NONE, UNKNOWN
from launch.shell import PodError
from launch.workers import ask

STEP = re.compile(r'\bstep ([\d,]+)')


def keep_going(job):
  """The exit status: 0 once the run is done, UNFINISHED where it was asked to stop; raises PodError
  when starting it anew would not help."""
  with tempfile.TemporaryDirectory() as place:
    tree = checkout.pack(pathlib.Path(place) / 'tree.tar')  # once: what goes on is what began
    return again_and_again(job, tree)


def again_and_again(job, tree):
  best, fruitless = -1, 0
  for attempt in range(job.limits.restarts + 1):
    machine(job)
    workers.prepare(job, tree)
    how, step = watch(job, workers.start(job))
    if how == 'done':
      job.say('done')
      return 0
    if how == 'stopped':
      job.say('stopped, as asked (pod stop); the same command goes on from the last save')
      return UNFINISHED
    if step > best or how == 'gone':
      fruitless = 0
    else:
      fruitless += 1
      if fruitless >= job.limits.fruitless:
        raise PodError(
          f'{fruitless} times in a row it was broken before any new step was seen: '
          'it is not started again'
        )
    best = max(best, step)
    job.say(f'{how}: starting again from the last save ({attempt + 1} of {job.limits.restarts})')
    if how != 'gone':
      workers.kill(job)
  raise PodError(f'it was broken {job.limits.restarts + 1} times: it is not started again')


def machine(job):
  """Until the slice is there: asked for where it is not, taken away first where it was lost."""
  began, shown, known = time.monotonic(), 0.0, None
  while (state := job.cloud.state()) != 'ACTIVE':
    waited = time.monotonic() - began
    if known and waited > job.limits.wait:
      raise PodError(f'no capacity within {waited / 3600:.1f} hours (--wait=HOURS): {state}')
    why = job.cloud.why
    if job.cloud.existing:
      if state == NONE or state in GONE:
        raise PodError(f'there is no TPU VM {job.name} to run on ({state}): it was to exist')
    elif state == NONE:
      why, began = job.cloud.create(), began if known else time.monotonic()
      known = NONE
      job.say(f'{job.name}: {why or "asked for"}')
    elif state in GONE and state not in ('DELETING', 'SUSPENDING'):
      if state == 'FAILED' and re.search('quota', why, re.IGNORECASE):
        raise PodError(f'the request failed: {why}')
      job.say(f'{job.name} is {state}{f" ({why})" if why else ""}: asking anew')
      job.cloud.delete()
      continue
    if state != NONE and (state != known or waited - shown >= 600):
      minutes = f', {waited / 60:.0f} min so far' if waited >= 60 else ''
      job.say(f'waiting for {job.name}: {state}{f" ({why})" if why else ""}{minutes}')
      known, shown = state, waited
    time.sleep(job.limits.queue)
  if job.cloud.other:
    raise PodError(f'{job.name} is a {job.cloud.other}: name that, or take another --name')
  if known:
    job.say(f'{job.name} is there')


def watch(job, started):
  """(done, stopped, gone or what broke it; the last step that was seen)."""
  offset = -4000 if any(a.get('said') == 'runs already' for a in started.values()) else 0
  job.say(f'started on {len(started)} workers' if offset == 0 else 'it runs already: following')
  step, heard, looked = -1, time.monotonic(), time.monotonic()
  while True:
    first = ask(job, 0, f'status {job.home} --offset={offset}', tries=1)
    if first['state'] != 'unreachable':
      heard, offset = time.monotonic(), first.get('offset', 0)
      if first.get('text'):
        job.say(first['text'].rstrip('\n'))
        step = max([step, *steps_in(first['text'])])
    elif silence(job, heard, first):
      return 'gone', step
    if first['state'] not in ('running', 'unreachable'):
      return verdict(job, step, offset)
    # All of a large pod are seldom asked: when one dies, the others end within a minute.
    if time.monotonic() - looked >= job.limits.others * max(1, len(started) / 8):
      looked = time.monotonic()
      if any(broken(a) for a in workers.states(job).values()):
        return verdict(job, step, offset)
    time.sleep(job.limits.poll)


def steps_in(text):
  return [int(digits.replace(',', '')) for digits in STEP.findall(text)]


def broken(answer):
  """Ended otherwise than well. One that cannot be reached just now may be running all the same."""
  return answer['state'] in ('lost', 'none') or answer.get('rc') not in (None, 0, UNFINISHED)


def silence(job, heard, answer):
  """Whether the machine is gone; where nobody can say, the run may well be going on."""
  state, quiet = job.cloud.state(), time.monotonic() - heard
  if state == NONE or state in GONE:
    job.say(f'{job.name} is {state}: preempted, or removed')
    return True
  if state == UNKNOWN:
    job.say(f'neither worker 0 nor Google can be reached from here ({answer["why"]}): trying on')
  else:
    job.say(f'worker 0 does not answer ({answer["why"]}), and its machine is {state}: trying on')
    if quiet > job.limits.silent:
      if job.cloud.existing:
        raise PodError(f'worker 0 has not answered for {quiet:.0f} s, and the machine is not ours')
      job.say(f'worker 0 has not answered for {quiet:.0f} s: the machine is replaced')
      job.cloud.delete()
      return True
  return False


def verdict(job, step, offset):
  """The first worker has ended, or one of the others has ended badly: what happened."""
  began, got = time.monotonic(), workers.states(job, tries=job.limits.tries)
  while any(a['state'] == 'running' for a in got.values()):
    patience = job.limits.grace * (1 if any(map(broken, got.values())) else 10)
    if time.monotonic() - began > patience:
      break
    time.sleep(job.limits.poll)
    got = workers.states(job, tries=job.limits.tries)
  while text := (first := ask(job, 0, f'status {job.home} --offset={offset}')).get('text'):
    job.say(text.rstrip('\n'))  # what it said at the end
    step, offset = max([step, *steps_in(text)]), first['offset']
  if any(a.get('stopped') for a in got.values()):
    return 'stopped', step
  bad = {w: a for w, a in got.items() if broken(a) or a['state'] == 'unreachable'}
  taken = {w: a for w, a in bad.items() if a['state'] != 'ended' or -SIGABRT != a['rc'] < 0}
  bad = taken | bad  # those to whom it was done come before those who only saw it
  if not bad:
    if any(a['state'] == 'running' for a in got.values()):
      return 'some workers ended and others did not', step
    if any(a.get('rc') == UNFINISHED for a in got.values()):
      return 'its machine told it to stop', step
    return 'done', step
  state = job.cloud.state()
  if state == NONE or state in GONE:
    job.say(f'{job.name} is {state}: preempted, or removed')
    return 'gone', step
  workers.show_tails(job, bad)
  if not taken and any(a['rc'] == BAD_INPUT for a in bad.values()):
    raise PodError('the command refused its input: see the lines above; mend it and run again')
  worker, answer = next(iter(bad.items()))
  return f'worker {worker} was {workers.told(answer)}', step
