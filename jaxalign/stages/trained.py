"""A trained model, read back from the workdir of its run: its newest weights, or those of
WORKDIR/checkpoints/STEP, with adapters folded in; its tokenizer and format."""

import dataclasses
import functools
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import jax
from jax.sharding import Mesh

from jaxalign.config import UserError
from jaxalign.data import dialogues
from jaxalign.data.chat import OWN, ChatFormat
from jaxalign.data.dialogues import Format
from jaxalign.data.own_template import OwnTemplate
from jaxalign.data.text import Tokenizer, shipped
from jaxalign.files import read_object
from jaxalign.models import adapters, families, heads, hub
from jaxalign.models.decoder import Decoder
from jaxalign.sealing import tree
from jaxalign.sharding.layout import layout
from jaxalign.train import saving

REWARD = 'jaxalign.stages.reward:Config'
PPO = 'jaxalign.stages.ppo:Config'  # a policy, and a critic that only it needs
BON = 'jaxalign.stages.bon:Config'  # answers that a reward model chose, and no weights
_CONFIGS = {f'{module.__name__}:Config': module.Config for module in families.MODELS.values()}
_OWN = 'template_text'  # of what a checkpoint says about itself
_Path = str | os.PathLike[str]
_Raw = Mapping[str, Any]  # a run's config.json, or some of its fields
_Class = TypeVar('_Class')


def is_workdir(path: _Path) -> bool:
  workdir, _ = saving.parted(path)
  return (workdir / saving.DIRECTORY).is_dir() and (workdir / 'config.json').exists()


def raw_of(path: _Path) -> dict[str, Any]:
  return read_object(saving.parted(path)[0] / 'config.json', remedy='name another run')


def reward_raw(what: str, path: _Path) -> dict[str, Any]:
  """The config.json of a reward model that has a checkpoint; `what` names it in errors."""
  if not is_workdir(path):
    raise UserError(f'{what} {path}: there is no such workdir of stage reward, with checkpoints')
  saving.newest_path(path)
  raw = raw_of(path)
  if raw.get('class') != REWARD:
    raise UserError(f'{path} holds no reward model: its config.json is of {raw.get("class")}')
  return raw


def load(
  workdir: _Path, *, dtype: str | None = None, mesh: Mesh | None = None
) -> tuple[Decoder, Tokenizer]:
  """The newest model of a run that trained a language model, and its tokenizer."""
  raw = raw_of(workdir)
  refuse_no_text(workdir, raw)
  cfg = model_config(workdir, raw)
  part = 'policy.' if raw.get('class') == PPO else ''
  if raw.get('lora') is None:
    model = saving.read_weights(workdir, twin_of(cfg.build, mesh), part)
  else:
    lora = _built(adapters.Lora, raw['lora'], 'lora')
    base = weights_of(raw['init'], cfg.weights, mesh)
    twin = twin_of(adapters.adapter_builder(cfg, lora), mesh)
    model = adapters.merge(base, saving.read_weights(workdir, twin, part), lora)
  return cast(model, dtype), tokenizer_of_run(workdir, raw)


def refuse_no_text(workdir: _Path, raw: _Raw) -> None:
  if raw.get('class') == REWARD:
    raise UserError(f'{workdir} holds a reward model, which writes no text: name another workdir')


def scorer_of(
  workdir: _Path, *, dtype: str | None = None, mesh: Mesh | None = None
) -> tuple[heads.Scorer, Tokenizer, Format]:
  """A reward model at its newest checkpoint, with the text side that it was trained with. dtype: of
  its decoder; the head stays as it was trained, for scores are float32."""
  raw = reward_raw('reward model', workdir)
  cfg, (tokenizer, form) = model_config(workdir, raw), text_of_run(workdir, raw)
  refuse_other_text(workdir, tokenizer, form)
  if raw.get('lora') is None:
    scorer = saving.read_weights(workdir, twin_of(heads.fresh(cfg), mesh))
    decoder = scorer.decoder
  else:
    lora = _built(adapters.Lora, raw['lora'], 'lora')
    base = weights_of(raw['init'], cfg.weights, mesh).under(cfg)
    twin = twin_of(heads.fresh_thin(cfg, lora), mesh)
    scorer = heads.laid(base, saving.read_weights(workdir, twin), lora)
    decoder = adapters.folded(scorer.decoder)
  return heads.Scorer(cast(decoder, dtype), score_D=scorer.score_D), tokenizer, form


def refuse_other_text(workdir: _Path, tokenizer: Tokenizer, form: Format) -> None:
  """Whether text becomes the same ids as when the newest checkpoint was trained."""
  said = saving.about(workdir)
  for name, now in text_side(tokenizer, form).items():
    if said.get(name) != now:
      was = (said.get(name) or 'nothing')[:12]
      raise UserError(
        f'{workdir}: its checkpoint was trained with {name} {was}, and its config.json gives '
        f'{now[:12]}: put back the one it was trained with'
      )


