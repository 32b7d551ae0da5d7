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

import argparse
import os
import re
import shlex
import signal
import sys
import time
import traceback

from launch import accelerators, checkout, dry, follow, gcloud, gke, local, shell, workers
from launch.gcloud import NONE
from launch.shell import PodError

SECRETS = ('WANDB_API_KEY', 'HF_TOKEN')


def main(argv):
  """The exit status: 0 done, 1 the run or the machine failed, 2 bad input, 130 Ctrl-C."""
  say = print_line
  try:
    args = parse(argv)
    if args.gke:
      return gke.main(args)
    job = job_of(args)
    say = job.say
    if args.verb in ('up', 'run'):
      return run(job, args)
    return VERBS[args.verb](job, args)
  except PodError as error:
    say(f'error: {" ".join(str(error).split())}')
    return 2
  except KeyboardInterrupt:
    return 130


def print_line(text):
  print(text, flush=True)


def parse(argv):
  cut = argv.index('--') if '--' in argv else len(argv)
  parser = argparse.ArgumentParser(
    prog='python -m launch.pod', description=__doc__, allow_abbrev=False,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )  # fmt: skip
  add = parser.add_argument
  add('verb', choices=[*VERBS, 'up', 'run'])
  add('--name', required=True, help='of the slice; lower case letters, digits and dashes')
  add('--slice', help='v4, v5e, v5p or v6e, and a number: v5e-64; or local-4')
  add('--zone', help='where there is quota for it')
  add('--project', help="default: gcloud's own")
  add('--spot', action='store_true', help='cheaper, and may be taken away at any time')
  add('--existing', action='store_true', help='a TPU VM that is there: never made or removed')
  add('--runtime_version', help="of the TPU VMs' software; default: the kind's own")
  add('--internal_ip', action='store_true', help='ssh by internal addresses')
  add('--create_flag', action='append', default=[], help='for gcloud ... create, as it is')
  add('--env', default='', help='A,B: more variables of this environment that the run gets')
  add('--worker', type=int, default=0, help='logs: whose')
  add('--lines', type=int, default=50, help='logs: how many')
  add('--follow', action='store_true', help='logs: go on until the run ends')
  add('--down_after', action='store_true', help='up, run: remove the machine at the end')
  add('--wait', type=float, default=24, help='hours for capacity at most')
  add('--restarts', type=int, default=50, help='at most')
  add('--poll', type=float, default=5, help='seconds between looks')
  add('--grace', type=float, default=60, help='seconds the others have once one has failed')
  add('--ssh_patience', type=float, default=120, help='seconds for a word with a worker')
  add('--silent', type=float, default=900, help='seconds until it counts as lost: up replaces it')
  add('--devices', type=int, default=1, help='of each process of a local pod')
  add('--root', help='of a local pod: a directory')
  add('--gke', action='store_true', help='up: write a JobSet (NAME.yaml) for kubectl instead')
  add('--image', help='--gke: the container, with the checkout in /jaxalign')
  add('--num_slices', type=int, default=1, help='--gke: so many slices over DCN')
  add('--dry_run', action='store_true', help='print every command, run none')
  args = parser.parse_args(argv[:cut])
  args.command = argv[cut + 1 :]
  check(args)
  return args


def check(args):
  """What is wrong before anything is asked for."""
  if not re.fullmatch(r'[a-z]([-a-z0-9]{0,37}[a-z0-9])?', args.name):
    raise PodError(f'--name={args.name}: lower case letters, digits and dashes, a letter first')
  args.hosts = local.hosts_of(args.slice)
  if args.hosts is None and not args.zone and not args.gke:
    raise PodError('--zone is missing: where the slice is to be, as us-west4-a')
  if args.verb not in ('up', 'run'):
    return
  if args.slice is None:
    raise PodError('--slice is missing: KIND-COUNT, as v5e-64')
  if not args.command:
    raise PodError('give the command after --, as: -- --config=FILE.py --workdir=gs://...')
  if args.command[0].startswith('-'):
    args.command = ['python', '-m', 'jaxalign.main', *args.command]
    given = dict(a.lstrip('-').split('=', 1) for a in args.command[3:] if '=' in a)
    file = given.get('config', '').split(':')[0]
    if not args.gke and file not in checkout.tracked():
      raise PodError(
        f'--config={file}: git tracks no such file, and only these are sent: git add it'
      )
    workdir = given.get('workdir', '')
    if args.hosts is None and not workdir.startswith('gs://'):
      raise PodError(f"--workdir={workdir}: name a gs:// place: workers' disks go with the machine")
    if args.hosts is not None and not os.path.isabs(workdir):
      raise PodError(f'--workdir={workdir}: of a local pod, name it from the root: /tmp/...')


