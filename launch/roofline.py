"""How fast a program can be at best: by arithmetic, memory, links; and what a stage then costs.

An upper bound of speed: nothing stalls, every link is busy, attention kernels over whole texts (of
which the compiler says no cycles) hide behind the rest. Those of one token are counted by what they
read of a full cache. A real run is slower.
"""

CONVENTION = '6 a weight of every matmul and token, causal attention; recomputation not counted'


def bounds(said, program, where, devices):
  """What follows from a program's bytes, cycles and collectives: a dict for its answer."""
  chip = where.chip

  def wire(keep):
    return sum(c['bytes'] for c in said['collectives'] if keep(c))

  links = chip.link * sum(1 + wraps for wraps, n in zip(where.wrap, where.shape) if n > 1)

  def near(n):
    return n / links if n else 0.0

  seconds = dict(
    arithmetic=program.flops / devices / chip.flops,
    cycles=said['cycles'] / chip.clock + said.get('cache_bytes', 0) / chip.bandwidth,
    memory=(moved(said['bytes']) + program.turns * program.read) / chip.bandwidth,
    links=near(wire(lambda c: not c['far'])),
    network=wire(lambda c: c['far']) / chip.network,
  )
  exposed = near(wire(lambda c: not c['far'] and not c['overlapped']))
  exposed += wire(lambda c: c['far'] and not c['overlapped']) / chip.network
  busy = max(seconds['arithmetic'], seconds['cycles']) + exposed
  best = max(busy, seconds['memory'], seconds['links'], seconds['network'])
  bound = max(seconds, key=seconds.get)
  seconds = {name: round(s, 6) for name, s in seconds.items()}
  seconds |= dict(exposed=round(exposed, 6), at_best=round(best, 6))
  return dict(
    seconds=seconds,
    bound=bound,
    tokens_per_second=round(program.tokens / best),
    mfu=round(program.flops / devices / chip.flops / best, 4),
    flops_convention=CONVENTION,
    stage_seconds=round(best * program.calls, 1),
  )


def moved(parts):
  """Bytes that go through HBM at the least: what is given is read, what is made is written."""
  return parts['argument'] + parts['output']


def cost(programs, where, price):
  """(hours, chip-hours, dollars or None) of a whole stage, at the bound of each of its programs."""
  hours = sum(p['stage_seconds'] for p in programs) / 3600
  return hours, hours * where.chips, None if price is None else hours * where.chips * price
