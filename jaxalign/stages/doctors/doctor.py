"""`--doctor`: what can be known of a run before its machines are paid for, one line a check.

A check is a function that returns what it found, raises UserError (what is wrong, and the remedy)
or raises Skip (why it cannot be told here). A stage strings them together in `doctor(cfg, workdir,
machine)` with a Visit; what a failed check would have given makes the checks after it skip.
"""

import collections
import contextlib
import dataclasses
import os
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
from etils import epath
from jax.sharding import AbstractMesh, NamedSharding

from jaxalign.chips import CHIPS
from jaxalign.config import AdamW, Mesh, Optimizer, UserError
from jaxalign.sharding.alphabet import AXES
from jaxalign.sharding.layout import leaf_spec
from jaxalign.sharding.meshes import mesh_sizes
from jaxalign.stages.contract import ModelConfig
from jaxalign.stages.refusals import Found, Rule, Skip
from jaxalign.train.optim import learning_rate, make_optimizer

ROOM = 0.9  # of a device's memory: the rest is the compiler's and the runtime's
_EPS = (1e-15, 1e-4)  # of Adam: below, bf16 gradients of 0 divide by it; above, it slows every step


@dataclasses.dataclass(frozen=True)
class Check:
  name: str
  state: Literal['ok', 'FAIL', 'skipped']
  why: str

  @property
  def ok(self) -> bool:
    return self.state != 'FAIL'


@dataclasses.dataclass(frozen=True)
class _Missing:
  """Stands for what a check that did not pass would have given."""

  name: str


class Visit:
  """The checks of one run, in order."""

  def __init__(self) -> None:
    self.checks: list[Check] = []
    self._found = Found()

  def ask(
    self, rules: Sequence[Rule], cfg: Any, machine: 'Machine', **given: Any
  ) -> dict[str, Any]:
    """What the mesh and the rules by which a run is refused found, by their names."""
    self._found.update(given)
    self._found.elsewhere = '' if machine.here else machine.name
    rules = ('mesh', lambda cfg, _: mesh_fits(cfg.mesh, machine)), *rules
    return {name: self.check(name, rule, cfg, self._found) for name, rule in rules}

  def check(self, name: str, test: Callable[..., Any], *given: Any) -> Any:
    """test(*given) -> what it found, in words, or (words, a thing that later checks are given)."""
    lost = next((x for x in given if isinstance(x, _Missing)), None)
    thing: Any = _Missing(name)
    state: Literal['ok', 'FAIL', 'skipped'] = 'FAIL'
    try:
      if lost:
        raise Skip(f'needs {lost.name}')
      found = test(*given)
      why, thing = found if isinstance(found, tuple) else (found, None)
      state, self._found[name] = 'ok', thing
    except Skip as skip:
      state, why = 'skipped', str(skip)
    except UserError as error:
      why = str(error)
    except Exception as error:  # a check that falls over is a finding too, and the others go on
      why = f'{type(error).__name__}: {error} (report this: a check fell over)'
    self.checks.append(Check(name, state, ' '.join(why.split())))
    return thing


def table(checks: Sequence[Check]) -> Iterator[str]:
  """The lines that a user reads."""
  wide = max(len(check.name) for check in checks)
  yield from (f'{check.name:<{wide}}  {check.state:<7}  {check.why}' for check in checks)
  count = collections.Counter(check.state for check in checks)
  yield f'{count["ok"]} ok, {count["FAIL"]} FAIL, {count["skipped"]} skipped'


