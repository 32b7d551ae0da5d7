"""jaxalign: run one stage of alignment from one config file.

  jaxalign [prepare] --config=FILE.py[:VARIANT] --workdir=DIR [--config.FIELD=VALUE ...]
  jaxalign judge RUN --config=FILE.py[:VARIANT] [--config.FIELD=VALUE ...]
  jaxalign judge sample RUN ... --out=SHEET.csv; jaxalign judge calibrate SHEET.csv --key=KEY.json
  jaxalign compare RUN_A RUN_B ... [--workdir=DIR]
  jaxalign sample MODEL --prompts=FILE.jsonl --out=FILE.jsonl
  jaxalign chat MODEL
  jaxalign serve MODEL [--port=8000]
  jaxalign lm-eval MODEL --tasks=NAME,...
  jaxalign samples RUN --out=DIR
  jaxalign list [WORD]; jaxalign show WORKDIR [--page]; jaxalign --version; jaxalign completion bash

  prepare                   only tokenises the config's corpora and counts their tokens
  judge                     judges what an evaluation in RUN was told, and asks no model
  compare                   pairs item by item; a RUN is a directory of a study (or DIR:ARM) or an
                            evaluation, a log of inspect_ai (.eval), or samples_*.jsonl of lm-eval;
                            LABEL=RUN,RUN: runs of one arm, of several seeds
  sample, chat, serve       ask a model: a workdir, a Hugging Face directory or hub name, a .gguf;
                            each has flags of its own: jaxalign sample --help
  lm-eval                   lm-evaluation-harness asks a model; what follows are its own flags
  samples                   an evaluation as lm-evaluation-harness logs its own
  list, show                the configs that ship; what ran in a workdir, and how it went
  completion bash           what your shell needs for TAB: eval "$(jaxalign completion bash)"
  --doctor [--slice=v5e-64] runs nothing: says what in this config would fail, and on which machine
  --compiled=DIR            reads compiled programs from DIR, and keeps there what it compiles;
                            launch/preflight.py --keep=DIR fills it before there is a TPU.
                            Default: the user's cache directory, for a run of one process;
                            --nocompiled compiles everything anew

  --config.optim.lr=3e-6    sets any field at any depth; its type decides how the text is read:
                            numbers, true/false, a name among choices, none, tuples as 0.9,0.95
  --config=NAME[:VARIANT]   is a config that ships with the package, as study_why:smoke
  --config=FILE.py --help   lists the fields of that config with their values

The config decides which stage runs: it is the module that the config's class comes from.
The resolved config is written to DIR/config.json first. In the same DIR again, a run resumes.

Exit status: 0 done, 1 a fault, 2 bad input (one line says what to mend), 3 the purse of a corpus is
empty (a higher max_cost goes on), 75 told to stop (SIGTERM,
Ctrl-C): all is saved and the run is not done, the same command goes on; 130 stopped at once.
"""

import contextlib
import errno
import importlib
import os
import platform
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from absl import flags, logging

from jaxalign import files, overrides, sealing
from jaxalign.config import UserError
from jaxalign.config_file import load
from jaxalign.endings import BAD_INPUT, FAULT, KEYBOARD, UNFINISHED
from jaxalign.workdir import alone, claim

if TYPE_CHECKING:  # slow to import
  from etils import epath

COMMANDS = ('prepare', 'judge', 'compare')  # besides run, which needs no word
DOORS = ('sample', 'chat', 'serve', 'lm-eval', 'samples')  # each has flags of its own
LOOKS = {'list': 'listing', 'show': 'showing', 'completion': 'completion'}  # need no accelerator
_AUDIT = ('judge', 'sample'), ('judge', 'calibrate')  # doors/judge.py; `judge RUN` is a stage's
_OF_EVALUATED = 'unpaired_base', 'most_left_out'  # flags of compare alone
_NO_ROOM = errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS
_STOPPED = 'stopped from the keyboard; the same command goes on from the last save, if there is one'
_MAKE_ROOM = 'make room or mend the place, and the same command goes on'
FLAGS = (
  (flags.DEFINE_string, 'config', 'FILE.py[:VARIANT], a config file, or NAME of one that ships'),
  (flags.DEFINE_string, 'workdir', 'where the run lives (local or gs://)'),
  (flags.DEFINE_bool, 'debug', 'show the traceback of an error'),
  (flags.DEFINE_bool, 'help', 'this text; with --config, its fields'),
  (flags.DEFINE_bool, 'version', 'the version of this package, of jax and of Python'),
  (flags.DEFINE_bool, 'doctor', 'check the config, and run nothing'),
  (flags.DEFINE_string, 'slice', 'for --doctor: KIND-COUNT to be run on, as v5e-64; default: here'),
  (flags.DEFINE_string, 'compiled', 'place (local or gs://) of compiled programs: read, added to'),
  (flags.DEFINE_bool, 'nocompiled', 'compile everything anew'),
  (flags.DEFINE_bool, 'unpaired_base', 'for compare: models may have begun with other weights'),
  (flags.DEFINE_float, 'most_left_out', 'for compare: share of items that not all must have; .02'),
  (flags.DEFINE_string, 'coordinator', 'HOST:PORT of process 0, where no cluster says so'),
  (flags.DEFINE_integer, 'processes', 'how many processes the run has'),
  (flags.DEFINE_integer, 'process_id', 'which of them this is'),
)


