"""Will it fit, how fast at best, what to change: before a pod is paid for, and without one.

  python -m launch.preflight --config=FILE.py[:VARIANT] --slice=v5e-64[,2xv5e-256,...]
      [--config.FIELD=VALUE ...] [--json=FILE] [--price=DOLLARS] [--search] [--keep=DIR]
      [--timeout=SECONDS]

The TPU's own compiler (libtpu, `pip install 'jaxalign[preflight]'`) compiles the programs that the
config's stage would run on the slice; no weight is made. docs/preflight.md says how to read it.

  --slice     v4-N and v5p-N count cores (two a chip), v5e-N and v6e-N chips; 2xv5e-256: two slices
  --price     of a chip and hour: then the cost of the stage, at the bound, is said too
  --keep      leaves the compiled programs in DIR; a run with --compiled=DIR need not compile them
  --search    what else fits: rows on a device, recomputation and mesh, best first
Exit status: 0 all fit, 1 something does not, 2 the question was wrong.
"""

import argparse
import contextlib
import fcntl
import importlib.util
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

from jaxalign import config_file, files, overrides, sealing
from jaxalign.config import UserError
from launch import report, slices

LOCK = pathlib.Path(tempfile.gettempdir()) / f'jaxalign-preflight-{os.getuid()}.lock'
ENVIRONMENT = dict(
  JAX_PLATFORMS='cpu',
  TPU_SKIP_MDS_QUERY='1',
  TPU_WORKER_HOSTNAMES='localhost',
  JAX_FORCE_TPU_INIT='1',  # the compiler's flags are those that jax gives it where a TPU is
  TPU_MIN_LOG_LEVEL='3',
  TF_CPP_MIN_LOG_LEVEL='3',
  HF_HUB_OFFLINE='1',
  ALLOW_MULTIPLE_LIBTPU_LOAD='1',  # its lock is for machines with a TPU
  JAX_TRACEBACK_FILTERING='off',  # so that the last line of a failure is what failed
)
REMEDY = "pip install 'jaxalign[preflight]'"


def run(argv):
  """The exit status; what is wrong with the question is one line."""
  try:
    plain, assignments = overrides.of_arguments(argv)
    args = parse(plain)
    if args.search and args.keep:
      raise UserError('--search compiles many: --keep what it finds with a second call')
    wheres = [slices.parse(name) for name in args.slice.split(',')]
    if args.json:
      refuse_unwritable(args.json)
    if args.keep:
      args.keep = files.place(args.keep, '--keep')
    refuse_no_compiler()
    refuse_bad(args.config, assignments)
    given = [f'--config.{field}={text}' for field, text in assignments]
    found = []
    for where in wheres:

      def ask(more=(), where=where):
        return compiled(args.config, where, [*given, *more], args.timeout, args.keep)

      if args.search:
        found += searched(args.config, where, given, ask)
      else:
        found += ask()
        print(report.page(found, where, args.price), flush=True)
    if args.json:
      files.write_text(json.dumps(found, indent=1) + '\n', args.json)
    return 0 if all(program['fits'] for program in found) else 1
  except UserError as error:
    print('error:', ' '.join(str(error).split()), file=sys.stderr)
    return 2
  except KeyboardInterrupt:
    return 130


def searched(spec, where, given, ask):
  """The programs of the best that fits; all that is worth knowing is printed."""
  from launch import search  # reads the config here, which needs jax

  programs = []

  def say(more):
    programs[:] = ask(more)
    fits = 'fits' if all(p['fits'] for p in programs) else 'too big'
    print(f'{fits:<8}{" ".join(more)}', file=sys.stderr, flush=True)
    return list(programs)

  ranked = search.pareto(search.search(search.candidates(spec, given, where), say))
  print('\n'.join([f'{where.name}, the fastest first:', *search.lines(ranked)]), flush=True)
  return ranked[0][-1] if ranked else programs  # the last and smallest that was tried


class Parser(argparse.ArgumentParser):
  def error(self, message):
    raise UserError(f'{message} (--help says more)')


def parse(argv):
  raw = argparse.RawDescriptionHelpFormatter
  parser = Parser(
    prog='launch.preflight', description=__doc__, allow_abbrev=False, formatter_class=raw
  )
  parser.add_argument('--config', required=True)
  parser.add_argument('--slice', required=True)
  parser.add_argument('--json')
  parser.add_argument('--price', type=amount)
  parser.add_argument('--search', action='store_true')
  parser.add_argument('--keep')
  parser.add_argument('--timeout', type=amount, default=3600)
  return parser.parse_args(argv)


def amount(text):
  if not 0 < (number := float(text)) < float('inf'):
    raise ValueError
  return number


def refuse_unwritable(path):
  """Before minutes of compiling, and not after."""
  files.refuse_scheme(path, f'--json={path}')
  if '://' in path:
    return  # of a bucket only writing tells
  path = pathlib.Path(path)
  there = next(place for place in (path, *path.absolute().parents) if place.exists())
  if path.is_dir() or not os.access(there, os.W_OK) or (there != path and not there.is_dir()):
    raise UserError(f'--json={path}: {there} cannot be written: name another file')


def refuse_no_compiler():
  if importlib.util.find_spec('libtpu') is None:
    raise UserError(f'the TPU compiler (libtpu) is not installed here: {REMEDY}')


def refuse_bad(spec, assignments):
  """A config that cannot be opened or sealed: before anybody waits for another's compiling."""
  cfg = config_file.load(spec)
  for name, text in assignments:
    overrides.override(cfg, name, text)
  sealing.seal(cfg)


def compiled(spec, where, given, timeout=3600, keep=None):
  """What the child process found: a dict for each program."""
  with tempfile.TemporaryDirectory() as place, alone():
    answer = pathlib.Path(place) / 'answer.json'
    command = [sys.executable, '-m', 'launch.compiling', str(answer), spec, where.name, *given]
    if keep:
      command.append(f'--keep={keep}')
    env = os.environ | ENVIRONMENT | dict(TPU_ACCELERATOR_TYPE=where.accelerator)
    env.pop('XLA_FLAGS', None)  # of the CPU that this process may have been told to pretend to be
    try:
      child = subprocess.run(command, env=env, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
      raise UserError(f'{where.name}: no answer within --timeout={timeout:g} s') from None
    if child.returncode == 0:
      return json.loads(answer.read_text())
    lines = [line for line in child.stderr.splitlines() if line.strip()] or ['it said nothing']
    said = next((line for line in lines if line.startswith('error: ')), lines[-1])
    words = said.removeprefix('error: ')
    if child.returncode == 2:
      raise UserError(words)
    how = f'status {child.returncode}'
    if child.returncode < 0:
      how = f'signal {-child.returncode}{", for memory?" if child.returncode == -9 else ""}'
    raise UserError(f'{where.name}: the compiler process failed ({how}): {words}')


@contextlib.contextmanager
def alone():
  """libtpu serves one process of a machine at a time: others wait."""
  with open(LOCK, 'w') as file:
    try:
      fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      print('waiting for another preflight of this machine', file=sys.stderr, flush=True)
      fcntl.flock(file, fcntl.LOCK_EX)
    yield


if __name__ == '__main__':
  signal.signal(signal.SIGTERM, signal.default_int_handler)  # the compiler ends with it
  sys.exit(run(sys.argv[1:]))
