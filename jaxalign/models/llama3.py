"""Llama-3.1 and later: Llama-2 with rotary positions that are stretched for long texts.

https://arxiv.org/abs/2407.21783. Llama-3.0 stretches nothing, and is Llama-2 with other sizes.
"""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp

from jaxalign.models import llama2
from jaxalign.ranges import Factor, Slots


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Config(llama2.Config):
  factor: Factor = 8.0  # slow angles turn so many times slower
  low: Factor = 1.0  # slow: fewer turns than this within `original` positions
  high: Factor = 4.0  # fast: more turns than this; between the two it is a mixture
  original: Slots = 8192  # positions before the stretch

  def frequencies(self) -> jax.Array:
    plain_K = super().frequencies()
    turns_K = self.original * plain_K / (2 * math.pi)
    share_K = jnp.clip((turns_K - self.low) / (self.high - self.low), 0, 1)  # of the plain angle
    return plain_K * (share_K + (1 - share_K) / self.factor)


def llama3_1_8b(**changes: Any) -> Config:
  """Config of Llama-3.1-8B and, with other `eos`, of its instruct model."""
  sizes = dict(kv_heads=8, mlp=14_336, vocab=128_256, length=131_072, theta=500_000.0)
  ends: dict[str, Any] = dict(bos=128_000, eos=(128_001,))
  return Config(**sizes | ends | changes)


def tiny(**changes: Any) -> Config:
  """Config of a model for tests, whose positions pass `original`."""
  small = dict(depth=2, width=64, heads=4, kv_heads=2, mlp=172, vocab=512, length=512, original=16)
  return Config(**small | dict(dtype='float32') | changes)


HUGGING_FACE = dataclasses.replace(
  llama2.HUGGING_FACE,
  rope_type='llama3',
  fields=llama2.HUGGING_FACE.fields
  | {
    'factor': ('rope_scaling.factor', float),
    'low': ('rope_scaling.low_freq_factor', float),
    'high': ('rope_scaling.high_freq_factor', float),
    'original': ('rope_scaling.original_max_position_embeddings', int),
  },
)
