"""Bytes that ppo and bon hold on a device, from shapes: always, while sampling, while learning.

What a compiler keeps beside that it decides itself: held to XLA's own counts in
tests/stages/doctors/ppo_memory_test.py and docs/performance.md, within a fifth.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.sharding import AbstractMesh, Mesh

from jaxalign.chips import CHIPS
from jaxalign.models import adapters
from jaxalign.models.attention import LANES, choose
from jaxalign.models.decoder import SMALL
from jaxalign.rl.judges import Judge
from jaxalign.sharding.collectives import sampling_mesh
from jaxalign.stages import training
from jaxalign.stages.contract import Answering, Playing
from jaxalign.stages.doctors import doctor
from jaxalign.stages.doctors.doctor import Machine
from jaxalign.stages.refusals import Skip

_CHUNK = 128  # tokens of a row whose logits exist at once, in float32 and twice: losses.head
_SCORES = 5  # arrays as large as a layer's attention weights, where a gradient is made of them

_Parts = dict[str, int]  # what: bytes on one device


def words(cfg: Playing, mesh: AbstractMesh, machine: Machine) -> str:
  """What a run of ppo takes at its most: either while it samples or while it learns."""
  always = trained(cfg, mesh) | frozen(cfg, mesh, 'reference', (*cfg.judges, *cfg.gold))
  samples = sampling(cfg, mesh, machine, cfg.lora is not None)
  phases = {'samples': samples, 'learns': learning(cfg, mesh, machine)}
  most, least = sorted(phases, key=lambda name: -sum(phases[name].values()))
  other = (sum(always.values()) + sum(phases[least].values())) / 2**30
  told = f'; that is while it {most}, while it {least} it is {other:.2f}'
  try:
    return doctor.fits_memory(always | phases[most], machine) + told
  except Skip as skip:
    raise Skip(f'{skip}{told}') from skip


def trained(cfg: Playing, mesh: AbstractMesh) -> _Parts:
  """Weights of policy and critic, or of their adapters, and both optimizers' moments."""
  moments = 0
  for name in ('optim', 'critic_optim'):
    tx = training.make_optimizer(getattr(cfg, name), cfg.optimizer_steps)
    moments += doctor.device_bytes(jax.eval_shape(tx.init, _player(cfg)), mesh)
  return {
    'policy and critic': 2 * doctor.device_bytes(_player(cfg), mesh),
    'moments': moments,
  }


def _player(cfg):
  """Shapes of what is trained of one player."""
  lora = cfg.lora
  build = cfg.model.build if lora is None else adapters.adapter_builder(cfg.model, lora)
  return jax.eval_shape(build, jax.random.key(0))


def _cast(cfg):
  """Shapes of a model whose weights are of the arithmetic's type."""
  model = dataclasses.replace(cfg.model, weights=cfg.model.dtype)
  return jax.eval_shape(model.build, jax.random.key(0))


def frozen(cfg: Answering, mesh: AbstractMesh, name: str, listed: Sequence[Judge]) -> _Parts:
  """A decoder that is not trained, in the arithmetic's type, and the judges that are models."""
  whole = doctor.device_bytes(_cast(cfg), mesh)
  scorers = sum(isinstance(judge.by, str) for judge in listed)
  return {name: whole, f'{scorers} judges of its size': scorers * whole}


