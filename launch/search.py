"""What else fits on a slice: rows on a device at a time x recomputation x mesh, best first.

The batch of an optimizer step stays the config's own: fewer rows at a time are more microbatches.
So every answer trains the same model, and only memory and speed differ. Rows are bisected: where
some are too many, more are too; and who keeps more of a layer holds no more rows.
"""

from jaxalign import main, overrides, sealing
from jaxalign.config import UserError
from jaxalign.sharding.meshes import mesh_sizes

LEAN = 'full', 'qkv', 'dots', 'none'  # of remat: each keeps more than the one before


def candidates(spec, given, where):
  """[(mesh, rows that an optimizer step has for each of its ways)]: what can be asked about."""
  cfg = main.load(spec)
  for field, text in overrides.of_arguments(given)[1]:
    overrides.override(cfg, field, text)
  sealing.seal(cfg)
  if not hasattr(cfg, 'microbatches'):
    raise UserError(f'{type(cfg).__module__} has no microbatches: --search has nothing to vary')
  rows = getattr(cfg, 'minibatch', cfg.batch)
  found = []
  for tensor in (1, 2, 4):
    if cfg.model.kv_heads % tensor or where.chips % (where.count * tensor):
      continue
    data, fsdp, _ = mesh_sizes(where.count, -1, tensor, where.chips)
    if rows % (data * fsdp) == 0:
      found.append((dict(data=data, fsdp=fsdp, tensor=tensor), rows // (data * fsdp)))
  if not found:
    raise UserError(
      f'{rows} rows of a step do not go evenly onto the ways of {where.name}: change the batch'
    )
  return found


def flags(mesh, rows, most, remat):
  """What to paste behind the command."""
  given = [f'--config.mesh.{axis}={size}' for axis, size in mesh.items()]
  return [*given, f'--config.microbatches={most // rows}', f'--config.model.remat={remat}']


def search(found, ask):
  """[(flags, programs)] of the most rows that fit, by mesh and remat; ask: flags -> programs."""
  answers = []
  for mesh, most in found:
    sizes = [n for n in range(1, most + 1) if most % n == 0]
    high = len(sizes) - 1
    for remat in LEAN:
      best, low, middle = None, 0, high  # the most first: often it fits
      while low <= high:  # what is below `low` fits, what is above `high` does not
        how = flags(mesh, sizes[middle], most, remat)
        programs = ask(how)
        if all(p['fits'] for p in programs):
          best, low, fitting = (how, programs), middle + 1, middle
        else:
          high = middle - 1
        middle = (low + high) // 2
      if best is None:
        break
      answers.append(best)
      high = fitting
  return answers


def pareto(answers):
  """Those that no other beats in both, seconds and memory; the fastest first."""
  worth = [
    (sum(p['stage_seconds'] for p in a[1]), max(p['peak_bytes'] for p in a[1])) for a in answers
  ]

  def better(a, b):
    return a != b and a[0] <= b[0] and a[1] <= b[1]

  kept = [n for n, mine in enumerate(worth) if not any(better(other, mine) for other in worth)]
  return sorted(((*worth[n], *answers[n]) for n in kept), key=lambda row: row[:2])


def lines(ranked):
  """What is printed of them."""
  for seconds, peak, how, _ in ranked:
    yield f'{seconds / 3600:8.3f} h at best  {peak / 2**30:6.2f} GiB  {" ".join(how)}'
  if not ranked:
    yield 'nothing fits, whatever the rows, the recomputation and the mesh: take a larger slice'
