"""Kernels of a program that XLA compiled for a GPU, read from compiled.as_text().

Each instruction outside of a fusion is a kernel, counted as often as the loops around it turn. Its
bytes are what it must read and write once: of an array that a fusion slices, the slice alone.
"""

import collections
import dataclasses
import json
import re
from collections.abc import Iterator, Mapping, Sequence

from launch import schedule
from launch.schedule import Instruction

Computations = Mapping[str, Sequence[Instruction]]

# What an instruction costs nothing for: it names bytes that lie there, or is part of another.
_FREE = {'parameter', 'constant', 'bitcast', 'tuple', 'get-tuple-element', 'after-all', 'reshape'}
_FREE |= {'copy-done', 'fusion-done', 'async-done', 'partition-id', 'iota', 'call', 'conditional'}
_MOVES = {'copy', 'transpose', 'slice', 'dynamic-slice', 'concatenate', 'pad', 'copy-start'}
_ALONE = _MOVES | {
  'dynamic-update-slice',
  'reshape',
  'select',
  'compare',
  'add',
  'clamp',
}  # indices
_SLICES = {'slice', 'dynamic-slice'}


@dataclasses.dataclass(frozen=True)
class Kernel:
  kind: str  # matmul, attention, move (copies, transposes, slices written out) or other
  name: str
  source: str  # where in the program it comes from, as jax names it
  shape: str  # of its result
  times: int
  bytes: int  # read and written, each time
  flops: float  # of matmuls and attention, each time

  def seconds(self, rates: Mapping[str, float]) -> float:
    """At best, all its times; rates: a second's flops of matmul and of attention, and its bytes."""
    work = self.flops / rates[self.kind] if self.flops else 0.0
    return self.times * max(work, self.bytes / rates['bytes'])


def kernels(text: str, turns: int = 1) -> list[Kernel]:
  """Of the whole program, in order; turns: of loops whose end only the data know."""
  computations, entry = schedule.parse(text)
  return list(_walk(computations, entry, 1, turns))


def _walk(computations: Computations, name: str, times: int, turns: int) -> Iterator[Kernel]:
  types = {one.name: one.type for one in computations[name]}
  for one in computations[name]:
    if one.kind == 'while':
      known = re.search(r'"known_trip_count":\{"n":"(\d+)"\}', one.rest)
      trips = int(known[1]) if known else turns
      yield from _walk(computations, one.called('body'), times * trips, turns)
    elif one.kind in ('call', 'async-start', 'conditional'):
      ways = [list(_walk(computations, name, times, turns)) for name in _branches(one)]
      yield from max(ways, key=lambda way: sum(k.times * k.bytes for k in way), default=[])
    elif one.kind not in _FREE:
      yield _kernel(computations, types, one, times)


def _branches(one: Instruction) -> list[str]:
  """What may run; of a conditional's branches, that which moves most counts."""
  if one.kind != 'conditional':
    return [name for name in (one.called('to_apply'), one.called('calls')) if name]
  listed = re.search(r'branch_computations=\{([^}]*)\}', one.rest)
  if listed:
    return schedule.NAMES.findall(listed[1])
  return [one.called('true_computation'), one.called('false_computation')]


def _kernel(computations: Computations, types: Mapping[str, str], one: Instruction, times: int):
  inside = computations.get(one.called('calls') or '', ())
  calls = [part for part in (one, *inside) if part.kind in ('custom-call', 'dot')]
  flops = sum(_flops(part, _types(inside) | types) for part in calls)
  kind = 'matmul' if flops else 'other'
  if any('fmha' in part.rest for part in calls):
    kind = 'attention'
  elif not flops and _only_moves(one, inside):
    kind = 'move'
  moved = _read(types, one, inside) + _written(one, inside)
  shape = schedule.ARRAY.search(one.type)
  return Kernel(
    kind, one.name, schedule.short(one.source), shape[0] if shape else '', times, moved, flops
  )


def _types(instructions: Sequence[Instruction]) -> dict[str, str]:
  return {one.name: one.type for one in instructions}


def _only_moves(one: Instruction, inside: Sequence[Instruction]) -> bool:
  kinds = {part.kind for part in inside} - _FREE if inside else {one.kind}
  return bool(kinds & _MOVES) and kinds <= _ALONE