def sampling(cfg: Answering, mesh: AbstractMesh, machine: Machine, typed: bool) -> _Parts:
  """What takes most: reading the prompts, writing with weights cast or laid out anew and a CPU's
  layers at hand, or the players' reading. typed: whether weights have the arithmetic's type."""
  model, groups, twin = cfg.model, sampling_mesh(mesh, cfg.model.kv_heads), _cast(cfg)
  copied = mesh.shape['fsdp'] > 1 or not (typed or model.weights == model.dtype)
  hand = 0
  if _platform(machine) == 'cpu' and mesh.size == 1:
    ready = jax.eval_shape(lambda model: model.at_hand(cfg.batch), twin)
    hand = _bytes(ready.apart)
  cache, rows = cache_bytes(cfg, mesh), _rows(cfg.batch, groups)
  if _platform(machine) == 'tpu':  # a head's numbers lie in its lanes
    cache = cache * (-(-model.head_size // LANES) * LANES) // model.head_size
  evenly = cfg.batch % (mesh.shape['data'] * mesh.shape['fsdp']) == 0
  home = mesh if evenly else groups  # where prompts are read
  read = _rows(cfg.batch, home)
  inside = read * cfg.prompt * _inside(model, home, machine)
  weights = doctor.device_bytes(twin, groups) * copied + hand
  reads = {
    'weights to sample with': 0 if evenly and mesh.shape['fsdp'] > 1 else weights,
    'cache of the prompts': cache * cfg.prompt // cfg.length,
    'activations of the prompts': inside + _scores(model, read, cfg.prompt, home, machine),
    'gathered weights': _gathered(cfg, mesh, 2) * evenly,
  }
  writes = {
    'weights to sample with': weights,
    'cache': cache,
    'cache beside it': _beside(cfg, cache, machine, apart=hand or _bytes(twin.blocks) <= SMALL),
    'logits of a step': 3 * 4 * rows * model.vocab,
  }
  phases = reads, writes, {'gathered weights of the players': _gathered(cfg, mesh, 3)}
  return max(phases, key=lambda parts: sum(parts.values()))


def _beside(cfg, cache, machine, apart):
  """What lies beside the cache: all of it again, as it is written; a CPU writes where it lies, and
  keeps the shorter one from which it grew. apart: each layer's keys are an array, grown in turn."""
  if _platform(machine) != 'cpu':
    return cache
  return cache * cfg.prompt // cfg.length // (2 * cfg.model.depth if apart else 1)


def cache_bytes(cfg: Answering, mesh: AbstractMesh | Mesh) -> int:
  """Of a device's keys and values, once all slots are filled: whole blocks, as a TPU has them."""
  slots = -(-cfg.length // LANES) * LANES
  kinds = jax.eval_shape(
    lambda model, *given: model.prefill(*given, slots)[1],
    jax.eval_shape(cfg.model.build, jax.random.key(0)),
    *(jax.ShapeDtypeStruct((cfg.batch, cfg.prompt), jnp.int32),) * 2,
  )
  return doctor.device_bytes(kinds, sampling_mesh(mesh, cfg.model.kv_heads))


def learning(cfg: Playing, mesh: AbstractMesh, machine: Machine) -> _Parts:
  """Gradients, what policy and critic keep for them at once, one layer at work, a chunk of logits;
  and where weights are split, those gathered: two layers, both tables, the head's gradient."""
  model = cfg.model
  rows = _rows(cfg.minibatch / cfg.microbatches, mesh)
  beside = cfg.ptx_length if cfg.rules.ptx else 0
  inside = _inside(model, mesh, machine)
  size = jnp.dtype(model.dtype).itemsize
  kept = model.width * size if model.remat == 'full' else inside
  tokens = rows * (2 * cfg.length + beside) * model.depth
  tensor = mesh.shape['tensor']
  logits = rows * min(max(cfg.response, beside), _CHUNK) * model.vocab // tensor * 4
  activations = tokens * kept + 2 * rows * cfg.length * inside + 2 * logits
  activations += _SCORES * _scores(model, rows, cfg.length, mesh, machine)
  parts = {'gradients': 2 * doctor.device_bytes(_player(cfg), mesh) * (1 + (cfg.microbatches > 1))}
  parts['activations'] = activations
  if mesh.shape['fsdp'] > 1:
    parts['gathered weights'] = _gathered(cfg, mesh, 2)
    parts['gradient of the head'] = _table(model, tensor) // size * 4 * (cfg.lora is None)
  return parts


def _gathered(cfg, mesh, tables):
  """Two layers and tables, where weights are split: both, and while players read a second head."""
  model, tensor = cfg.model, mesh.shape['tensor']
  if mesh.shape['fsdp'] == 1:
    return 0
  whole = doctor.device_bytes(_cast(cfg), AbstractMesh((1, 1, tensor), tuple(mesh.shape)))
  table = _table(model, tensor)
  blocks = whole - (1 if model.tied else 2) * table
  return 2 * blocks // model.depth + tables * table


def _table(model, tensor):
  return model.vocab * model.width * jnp.dtype(model.dtype).itemsize // tensor


def _bytes(tree):
  return sum(w.size * w.dtype.itemsize for w in jax.tree.leaves(tree))


def _rows(rows, mesh):
  return math.ceil(rows / (mesh.shape['data'] * mesh.shape['fsdp']))


def _inside(model, mesh, machine):
  """Bytes a token takes inside a layer. A CPU multiplies bfloat16 in float32."""
  size = 4 if _platform(machine) == 'cpu' else jnp.dtype(model.dtype).itemsize
  return (2 * model.width + 3 * model.mlp // mesh.shape['tensor']) * size


def _scores(model, rows, length, mesh, machine):
  """Bytes of a layer's attention weights, where no kernel keeps them to itself."""
  like = functools.partial(jax.ShapeDtypeStruct, dtype=model.dtype)
  of_q = like((rows, model.heads, length, model.head_size))
  of_k = like((rows, model.kv_heads, length, model.head_size))
  platform = _platform(machine)
  if choose(model.attention, of_q, of_k, False, platform, model.window) != 'xla':
    return 0
  heads = math.ceil(model.heads / mesh.shape['tensor'])
  return rows * heads * length**2 * 4 * (5 if platform == 'cpu' else 8) // 8  # the lower triangle


def _platform(machine):
  """'cpu', 'gpu' or 'tpu'."""
  if machine.here:
    return jax.default_backend()
  kind = machine.name.partition('-')[0]
  return 'tpu' if CHIPS[kind].devices[0].startswith('TPU') else 'gpu'