def text_side(tokenizer: Tokenizer, form: Format) -> dict[str, str]:
  """What a checkpoint says of the text it was trained on."""
  return dict(tokenizer=tokenizer.hash, template=form.hash)


def text_record(tokenizer: Tokenizer, form: Format) -> dict[str, str]:
  """The same with the text of a checkpoint's own template, which runs after this one take over."""
  own = {_OWN: form.source} if isinstance(form, OwnTemplate) else {}
  return text_side(tokenizer, form) | own


def fingerprint_of(workdir: _Path) -> str:
  """A sha256 by which two workdirs hold the same weights; an adapter's counts what it lies on."""
  own = saving.fingerprint(workdir)
  raw = raw_of(workdir)
  return own if raw.get('lora') is None else on_base(own, raw['init'])


def on_base(own: str, init: str) -> str:
  base = fingerprint_of(init) if is_workdir(init) else init
  return hashlib.sha256(f'{own} on {base}'.encode()).hexdigest()


def cast(model: Decoder, dtype: str | None) -> Decoder:
  """A decoder in another precision; None leaves it."""
  if dtype is None:
    return model
  both: Any = dict(dtype=dtype, weights=dtype)
  cfg = dataclasses.replace(model.cfg, **both)
  return jax.tree.map(lambda w: w.astype(dtype), model).under(cfg)


def text_of_run(workdir: _Path, raw: _Raw) -> tuple[Tokenizer, Format]:
  """The text side of a run: its tokenizer, and the format in which dialogues are written."""
  tokenizer = tokenizer_of_run(workdir, raw)
  return tokenizer, format_of(raw, tokenizer)


def format_of(raw: _Raw, tokenizer: Tokenizer) -> Format:
  """tokenizer: the run's own, as `tokenizer_of_run` gives it."""
  fields = raw.get('format')
  form = OWN if fields == tree(OWN) else _built(ChatFormat, fields, 'format')
  return dialogues.resolved(form, tokenizer)


def _built(cls: Callable[..., _Class], fields: Any, what: str) -> _Class:
  """A config again, of what config.json holds of it."""
  try:
    fields = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items() if k != 'class'}
    return cls(**fields)
  except (AttributeError, TypeError) as error:
    raise UserError(
      f'the config.json of a run holds no {what} of this version ({error}): name another run'
    ) from error


def model_config(workdir: _Path, raw: _Raw) -> Any:
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
  return _built(cls, json.loads(fields), 'model')


@functools.lru_cache(maxsize=32)
def _shapes(build):
  """A study reads many models of one config: what they are made of is traced once."""
  return jax.eval_shape(build, jax.random.key(0))


def twin_of(build: Callable[[jax.Array], Any], mesh: Mesh | None) -> Any:
  """The shapes of what `build` makes of a key, laid out on the mesh, or on one device."""
  shapes = _shapes(build)
  if mesh is None:
    one = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    shardings = jax.tree.map(lambda _: one, shapes)
  else:
    shardings = layout(shapes, mesh)
  return jax.tree.map(
    lambda s, at: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=at), shapes, shardings
  )


def weights_of(init: str, dtype: str, mesh: Mesh | None) -> Decoder:
  """A model from where a run starts: a workdir of ours, or what the hub reads."""
  if is_workdir(init):
    return load(init, dtype=dtype, mesh=mesh)[0]
  return hub.load(init, dtype=dtype, mesh=mesh)


def tokenizer_of_run(workdir: _Path, raw: _Raw) -> Tokenizer:
  """The tokenizer of a run. The chat template that it learned comes along, whatever has become of
  the file it was read from."""
  tokenizer = tokenizer_of(raw)
  learned = saving.about(workdir).get(_OWN) if saving.newest(workdir) is not None else None
  return tokenizer if learned is None else tokenizer.with_template(learned)


def tokenizer_of(raw: _Raw) -> Tokenizer:
  """The tokenizer of a run, from its config: its own, or that of where it started."""
  named, init = raw.get('tokenizer'), raw.get('init')
  for name, value in (('tokenizer', named), ('init', init)):
    if value == '':
      raise UserError(f'{name} is empty: name a directory, or leave it out (none)')
  if named == 'shipped':
    return shipped()
  if named is None and init is not None and is_workdir(init):
    return tokenizer_of_run(init, raw_of(init))
  if named is None and init is None:
    raise UserError(
      'tokenizer is not set, and without init there is no directory to take it from: name one, or '
      "'shipped', the small one here"
    )
  return Tokenizer.load(named or str(hub.resolve(init)))
