"""Reads what the TPU compiler wrote (compiled.as_text()): loops, collectives, cycles, copies.

Every instruction counts as often as the loops around it turn. `cycles` are the compiler's own
estimates, and a lower bound: kernels (attention), collectives and stalls carry none.
"""

import collections
import dataclasses
import math
import re

from launch.replica_groups import groups

KINDS = ('all-gather', 'all-reduce', 'reduce-scatter', 'collective-permute', 'all-to-all')
SIZES = {'pred': 1, 's4': 0.5, 'u4': 0.5, 'c64': 8, 'bf16': 2}
ARRAY = re.compile(r'\b(pred|bf16|[fsuc]\d+(?:e\dm\d\w*)?)\[([\d,]*)\]')
HEAD = re.compile(r'(ENTRY )?%?([\w.\-]+) \(.*\) -> .* \{')
LINE = re.compile(r'\s+(ROOT )?%?([\w.\-]+) = (.*)')
OPERATION = re.compile(r' ([a-z][\w\-]*)\((.*)')
NAMES = re.compile(r'%([\w.\-]+)')


@dataclasses.dataclass(frozen=True)
class Instruction:
  name: str
  type: str  # its result, with layout
  kind: str  # of operation
  rest: str  # operands, and what follows them
  root: bool

  def called(self, what):
    """The computation named by body=, condition=, calls= or to_apply=."""
    match = re.search(rf'\b{what}=%?([\w.\-]+)', self.rest)
    return match and match[1]

  @property
  def operands(self):
    return NAMES.findall(self.rest.split('), ')[0])

  @property
  def value(self):
    """Of a constant: an int."""
    return int(self.rest.split(')')[0])

  @property
  def source(self):
    """Where in the program it comes from, as jax names it."""
    match = re.search(r'op_name="([^"]*)"', self.rest)
    return match[1] if match else self.name


@dataclasses.dataclass(frozen=True)
class Collective:
  kind: str
  bytes: int  # of the whole array: what a gather gives, what a reduction takes
  ways: int  # devices that take part
  far: bool  # leaves the slice
  hidden: bool  # starts and ends apart, with work between
  times: int  # in one call
  source: str

  @property
  def wire(self):
    """Bytes that one device sends in one call, by a ring."""
    share = (self.ways - 1) / self.ways
    factor = {'all-reduce': 2 * share, 'collective-permute': 1}.get(self.kind, share)
    return self.bytes * factor * self.times


@dataclasses.dataclass
class Schedule:
  cycles: float
  collectives: list[Collective]
  copies: dict[str, float]  # source -> bytes moved by copies and transposes inside loops
  loops: list[dict]  # the outer loops: turns, cycles, wire bytes
  cache_bytes: float = 0.0  # what kernels of one token read of a cache that is full

  @property
  def wire(self):
    return sum(c.wire for c in self.collectives)

  def as_json(self):
    """Collectives of a kind, a size and a source together, the largest first."""
    rows = collections.defaultdict(lambda: dict(count=0, bytes=0))
    for c in self.collectives:
      row = rows[c.kind, c.far, c.hidden, c.bytes, c.ways, short(c.source)]
      row['count'] += c.times
      row['bytes'] += round(c.wire)
    names = ('kind', 'far', 'overlapped', 'array_bytes', 'ways', 'source')
    listed = [dict(zip(names, key)) | row for key, row in rows.items()]
    listed.sort(key=lambda row: -row['bytes'])
    copies = sorted(self.copies.items(), key=lambda item: -item[1])[:10]
    told = dict(cycles=round(self.cycles), wire_bytes=round(self.wire), collectives=listed)
    told['cache_bytes'] = round(self.cache_bytes)
    return told | dict(copies=[dict(source=s, bytes=round(n)) for s, n in copies], loops=self.loops)


def short(source):
  """The last words of a jax name, and whether it is of the backward pass."""
  back = 'backward ' if 'transpose(' in source else ''
  words = [w for w in source.split('/') if w not in ('while', 'body', 'closed_call', 'checkpoint')]
  return back + '/'.join(words[-2:])


