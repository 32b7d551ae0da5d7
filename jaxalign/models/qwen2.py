"""Qwen2 and Qwen2.5: Llama-2 with a bias on queries, keys and values.

https://arxiv.org/abs/2412.15115
"""

import dataclasses
from typing import Any

import jax

from jaxalign.models import llama2
from jaxalign.models.decoder import Decoder, Normal, Ones, Weights, Zeros
from jaxalign.models.layers import dot, rms_norm, rope
from jaxalign.ranges import Slots, Theta, Tiny, Token, Unused


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Config(llama2.Config):
  length: Slots = 32_768
  theta: Theta = 1_000_000.0
  eps: Tiny = 1e-6
  bos: Unused | None = 151_643
  eos: tuple[Token, ...] = (151_643,)

  def build(self, key: jax.Array) -> 'Qwen2':
    return Qwen2(self, key)


def qwen2_5_14b(**changes: Any) -> Config:
  """Config of Qwen2.5-14B."""
  sizes = dict(depth=48, width=5120, heads=40, kv_heads=8, mlp=13_824, vocab=152_064)
  return Config(**sizes | dict(length=131_072, eps=1e-5) | changes)


def tiny(**changes: Any) -> Config:
  """Config of a model for tests."""
  small = dict(depth=2, width=64, heads=4, kv_heads=2, mlp=172, vocab=512, length=512)
  more: dict[str, Any] = dict(bos=1, eos=(2,), dtype='float32')
  return Config(**small | more | changes)


class _Block(Weights):
  norm1_D: Ones
  q_HKD: Normal
  q_bias_HK: Zeros
  k_GKD: Normal
  k_bias_GK: Zeros
  v_GKD: Normal
  v_bias_GK: Zeros
  o_DHK: Normal
  norm2_D: Ones
  gate_FD: Normal
  up_FD: Normal
  down_DF: Normal

  def __call__(self, x_BTD, angle_BTK, look):
    h_BTD = rms_norm(x_BTD, self.norm1_D, self.cfg.eps)
    q_BHTK = rope(dot('BTD,HKD->BHTK', h_BTD, self.q_HKD) + self.q_bias_HK[:, None], angle_BTK)
    k_BGTK = rope(dot('BTD,GKD->BGTK', h_BTD, self.k_GKD) + self.k_bias_GK[:, None], angle_BTK)
    v_BGTK = dot('BTD,GKD->BGTK', h_BTD, self.v_GKD) + self.v_bias_GK[:, None]
    x_BTD += dot('BHTK,DHK->BTD', look(q_BHTK, k_BGTK, v_BGTK), self.o_DHK)
    return llama2.feed_forward(self, x_BTD)


class Qwen2(Decoder):
  embed_VD: Normal
  blocks: _Block
  norm_D: Ones
  head_VD: Normal

  norm, head = llama2.Llama2.norm, llama2.Llama2.head


HUGGING_FACE = dataclasses.replace(
  llama2.HUGGING_FACE,
  model_type='qwen2',
  architecture='Qwen2ForCausalLM',
  tensors=llama2.HUGGING_FACE.tensors
  | {
    f'blocks.{letter}_bias_{axes}': f'model.layers.{{n}}.self_attn.{letter}_proj.bias'
    for letter, axes in (('q', 'HK'), ('k', 'GK'), ('v', 'GK'))
  },
  fields=llama2.HUGGING_FACE.fields
  | {
    'kv_heads': ('num_key_value_heads', 32),
    'mlp': ('intermediate_size', 22_016),
    'vocab': ('vocab_size', 151_936),
    'length': ('max_position_embeddings', 32_768),
    'bos': ('bos_token_id', None),
    'eos': ('eos_token_id', None),
  },
  fixed={'hidden_act': ('silu',), 'use_sliding_window': (False,)},
  unused=frozenset({'sliding_window', 'max_window_layers'}),
)
