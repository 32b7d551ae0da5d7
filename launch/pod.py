"""A TPU pod from a laptop: rented, filled, started, watched, started again, given back.

  python -m launch.pod up --name=ppo7b --slice=v5e-64 --zone=us-west4-a -- \\
    --config=configs/ppo_llama2_7b.py --workdir=gs://BUCKET/ppo7b

  up      asks for the slice (a queued resource), waits for it, and then does what run does
  run     sends the checkout, installs by launch/requirements-tpu.lock, starts the command on all
          workers in tmux, streams the first one's log; after a preemption or a death, starts again
  logs    the log of one worker (--worker=N --lines=50 --follow)
  status  the machine's state, and each worker's
  stop    asks the run to save and end; the machine stays
  down    removes the machine

Each can be given again at any time and does what is still to do. --slice=local-4 is a pod of four
processes on this machine; --dry_run prints every command and runs none. Needs nothing but Python,
git and gcloud; WANDB_API_KEY and HF_TOKEN go along from the environment, by standard input.
"""

import os
import shlex
import signal
import sys
import time
import traceback

from launch import flags, follow, gcloud, gke, workers
from launch.gcloud import NONE
from launch.shell import PodError


def main(argv):
  """The exit status: 0 done, 1 the run or the machine failed, 2 bad input, 75 the run was asked to
  stop and is not done (`pod stop`), 130 Ctrl-C."""
  say = print_line
  try:
    args = flags.parse(argv, [*VERBS, 'up', 'run'], __doc__)
    if args.gke:
      return gke.main(args)
    job = flags.job_of(args, print_line)
    say = job.say
    status = (run if args.verb in ('up', 'run') else VERBS[args.verb])(job, args)
    if args.dry_run:
      say('a dry run: nothing of this was done')
    return status
  except PodError as error:
    say(f'error: {" ".join(str(error).split())}')
    return 2
  except KeyboardInterrupt:
    return 130


def print_line(text):
  try:
    print(text, flush=True)
  except OSError:  # `| tee log` has ended, by the same Ctrl-C: the last line is said all the same
    os.dup2(2, 1)
    sys.stdout.flush()


def run(job, args):
  """up and run. Whatever happens, the last line says whether something goes on costing money."""
  status = 1
  try:
    job.cloud.check()
    if args.verb == 'run' and job.cloud.state() != 'ACTIVE':
      raise PodError(f'{job.name} is not there ({job.cloud.state()}): up asks for it')
    status = follow.keep_going(job)
  except PodError as error:
    job.say(f'error: {" ".join(str(error).split())}')
  except KeyboardInterrupt:
    job.say('left: what runs there goes on; up or run follow it again, stop ends it')
    status = 130
  except Exception as error:  # a fault of ours must not hide that a machine is up
    traceback.print_exc()
    job.say(f'error: {type(error).__name__}: {error} (report this)')
  finally:
    last = leftover(job, args.down_after and status != 130)
    job.say(f'and would end with: {last}' if args.dry_run else last)
  return status


def leftover(job, remove):
  """The last line: what is up, and the command that removes it."""
  command = shlex.join(job.cloud.removal())
  try:
    if remove and not job.cloud.existing:
      job.cloud.delete()
    state = job.cloud.state()
  except (Exception, KeyboardInterrupt) as error:
    return (
      f'{job.name} may be up and cost money ({error or "not asked"}); this removes it: {command}'
    )
  if state == NONE:
    return f'nothing is left up: {job.name} is not there'
  if state == gcloud.UNKNOWN:
    return f'{job.name} may be up and cost money (nobody answers); this removes it: {command}'
  if state in ('FAILED', 'SUSPENDED'):
    return (
      f'{job.name} is {state}: it costs nothing and is still listed; this removes it: {command}'
    )
  verb = 'is up and costs money' if state == 'ACTIVE' else f'is {state} and will cost money'
  verb = verb if job.cloud.costs else 'is up'
  return f'{job.name} {verb} until this is run: {command}'


def logs(job, args):
  refuse_gone(job)
  if args.worker not in job.cloud.workers():
    raise PodError(f'--worker={args.worker}: there are {len(job.cloud.workers())}, from 0')
  answer = workers.ask(job, args.worker, f'tail {job.home} --lines={args.lines}')
  job.say(answer.get('text') or answer.get('why') or 'nothing was started')
  offset = answer.get('offset', 0)
  while args.follow and (answer['state'] in ('running', 'unreachable') or answer.get('text')):
    time.sleep(job.limits.poll)
    answer = workers.ask(job, args.worker, f'status {job.home} --offset={offset}', tries=1)
    offset = answer.get('offset', offset)
    if answer.get('text'):
      job.say(answer['text'].rstrip('\n'))
  return 0


def status(job, args):
  state = job.cloud.state()
  job.say(f'{job.name}: {state}{f" ({job.cloud.why})" if job.cloud.why else ""}')
  if state == 'ACTIVE':
    for worker, answer in workers.states(job).items():
      last = (answer.get('last') or '').splitlines()
      job.say(f'worker {worker}: {workers.told(answer)}{"  " + last[-1] if last else ""}')
  return 0


def stop(job, args):
  state = job.cloud.state()
  if state == NONE:
    job.say(f'{job.name} is not there: nothing runs')
    return 0
  if state not in ('ACTIVE', gcloud.UNKNOWN):
    job.say(f'{job.name} is {state}: nothing runs')
    job.say(leftover(job, remove=False))
    return 0
  refuse_gone(job)
  for worker, answer in workers.stop(job).items():
    job.say(f'worker {worker}: {workers.told(answer)}')
  job.say(leftover(job, remove=False))
  return 0


def refuse_gone(job):
  state = job.cloud.state()
  if state != 'ACTIVE':
    raise PodError(f'{job.name} is not there ({state})')


def down(job, args):
  if job.cloud.existing:
    raise PodError(
      f'{job.name} was not made here; this removes it: {shlex.join(job.cloud.removal())}'
    )
  if job.cloud.state() == NONE:
    job.say(f'nothing is left up: {job.name} is not there')
    return 0
  end, gone = time.monotonic() + job.limits.stop, False
  try:
    job.cloud.delete()
    while not (gone := job.cloud.state() == NONE) and time.monotonic() < end:
      time.sleep(job.limits.poll)
  except (PodError, KeyboardInterrupt) as error:
    job.say(f'error: {" ".join(str(error).split()) or "left before it was gone"}')
  job.say(leftover(job, remove=False))
  return 0 if gone else 1


VERBS = dict(logs=logs, status=status, stop=stop, down=down)

if __name__ == '__main__':
  for kind in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(kind, signal.default_int_handler)  # whoever ends it: the last line is said
  sys.exit(main(sys.argv[1:]))