def _read(types: Mapping[str, str], one: Instruction, inside: Sequence[Instruction]) -> int:
  """Bytes of what it is given; of an array of which a fusion takes slices, those slices."""
  named = [name for name in one.operands if name in types]
  whole = [_size(types[name]) for name in named]
  if not inside:
    sliced = one.kind in (*_SLICES, 'dynamic-update-slice')
    return _size(one.type) if sliced and one.kind in _SLICES else sum(whole[sliced:])
  parameters = {int(p.rest.split(')')[0]): p.name for p in inside if p.kind == 'parameter'}
  return sum(
    min(size, _used(parameters[n], inside, size)) if n in parameters else size
    for n, size in enumerate(whole)
  )


def _used(name: str, inside: Sequence[Instruction], size: int) -> int:
  """Bytes of a parameter that a fusion reads: all, if anything but slices looks at it."""
  used = 0
  for one in inside:
    if name not in one.operands:
      continue
    if one.kind == 'bitcast' or (
      one.kind == 'dynamic-update-slice' and one.operands[0] == name  # written in place
    ):
      used += _used(one.name, inside, size)
    elif one.kind in (*_SLICES, 'gather'):
      used += _size(one.type)
    elif one.kind != 'tuple':
      return size
  return used


def _written(one: Instruction, inside: Sequence[Instruction]) -> int:
  """Bytes of its results but scratch; of an array that is updated in place, the update."""
  by_name = {part.name: part for part in inside}
  updates = [part for part in inside if part.kind == 'dynamic-update-slice']
  if not inside and one.kind == 'dynamic-update-slice':
    return 0  # its update was counted as read; it is small beside what else moves
  roots = [part.type for part in inside if part.root] or [one.type]
  total = sum(map(_size, roots))
  for update in updates:
    piece = by_name.get(update.operands[1])
    if piece is not None and _leaves(update, inside):
      total -= _size(update.type) - _size(piece.type)
  return max(total, 0)


def _leaves(one: Instruction, inside: Sequence[Instruction]) -> bool:
  """Whether it is a result of the fusion, rather than only used inside."""
  users = [part for part in inside if one.name in part.operands]
  passed = [part for part in users if part.kind in ('bitcast', 'tuple')]
  return one.root or any(_leaves(part, inside) for part in passed)


def _size(text: str) -> int:
  """Bytes of a type, without a custom call's scratch."""
  return sum(
    schedule.size(f'{kind}[{sides}]')
    for kind, sides in schedule.ARRAY.findall(text)
    if not (kind in ('s8', 'u8') and ',' not in sides)
  )


def _flops(one: Instruction, types: Mapping[str, str]) -> float:
  if 'fmha' in one.rest:
    return _attention_flops(one, types)
  if one.kind == 'dot':
    over = re.search(r'lhs_contracting_dims=\{([\d,]*)\}', one.rest)
  elif 'cublas' in one.rest:
    over = re.search(r'"lhs_contracting_dimensions":\[([^\]]*)\]', one.rest)
  else:
    return 0.0
  sides = _sides(types[one.operands[0]])
  width = 1
  for n in re.findall(r'\d+', over[1]):
    width *= sides[int(n)]
  out = 1
  for n in _sides(one.type):
    out *= n
  return 2.0 * out * width


def _attention_flops(one: Instruction, types: Mapping[str, str]) -> float:
  """Of cuDNN's attention, half of it hidden: two products forwards, five backwards."""
  config = json.loads(re.search(r'backend_config=(\{.*\})', one.rest)[1])
  rows, heads, T, S = (
    int(n) for n in config['cudnn_fmha_backend_config']['intermediate_tensor_shape']['dimensions']
  )
  size = _sides(types[one.operands[0]])[-1]
  return (5 if 'Backward' in one.rest else 2) * rows * heads * T * S * size


def _sides(text: str) -> list[int]:
  return [int(n) for n in schedule.ARRAY.search(text)[2].split(',') if n]


def totals(found: Sequence[Kernel], rates: Mapping[str, float]) -> dict[str, dict[str, float]]:
  """{kind: launches, bytes, flops, seconds at best}."""
  kinds: dict[str, dict[str, float]] = collections.defaultdict(
    lambda: dict(launches=0, bytes=0, flops=0.0, seconds=0.0)
  )
  for one in found:
    row = kinds[one.kind]
    row['launches'] += one.times
    row['bytes'] += one.times * one.bytes
    row['flops'] += one.times * one.flops
    row['seconds'] += one.seconds(rates)
  return dict(kinds)
