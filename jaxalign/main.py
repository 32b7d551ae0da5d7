"""jaxalign: run one stage of alignment from one config file.

  jaxalign [prepare] --config=FILE.py[:VARIANT] --workdir=DIR [--config.FIELD=VALUE ...]
  jaxalign compare RUN_A RUN_B ... [--workdir=DIR]

  prepare                   only tokenises the config's corpora and counts their tokens
  compare                   pairs finished arms item by item; a RUN is a directory, or DIR:ARM
  --doctor [--slice=v5e-64] runs nothing: says what in this config would fail, and on which machine
  --compiled=DIR            reads compiled programs from DIR, and keeps there what it compiles;
                            launch/preflight.py --keep=DIR fills it before there is a TPU.
                            Default: the user's cache directory, for a run of one process;
                            --nocompiled compiles everything anew

  --config.optim.lr=3e-6    sets any field at any depth; its type decides how the text is read:
                            numbers, true/false, a name among choices, none, tuples as 0.9,0.95
  --config=FILE.py --help   lists the fields of that config with their values

The config decides which stage runs: it is the module that the config's class comes from.
The resolved config is written to DIR/config.json first. In the same DIR again, a run resumes.

Exit status: 0 done, 1 a fault, 2 bad input (one line says what to mend), 75 told to stop (SIGTERM,
Ctrl-C): all is saved and the run is not done, the same command goes on; 130 stopped at once.
"""

import contextlib
import errno
import importlib.util
import inspect
import pathlib
import re
import sys
import typing

from absl import flags, logging

from jaxalign import files, overrides, sealing
from jaxalign.config import UserError
from jaxalign.endings import BAD_INPUT, FAULT, KEYBOARD, UNFINISHED
from jaxalign.workdir import alone, claim, refuse_other_run

_COMMANDS = ('prepare', 'compare')  # besides run, which needs no word
_NO_ROOM = errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS
_MAKE_ROOM = 'make room or mend the place, and the same command goes on'
_OVERRIDE = re.compile(r'--?config\.([\w.]+)(?:=(.*))?', re.DOTALL)


def _define_flags():
  """Every flag there is. A fresh set for each call, so that a process can call main() twice."""
  values = flags.FlagValues()
  flags.DEFINE_string('config', None, 'FILE.py[:VARIANT], a config file', flag_values=values)
  flags.DEFINE_string('workdir', None, 'where the run lives (local or gs://)', flag_values=values)
  flags.DEFINE_bool('debug', False, 'show the traceback of an error', flag_values=values)
  flags.DEFINE_bool('help', False, 'this text; with --config, its fields', flag_values=values)
  flags.DEFINE_bool('doctor', False, 'check the config, and run nothing', flag_values=values)
  flags.DEFINE_string(
    'slice', None, 'for --doctor: KIND-COUNT to be run on, as v5e-64; default: here',
    flag_values=values,
  )  # fmt: skip
  flags.DEFINE_string(
    'compiled', None, 'directory (local or gs://) of compiled programs: read, and added to',
    flag_values=values,
  )  # fmt: skip
  flags.DEFINE_bool('nocompiled', False, 'compile everything anew', flag_values=values)
  flags.DEFINE_string(
    'coordinator', None, 'HOST:PORT of process 0, where no cluster says so', flag_values=values
  )
  flags.DEFINE_integer('processes', None, 'how many processes the run has', flag_values=values)
  flags.DEFINE_integer('process_id', None, 'which of them this is', flag_values=values)
  return values


def cli():
  sys.exit(main(sys.argv))


def main(argv):
  """Runs and returns the exit status; an error is one line, its traceback is for --debug."""
  debug = '--debug' in argv
  try:
    return start(argv)
  except KeyboardInterrupt:
    return fail(
      'stopped from the keyboard; the same command goes on from the last save, if there is one',
      KEYBOARD,
    )
  except SystemExit as end:  # of a run that was told to stop; whoever else exits has not finished
    if end.code == UNFINISHED:
      return UNFINISHED
    return fail(f'something called exit({end.code!r}) before the run was done', FAULT)
  except UserError as error:
    if debug:
      raise
    return fail(error, BAD_INPUT)
  except Exception as error:
    if debug:
      raise
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
      where = error.filename or 'a file'
      return fail(f'{where} cannot be written ({error.strerror}): {_MAKE_ROOM}', BAD_INPUT)
    return fail(f'{type(error).__name__}: {error} (--debug shows the traceback)', FAULT)


