"""Phi-1, 1.5 and 2: LayerNorm, rotary on part of each head, attention and mlp side by side, biases.

https://arxiv.org/abs/2309.05463
"""

import dataclasses
from typing import Any

import jax

from jaxalign.models import hf_config
from jaxalign.models.decoder import Decoder, Normal, Ones, Weights, Zeros
from jaxalign.models.layers import dot, layer_norm, rope
from jaxalign.models.model_config import ModelConfig
from jaxalign.ranges import Layers, Share, Size, Slots, Token


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Config(ModelConfig):
  depth: Layers = 32
  width: Size = 2560
  heads: Size = 32
  kv_heads: Size = 32
  rotary: Share = 0.4  # how much of each head rotates
  mlp: Size = 10_240
  vocab: Size = 51_200
  length: Slots = 2048
  eos: tuple[Token, ...] = (50_256,)

  mlp_matrices = 2

  @property
  def turns(self) -> int:
    return int(self.head_size * self.rotary)

  def build(self, key: jax.Array) -> 'Phi2':
    return Phi2(self, key)


def phi1(**changes: Any) -> Config:
  return Config(**dict(depth=24, width=2048, rotary=0.5, mlp=8192) | changes)


def phi1_5(**changes: Any) -> Config:
  return phi1(**changes)


def phi2(**changes: Any) -> Config:
  return Config(**changes)


def tiny(**changes: Any) -> Config:
  small = dict(depth=2, width=64, heads=4, kv_heads=4, rotary=0.5, mlp=256, vocab=512, length=512)
  return Config(**small | dict(eos=(2,), dtype='float32') | changes)


class _Block(Weights):
  norm_D: Ones
  norm_bias_D: Zeros
  q_HKD: Normal
  q_bias_HK: Zeros
  k_GKD: Normal
  k_bias_GK: Zeros
  v_GKD: Normal
  v_bias_GK: Zeros
  o_DHK: Normal
  o_bias_D: Zeros
  up_FD: Normal
  up_bias_F: Zeros
  down_DF: Normal
  down_bias_D: Zeros

  def __call__(self, x_BTD, angle_BTK, look):
    h_BTD = layer_norm(x_BTD, self.norm_D, self.norm_bias_D, self.cfg.eps)
    q_BHTK = rope(dot('BTD,HKD->BHTK', h_BTD, self.q_HKD) + self.q_bias_HK[:, None], angle_BTK)
    k_BGTK = rope(dot('BTD,GKD->BGTK', h_BTD, self.k_GKD) + self.k_bias_GK[:, None], angle_BTK)
    v_BGTK = dot('BTD,GKD->BGTK', h_BTD, self.v_GKD) + self.v_bias_GK[:, None]
    seen_BTD = dot('BHTK,DHK->BTD', look(q_BHTK, k_BGTK, v_BGTK), self.o_DHK) + self.o_bias_D

    h_BTF = jax.nn.gelu(dot('BTD,FD->BTF', h_BTD, self.up_FD) + self.up_bias_F, approximate=True)
    return x_BTD + seen_BTD + dot('BTF,DF->BTD', h_BTF, self.down_DF) + self.down_bias_D


class Phi2(Decoder):
  embed_VD: Normal
  blocks: _Block
  norm_D: Ones
  norm_bias_D: Zeros
  head_VD: Normal
  head_bias_V: Zeros

  def norm(self, x_BTD: jax.Array) -> jax.Array:
    scale_D, bias_D = (w.astype(x_BTD.dtype) for w in (self.norm_D, self.norm_bias_D))
    return layer_norm(x_BTD, scale_D, bias_D, self.cfg.eps)

  def head(self) -> tuple[jax.Array, jax.Array]:
    return (self.embed_VD if self.cfg.tied else self.head_VD)[...], self.head_bias_V[...]


HUGGING_FACE = hf_config.Dialect(
  model_type='phi',
  architecture='PhiForCausalLM',
  tensors={
    'embed_VD': 'model.embed_tokens.weight',
    'norm_D': 'model.final_layernorm.weight',
    'norm_bias_D': 'model.final_layernorm.bias',
    'head_VD': 'lm_head.weight',
    'head_bias_V': 'lm_head.bias',
    'blocks.norm_D': 'model.layers.{n}.input_layernorm.weight',
    'blocks.norm_bias_D': 'model.layers.{n}.input_layernorm.bias',
    'blocks.q_HKD': 'model.layers.{n}.self_attn.q_proj.weight',
    'blocks.q_bias_HK': 'model.layers.{n}.self_attn.q_proj.bias',
    'blocks.k_GKD': 'model.layers.{n}.self_attn.k_proj.weight',
    'blocks.k_bias_GK': 'model.layers.{n}.self_attn.k_proj.bias',
    'blocks.v_GKD': 'model.layers.{n}.self_attn.v_proj.weight',
    'blocks.v_bias_GK': 'model.layers.{n}.self_attn.v_proj.bias',
    'blocks.o_DHK': 'model.layers.{n}.self_attn.dense.weight',
    'blocks.o_bias_D': 'model.layers.{n}.self_attn.dense.bias',
    'blocks.up_FD': 'model.layers.{n}.mlp.fc1.weight',
    'blocks.up_bias_F': 'model.layers.{n}.mlp.fc1.bias',
    'blocks.down_DF': 'model.layers.{n}.mlp.fc2.weight',
    'blocks.down_bias_D': 'model.layers.{n}.mlp.fc2.bias',
  },
  fields={
    'depth': ('num_hidden_layers', 24),
    'width': ('hidden_size', 2048),
    'heads': ('num_attention_heads', 32),
    'kv_heads': ('num_key_value_heads', None),
    'rotary': ('partial_rotary_factor', 0.5),
    'mlp': ('intermediate_size', 8192),
    'vocab': ('vocab_size', 51_200),
    'length': ('max_position_embeddings', 2048),
    'theta': ('rope_theta', 10_000.0),
    'eps': ('layer_norm_eps', 1e-5),
    'tied': ('tie_word_embeddings', False),
    'bos': ('bos_token_id', 1),
    'eos': ('eos_token_id', 2),
    'pad': ('pad_token_id', None),
  },
  fixed={
    'hidden_act': ('gelu_new', 'gelu_pytorch_tanh'),
    'qk_layernorm': (False,),
  },
)
