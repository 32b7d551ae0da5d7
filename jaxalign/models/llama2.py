"""Llama-2: RMSNorm, rotary on whole heads, SwiGLU, no biases. https://arxiv.org/abs/2307.09288

Serves every Hugging Face LlamaForCausalLM with plain rotary positions, grouped heads or tied.
"""

import dataclasses
from typing import Any

import jax

from jaxalign.models import hf_config
from jaxalign.models.decoder import Decoder, Normal, Ones, Weights
from jaxalign.models.layers import apart, dot, rms_norm, rope, swiglu
from jaxalign.models.model_config import ModelConfig
from jaxalign.ranges import Layers, Size, Slots, Token, Unused


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Config(ModelConfig):
  depth: Layers = 32
  width: Size = 4096
  heads: Size = 32
  kv_heads: Size = 32
  head_dim: Size | None = None  # None: width / heads
  mlp: Size = 11_008
  vocab: Size = 32_000
  length: Slots = 4096
  bos: Unused | None = 1
  eos: tuple[Token, ...] = (2,)

  mlp_matrices = 3

  @property
  def head_size(self) -> int:
    return self.head_dim or super().head_size

  def build(self, key: jax.Array) -> 'Llama2':
    return Llama2(self, key)


def llama2_7b(**changes: Any) -> Config:
  return Config(**changes)


def llama2_13b(**changes: Any) -> Config:
  return Config(**dict(depth=40, width=5120, heads=40, kv_heads=40, mlp=13_824) | changes)


def llama2_70b(**changes: Any) -> Config:
  return Config(**dict(depth=80, width=8192, heads=64, kv_heads=8, mlp=28_672) | changes)


def smollm2_135m(**changes: Any) -> Config:
  """Config of SmolLM2-135M and of its instruct model."""
  sizes: dict[str, Any] = dict(depth=30, width=576, heads=9, kv_heads=3, mlp=1536, vocab=49_152)
  return Config(**sizes | dict(length=8192, theta=100_000.0, tied=True, pad=2) | changes)


def tiny(**changes: Any) -> Config:
  small = dict(depth=2, width=64, heads=4, kv_heads=2, mlp=172, vocab=512, length=512)
  return Config(**small | dict(dtype='float32') | changes)


class _Block(Weights):
  norm1_D: Ones
  q_HKD: Normal
  k_GKD: Normal
  v_GKD: Normal
  o_DHK: Normal
  norm2_D: Ones
  gate_FD: Normal
  up_FD: Normal
  down_DF: Normal

  def __call__(self, x_BTD, angle_BTK, look):
    eps = self.cfg.eps
    h_BTD = rms_norm(x_BTD, self.norm1_D, eps)
    q_BHTK = rope(dot('BTD,HKD->BHTK', h_BTD, self.q_HKD), angle_BTK)
    k_BGTK = rope(dot('BTD,GKD->BGTK', h_BTD, self.k_GKD), angle_BTK)
    v_BGTK = dot('BTD,GKD->BGTK', h_BTD, self.v_GKD)
    x_BTD += dot('BHTK,DHK->BTD', look(q_BHTK, k_BGTK, v_BGTK), self.o_DHK)
    return feed_forward(self, x_BTD)


def feed_forward(block: Any, x_BTD: jax.Array) -> jax.Array:
  """x_BTD after the second half of a block with Llama's weights: its norm, gate, up and down."""
  h_BTD = apart(rms_norm(x_BTD, block.norm2_D, block.cfg.eps))
  gate_BTF = dot('BTD,FD->BTF', h_BTD, block.gate_FD)
  up_BTF = dot('BTD,FD->BTF', h_BTD, block.up_FD)
  return x_BTD + dot('BTF,DF->BTD', swiglu(gate_BTF, up_BTF), block.down_DF)


class Llama2(Decoder):
  embed_VD: Normal
  blocks: _Block
  norm_D: Ones
  head_VD: Normal

  def norm(self, x_BTD: jax.Array) -> jax.Array:
    return rms_norm(x_BTD, self.norm_D.astype(x_BTD.dtype), self.cfg.eps)

  def head(self) -> tuple[jax.Array, None]:
    return (self.embed_VD if self.cfg.tied else self.head_VD)[...], None


HUGGING_FACE = hf_config.Dialect(
  model_type='llama',
  architecture='LlamaForCausalLM',
  tensors={
    'embed_VD': 'model.embed_tokens.weight',
    'norm_D': 'model.norm.weight',
    'head_VD': 'lm_head.weight',
    'blocks.norm1_D': 'model.layers.{n}.input_layernorm.weight',
    'blocks.q_HKD': 'model.layers.{n}.self_attn.q_proj.weight',
    'blocks.k_GKD': 'model.layers.{n}.self_attn.k_proj.weight',
    'blocks.v_GKD': 'model.layers.{n}.self_attn.v_proj.weight',
    'blocks.o_DHK': 'model.layers.{n}.self_attn.o_proj.weight',
    'blocks.norm2_D': 'model.layers.{n}.post_attention_layernorm.weight',
    'blocks.gate_FD': 'model.layers.{n}.mlp.gate_proj.weight',
    'blocks.up_FD': 'model.layers.{n}.mlp.up_proj.weight',
    'blocks.down_DF': 'model.layers.{n}.mlp.down_proj.weight',
  },
  fields={
    'depth': ('num_hidden_layers', 32),
    'width': ('hidden_size', 4096),
    'heads': ('num_attention_heads', 32),
    'kv_heads': ('num_key_value_heads', None),
    'head_dim': ('head_dim', None),
    'mlp': ('intermediate_size', 11_008),
    'vocab': ('vocab_size', 32_000),
    'length': ('max_position_embeddings', 2048),
    'theta': ('rope_theta', 10_000.0),
    'eps': ('rms_norm_eps', 1e-6),
    'tied': ('tie_word_embeddings', False),
    'bos': ('bos_token_id', 1),
    'eos': ('eos_token_id', 2),
    'pad': ('pad_token_id', None),
  },
  fixed={
    'hidden_act': ('silu',),
    'attention_bias': (False,),
    'mlp_bias': (False,),
    'partial_rotary_factor': (1.0,),
  },
)
