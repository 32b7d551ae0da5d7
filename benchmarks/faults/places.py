"""Cases of workdirs: places that no run can have, or that another run has, or that are damaged."""

import functools
import os
import random
import shutil

from benchmarks.faults import forking
from benchmarks.faults.case import DONE, run_case


def whole(root):
  """root/whole: the workdir of a run that has ended."""
  place = root / 'whole'
  place.mkdir()
  made = run_case('whole', kind='', workdir=f'{place}/run', limit=300)
  ended = forking.start(made, place).wait()
  if ended.status:
    raise SystemExit(f'the run that others are copied from failed: {ended.err[-2000:]}')


def copied(root, change):
  """That workdir with change(workdir) done to it."""

  def make(place):
    shutil.copytree(root / 'whole/run', place / 'run')
    change(place / 'run')

  return make


def replaced(path, content=None):
  """Bytes in place of what is there; None: a directory."""
  if path.is_dir():
    shutil.rmtree(path)
  else:
    path.unlink()
  path.mkdir() if content is None else path.write_bytes(content)


def fifo(path):
  path.unlink()
  os.mkfifo(path)


def checkpoints(run):
  return sorted(path for path in (run / 'checkpoints').iterdir() if path.name.isdigit())


def noise(run, only_last=False):
  """Every large file of the checkpoints overwritten."""
  some = checkpoints(run)[-1:] if only_last else checkpoints(run)
  for path in [p for at in some for p in at.rglob('*') if p.is_file() and p.stat().st_size > 64]:
    path.write_bytes(random.Random(2).randbytes(path.stat().st_size))


def emptied(run):
  for path in [p for at in checkpoints(run) for p in at.rglob('*') if p.is_file()]:
    path.write_bytes(b'')


def gone(run):
  for at in checkpoints(run):
    for path in list(at.iterdir()):
      shutil.rmtree(path) if path.is_dir() else path.unlink()


def without_place():
  """(name, how it is made, the workdir, what the line must name)."""

  def file(place):
    (place / 'run').write_text('x')

  def loop(place):
    os.symlink('run', place / 'run')

  yield 'a file', file, '{place}/run', 'workdir|run'
  yield 'below a file', file, '{place}/run/deep', 'workdir|run'
  yield 'a circle of links', loop, '{place}/run', 'workdir|run'
  yield 'a fifo', lambda place: os.mkfifo(place / 'run'), '{place}/run', 'workdir|run'
  yield 'a device', None, '/dev/null', 'workdir|null'
  yield 'in /proc', None, '/proc/1/run', 'workdir|proc'
  yield 'http', None, 'http://localhost:1/run', 'workdir|http'
  yield 'an unknown scheme', None, 'ftpx://a/b', 'workdir|ftpx'
  yield 'no bucket', None, 'gs://', 'workdir|gs://'
  yield 'empty', None, '', 'workdir'
  yield 'a name too long', None, '{place}/' + 'x' * 300, 'workdir|name'
  yield 'a path too long', None, '{place}/' + 'x/' * 3000, 'workdir|name'


def damages():
  """(name, change(run), what the line must name, more flags, the status)."""

  def put(name, content):
    return lambda run: replaced(run / name, content)

  plan, rows = 'config.json', 'metrics.jsonl'
  deep = b'[' * 100_000
  for name, content in (
    ('a directory', None),
    ('empty', b''),
    ('torn', b'{"steps": 8, "mod'),
    ('null', b'null'),
    ('nested deep', deep),
    ('not UTF-8', b'{"a": "\xff"}'),
    ('an array', b'[1]'),
  ):
    yield f'{plan} {name}', put(plan, content), plan, (), 2
  yield f'{plan} a fifo', lambda run: fifo(run / plan), plan, (), 2
  yield f'{rows} a directory', put(rows, None), rows, ('--config.steps=8',), 2
  yield f'{rows} a fifo', lambda run: fifo(run / rows), rows, (), 2
  other = ('--config.batch=4',)
  yield 'of another run', lambda run: None, 'another run.*batch', other, 2
  yield 'of another stage', lambda run: None, 'another run', ('STAGE=sft',), 2
  yield 'every checkpoint noise', noise, 'damaged|checkpoint', (), 2
  yield 'every checkpoint without bytes', emptied, 'damaged|checkpoint', (), 2
  yield 'every checkpoint without files', gone, 'damaged|checkpoint', (), 2
  yield 'checkpoints a file', put('checkpoints', b'x'), 'checkpoints', (), 2
  yield 'the last checkpoint noise', functools.partial(noise, only_last=True), '', (), DONE
  yield f'{rows} torn', lambda run: torn(run / rows), '', (), DONE


def torn(path):
  path.write_bytes(path.read_bytes()[:-7])


def cases(root):
  for name, make, workdir, says in without_place():
    yield run_case(f'workdir {name}', kind='workdirs', workdir=workdir, make=make, says=says)
  for name, change, says, more, status in damages():
    stage = 'sft' if more == ('STAGE=sft',) else 'explain'
    yield run_case(
      name,
      kind='workdirs',
      stage=stage,
      more=() if stage == 'sft' else more,
      make=copied(root, change),
      says=says,
      status=status,
      logs='checkpoint' in name,
    )
  for text in (b'\xff\xfe\n', b'{"step": 1}\nnot json\n', b'[' * 100_000 + b'\n'):
    put = functools.partial(lambda run, text: (run / 'metrics.jsonl').write_bytes(text), text=text)
    name = f'metrics.jsonl of {text[:12]!r}'
    yield run_case(
      name, kind='workdirs', make=copied(root, put), says=r'metrics\.jsonl', or_done=True
    )
