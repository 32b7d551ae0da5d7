"""Qwen3, dense: Llama-2 with a norm on each head's query and key.

https://arxiv.org/abs/2505.09388
"""

import dataclasses
from typing import Any

import jax

from jaxalign.models import llama2, qwen2
from jaxalign.models.decoder import Decoder, Normal, Ones, Weights
from jaxalign.models.layers import dot, rms_norm, rope
from jaxalign.ranges import Size, Slots, Theta, Tiny, Token, Unused


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Config(llama2.Config):
  head_dim: Size | None = 128
  length: Slots = 40_960
  theta: Theta = 1_000_000.0
  eps: Tiny = 1e-6
  bos: Unused | None = 151_643
  eos: tuple[Token, ...] = (151_645,)

  def build(self, key: jax.Array) -> 'Qwen3':
    return Qwen3(self, key)


def qwen3_14b(**changes: Any) -> Config:
  """Config of Qwen3-14B."""
  sizes = dict(depth=40, width=5120, heads=40, head_dim=None, kv_heads=8, mlp=17_408, vocab=151_936)
  return Config(**sizes | changes)


def tiny(**changes: Any) -> Config:
  """Config of a model for tests, whose heads together are wider than the model."""
  small = dict(depth=2, width=64, heads=4, kv_heads=2, head_dim=32, mlp=172, vocab=512, length=512)
  more: dict[str, Any] = dict(bos=1, eos=(2,), dtype='float32')
  return Config(**small | more | changes)


class _Block(Weights):
  norm1_D: Ones
  q_HKD: Normal
  q_norm_K: Ones
  k_GKD: Normal
  k_norm_K: Ones
  v_GKD: Normal
  o_DHK: Normal
  norm2_D: Ones
  gate_FD: Normal
  up_FD: Normal
  down_DF: Normal

  def __call__(self, x_BTD, angle_BTK, look):
    eps = self.cfg.eps
    h_BTD = rms_norm(x_BTD, self.norm1_D, eps)
    q_BHTK = rms_norm(dot('BTD,HKD->BHTK', h_BTD, self.q_HKD), self.q_norm_K, eps)
    k_BGTK = rms_norm(dot('BTD,GKD->BGTK', h_BTD, self.k_GKD), self.k_norm_K, eps)
    v_BGTK = dot('BTD,GKD->BGTK', h_BTD, self.v_GKD)
    seen_BHTK = look(rope(q_BHTK, angle_BTK), rope(k_BGTK, angle_BTK), v_BGTK)
    return llama2.feed_forward(self, x_BTD + dot('BHTK,DHK->BTD', seen_BHTK, self.o_DHK))


class Qwen3(Decoder):
  embed_VD: Normal
  blocks: _Block
  norm_D: Ones
  head_VD: Normal

  norm, head = llama2.Llama2.norm, llama2.Llama2.head


HUGGING_FACE = dataclasses.replace(
  qwen2.HUGGING_FACE,
  model_type='qwen3',
  architecture='Qwen3ForCausalLM',
  tensors=llama2.HUGGING_FACE.tensors
  | {
    'blocks.q_norm_K': 'model.layers.{n}.self_attn.q_norm.weight',
    'blocks.k_norm_K': 'model.layers.{n}.self_attn.k_norm.weight',
  },
  fields=qwen2.HUGGING_FACE.fields | {'head_dim': ('head_dim', 128)},
  fixed=qwen2.HUGGING_FACE.fixed | {'attention_bias': (False,)},
)
