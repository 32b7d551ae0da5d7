"""Mistral-7B: Llama-2's arithmetic, in its first release with a window of tokens that one sees.

https://arxiv.org/abs/2310.06825. Later releases see everything (window: None).
"""

import dataclasses
from typing import Any

from jaxalign.models import llama2
from jaxalign.ranges import Slots


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Config(llama2.Config):
  window: Slots | None = None  # a token sees itself and window - 1 before it; None: all


def mistral_7b(**changes: Any) -> Config:
  """Config of the releases 0.2 and 0.3 but for their vocabulary: no window."""
  sizes = dict(kv_heads=8, mlp=14_336, length=32_768, theta=1_000_000.0)
  return Config(**sizes | changes)


def tiny(**changes: Any) -> Config:
  """Config of a model for tests, with a window shorter than its texts."""
  small = dict(depth=2, width=64, heads=4, kv_heads=2, mlp=172, vocab=512, length=512, window=5)
  return Config(**small | dict(dtype='float32') | changes)


HUGGING_FACE = dataclasses.replace(
  llama2.HUGGING_FACE,
  model_type='mistral',
  architecture='MistralForCausalLM',
  fields=llama2.HUGGING_FACE.fields
  | {
    'kv_heads': ('num_key_value_heads', 8),
    'mlp': ('intermediate_size', 14_336),
    'length': ('max_position_embeddings', 131_072),
    'window': ('sliding_window', 4096),
  },
  fixed={'hidden_act': ('silu',)},
)
