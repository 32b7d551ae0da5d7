"""One NVIDIA GPU: Llama-2-7B and Phi-2 beside transformers, and beside what the card itself can do.

  python -m benchmarks.gpu [--out=gpu.json] [--minutes=10] [--parts=attention,train,decode,ppo]
                           [--no-peer]
  python -m benchmarks.gpu --tiny        the same on a CPU, tiny: whether it runs at all

Random weights, made on the card; the very programs of the stages. Beside them what this card does:
a bf16 matrix product and a copy, measured first. Each side is a process of its own (ours.py, then
theirs.py), so that the memory is free; which remat and how many rows at a time, a search decides
(training.py). Packed attention is compared with XLA's before it is timed (attending.py). Decoding
is timed again under flags of XLA (VARIANTS). What would begin after its time is left out, and said.

The file holds date, card, driver, versions, and of each figure seconds (the median), n and the
middle half; a table of ours beside theirs, floors and goals is printed, and is in it.
"""

import argparse
import dataclasses
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

PARTS = ('attention', 'train', 'decode', 'ppo')
OURS = 0.65  # of the time
LEAST = 60  # seconds, for a variant
VARIANTS = {  # of decoding: a label, and XLA's flags
  ', products apart': '--xla_gpu_dot_merger_threshold_mb=0',
  ', cuBLAS alone': '--xla_gpu_dot_merger_threshold_mb=0 --xla_gpu_enable_triton_gemm=false',
}
GOALS = {  # of a row: which of its numbers, and how much of it at least
  'train llama2_7b': ('mfu', 0.65),
  'train phi2': ('mfu', 0.60),
  'decode llama2_7b': ('of_copy', 0.75),
  'decode phi2': ('of_copy', 0.75),
  'attention packed': ('of_causal', 0.85),
  'attention packed, 8 places': ('of_causal', 0.85),
  'ppo phi2': ('of_before', 2.0),
}


def main(argv=None):
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--out', type=pathlib.Path, default=pathlib.Path('gpu.json'))
  parser.add_argument('--minutes', type=float, default=10.0)
  parser.add_argument('--parts', default=','.join(PARTS))
  parser.add_argument('--no-peer', action='store_true')
  parser.add_argument('--tiny', action='store_true')
  args = parser.parse_args(argv)
  unknown = set(args.parts.split(',')) - set(PARTS)
  if unknown:
    parser.error(f'--parts: {", ".join(sorted(unknown))} is none of {", ".join(PARTS)}')
  end = time.monotonic() + (1e6 if args.tiny else 60 * args.minutes * 0.95)
  with tempfile.TemporaryDirectory() as place:
    made, status = run(args, pathlib.Path(place), end)
  made['table'] = list(table(made['rows']))
  args.out.write_text(json.dumps(made, indent=1) + '\n')
  print('\n'.join(['', *made['table'], f'all of it: {args.out}']))
  return status


def run(args, place, end):
  """(what both sides found, the exit status)."""
  made, status = ours(args, place / 'ours.json', OURS * (end - time.monotonic()), args.parts)
  if status:
    return made | dict(rows=made.get('rows', [])), status
  made |= dict(command=' '.join(sys.argv), card=card())
  failed = [add_peer(args, place, end, made)]
  if 'decode' in args.parts:
    failed += [add_variant(args, place, end, made, label) for label in VARIANTS]
  return made, next((one for one in failed if one), 0)


def ours(args, file, seconds, parts, *more, flags=''):
  """What ours.py found with these flags of XLA beside those that are set, and its exit status."""
  env = dict(os.environ, XLA_FLAGS=f'{os.environ.get("XLA_FLAGS", "")} {flags}'.strip())
  given = [f'--out={file}', f'--seconds={seconds:.0f}', f'--parts={parts}', *more]
  return child('ours', given + ['--tiny'] * args.tiny, file, env)


def add_peer(args, place, end, made):
  """Rows of the peer, or why there are none; its exit status."""
  peer = peers(args)
  if isinstance(peer, str):
    made['rows'].append(dict(what='peer', left_out=peer))
    print('peer:', peer, flush=True)
    return 0
  given, file = place / 'models.json', place / 'theirs.json'
  given.write_text(json.dumps(peer))
  seconds = (end - time.monotonic()) * (0.6 if 'decode' in args.parts else 1)
  how = [f'--out={file}', f'--models={given}', f'--seconds={seconds:.0f}', f'--parts={args.parts}']
  theirs, status = child('theirs', how, file, dict(os.environ))
  made['versions'] |= theirs.get('versions', {})
  made['rows'] += [dict(row, side='theirs') for row in theirs.get('rows', [])]
  return status


def add_variant(args, place, end, made, label):
  """Rows of decoding under a variant's flags; the exit status of who measured them."""
  left, flags = end - time.monotonic(), VARIANTS[label]
  if left < LEAST:
    made['rows'].append(dict(what=f'decode{label}', left_out='no time left'))
    return 0
  file = place / 'varied.json'
  found, status = ours(args, file, left, 'decode', f'--label={label}', flags=flags)
  made['rows'] += [row | dict(flags=flags) for row in found.get('rows', []) if label in row['what']]
  return status


def child(side, given, file, env):
  """(what a process wrote, its exit status)."""
  command = [sys.executable, '-m', f'benchmarks.gpu.{side}', *given]
  status = subprocess.run(command, env=env, check=False).returncode
  return (json.loads(file.read_text()) if file.exists() else {}), status


def peers(args):
  """What theirs.py needs: sizes, and configs in their words; or why there is no peer."""
  if args.no_peer:
    return 'not asked for'
  for name in ('torch', 'transformers'):
    if importlib.util.find_spec(name) is None:
      return f'{name} is not installed here'
  from benchmarks.gpu import (
    work,
  )  # imports jax, which takes no memory of the card unless it is used

  sizes, models = work.of(args.tiny)
  raw = {name: work.DIALECTS[type(cfg)].write(cfg) for name, cfg in models.items()}
  return dict(sizes=dataclasses.asdict(sizes), models=raw)


def card():
  """Name, driver and memory, as the driver says them."""
  ask = ['nvidia-smi', '--query-gpu=name,driver_version,memory.total,clocks.max.sm', '--format=csv']
  try:
    return subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
  except (OSError, subprocess.CalledProcessError):
    return 'no nvidia-smi here'


def table(rows):
  """Lines of a page: ours, theirs, the floor, and the goal."""
  yield '| what | ours, ms (middle half, n) | theirs, ms | of its floor | asked |'
  yield '|---|---|---|---|---|'
  mine = [row for row in rows if row.get('side') != 'theirs' and 'seconds' in row]
  for row in mine:
    theirs = [r for r in rows if r.get('side') == 'theirs' and r['what'].startswith(row['what'])]
    beside = ', '.join(
      f'{r["what"].split(", ")[-1]} {1e3 * r["seconds"]:.1f}' for r in theirs if 'seconds' in r
    )
    share = row.get('mfu', row.get('of_copy', row.get('of_floor', row.get('of_causal'))))
    key, asked = GOALS.get(row['what'], (None, None))
    said = '' if key is None else f'{asked}: {"reached" if row[key] >= asked else "missed"}'
    middle = f'{1e3 * row["low"]:.1f} to {1e3 * row["high"]:.1f}, ' if 'low' in row else ''
    ours = f'{1e3 * row["seconds"]:.1f} ({middle}n={row.get("n")})'
    of_floor = '' if share is None else f'{share:.2f}'
    yield f'| {row["what"]} | {ours} | {beside} | {of_floor} | {said} |'


if __name__ == '__main__':
  sys.exit(main())