def _defined_flags() -> flags.FlagValues:
  """Every flag there is. A fresh set for each call, so that a process can call main() twice."""
  values = flags.FlagValues()
  for define, name, what in FLAGS:
    define(name, False if define is flags.DEFINE_bool else None, what, flag_values=values)
  return values


def cli() -> None:
  sys.exit(main(sys.argv))


def main(argv: Sequence[str]) -> int:
  """Runs and returns the exit status; an error is one line, its traceback is for --debug."""
  debug = '--debug' in argv
  try:
    return _start(argv)
  except KeyboardInterrupt:
    return _fail(_STOPPED, KEYBOARD)
  except SystemExit as end:  # of a run that was told to stop; whoever else exits has not finished
    if end.code == UNFINISHED:
      return UNFINISHED
    return _fail(f'something called exit({end.code!r}) before the run was done', FAULT)
  except UserError as error:
    if debug:
      raise
    return _fail(error, error.ending)
  except Exception as error:
    if debug:
      raise
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
      where = error.filename or 'a file'
      return _fail(f'{where} cannot be written ({error.strerror}): {_MAKE_ROOM}', BAD_INPUT)
    return _fail(f'{type(error).__name__}: {error} (--debug shows the traceback)', FAULT)


def _fail(message: object, status: int) -> int:
  print('error:', ' '.join(str(message).split()), file=sys.stderr, flush=True)
  if 'jaxalign.pod' in sys.modules:
    sys.modules['jaxalign.pod'].leave(status)
  return status


def _start(argv: Sequence[str]) -> int:
  if argv[1:2] and (argv[1] in (*DOORS, *LOOKS) or tuple(argv[1:3]) in _AUDIT):
    return _look(argv[1:]) if argv[1] in LOOKS else _ask(argv[1:])
  plain, assignments = overrides.of_arguments(argv)
  values = _defined_flags()
  try:
    extra = values(plain)[1:]
  except flags.Error as error:
    raise UserError(
      f'{error} (--help lists the flags; a field of the config is --config.FIELD=VALUE)'
    ) from error
  if values.version:
    print(_versions())
    return 0
  command = extra.pop(0) if extra and extra[0] in COMMANDS else 'run'
  if command == 'compare' and not values.help:
    if assignments or any(values[name].value for name in ('config', 'doctor', 'slice')):
      raise UserError(
        'compare takes runs, and --workdir for compare.json and compare.html: leave the rest out'
      )
    return _compare_runs(extra, values)
  if command == 'judge' and not values.help:
    values.workdir, extra = _run_named(extra, values.workdir), []
  if extra:
    raise UserError(
      f'{extra[0]}: the only words are {", ".join((*COMMANDS, *DOORS, *LOOKS))}, first of all; '
      'what runs a config needs none, and the rest are flags, --name=value (--help lists them)'
    )
  for name in ('config', 'workdir'):  # before a config costs seconds
    if not (values.help or values[name].value):
      raise UserError(f'--{name} is missing: {values[name].help} (--help says more)')
  cfg = load(values.config) if values.config else None
  for name, text in assignments:
    overrides.override(cfg, name, text)
  if values.help:
    every_flag = (f'  --{name}  {values[name].help}' for name in values)
    print(f'{__doc__}' + '\n'.join(overrides.described(cfg) if cfg else every_flag))
    return 0
  if values.doctor:
    found = stage_of(cfg, 'doctor')
    from jaxalign.doors.examining import examine

    return examine(found, cfg, values.workdir, values['slice'].value)
  for name in _OF_EVALUATED:
    if values[name].value not in (False, None):
      raise UserError(f'--{name} is for compare: leave it out')
  if values['slice'].value is not None:
    raise UserError('--slice only says what --doctor checks against: add --doctor, or leave it out')
  run = stage_of(sealing.seal(cfg), command)
  workdir = files.place(values.workdir, '--workdir')
  compiled = None if values.compiled is None else files.place(values.compiled, '--compiled')
  from jaxalign import allocator, compile_cache, pod  # jax, only once there is something to run

  allocator.keep_freed()
  pod.join(values.coordinator, values.processes, values.process_id)
  with contextlib.nullcontext() if values.nocompiled else compile_cache.of_a_run(compiled):
    return run_stage(run, cfg, workdir, values.debug, claims=command != 'judge')


