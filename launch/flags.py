"""What launch.pod is told: its flags, what is wrong with them, and the job that they make."""

import argparse
import math
import os
import re

from launch import accelerators, checkout, dry, gcloud, local, shell, workers
from launch.shell import PodError

SECRETS = ('WANDB_API_KEY', 'HF_TOKEN')


def amount(text):
  if not 0 <= (number := float(text)) < math.inf:
    raise ValueError
  return number


def count(text):
  if (number := int(text)) < 1:
    raise ValueError
  return number


def from_0(text):
  if not text.isascii() or not text.isdigit():
    raise argparse.ArgumentTypeError(f'{text!r} is no whole number from 0 on')
  return int(text)


class Parser(argparse.ArgumentParser):
  def error(self, message):
    raise PodError(f'{message} (--help says more)')


def parse(argv, verbs, about):
  """The flags, checked. about: what --help says first."""
  cut = argv.index('--') if '--' in argv else len(argv)
  parser = Parser(
    prog='python -m launch.pod',
    description=about,
    allow_abbrev=False,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  add = parser.add_argument
  add('verb', choices=verbs)
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
  add('--worker', type=from_0, default=0, help='logs: whose')
  add('--lines', type=count, default=50, help='logs: how many')
  add('--follow', action='store_true', help='logs: go on until the run ends')
  add('--down_after', action='store_true', help='up, run: remove the machine at the end')
  add('--wait', type=amount, default=24, help='hours for capacity at most')
  add('--restarts', type=from_0, default=50, help='at most')
  add('--poll', type=amount, default=5, help='seconds between looks')
  add('--grace', type=amount, default=60, help='seconds the others have once one has failed')
  add('--ssh_patience', type=amount, default=120, help='seconds for a word with a worker')
  add('--silent', type=amount, default=900, help='seconds until it counts as lost: up replaces it')
  add('--devices', type=count, default=1, help='of each process of a local pod')
  add('--root', help='of a local pod: a directory')
  add('--gke', action='store_true', help='up: write a JobSet (NAME.yaml) for kubectl instead')
  add('--image', help='--gke: the container, with the checkout in /jaxalign')
  add('--num_slices', type=count, default=1, help='--gke: so many slices over DCN')
  add('--dry_run', action='store_true', help='print every command, run none')
  args = parser.parse_args(argv[:cut])
  args.command = argv[cut + 1 :]
  refuse_secrets(argv)
  check(args)
  return args


def refuse_secrets(argv):
  """What is told here goes into command lines over there."""
  for name in SECRETS:
    value = os.environ.get(name)
    if any((value and value in word) or f'{name}=' in word for word in argv):
      raise PodError(
        f'{name} stands in the command line, where others can read it: export it, and leave it '
        'out; it goes along by itself (others by --env=NAME)'
      )


PLACES = 'slice', 'zone', 'project', 'runtime_version', 'root', 'image'  # of one word each


def check(args):
  """What is wrong before anything is asked for."""
  for name in PLACES:
    refuse_no_word(name, getattr(args, name))
  for flag in args.create_flag:
    if not re.fullmatch(r'--[a-z][-a-z0-9]*(=[^\0\n]*)?', flag):
      raise PodError(f'--create_flag={flag}: a flag of gcloud, as --create_flag=--network=NAME')
  if not re.fullmatch(r'[a-z]([-a-z0-9]{0,37}[a-z0-9])?', args.name):
    raise PodError(f'--name={args.name}: lower case letters, digits and dashes, a letter first')
  args.hosts = local.hosts_of(args.slice)
  if args.hosts is None and not args.zone and not args.gke:
    raise PodError('--zone is missing: where the slice is to be, as us-west4-a')
  if args.num_slices > 1 and not args.gke:
    raise PodError('--num_slices: several slices over DCN are for --gke; on TPU VMs a run has one')
  for name in ('existing', 'down_after', 'create_flag', 'env') if args.gke else ():
    if getattr(args, name):
      raise PodError(f'--{name} is not for --gke (docs/tpu.md, 6): leave it out')
  if '=' in args.env:
    raise PodError('--env takes names, and no values: export them first')
  for name in filter(None, args.env.split(',')):
    if not re.fullmatch(r'[A-Za-z_]\w*', name):
      raise PodError(f'--env={args.env}: {name!r} is no name of a variable; write A,B')
  if args.verb not in ('up', 'run'):
    return
  if args.slice is None:
    raise PodError('--slice is missing: KIND-COUNT, as v5e-64')
  if not args.command:
    raise PodError('give the command after --, as: -- --config=FILE.py --workdir=gs://...')
  if args.command[0].startswith('-'):
    args.command = ['python', '-m', 'jaxalign.main', *args.command]
    if lonely := [a for a in args.command[3:] if a in ('--config', '--workdir')]:
      raise PodError(f'{lonely[0]}: write {lonely[0]}=..., with the equals sign')
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


def refuse_no_word(name, value):
  """A value goes into command lines and paths over there: none is empty, or itself a flag."""
  if value is None:
    return
  if not value or value.startswith('-') or any(not c.isprintable() for c in value):
    raise PodError(f'--{name}={value}: takes a name, which is not empty and begins with no dash')
  if name not in ('root', 'image') and not re.fullmatch(r'[\w.:-]+', value):
    raise PodError(f'--{name}={value}: letters, digits, dashes and dots')


def job_of(args, print_line):
  """The run that they describe; print_line is not given a secret."""
  names = [*SECRETS, *filter(None, args.env.split(','))]
  secrets = {name: os.environ[name] for name in names if os.environ.get(name)}
  lost = [name for name in names if name not in secrets and name not in SECRETS]
  if lost:
    raise PodError(f'--env={args.env}: {lost[0]} is not set here')
  limits = workers.Limits(
    poll=args.poll,
    others=12 * args.poll,
    queue=6 * args.poll,
    reach=60 * args.poll,
    wait=3600 * args.wait,
    ssh=args.ssh_patience,
    grace=args.grace,
    silent=args.silent,
    restarts=args.restarts,
  )
  if args.hosts is not None:
    cloud = local.Local(args.name, args.hosts, args.devices, args.root)
  else:
    found = accelerators.find(args.slice or 'v5e-1')  # verbs that ask only learn it from Google
    there = args.existing or args.verb != 'up'
    cloud = gcloud.Slice(
      args.name,
      found,
      args.zone,
      args.project,
      spot=args.spot,
      existing=args.existing,
      runtime=args.runtime_version,
      internal_ip=args.internal_ip,
      flags=args.create_flag,
      run=dry.Imaginary(found.hosts, there) if args.dry_run else shell.run,
    )
  if args.dry_run:
    limits.poll = limits.queue = 0
    if args.hosts is not None:
      raise PodError('--dry_run shows what gcloud would be told: a local pod has no gcloud')

  def say(text):
    for value in secrets.values():
      if len(value) > 5:  # WANDB_MODE, DEBUG=1: stars in every line help nobody
        text = text.replace(value, '***')
    print_line(text)

  return workers.Job(
    name=args.name, cloud=cloud, say=say, command=args.command, secrets=secrets, limits=limits
  )