def fail(message, status):
  print('error:', ' '.join(str(message).split()), file=sys.stderr, flush=True)
  if 'jaxalign.pod' in sys.modules:
    sys.modules['jaxalign.pod'].leave(status)
  return status


def start(argv):
  plain, assignments = split_overrides(argv)
  values = _define_flags()
  try:
    extra = values(plain)[1:]
  except flags.Error as error:
    raise UserError(
      f'{error} (--help lists the flags; a field of the config is --config.FIELD=VALUE)'
    ) from error
  command = extra.pop(0) if extra and extra[0] in _COMMANDS else 'run'
  if command == 'compare' and not values.help:
    if assignments or any(values[name].value for name in ('config', 'doctor', 'slice')):
      raise UserError(
        'compare takes runs, and --workdir for compare.json and compare.html: leave the rest out'
      )
    return _compare_runs(extra, values.workdir)
  if extra:
    raise UserError(
      f'{extra[0]}: the only words are {" and ".join(_COMMANDS)}, first of all; what runs a config '
      'needs none, and the rest are flags, --name=value (--help lists them)'
    )
  cfg = load(values.config) if values.config else None
  for name, text in assignments:
    overrides.override(cfg, name, text)
  if values.help:
    print(__doc__ + '\n'.join(describe(cfg) if cfg else _flag_lines(values)))
    return 0
  for name in ('config', 'workdir'):
    if not values[name].value:
      raise UserError(f'--{name} is missing: {values[name].help} (--help says more)')
  if values.doctor:
    return examine(cfg, values.workdir, values['slice'].value)
  if values['slice'].value is not None:
    raise UserError('--slice only says what --doctor checks against: add --doctor, or leave it out')
  run = stage_of(sealing.seal(cfg), command)
  workdir = files.place(values.workdir, '--workdir')
  named = values.compiled is not None
  compiled = files.place(values.compiled, '--compiled') if named else None
  from jaxalign import allocator, compile_cache, pod  # jax, only once there is something to run

  allocator.keep_freed()
  pod.join(values.coordinator, values.processes, values.process_id)
  with contextlib.nullcontext() if values.nocompiled else compile_cache.of_a_run(compiled):
    return run_stage(run, cfg, workdir, values.debug)


def _compare_runs(runs, workdir):
  from jaxalign.study.judge import compare
  from jaxalign.study.report import compare_page  # scipy, only where it is used

  workdir = workdir and files.place(workdir, '--workdir')
  print(compare.compare(runs, workdir, compare_page.write), end='')
  return 0


def run_stage(run, cfg, workdir, debug):
  from jaxalign import pod

  logging.use_absl_handler()
  logging.set_verbosity(logging.INFO if debug else logging.WARNING)  # Orbax says a lot
  flags.FLAGS.mark_as_parsed()  # libraries read absl's global flags: theirs stay at their defaults
  writes = pod.writes()
  with alone(workdir) if writes else contextlib.nullcontext():
    claim(cfg, workdir, writes)
    run(cfg, workdir)
  return 0


def examine(cfg, workdir, slice_name):
  """--doctor: prints a line for each check; 1 if one fails."""
  found = stage_of(cfg, 'doctor')
  from jaxalign.stages.doctors import doctor  # jax, only once there is something to check

  logging.use_absl_handler()
  logging.set_verbosity(logging.WARNING)
  flags.FLAGS.mark_as_parsed()
  if slice_name == '':
    raise UserError('--slice is empty: KIND-COUNT, as v5e-64, or leave it out')
  workdir, visit = files.place(workdir, '--workdir'), doctor.Visit()
  machine = doctor.Machine.of(slice_name) if slice_name else doctor.Machine.of_this_process()

  def sealed():
    sealing.seal(cfg)
    sealing.to_json(cfg)
    return f'{type(cfg).__module__}, every field fits', cfg

  def same_run():
    said = doctor.writable(workdir)  # first: it knows what else may be wrong with a place
    refuse_other_run(cfg, workdir)
    return said

  good = visit.check('config', sealed)
  visit.check('workdir', same_run)
  checks = visit.checks
  if good is cfg:
    with quickly_compiled():
      checks = checks + list(found(cfg, workdir, machine))
  for line in doctor.table(checks):
    print(line, flush=True)
  return 0 if all(check.ok for check in checks) else 1


