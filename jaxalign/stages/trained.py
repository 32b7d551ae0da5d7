"""A model out of a workdir of ours: its newest weights, or those of WORKDIR/checkpoints/STEP;
adapters folded in, its tokenizer."""

import dataclasses
import functools
import hashlib
import json

import jax

from jaxalign.config import UserError
from jaxalign.data.chat import ChatFormat
from jaxalign.data.text import Tokenizer, shipped
from jaxalign.files import read_object
from jaxalign.models import adapters, heads, hub
from jaxalign.sharding.layout import layout
from jaxalign.train import saving

REWARD = 'jaxalign.stages.reward:Config'
PPO = 'jaxalign.stages.ppo:Config'  # a policy, and a critic that only it needs
_CONFIGS = {f'{module.__name__}:Config': module.Config for module, _ in hub.MODELS.values()}


def is_workdir(path):
  path, _ = saving.parted(path)
  return (path / saving.DIRECTORY).is_dir() and (path / 'config.json').exists()


def raw_of(path):
  return read_object(saving.parted(path)[0] / 'config.json', remedy='name another run')


def reward_raw(what, path):
  """The config.json of a reward model that has a checkpoint."""
  if not is_workdir(path):
    raise UserError(f'{what} {path}: there is no such workdir of stage reward, with checkpoints')
  saving.newest_path(path)
  raw = raw_of(path)
  if raw.get('class') != REWARD:
    raise UserError(f'{path} holds no reward model: its config.json is of {raw.get("class")}')
  return raw


def load(workdir, *, dtype=None, mesh=None):
  """(model, tokenizer) of a run that trained a language model, at its newest checkpoint."""
  raw = raw_of(workdir)
  refuse_no_text(workdir, raw)
  cfg = model_config(workdir, raw)
  part = 'policy.' if raw.get('class') == PPO else ''
  if raw.get('lora') is None:
    model = saving.read_weights(workdir, twin_of(cfg.build, mesh), part)
  else:
    model = merged(workdir, raw, cfg, mesh, part)
  return cast(model, dtype), tokenizer_of(raw)


def refuse_no_text(workdir, raw):
  if raw.get('class') == REWARD:
    raise UserError(f'{workdir} holds a reward model, which writes no text: name another workdir')


def scorer_of(workdir, *, dtype=None, mesh=None):
  """(Scorer, tokenizer, format) of a reward model at its newest checkpoint.

  dtype: of the decoder's weights and arithmetic; the head stays as it was trained, for scores are
  float32 and it is one vector. The text side must be the one the checkpoint was trained with.
  """
  raw = reward_raw('reward model', workdir)
  cfg, tokenizer, form = model_config(workdir, raw), tokenizer_of(raw), format_of(raw)
  refuse_other_text(workdir, tokenizer, form)
  if raw.get('lora') is None:
    scorer = saving.read_weights(workdir, twin_of(heads.fresh(cfg), mesh))
    decoder, score_D = scorer.decoder, scorer.score_D
  else:
    lora, base = _lora_of(raw), weights_of(raw['init'], cfg.weights, mesh)
    twin = twin_of(heads.fresh_thin(cfg, lora), mesh)
    scorer = heads.laid(base.under(cfg), saving.read_weights(workdir, twin), lora)
    decoder, score_D = adapters.folded(scorer.decoder), scorer.score_D
  return heads.Scorer(cast(decoder, dtype), score_D=score_D), tokenizer, form


def refuse_other_text(workdir, tokenizer, form):
  """Whether text becomes the same ids as when the newest checkpoint was trained."""
  said = saving.about(workdir)
  for name, now in text_side(tokenizer, form).items():
    if said.get(name) != now:
      was = (said.get(name) or 'nothing')[:12]
      raise UserError(
        f'{workdir}: its checkpoint was trained with {name} {was}, and its config.json gives '
        f'{now[:12]}: put back the one it was trained with'
      )


def text_side(tokenizer, form):
  """What a checkpoint says of the text it was trained on."""
  return dict(tokenizer=tokenizer.hash, template=form.hash)


def fingerprint_of(workdir):
  """A sha256 by which two workdirs hold the same weights; an adapter's counts what it lies on."""
  own = saving.fingerprint(workdir)
  raw = raw_of(workdir)
  if raw.get('lora') is None:
    return own
  return on_base(own, raw['init'])


def on_base(own, init):
  base = fingerprint_of(init) if is_workdir(init) else init
  return hashlib.sha256(f'{own} on {base}'.encode()).hexdigest()


def cast(model, dtype):
  """A decoder in another precision; None leaves it."""
  if dtype is None:
    return model
  cfg = dataclasses.replace(model.cfg, dtype=dtype, weights=dtype)
  return jax.tree.map(lambda w: w.astype(dtype), model).under(cfg)


def format_of(raw):
  return built(ChatFormat, raw.get('format'), 'format')


def built(cls, fields, what):
  """A config again, of what config.json holds of it."""
  try:
    fields = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items() if k != 'class'}
    return cls(**fields)
  except (AttributeError, TypeError) as error:
    raise UserError(
      f'the config.json of a run holds no {what} of this version ({error}): name another run'
    ) from error


def model_config(workdir, raw):
  """The typed config again. Only our own model configs are built: a file names no code to run."""
  fields = raw.get('model')
  fields = dict(fields) if isinstance(fields, dict) else {}
  cls = _CONFIGS.get(fields.pop('class', None))
  if cls is None:
    raise UserError(f'{workdir}: its config.json holds no model that jaxalign has')
  return _config(cls, json.dumps(fields))


@functools.lru_cache(maxsize=32)
def _config(cls, fields):
  """Of the same fields the same object, by which its shapes below are known again."""
  return built(cls, json.loads(fields), 'model')


@functools.lru_cache(maxsize=32)
def _shapes(build):
  """A study reads many models of one config: what they are made of is traced once."""
  return jax.eval_shape(build, jax.random.key(0))


def twin_of(build, mesh):
  shapes = _shapes(build)
  if mesh is None:
    one = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    homes = jax.tree.map(lambda _: one, shapes)
  else:
    homes = layout(shapes, mesh)
  put = lambda s, home: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=home)
  return jax.tree.map(put, shapes, homes)


def _lora_of(raw):
  return built(adapters.Lora, raw['lora'], 'lora')


def merged(workdir, raw, cfg, mesh, part=''):
  lora = _lora_of(raw)
  base = weights_of(raw['init'], cfg.weights, mesh)
  twin = twin_of(adapters.adapter_builder(cfg, lora), mesh)
  adapter = saving.read_weights(workdir, twin, part)
  return adapters.merge(base, adapter, lora)


def weights_of(init, dtype, mesh):
  """A model from where a run starts: a workdir of ours, or what the hub reads."""
  if is_workdir(init):
    return load(init, dtype=dtype, mesh=mesh)[0]
  return hub.load(init, dtype=dtype, mesh=mesh)


def tokenizer_of(raw):
  """The tokenizer of a run, from its config: its own, or that of where it started."""
  named, init = raw.get('tokenizer'), raw.get('init')
  for name, value in (('tokenizer', named), ('init', init)):
    if value == '':
      raise UserError(f'{name} is empty: name a directory, or leave it out (none)')
  if named == 'shipped':
    return shipped()
  if named is None and init is not None and is_workdir(init):
    return tokenizer_of(raw_of(init))
  if named is None and init is None:
    raise UserError(
      'tokenizer is not set, and without init there is no directory to take it from: name one, or '
      "'shipped', the small one here"
    )
  return Tokenizer.load(named or str(hub.resolve(init)))
