"""Compiles a config's programs for one slice that is not there: the child process of preflight.

  python -m launch.compiling ANSWER.json CONFIG SLICE [--config.FIELD=VALUE ...] [--keep=DIR]

Its environment (preflight.ENVIRONMENT) keeps libtpu from looking for a machine, and jax on the CPU.
What it finds goes to ANSWER.json.
"""

import json
import math
import pathlib
import re
import sys
import time

import jax
from jax.experimental import topologies

from jaxalign import compile_cache, main, overrides, sealing
from jaxalign.config import UserError
from launch import programs, roofline, schedule, slices

UNITS = {'': 1, 'K': 2**10, 'M': 2**20, 'G': 2**30, 'T': 2**40}


def devices_of(where):
  """The devices of a slice, as the compiler sees them; none of them is here."""
  how = dict(num_slices=where.count) if where.count > 1 else {}
  if where.kind == 'v4':
    how['chip_config_name'] = 'megacore'  # two cores as one device, as its runtime has them
  if math.prod(where.shape) == 1:
    how['chips_per_host_bounds'] = (1, 1, 1)  # a machine with one, as Colab's; else four are meant
  found = topologies.get_topology_desc(
    platform='tpu', topology_name=where.topology, wrap=where.wrap, **how
  )
  return list(found.devices)


def examine(cfg, where):
  """What is said of each program: a list of dicts."""
  mesh, made = programs.programs_of(cfg, devices_of(where))
  return [one(program, mesh, where, cfg) for program in made]


def one(program, mesh, where, cfg):
  began, busy = time.perf_counter(), time.process_time()
  said = dict(name=program.name, slice=where.name, mesh=dict(mesh.shape), tokens=program.tokens)
  said |= dict(flops=program.flops, calls=program.calls, hbm_bytes=where.chip.memory)
  said |= dict(hint=hint(getattr(cfg, 'model', None), mesh))
  with jax.set_mesh(mesh):
    lowered = program.lower()
    try:
      compiled = lowered.compile()
    except jax.errors.JaxRuntimeError as error:
      if 'RESOURCE_EXHAUSTED' not in str(error):
        raise
      said |= refused(str(error), program.beside)
      said['largest'] = said['largest'] or largest(program)
      said['remedy'] = remedy(cfg, program, said)
      return said | spent(began, busy)
  said |= memory_of(compiled, program.beside)
  said['fits'] = said['peak_bytes'] <= said['hbm_bytes']
  if not said['fits']:
    said |= dict(largest=largest(program), remedy=remedy(cfg, program, said))
  per_slice = mesh.size // where.count if where.count > 1 else None
  read = schedule.read(text_of(compiled, where), program.turns, per_slice)
  said |= read.as_json()
  said |= roofline.bounds(said, program, where, mesh.size)
  return said | spent(began, busy)


