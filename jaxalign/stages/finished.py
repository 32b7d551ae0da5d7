"""A model out of a workdir of ours: its newest weights, adapters folded in, its tokenizer."""

import dataclasses

import jax
from etils import epath

from jaxalign.config import UserError, read
from jaxalign.data.text import Tokenizer, shipped
from jaxalign.models import adapters, hub
from jaxalign.sharding import layout
from jaxalign.train import saving

CONFIGS = {f'{module.__name__}:Config': module.Config for module, _ in hub.MODELS.values()}


def is_workdir(path):
  path = epath.Path(path)
  return (path / saving.DIRECTORY).is_dir() and (path / 'config.json').exists()


def load(workdir, *, dtype=None, mesh=None):
  """(model, tokenizer) of a run that trained a language model, at its newest checkpoint."""
  raw = read(epath.Path(workdir) / 'config.json')
  cfg = model_config(workdir, raw)
  if raw.get('lora') is None:
    model = saving.read_weights(workdir, twin_of(cfg.build, mesh))
  else:
    model = merged(workdir, raw, cfg, mesh)
  if dtype is not None:
    model = jax.tree.map(lambda w: w.astype(dtype), model)
    model = model.under(dataclasses.replace(cfg, dtype=dtype, weights=dtype))
  return model, tokenizer_of(raw)


def model_config(workdir, raw):
  """The typed config again. Only our own model configs are built: a file names no code to run."""
  fields = dict(raw.get('model') or {})
  cls = CONFIGS.get(fields.pop('class', None))
  if cls is None:
    raise UserError(f'{workdir}: its config.json holds no model that jaxalign has')
  return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()})


def twin_of(build, mesh):
  shapes = jax.eval_shape(build, jax.random.key(0))
  if mesh is None:
    one = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    homes = jax.tree.map(lambda _: one, shapes)
  else:
    homes = layout(shapes, mesh)
  put = lambda s, home: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=home)
  return jax.tree.map(put, shapes, homes)


def merged(workdir, raw, cfg, mesh):
  fields = {k: tuple(v) if isinstance(v, list) else v for k, v in raw['lora'].items()}
  fields.pop('class')
  lora = adapters.Lora(**fields)
  base = weights_of(raw['init'], cfg.weights, mesh)
  build = lambda key: adapters.make_adapter(cfg.build(key), lora, key)
  adapter = saving.read_weights(workdir, twin_of(build, mesh))
  return adapters.merge(base, adapter, lora)


def weights_of(init, dtype, mesh):
  """A model from where a run starts: a workdir of ours, or what the hub reads."""
  if is_workdir(init):
    return load(init, dtype=dtype, mesh=mesh)[0]
  return hub.load(init, dtype=dtype, mesh=mesh)


def tokenizer_of(raw):
  """The tokenizer of a run, from its config: its own, or that of where it started."""
  named, init = raw['tokenizer'], raw['init']
  if named == 'shipped':
    return shipped()
  if named is None and init is not None and is_workdir(init):
    return tokenizer_of(read(epath.Path(init) / 'config.json'))
  if named is None and init is None:
    raise UserError('tokenizer is not set, and without init there is no directory to take it from')
  return Tokenizer.load(named or str(hub.resolve(init)))
