"""What preflight prints of a slice: a line a program, then what matters of each.

  python -m launch.report A.json B.json ...

prints what --json wrote as a table for a page (docs/performance.md).
"""

import pathlib

from jaxalign.config import UserError
from jaxalign.files import read_json
from launch import roofline
from launch.shell import OneLine

GIB, MIB = 2**30, 2**20


def page(found, where, price=None):
  """The lines for one slice. found: the answers of its programs (and of other slices)."""
  mine = [p for p in found if p['slice'] == where.name]
  lines = [f'{where.name}: {where.chips} chips, mesh {mine[0]["mesh"]}', '', *table(mine), '']
  for program in mine:
    lines += [*(detail(program) if 'bytes' in program else refusal(program)), '']
  lines += [f'{said}\n' for said in sorted({p.get('hint') for p in mine} - {None, ''})]
  if all('stage_seconds' in p for p in mine):
    hours, chip_hours, dollars = roofline.cost(mine, where, price)
    worth = '' if dollars is None else f', {dollars:,.0f} dollars'
    lines.append(f'the stage at best: {hours:.2f} hours, {chip_hours:,.0f} chip-hours{worth}')
  return '\n'.join(lines)


def table(mine):
  names = 'program', 'fits', 'GiB of', 'there', 'ms', 'bound', 'tokens/s/chip', 'MFU', 'compiled'
  rows = [names, *(row(p) for p in mine)]
  wide = [max(len(r[n]) for r in rows) for n in range(len(names))]
  return ['  '.join(cell.ljust(w) for cell, w in zip(r, wide)).rstrip() for r in rows]


def row(p):
  first = p['name'], 'yes' if p['fits'] else 'NO', gib(p['peak_bytes']), gib(p['hbm_bytes'])
  if 'seconds' not in p:
    return *first, '', '', '', '', f'{p["compile_seconds"]:.0f} s'
  chips = 1
  for size in p['mesh'].values():
    chips *= size
  return (
    *first,
    f'{1e3 * p["seconds"]["at_best"]:.1f}',
    p['bound'],
    f'{p["tokens_per_second"] / chips:,.0f}',
    f'{p["mfu"]:.1%}',
    f'{p["compile_seconds"]:.0f} s',
  )


def gib(n):
  return f'{n / GIB:.2f}'


def detail(p):
  """Bytes, bounds and the collectives that weigh most."""
  parts = p['bytes']
  yield f'{p["name"]}: GiB a device: ' + ', '.join(f'{gib(n)} {name}' for name, n in parts.items())
  times = ', '.join(f'{name} {1e3 * s:.1f}' for name, s in p['seconds'].items())
  yield f'  ms: {times}'
  yield f'  {p["cycles"] / 1e9:.3f} G cycles, {gib(p["wire_bytes"])} GiB on the wire a device'
  for c in p['collectives'][:8]:
    if c['bytes'] >= MIB:
      how = 'hidden' if c['overlapped'] else 'waits'
      far = ' between slices' if c['far'] else ''
      yield f'  {gib(c["bytes"]):>7} GiB {how:<6} {c["kind"]} x {c["count"]}{far}: {c["source"]}'
  if not p['fits']:
    yield from refusal(p)


def refusal(p):
  over = p['peak_bytes'] - p['hbm_bytes']
  yield f'{p["name"]} does not fit: {gib(over)} GiB too much. Its largest buffers:'
  for buffer in p.get('largest', ()):
    yield f'  {gib(buffer["bytes"]):>7} GiB  {buffer["what"]}'
  yield f'  change: {p["remedy"]}'


HEAD = (
  *('run', 'slice', 'program', 'peak GiB', 'of', 'G cycles', 'wire GiB', 'ms at best'),
  *('bound', 'tokens/s/chip', 'MFU', 'CPU s'),
)


def markdown(files):
  """The lines of the table; a run is called as its file."""
  yield from ('| ' + ' | '.join(HEAD) + ' |', '|' + '---|' * len(HEAD))
  for path in files:
    for p in programs_in(path):
      _, fits, peak, there, ms, bound, rate, mfu, _ = row(p)
      work = [f'{p["cycles"] / 1e9:.3f}', gib(p['wire_bytes'])] if p.get('cycles') else ['', '']
      name = p['name'] if fits == 'yes' else f'{p["name"]}: does NOT fit'
      cells = path.stem, p['slice'], name, peak, there, *work, ms, bound, rate, mfu
      yield '| ' + ' | '.join([*cells, str(p.get('cpu_seconds', ''))]) + ' |'


def programs_in(path):
  again = 'give what launch.preflight --json wrote'
  found = read_json(path, again)
  known = {'name', 'slice', 'fits', 'peak_bytes', 'hbm_bytes', 'mesh', 'compile_seconds'}
  if not isinstance(found, list) or not all(
    isinstance(p, dict) and known <= p.keys() for p in found
  ):
    raise UserError(f'{path} lists no programs: {again}')
  return found


def main():
  parser = OneLine(prog='launch.report', description=__doc__.split('\n\n')[0])
  parser.add_argument(
    'file', nargs='+', type=pathlib.Path, help='what launch.preflight --json wrote'
  )
  files = parser.parse_args().file
  for path in files:
    if not path.is_file():
      parser.error(f'{path}: there is no such file; launch.preflight --json={path} would write it')
  try:
    lines = list(markdown(files))
  except UserError as error:
    parser.error(error)
  print('\n'.join(lines))


if __name__ == '__main__':
  main()