def job_of(args):
  names = [*SECRETS, *filter(None, args.env.split(','))]
  secrets = {name: os.environ[name] for name in names if os.environ.get(name)}
  lost = [name for name in names if name not in secrets and name not in SECRETS]
  if lost:
    raise PodError(f'--env={args.env}: {lost[0]} is not set here')
  limits = workers.Limits(
    poll=args.poll, others=12 * args.poll, queue=6 * args.poll, wait=3600 * args.wait,
    ssh=args.ssh_patience, grace=args.grace, silent=args.silent, restarts=args.restarts,
  )  # fmt: skip
  if args.hosts is not None:
    cloud = local.Local(args.name, args.hosts, args.devices, args.root)
  else:
    found = accelerators.find(args.slice or 'v5e-1')  # verbs that ask only learn it from Google
    cloud = gcloud.Slice(
      args.name, found, args.zone, args.project, spot=args.spot, existing=args.existing,
      runtime=args.runtime_version, internal_ip=args.internal_ip, flags=args.create_flag,
      run=dry.Imaginary(found.hosts, args.verb) if args.dry_run else shell.run,
    )  # fmt: skip
  if args.dry_run:
    limits.poll = limits.queue = 0
    if args.hosts is not None:
      raise PodError('--dry_run shows what gcloud would be told: a local pod has no gcloud')

  def say(text):
    for value in secrets.values():
      text = text.replace(value, '***')
    print_line(text)

  return workers.Job(
    name=args.name, cloud=cloud, say=say, command=args.command, secrets=secrets, limits=limits
  )


def run(job, args):
  """up and run. Whatever happens, the last line says whether something goes on costing money."""
  status = 1
  try:
    job.cloud.check()
    if args.verb == 'run' and job.cloud.state() != 'ACTIVE':
      raise PodError(f'{job.name} is not there ({job.cloud.state()}): up asks for it')
    follow.keep_going(job)
    status = 0
  except PodError as error:
    job.say(f'error: {" ".join(str(error).split())}')
  except KeyboardInterrupt:
    job.say('left: what runs there goes on; up or run follow it again, stop ends it')
    status = 130
  except Exception as error:  # a fault of ours must not hide that a machine is up
    traceback.print_exc()
    job.say(f'error: {type(error).__name__}: {error} (report this)')
  finally:
    job.say(leftover(job, args.down_after and status != 130))
  return status


def leftover(job, remove):
  """The last line: what is up, and the command that removes it."""
  command = shlex.join(job.cloud.removal())
  try:
    if remove and not job.cloud.existing:
      job.cloud.delete()
    state = job.cloud.state()
  except (PodError, KeyboardInterrupt) as error:
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
  offset = None
  while args.follow and answer['state'] in ('running', 'unreachable'):
    time.sleep(job.limits.poll)
    more = f' --offset={10**15 if offset is None else offset}'
    answer = workers.ask(job, args.worker, f'status {job.home}{more}', tries=1)
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
  try:
    job.cloud.delete()
  except PodError as error:
    job.say(f'error: {" ".join(str(error).split())}')
    job.say(leftover(job, remove=False))
    return 1
  end = time.monotonic() + job.limits.stop
  while job.cloud.state() not in (NONE,) and time.monotonic() < end:
    time.sleep(job.limits.poll)
  job.say(leftover(job, remove=False))
  return 0 if job.cloud.state() == NONE else 1


VERBS = dict(logs=logs, status=status, stop=stop, down=down)

if __name__ == '__main__':
  for kind in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(kind, signal.default_int_handler)  # whoever ends it: the last line is said
  sys.exit(main(sys.argv[1:]))