def hint(model, mesh):
  """What makes a program slow that fits: rows of weights that fill no tile of 8 on a device."""
  width, ways = getattr(model, 'width', 0), mesh.shape['fsdp']
  if ways == 1 or width % ways or width // ways % 8 == 0:
    return ''
  copies = (n for n in range(2, ways) if ways % n == 0)
  fewer = next((n for n in copies if width * n // ways % 8 == 0), None)
  if fewer is None:
    return ''
  return (
    f'a width of {width} is {width // ways} on each of {ways} devices, which the compiler pads and '
    f'copies: --config.mesh.data={mesh.shape["data"] * fewer} may be much faster'
  )


def text_of(compiled, where):
  try:
    return compiled.as_text()
  except jax.errors.JaxRuntimeError as error:  # an older jaxlib than the compiler's programs need
    raise UserError(
      f'this jax, {jax.__version__}, cannot read what this libtpu compiled for {where.name} '
      f"({error}): take the pod's own versions, launch/requirements-tpu.lock, on Python 3.12"
    ) from error


def spent(began, busy):
  """Seconds by the clock, and of all cores: on a busy machine only the second says much."""
  return dict(
    compile_seconds=round(time.perf_counter() - began, 1),
    cpu_seconds=round(time.process_time() - busy, 1),
  )


def memory_of(compiled, beside):
  """Bytes on one device. What is given away (donated) is counted once: as an argument."""
  found = compiled.memory_analysis()
  parts = dict(
    argument=found.argument_size_in_bytes,
    output=found.output_size_in_bytes,
    alias=found.alias_size_in_bytes,
    temp=found.temp_size_in_bytes,
    code=found.generated_code_size_in_bytes,
    beside=beside,
  )
  peak = sum(parts.values()) - 2 * parts['alias']
  return dict(bytes=parts, peak_bytes=peak)


def largest(program):
  """Of a program that compiles and still does not fit: the largest of what it is given."""
  named = [
    (device_bytes(leaf), f'{jax.tree_util.keystr(path)} {leaf.dtype}{list(leaf.shape)}')
    for path, leaf in jax.tree.leaves_with_path(program.args)
    if getattr(leaf, 'sharding', None)  # what comes from the host has none
  ]
  return [dict(bytes=n, what=what) for n, what in sorted(named, reverse=True)[:3]]


def device_bytes(leaf):
  return math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize


def remedy(cfg, program, said):
  """What to change first: cheap things before dear ones, and no number that was not compiled."""
  if program.remedy:
    return program.remedy
  given = (
    sum(device_bytes(x) for x in jax.tree.leaves(program.args) if getattr(x, 'sharding', None))
    + program.beside
  )
  if given > 0.7 * said['hbm_bytes']:
    thin = ', or --config.lora (an adapter)' if getattr(cfg, 'lora', 'no field') is None else ''
    return f'{given / 2**30:.1f} GiB are weights and what goes with them: a larger slice{thin}'
  learns = program.turns == 1  # what samples takes all rows at once, without gradients
  if learns and hasattr(cfg, 'microbatches'):
    return (
      '--search, which compiles more microbatches, recomputation and other meshes until they fit, '
      'and prints those flags; else a smaller --config.batch, or a larger slice'
    )
  rows = 'rows' if hasattr(cfg, 'rows') else 'batch'
  return f'a smaller --config.{rows}, or a larger slice'


def size(text):
  """'25.06G' in bytes."""
  match = re.fullmatch(r'([\d.]+)([KMGT]?)', text)
  return int(float(match[1]) * UNITS[match[2]])


def refused(text, beside):
  """Of a program that the compiler found too big: what it says it needs, and for what."""
  used = re.search(r'Used ([\d.]+[KMGT]?) of ([\d.]+[KMGT]?) hbm', text)
  used = used or re.search(r'\(([\d.]+[KMGT]?)\) exceeds available HBM \(([\d.]+[KMGT]?)\)', text)
  if not used:
    raise UserError(f'the compiler ran out of memory, but not of HBM: {text[:300]}')
  found = re.findall(r'Size: ([\d.]+[KMGT]?)\n(.*?)(?====|\Z)', text, re.DOTALL)
  largest = [dict(bytes=size(n), what=shown(words)) for n, words in found[:3]]
  total = size(used[1]) + beside
  there = dict(fits=False, peak_bytes=total, hbm_bytes=size(used[2]), largest=largest)
  return there | dict(cycles=None, collectives=[])  # there is no program to read them from


def shown(words):
  """A buffer of the compiler's list in one line: its shape, and the operation that made it."""

  def field(name):
    return (re.search(rf'{name}: (.+)', words) or ['', ''])[1].strip()

  operation = re.search(r'op_name="([^"]+)"', words)
  return ' '.join(filter(None, [field('Shape'), operation and operation[1] or field('Operator')]))


def start(argv):
  answer, spec, name, *given = argv
  where = slices.parse(name)
  cfg = main.load(spec)
  keep, assignments = overrides.of_arguments(given)
  for field, text in assignments:
    overrides.override(cfg, field, text)
  sealing.seal(cfg)
  if not keep:
    found = examine(cfg, where)
  else:
    directory = keep[0].removeprefix('--keep=')
    with compile_cache.used(directory):
      found = examine(cfg, where)
    how = ' '.join([spec, *(arg for arg in given if arg not in keep)])
    stamp = compile_cache.stamp(devices_of(where)[0].client)
    rows = [dict(config=how, slice=where.name, name=p['name']) for p in found if p['fits']]
    compile_cache.note(directory, [row | stamp for row in rows])
  pathlib.Path(answer).write_text(json.dumps(found))


if __name__ == '__main__':
  try:
    start(sys.argv[1:])
  except UserError as error:
    print('error:', ' '.join(str(error).split()), file=sys.stderr)
    sys.exit(2)
