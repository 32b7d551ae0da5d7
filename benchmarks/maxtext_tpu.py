"""A training step of ours and MaxText's own, by the same TPU compiler: cycles, wire bytes, memory.

  python -m benchmarks.maxtext_tpu [--slices=v5e-256,v5p-128,v6e-256] [--models=llama2_7b]
      [--remat=qkv,dots] [--rows=1] [--fusion=KIB] [--out=maxtext_tpu.json] [--minutes=30]

No TPU is needed, and no weights: libtpu compiles for slices that are not there (docs/preflight.md).
The Python must have both packages and one libtpu: `pip install maxtext` (Python 3.12) and what it
imports, beside `jaxalign[preflight]`. Both sides: 4,096 tokens a row, ROWS rows a device, weights
and AdamW's moments in float32 over all chips, bf16 arithmetic, the splash kernel, a scan over the
layers. Of each pair the policies save the same activations:

  ours    MaxText                what a layer keeps beside its input
  full    full                   nothing
  qkv     save_qkv_proj          queries, keys and values as attention reads them
  dots    minimal                those, and what its other products give; attention is run again

Ours tells the compiler what a fusion may take of fast memory (jaxalign/chips.py); MaxText is as it
comes, or with --fusion=49152 is told the same.

(`minimal_with_context` keeps attention's result beside that, which ours does not.) A compile takes
one to three minutes of a core; pairs that FILE holds already are not compiled again. What a program
carries no estimate for, attention kernels and waiting for links, is in neither side's cycles.
"""

import argparse
import datetime
import functools
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from launch import preflight, slices

ROOT = pathlib.Path(__file__).resolve().parents[1]
REMAT = dict(full='full', qkv='save_qkv_proj', dots='minimal')
MODELS = dict(
  llama2_7b='llama2-7b', llama2_13b='llama2-13b', llama31_8b='llama3.1-8b', qwen3_14b='qwen3-14b'
)
GIB = 2**30


def main(argv=None):
  args = parse(argv)
  known = json.loads(args.out.read_text()) if args.out.exists() else {}
  ends = time.monotonic() + 60 * args.minutes
  asked = [
    (where, model, remat, rows)
    for model in args.models.split(',')
    for where in args.slices.split(',')
    for remat in args.remat.split(',')
    for rows in args.rows.split(',')
  ]
  for pair in asked:
    for side, compiled in sides(args.fusion).items():
      key = ' '.join([side, *pair])
      if key in known or time.monotonic() > ends:
        continue
      date = datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds')
      known[key] = compiled(*pair) | dict(date=date)
      args.out.write_text(json.dumps(known, indent=1) + '\n')
      print(f'{key}: {known[key]["cycles"]}', file=sys.stderr, flush=True)
  print('\n'.join(table(known, asked, sides(args.fusion))))


def sides(fusion):
  """The two sides by name, and what compiles each."""
  name = f'theirs {fusion}' if fusion else 'theirs'
  return {'ours': ours, name: functools.partial(theirs, fusion=fusion)}


def parse(argv):
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--slices', default='v5e-256,v5p-128,v6e-256')
  parser.add_argument('--models', default='llama2_7b')
  parser.add_argument('--remat', default='qkv,dots')
  parser.add_argument('--rows', default='1')
  parser.add_argument('--fusion', type=int, help='KiB of fast memory for a fusion of MaxText')
  parser.add_argument('--out', type=pathlib.Path, default=pathlib.Path('maxtext_tpu.json'))
  parser.add_argument('--minutes', type=float, default=30.0, help='none begins after these')
  args = parser.parse_args(argv)
  for given, names in ((args.models, MODELS), (args.remat, REMAT)):
    if unknown := set(given.split(',')) - set(names):
      parser.error(f'{", ".join(unknown)} is none of {", ".join(names)}')
  return args


def ours(where, model, remat, rows):
  """What preflight finds of the model's explain config, all rows of a step at once."""
  where = slices.parse(where)
  given = [f'model.remat={remat}', f'batch={where.chips * int(rows)}', 'microbatches=1']
  spec = ROOT / 'configs' / f'explain_{model}.py'
  return preflight.compiled(str(spec), where, [f'--config.{one}' for one in given])[0]


def theirs(where, model, remat, rows, fusion=None):
  env = os.environ | preflight.ENVIRONMENT
  env |= dict(TPU_ACCELERATOR_TYPE=slices.parse(where).accelerator)
  env.pop('XLA_FLAGS', None)
  if fusion:
    env |= dict(LIBTPU_INIT_ARGS=f'--xla_tpu_scoped_vmem_limit_kib={fusion}')
  with tempfile.TemporaryDirectory() as place, preflight.alone():
    answer = pathlib.Path(place) / 'answer.json'
    given = [str(answer), where, MODELS[model], REMAT[remat], rows]
    command = [sys.executable, '-m', 'benchmarks.maxtext_theirs', *given]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    if done.returncode:
      sys.exit(f'error: MaxText: {done.stderr[-2000:]}')
    return json.loads(answer.read_text())


def table(known, asked, names):
  """The lines of a page's table: a pair that was compiled is a row."""
  yield '| slice | model | rows | remat | G cycles | | wire GiB | | temp GiB | |'
  yield '|---|---|---|---|---|---|---|---|---|---|'
  for where, model, remat, rows in asked:
    said = [known.get(' '.join([name, where, model, remat, rows])) for name in names]
    if all(said):
      cells = [where, model, rows, f'{remat}, {REMAT[remat]}']
      yield '| ' + ' | '.join([*cells, *figures(*said)]) + ' |'


def figures(mine, peer):
  """Ours and theirs of each figure, and their ratio; of what does not fit only what it takes."""
  if not (mine['cycles'] and peer['cycles']):
    for one in (mine, peer):
      yield f'{one["peak_bytes"] / GIB:.2f} GiB of {one["hbm_bytes"] / GIB:.2f}'
    return
  for unit, figure in (
    (1e9, lambda said: said['cycles']),
    (GIB, lambda said: said['wire_bytes']),
    (GIB, lambda said: said['bytes']['temp']),
  ):
    a, b = (figure(one) / unit for one in (mine, peer))
    yield f'{a:.3f}; {b:.3f}'
    yield f'{a / b:.2f}'


if __name__ == '__main__':
  main()