def size(text):
  """Bytes of all arrays in a type."""
  total = 0
  for kind, sides in ARRAY.findall(text):
    wide = SIZES.get(kind) or int(re.search(r'\d+', kind)[0]) / 8
    total += math.prod(int(n) for n in sides.split(',') if n) * wide
  return int(total)


def parse(text):
  """({name of a computation: its instructions in order}, the name of the one that begins)."""
  found, entry, now = {}, None, None
  for line in text.splitlines():
    head = HEAD.match(line)
    if head and not line.startswith(' '):
      now = found.setdefault(head[2], [])
      entry = head[2] if head[1] else entry
    elif now is not None and (match := LINE.match(line)):
      operation = OPERATION.search(' ' + match[3])
      if operation:
        kind = ' ' + match[3][: operation.start()]
        now.append(Instruction(match[2], kind, operation[1], operation[2], bool(match[1])))
  return found, entry


def read(text, turns=1, per_slice=None):
  """A Schedule. turns: of loops whose end only the data know; per_slice: devices of one slice,
  where there are several."""
  computations, entry = parse(text)
  found = Schedule(0.0, [], collections.defaultdict(float), [])
  _walk(computations, entry, 1, found, turns, per_slice, 0)
  return found


def _walk(computations, name, times, found, turns, per_slice, depth):
  for one in computations[name]:
    match = re.search(r'"estimated_cycles":"(\d+)"', one.rest)
    found.cycles += int(match[1]) * times if match else 0
    if one.kind == 'while':
      trips = _trips(computations, one) or turns
      before = found.cycles, found.wire
      _walk(computations, one.called('body'), times * trips, found, turns, per_slice, depth + 1)
      if depth <= 1 and trips > 1:
        cycles, wire = round(found.cycles - before[0]), round(found.wire - before[1])
        loop = dict(turns=trips, cycles=cycles, wire_bytes=wire)
        found.loops.append(loop | dict(source=short(one.source), depth=depth))
    elif one.kind in ('call', 'conditional'):
      for branch in _branches(one):
        _walk(computations, branch, times, found, turns, per_slice, depth)
    elif one.kind == 'fusion':
      found.collectives += _fused(computations, one, times, per_slice)
    elif one.kind.removesuffix('-start') in KINDS:
      found.collectives.append(_collective(computations, name, one, times, per_slice))
    elif one.kind == 'custom-call' and one.name.startswith('decode_attention'):
      found.cache_bytes += _cache_bytes(one) * times
    elif one.kind == 'send' and 'megascale' in one.rest:
      found.collectives.append(_between_slices(computations[name], one, times))
    if depth and (one.kind in ('copy', 'transpose') or one.name.startswith('copy_')):
      found.copies[short(one.source)] += 2 * size(one.type) * times


def _cache_bytes(kernel):
  """Of one layer's keys and values; heads of less than 128 entries fill as many in memory."""
  given = re.search(r'operand_layout_constraints=\{(.*?)\}, \w+=', kernel.rest)[1]
  total = 0
  for kind, text in ARRAY.findall(given):
    sides = [int(n) for n in text.split(',')]
    if len(sides) == 5:  # layers, rows, heads, slots, entries
      total += size(f'{kind}[{math.prod(sides[1:4]) * -(-sides[4] // 128) * 128}]')
  return total


def _branches(one):
  """What a call or a conditional may run; of a conditional all count, as if each ran."""
  if one.kind == 'call':
    return [one.called('to_apply')]
  listed = re.search(r'branch_computations=\{([^}]*)\}', one.rest)
  if listed:
    return NAMES.findall(listed[1])
  return [one.called('true_computation'), one.called('false_computation')]


def _fused(computations, fusion, times, per_slice):
  """Collectives inside a fusion. One that is fused into three others counts at its start; an
  all-reduce fused with the slice that is kept of it is a reduce-scatter."""
  name = fusion.called('calls')
  inside = computations[name]
  starts = any('"AsyncCollectiveStart"' in one.rest for one in inside)
  ends = any('"AsyncCollectiveDone"' in one.rest for one in inside)
  if not starts and (ends or 'async_collective_fusion' in name):
    return []
  found = []
  for one in inside:
    if one.kind in KINDS:
      read = _collective(computations, name, one, times, per_slice)
      scatters = read.kind == 'all-reduce' and 'AllReduceScatterFusion' in one.rest + fusion.rest
      kind = 'reduce-scatter' if scatters else read.kind
      found.append(dataclasses.replace(read, kind=kind, hidden=starts))
  return found