def _versions() -> str:
  from importlib import metadata  # jax itself would take a second

  def of(name):
    try:
      return f'{name} {metadata.version(name)}'
    except metadata.PackageNotFoundError:
      return f'{name} (not installed)'

  return f'{of("jaxalign")}, {of("jax")}, Python {platform.python_version()}'


def _run_named(words: Sequence[str], workdir: str | None) -> str:
  """The one RUN of `jaxalign judge RUN`."""
  if len(words) != 1 or workdir:
    raise UserError('judge takes one RUN, the directory of an evaluation: jaxalign judge RUN')
  return words[0]


def _look(argv: Sequence[str]) -> int:
  """A door that only prints: who has read enough of it, as `head`, ends it."""
  try:
    status = importlib.import_module(f'jaxalign.doors.{LOOKS[argv[0]]}').run(argv)
    sys.stdout.flush()
    return status
  except BrokenPipeError:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # of what is left to print
    return 0


def _ask(argv: Sequence[str]) -> int:
  """A door: its file has the flags."""
  from jaxalign import allocator, compile_cache

  door = importlib.import_module(f'jaxalign.doors.{argv[0].replace("-", "_")}')
  allocator.keep_freed()
  logging.use_absl_handler()
  logging.set_verbosity(logging.WARNING)
  flags.FLAGS.mark_as_parsed()
  quiet = '--nocompiled' in argv
  with contextlib.nullcontext() if quiet else compile_cache.of_a_run(None):
    return door.run([word for word in argv if word != '--nocompiled'])


def _compare_runs(runs: Sequence[str], values: flags.FlagValues) -> int:
  from jaxalign.study.answers import comparing, page
  from jaxalign.study.judge import compare
  from jaxalign.study.report import compare_page  # scipy, only where it is used

  place = files.place(values.workdir, '--workdir') if values.workdir else None
  if comparing.studies(runs):
    for name in _OF_EVALUATED:
      if values[name].value not in (False, None):
        raise UserError(f'--{name} is for evaluated models: arms of a study share base and items')
    print(compare.compare(runs, place, compare_page.write), end='')
  else:
    how = values.unpaired_base, values.most_left_out
    print(comparing.compare(runs, place, page.write, *how), end='')
  return 0


def run_stage(
  run: Callable[..., object], cfg: Any, workdir: 'epath.Path', debug: bool, claims: bool = True
) -> int:
  """claims: whether the place becomes this config's; who judges leaves it as it is."""
  from jaxalign import pod

  if not claims and not workdir.exists():
    raise UserError(f'{workdir} is not there: name the --workdir of an evaluation')

  logging.use_absl_handler()
  logging.set_verbosity(logging.INFO if debug else logging.WARNING)  # Orbax says a lot
  flags.FLAGS.mark_as_parsed()  # libraries read absl's global flags: theirs stay at their defaults
  writes = pod.writes()
  own = cfg.own(workdir) if hasattr(cfg, 'own') else workdir
  with alone(own) if writes else contextlib.nullcontext():
    if claims:
      claim(cfg, workdir, writes)
    run(cfg, workdir)
  return 0


def stage_of(cfg: Any, command: str = 'run') -> Callable[..., Any]:
  module = sys.modules[type(cfg).__module__]
  found = getattr(module, command, None)
  if not callable(found):
    where = f'{module.__name__}, where {type(cfg).__name__} comes from,'
    raise UserError(f'{where} is no stage that can {command}: it has no {command}(cfg, workdir)')
  return found


if __name__ == '__main__':
  cli()