@dataclasses.dataclass(frozen=True)
class Machine:
  """What the run will be paid on: so many devices, of so many bytes each (None: not known)."""

  name: str
  devices: int
  memory: int | None
  here: bool = True  # whether this process is on it

  @classmethod
  def of_this_process(cls) -> 'Machine':
    device = jax.local_devices()[0]
    memory = (device.memory_stats() or {}).get('bytes_limit')
    return cls(f'{jax.device_count()} x {device.device_kind}', jax.device_count(), memory)

  @classmethod
  def of(cls, text: str) -> 'Machine':
    """'v5e-64': a slice by its name; 'h100-8': so many of these."""
    match = re.fullmatch(r'(\w+)-([1-9]\d*)', text)
    if not match or match[1] not in CHIPS:
      known = ', '.join(CHIPS)
      raise UserError(f'--slice={text}: write KIND-COUNT, as v5e-64; kinds are {known}')
    kind, count, chip = match[1], int(match[2]), CHIPS[match[1]]
    if count % chip.cores:
      raise UserError(f'--slice={text}: {kind} counts cores, {chip.cores} a chip: name a multiple')
    return cls(text, count // chip.cores, chip.gib << 30, here=False)


def writable(workdir: epath.Path) -> str:
  """A file can be written there, and is taken away again, with the directories made for it."""
  made = []
  probe = workdir / f'.doctor-{os.getpid()}-{uuid.uuid4().hex[:8]}'
  try:
    for place in (workdir, *workdir.parents):
      if place.exists():
        break
      made.append(place)
    workdir.mkdir(parents=True, exist_ok=True)
    probe.write_text('a run writes here')
    probe.unlink()
    for place in made:
      with contextlib.suppress(OSError):  # another run began to use it
        place.rmdir()
  except Exception as error:  # a bucket's client has dozens of error types; all mean the same here
    raise UserError(f'{workdir} cannot be written ({error}): choose another') from error
  return f'{workdir} can be written'


def mesh_fits(mesh: Mesh, machine: Machine) -> tuple[str, AbstractMesh]:
  sizes = mesh_sizes(mesh.data, mesh.fsdp, mesh.tensor, machine.devices)
  return f'{dict(zip(AXES, sizes))} on {machine.name}', AbstractMesh(sizes, AXES)


def optimizer_sane(optim: Optimizer, steps: int) -> str:
  """The rate in optimizer steps, epsilon, and a clip that is applied: on a gradient too large."""
  rate = learning_rate(optim, steps)
  warm, end = (float(rate(n)) for n in (optim.schedule.warmup, steps - 1))
  if optim.lr > 0.1:
    raise UserError(f'optim.lr={optim.lr}: above .1 no language model trains; lower it')
  if optim.clip is None:
    raise UserError('optim.clip=None: one bad batch moves every weight; set it, 1.0 is usual')
  words = f'lr {warm:.3g} after {optim.schedule.warmup} optimizer steps, {end:.3g} after {steps}'
  if not isinstance(optim, AdamW):
    return f'{words}; clip {optim.clip}'
  if not _EPS[0] <= optim.eps <= _EPS[1]:
    raise UserError(f'optim.eps={optim.eps}: outside {_EPS[0]} to {_EPS[1]}; 1e-8 or 1e-5 is usual')
  clip_applied(make_optimizer(dataclasses.replace(optim, frozen=()), steps), optim)
  return f'{words}; eps {optim.eps}, b2 {optim.b2}, clip {optim.clip} applied'


def clip_applied(tx: optax.GradientTransformation, optim: AdamW) -> None:
  """Adam's first moment after one step is (1 - b1) of the gradient that the clip let through."""
  weights = dict(w_FD=jnp.ones((4, 4)))
  _, state = tx.update(dict(w_FD=jnp.full((4, 4), 1e3)), tx.init(weights), weights)
  seen = float(optax.tree.norm(optax.tree.get(state, 'mu'))) / (1 - optim.b1)
  if optim.clip is not None and not np.isclose(seen, optim.clip, rtol=1e-3):
    raise UserError(
      f'optim.clip={optim.clip}, but of a gradient of norm 4000 the optimizer saw {seen:.3g}: '
      'the clip is not applied'
    )


def device_bytes(tree: Any, mesh: AbstractMesh | jax.sharding.Mesh) -> int:
  """Bytes of a tree of shapes on one device, under the layout of the house."""

  def one(path, x):
    home = NamedSharding(mesh, leaf_spec(path, x, mesh))
    return int(np.prod(home.shard_shape(x.shape), dtype=np.int64)) * x.dtype.itemsize

  return sum(jax.tree.leaves(jax.tree.map_with_path(one, tree)))


def fits_memory(parts: Mapping[str, int], machine: Machine) -> str:
  """parts: {what: bytes on one device}."""
  total = sum(parts.values())
  words = ' + '.join(f'{n / 2**30:.2f} {what}' for what, n in parts.items())
  words = f'{total / 2**30:.2f} GiB a device: {words}'
  if machine.memory is None:
    raise Skip(f'{words}; {machine.name} does not say what it has: name a --slice')
  words += f'; {machine.name} has {machine.memory / 2**30:.2f}'
  if total > ROOM * machine.memory:
    raise UserError(f'{words}: more devices, a larger fsdp or tensor, more microbatches, or lora')
  return words


def slice_that_holds(shapes: Any, kind: str) -> str:
  """The smallest slice of a kind of chip that holds a tree, split over all its devices."""
  chip = CHIPS[kind]
  for devices in (1, *(2**n for n in range(2, 11))):
    mesh = AbstractMesh(mesh_sizes(1, -1, 1, devices), AXES)
    if device_bytes(shapes, mesh) <= ROOM * (chip.gib << 30):
      return f'{kind}-{devices * chip.cores}'
  return f'no slice of {kind}'


class Unsaved:
  """Stands for a run's checkpoints where there are none."""

  path, about = 'a rehearsal', None

  def restore(self, twin: Any) -> None:
    return None


def twin(cfg: ModelConfig) -> ModelConfig:
  """A tiny model of the same kind: two narrow layers under the same arithmetic and vocabulary."""
  heads = 4
  small: dict[str, Any] = dict(depth=2, heads=heads, width=64, mlp=128, attention='auto', unroll=1)
  small['kv_heads'] = heads if cfg.kv_heads == cfg.heads else 2
  if hasattr(cfg, 'head_dim'):
    small['head_dim'] = None
  return dataclasses.replace(cfg, **small)
