"""A GGUF file read as if it were Hugging Face's: its config.json, and its tensors by their names.

Matrices are widened to floats. llama.cpp rotates neighbouring pairs where Hugging Face rotates the
two halves of a head; queries and keys of its `llama` architecture come in that order.
"""

import dataclasses
import math
import os
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxalign.config import UserError
from jaxalign.gguf_file import File, Tensor, opened

_ARCHITECTURES = ('llama', 'qwen2', 'qwen3')
_FIELDS = {  # behind the architecture's name and a dot -> config.json's
  'block_count': 'num_hidden_layers',
  'embedding_length': 'hidden_size',
  'feed_forward_length': 'intermediate_size',
  'attention.head_count': 'num_attention_heads',
  'attention.head_count_kv': 'num_key_value_heads',
  'attention.key_length': 'head_dim',
  'context_length': 'max_position_embeddings',
  'rope.freq_base': 'rope_theta',
  'attention.layer_norm_rms_epsilon': 'rms_norm_eps',
}
_NEEDED = ('block_count', 'embedding_length', 'feed_forward_length', 'attention.head_count')
_SAME = {  # what may only repeat another field
  'attention.value_length': 'head_dim',
  'rope.dimension_count': 'head_dim',
  'vocab_size': 'vocab_size',
}
_OFF = {'expert_count': 0, 'expert_used_count': 0, 'rope.scaling.type': 'none'}
_TENSORS = {
  'token_embd': 'model.embed_tokens',
  'output_norm': 'model.norm',
  'output': 'lm_head',
  'attn_norm': 'input_layernorm',
  'attn_q': 'self_attn.q_proj',
  'attn_k': 'self_attn.k_proj',
  'attn_v': 'self_attn.v_proj',
  'attn_q_norm': 'self_attn.q_norm',
  'attn_k_norm': 'self_attn.k_norm',
  'attn_output': 'self_attn.o_proj',
  'ffn_norm': 'post_attention_layernorm',
  'ffn_gate': 'mlp.gate_proj',
  'ffn_up': 'mlp.up_proj',
  'ffn_down': 'mlp.down_proj',
}
_STRETCH = 'rope_freqs.weight'  # by what each angle is divided, in files of Llama-3.1 and later
_LLAMA3 = dict(low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=8192)


@dataclasses.dataclass(frozen=True)
class _Stored:
  """A tensor under Hugging Face's name; `heads` of it are to be put back in halves."""

  name: str
  tensor: Tensor
  heads: int | None
  flaw: str | None = None

  @property
  def shape(self) -> tuple[int, ...]:
    return self.tensor.shape

  @property
  def dtype(self) -> np.dtype:
    return np.dtype(jnp.dtype(self.tensor.plain))

  @property
  def nbytes(self) -> int:
    return self.tensor.nbytes

  def read(self) -> np.ndarray:
    """All values, float32, in Hugging Face's order."""
    values = self.tensor.widened()
    if self.heads is None:
      return values
    pairs = values.reshape(self.heads, values.shape[0] // self.heads // 2, 2, *values.shape[1:])
    return pairs.swapaxes(1, 2).reshape(values.shape)


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, _Stored]]:
  """(config.json, {Hugging Face's name: tensor}) of a .gguf file."""
  file = opened(path)
  raw = _config(file)
  heads = {'attn_q': raw['num_attention_heads'], 'attn_k': raw['num_key_value_heads']}
  stored = {}
  for name, tensor in file.tensors.items():
    if name == _STRETCH:
      continue
    theirs, kind = _their_name(name)
    turned = heads.get(kind) if raw['model_type'] == 'llama' else None
    stored[theirs] = _Stored(theirs, tensor, turned)
  return raw, stored


def _their_name(name: str) -> tuple[str, str]:
  """(Hugging Face's name of a tensor, its kind here); an unknown one keeps its own, and is named
  with all else that does not fit the model."""
  stem, _, part = name.rpartition('.')
  layer, _, kind = stem.rpartition('.')
  if kind not in _TENSORS:
    return name, kind
  number = layer.removeprefix('blk.')
  return f'{f"model.layers.{number}." if number else ""}{_TENSORS[kind]}.{part}', kind


def _config(file: File) -> dict[str, Any]:
  kind = file.fields.get('general.architecture')
  if kind not in _ARCHITECTURES:
    known = ', '.join(_ARCHITECTURES)
    raise UserError(f'{file.path}: architecture {kind!r} is not one jaxalign reads: {known}')
  own = {k.removeprefix(f'{kind}.'): v for k, v in file.fields.items() if k.startswith(f'{kind}.')}
  raw: dict[str, Any] = {theirs: _plain(own.pop(k)) for k, theirs in _FIELDS.items() if k in own}
  lost = [f'{kind}.{k}' for k, theirs in _FIELDS.items() if k in _NEEDED and theirs not in raw]
  if lost or 'token_embd.weight' not in file.tensors:
    raise UserError(f'{file.path}: {", ".join(lost) or "token_embd.weight"} is missing')
  raw['vocab_size'] = file.tensors['token_embd.weight'].shape[0]
  raw.setdefault('num_key_value_heads', raw['num_attention_heads'])
  raw.setdefault('rope_theta', 10_000.0)
  if type(raw['num_attention_heads']) is int and raw['num_attention_heads'] > 0:
    raw.setdefault('head_dim', raw['hidden_size'] // raw['num_attention_heads'])
  off = {k for k, value in _OFF.items() if own.get(k, value) == value}
  same = {k for k, theirs in _SAME.items() if own.get(k) == raw.get(theirs)}
  if strange := {k: v for k, v in own.items() if k not in off | same}:
    shown = ', '.join(f'{kind}.{k}={v!r}'[:80] for k, v in sorted(strange.items()))
    raise UserError(f'{file.path}: {shown}: not supported, and it would be another model without')
  for role, field in dict(bos='bos', eos='eos', pad='padding').items():
    raw[f'{role}_token_id'] = file.fields.get(f'tokenizer.ggml.{field}_token_id')
  raw |= dict(model_type=kind, tie_word_embeddings='output.weight' not in file.tensors)
  return raw | _stretch(file, raw)


def _stretch(file: File, raw: Mapping[str, Any]) -> dict[str, Any]:
  """Llama-3's scaling of rotary positions: the file keeps what each angle is divided by."""
  if _STRETCH not in file.tensors:
    return {}
  given = file.tensors[_STRETCH].widened().astype(np.float64)
  pairs = raw['head_dim'] // 2
  turns = _LLAMA3['original_max_position_embeddings'] / (2 * math.pi)
  turns *= raw['rope_theta'] ** (-np.arange(pairs) / pairs)
  share = np.clip((turns - 1.0) / (4.0 - 1.0), 0, 1)
  factor = float(given.max())
  known = given.shape == (pairs,) and np.allclose(given, 1 / (share + (1 - share) / factor), 1e-3)
  if not known or raw['model_type'] != 'llama':
    raise UserError(f'{file.path}: {_STRETCH} scales rotary positions in a way that is not Llama-3')
  return dict(rope_scaling=dict(_LLAMA3, rope_type='llama3', factor=factor))


def _plain(value: Any) -> Any:
  """A number as config.json writes it: 1e-5, and not the float32 nearest to it."""
  return float(str(np.float32(value))) if isinstance(value, float) else value