@contextlib.contextmanager
def quickly_compiled():
  """Of what runs once and is tiny, most of the time is the compiler's care."""
  import jax

  name = 'jax_disable_most_optimizations'
  before = jax.config.read(name)
  jax.config.update(name, True)
  try:
    yield
  finally:
    jax.config.update(name, before)


def stage_of(cfg, command='run'):
  module = sys.modules[type(cfg).__module__]
  found = getattr(module, command, None)
  if not callable(found):
    where = f'{module.__name__}, where {type(cfg).__name__} comes from,'
    raise UserError(f'{where} is no stage that can {command}: it has no {command}(cfg, workdir)')
  return found


def load(spec):
  """The config that FILE.py[:VARIANT] names, not sealed yet."""
  file, _, variant = spec.partition(':')
  path = pathlib.Path(file)
  if not is_file(path) or path.suffix != '.py':
    there = [*path.parent.glob('*.py'), *pathlib.Path('configs').glob('*.py')]
    near = sealing.nearest(str(path), map(str, there))
    raise UserError(f'--config={spec}: there is no config file {file}{near}')
  if (path.parent / '__init__.py').exists():  # configs may import one another
    sys.path.append(str(path.resolve().parent.parent))
  found = importlib.util.spec_from_file_location(f'configs.{path.stem}', path)
  module = importlib.util.module_from_spec(found)
  sys.modules[module.__name__] = module  # annotations are resolved there
  _with_blame(spec, 'cannot be read', lambda: found.loader.exec_module(module))
  if not hasattr(module, 'get_config'):
    raise UserError(f"--config={spec}: {file} has no get_config(variant='')")
  if variant:
    known = _with_blame(spec, 'get_config cannot be called', lambda: _variants(module.get_config))
    _check_variant(spec, variant, known)
  given = (variant,) if variant else ()
  cfg = _with_blame(spec, 'get_config failed', lambda: module.get_config(*given))
  if not sealing.is_config(cfg):
    raise UserError(f'--config={spec}: get_config returned {type(cfg).__name__}, not a dataclass')
  return cfg


def _with_blame(spec, what, call):
  """A config file is the user's own code: whatever it raises is the user's to mend."""
  try:
    return call()
  except KeyboardInterrupt:
    raise
  except BaseException as error:  # sys.exit(0) too: nothing would be said, and all seem well
    why = error if isinstance(error, UserError) else f'{type(error).__name__}: {error}'
    raise UserError(f'--config={spec}: {what}: {why}') from error


def is_file(path):
  try:
    return path.is_file()
  except OSError:  # a name too long, a directory that is closed to us
    return False


def _variants(get_config):
  """What get_config takes, from its `variant: Literal['', 'smoke']`; None: any text."""
  parameters = inspect.signature(get_config).parameters
  kind = typing.get_type_hints(get_config).get('variant')
  if typing.get_origin(kind) is typing.Literal:
    return [name for name in typing.get_args(kind) if name]
  return None if parameters else []


def _check_variant(spec, variant, known):
  if known is not None and variant not in known:
    there = f'it has {", ".join(known)}' if known else 'it has none'
    near = sealing.nearest(variant, known)
    raise UserError(f'--config={spec}: there is no variant {variant}: {there}{near}')


def split_overrides(argv):
  """The flags absl reads, and the (dotted field, text) pairs that go into the config."""
  matches = [(arg, _OVERRIDE.fullmatch(arg)) for arg in argv]
  for arg, match in matches:
    if match and match[2] is None:
      raise UserError(f'{arg}: a field is set as {arg}=VALUE')
  plain = [arg for arg, match in matches if not match]
  return plain, [(match[1], match[2]) for _, match in matches if match]


def describe(cfg, name='--config'):
  """One line per field: its flag, its value, what it takes."""
  for field, kind in sealing.field_types(cfg, bounds=True).items():
    value = getattr(cfg, field)
    yield f'  {name}.{field}={sealing.shown(value)}  ({sealing.takes(kind)})'
    inside = enumerate(value) if isinstance(value, tuple) else [(None, value)]
    for index, one in inside:
      if sealing.is_config(one):
        yield from describe(one, f'{name}.{field}' if index is None else f'{name}.{field}.{index}')


def _flag_lines(values):
  return (f'  --{name}  {values[name].help}' for name in values)


if __name__ == '__main__':
  cli()
