"""Hugging Face's config.json, read and written: all of it is understood, harmless, or refused."""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from jaxalign.config import UserError
from jaxalign.models.model_config import ModelConfig
from jaxalign.sealing import field_types, fits, wanted

_Config = TypeVar('_Config', bound=ModelConfig)

# Fields that change nothing about the forward pass of a plain decoder, or only how others run it.
_HARMLESS = frozenset(
  """_name_or_path _commit_hash architectures model_type torch_dtype dtype transformers_version
  use_cache initializer_range attention_dropout embd_pdrop resid_pdrop hidden_dropout
  pretraining_tp output_attentions output_hidden_states return_dict chunk_size_feed_forward
  is_encoder_decoder is_decoder id2label label2id problem_type num_labels classifier_dropout
  torchscript use_bfloat16 tf_legacy_loss attn_implementation _attn_implementation
  finetuning_task tokenizer_class prefix sep_token_id decoder_start_token_id
  task_specific_params max_length min_length do_sample early_stopping num_beams temperature
  top_k top_p typical_p repetition_penalty length_penalty no_repeat_ngram_size
  encoder_no_repeat_ngram_size num_return_sequences num_beam_groups diversity_penalty
  output_scores return_dict_in_generate forced_bos_token_id forced_eos_token_id
  remove_invalid_values exponential_decay_length_penalty suppress_tokens begin_suppress_tokens
  bad_words_ids is_llama_config transformers.js_config _model_name_or_path
  _attn_implementation_autoset _flash_attn_2_enabled unsloth_fixed unsloth_version
  tokenizer_model_max_length tokenizer_padding_side max_sequence_length""".split()
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dialect:
  """How Hugging Face says what one of our models says: the same tables read both ways."""

  model_type: str
  architecture: str
  tensors: dict[str, str]  # our weight -> their tensor, which has the same axes
  fields: dict[str, tuple[str, Any]]  # our field -> (theirs, their default; its type: none)
  fixed: dict[str, tuple[Any, ...]]  # their field -> all it may be here; the first is what we write
  unused: frozenset[str] = frozenset()  # their fields that say nothing, what is fixed being so
  rope_type: str = 'default'  # how rotary positions are scaled; fields 'rope_scaling.*' say by what

  def read(self, Config: type[_Config], raw: Mapping[str, Any], **changes: Any) -> _Config:
    """Our config, from theirs."""
    raw = self._flat_rope(raw)
    self._refuse(raw)
    values = {}
    for ours, (theirs, default) in self.fields.items():
      value = raw.get(theirs, default)
      if value is None and not theirs.endswith('_token_id') and theirs != 'sliding_window':
        value = default
      if isinstance(value, type):
        raise UserError(f'config.json: {theirs} is missing; rotary positions cannot do without')
      values[ours] = _typed(theirs, value, default) if ours != 'eos' else _ends(theirs, value)
    if values['kv_heads'] is None:
      values['kv_heads'] = values['heads']
    if values.get('head_dim') and values['head_dim'] * values['heads'] == values['width']:
      values['head_dim'] = None
    kinds = field_types(Config, bounds=True)
    for ours, (theirs, _) in self.fields.items():
      if not fits(values[ours], kinds[ours]):
        raise UserError(
          f'config.json: {theirs}={values[ours]}: {wanted(values[ours], kinds[ours])}'
        )
    cfg = Config(**values | changes)
    cfg.check()
    return cfg

  def _flat_rope(self, raw):
    """Their config, how positions rotate at its top: `rope_scaling.FIELD` is what scales them.
    transformers 5 nests what earlier releases keep at the top."""
    raw = dict(raw)
    field, kind = rope_type(raw)
    if kind != self.rope_type:
      raise UserError(
        f'config.json: {field} of type {kind!r} is not supported for {self.model_type}; only '
        'plain rotary is, and llama3 for llama'
      )
    for name in ('rope_scaling', 'rope_parameters'):
      for field, value in (raw.pop(name, None) or {}).items():
        if field not in ('rope_type', 'type'):
          plain = field in ('rope_theta', 'partial_rotary_factor')
          raw[field if plain else f'rope_scaling.{field}'] = value
    layers = raw.get('layer_types')
    if isinstance(layers, list) and all(kind == 'full_attention' for kind in layers):
      del raw['layer_types']
    return raw

  def _refuse(self, raw):
    for name, allowed in self.fixed.items():
      if raw.get(name) not in (None, *allowed):
        takes = ' or '.join(repr(a) for a in allowed)
        raise UserError(
          f'config.json: {name}={raw[name]!r} is not supported; jaxalign takes {takes}'
        )
    known = _HARMLESS | self.unused | set(self.fixed)
    known |= {theirs for theirs, _ in self.fields.values()}
    strange = {k: v for k, v in raw.items() if k not in known and v not in (None, False, [], {})}
    if strange:
      shown = ', '.join(f'{k}={v!r}'[:80] for k, v in sorted(strange.items()))
      raise UserError(
        f'config.json: {shown}: not supported, and the model would not be the same without'
      )

  def write(self, cfg: ModelConfig) -> dict[str, Any]:
    """Their config.json, in the words that both transformers 4 and 5 read."""
    theirs = {name: getattr(cfg, ours) for ours, (name, _) in self.fields.items()}
    theirs |= {name: allowed[0] for name, allowed in self.fixed.items() if name not in theirs}
    if 'head_dim' in theirs:
      theirs['head_dim'] = cfg.head_size
    eos = theirs['eos_token_id']
    theirs['eos_token_id'] = None if not eos else eos[0] if len(eos) == 1 else list(eos)
    start = dict(architectures=[self.architecture], model_type=self.model_type)
    scaled = [name for name in theirs if name.startswith('rope_scaling.')]
    rope = {name.partition('.')[2]: theirs.pop(name) for name in scaled}
    rope |= dict(rope_type=self.rope_type) if rope else {}
    return start | theirs | dict(rope_scaling=rope or None, torch_dtype=cfg.weights, use_cache=True)


def rope_type(raw: Mapping[str, Any]) -> tuple[str, str]:
  """The field of a config.json that scales rotary positions, and its way: 'default' scales none."""
  found = '', 'default'
  for name in ('rope_parameters', 'rope_scaling'):
    rope = raw.get(name)
    if rope is None:
      continue
    if not isinstance(rope, dict):
      raise UserError(f'config.json: {name}={rope!r} is not of the type it takes, dict')
    kind = rope.get('rope_type', rope.get('type', 'default'))
    if kind != 'default':
      found = name, str(kind)
  return found


def _typed(name, value, default):
  """The value, if it is of their default's type (an int where that is None); None is 'not set'."""
  kind = int if default is None else default if isinstance(default, type) else type(default)
  if value is None or type(value) is kind:
    return value
  if kind is float and type(value) is int:
    return float(value)
  raise UserError(f'config.json: {name}={value!r} is not of the type it takes, {kind.__name__}')


def _ends(name, value):
  """The tokens that end a text: theirs may be none, one, or a list."""
  ends = value if isinstance(value, list) else [value]
  return tuple(_typed(name, end, None) for end in ends if end is not None)