def _collective(computations, name, one, times, per_slice):
  kind = one.kind.removesuffix('-start')
  ways, far = _group(one, per_slice)
  total = size(one.type)
  if one.kind.endswith('-start'):  # (what goes in, what comes out, flags)
    arrays = ARRAY.findall(one.type)
    data = [size(f'{k}[{n}]') for k, n in arrays if n]
    half = len(data) // 2 or 1
    total = sum(data[half:]) if kind == 'all-gather' else sum(data[:half])
  elif kind == 'reduce-scatter':
    total *= ways
  hidden = one.kind.endswith('-start') and _apart(computations[name], one)
  return Collective(kind, total, ways, far, hidden, times, one.source)


def _between_slices(instructions, send, times):
  """What goes over the network, which the hosts do: a send, and the recv of its answer."""

  def said(one, what):
    return (re.search(rf'{what}="([^"]*)"', one.rest) or ['', ''])[1]

  kind = said(send, '_xla_megascale_transfer_type').lower().replace('_', '-')
  slices = re.match(r'\{([^}]*)\}', said(send, '_xla_megascale_target'))  # {1,2}x{0:255}
  ends = [part.split(':') for part in slices[1].split(',')] if slices else [[0], [1]]
  ways = sum(int(end[-1]) - int(end[0]) + 1 for end in ends)
  total = size(ARRAY.search(send.type)[0]) * (ways if kind == 'all-gather' else 1)
  meeting = said(send, '_xla_host_transfer_rendezvous')
  answers = [one for one in instructions if one.kind == 'recv' and meeting in one.rest]
  hidden = bool(answers) and _apart(instructions, answers[0])
  return Collective(kind, total, ways, True, hidden, times, send.source)


def _apart(instructions, start):
  """Whether anything that takes time stands between a start and its end."""
  for one in instructions[instructions.index(start) + 1 :]:
    if one.kind.endswith('-done') and start.name in one.operands:
      return False
    if one.kind in ('fusion', 'custom-call', 'convolution', 'while', 'dot'):
      return True
  return False


def _group(one, per_slice):
  """(how many devices take part, whether they lie in several slices)."""
  if one.kind.startswith('collective-permute'):
    pairs = re.search(r'source_target_pairs=\{(.*?)\}\}', one.rest)
    pairs = re.findall(r'(\d+),(\d+)', pairs[1]) if pairs else []
    far = per_slice and any(int(a) // per_slice != int(b) // per_slice for a, b in pairs)
    return max(len(pairs), 2), bool(far)
  listed = groups(one.rest)
  if not listed:
    return 2, False
  far = per_slice and any(len({n // per_slice for n in group}) > 1 for group in listed)
  return max(map(len, listed)), bool(far)


def _trips(computations, loop):
  """How often a loop turns, from its condition (counter < bound); None: it depends on data."""
  known = re.search(r'"known_trip_count":\{"n":"(\d+)"\}', loop.rest)
  if known:
    return int(known[1])
  test = {one.name: one for one in computations[loop.called('condition')]}
  root = next(one for one in test.values() if one.root)
  if root.kind != 'compare' or 'direction=LT' not in root.rest:
    return None
  counter, bound = (test.get(name) for name in root.operands)
  if bound is None or bound.kind != 'constant' or counter.kind != 'get-tuple-element':
    return None
  body = {one.name: one for one in computations[loop.called('body')]}
  index = int(re.search(r'index=(\d+)', counter.rest)[1])
  return -(-bound.value // _step(body, index))


def _step(body, index):
  """What a turn adds to the counter."""
  root = next(one for one in body.values() if one.root)
  last = body.get(root.operands[index]) if root.kind == 'tuple' else None
  if last is None or last.kind != 'add':
    return 1
  found = [body[name] for name in last.operands if name in body]
  return next((one.value for one in found if one.kind == 'constant'), 1)
