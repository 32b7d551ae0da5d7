"""What the config of every decoder has, and what follows from it."""

import dataclasses
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp

from jaxalign.config import UserError
from jaxalign.ranges import Layers, Size, Slots, Theta, Tiny, Token, Unused

_Dtype = Literal['float32', 'bfloat16', 'float16']


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class ModelConfig:
  depth: Layers
  width: Size
  heads: Size
  kv_heads: Size
  mlp: Size
  vocab: Size
  length: Slots  # the longest sequence it was trained on
  theta: Theta = 10_000.0
  eps: Tiny = 1e-5
  tied: bool = False  # the unembedding is the embedding
  bos: Unused | None = None
  eos: tuple[Token, ...]
  pad: Unused | None = None
  dtype: _Dtype = 'bfloat16'  # of the arithmetic
  weights: _Dtype = 'float32'  # of the stored weights
  remat: Literal['none', 'dots', 'qkv', 'full'] = 'full'
  attention: Literal['auto', 'xla', 'cudnn', 'cudnn_packed', 'splash'] = 'auto'
  unroll: Layers = 1  # layers per step of the scan

  mlp_matrices: ClassVar[int]

  @property
  def head_size(self) -> int:
    return self.width // self.heads

  @property
  def turns(self) -> int:
    """How many entries of each head rotate with the position."""
    return self.head_size

  @property
  def window(self) -> int | None:
    """How many tokens a token sees, itself the last; None: all before it."""
    return None

  def frequencies(self) -> jax.Array:
    """The angle by which each pair of a head's entries turns a position, [turns / 2]."""
    return self.theta ** (-jnp.arange(0, self.turns, 2, dtype=jnp.float32) / self.turns)

  @property
  def sizes(self) -> dict[str, int]:
    D, H, G, K, F = self.width, self.heads, self.kv_heads, self.head_size, self.mlp
    return dict(D=D, H=H, G=G, K=K, F=F, V=self.vocab)

  @property
  def absent(self) -> tuple[str, ...]:
    """Weights that the class of the model declares and this config has not."""
    return ('head_VD',) if self.tied else ()

  def check(self) -> None:
    """Sizes that cannot be a model together are refused before anything is allocated."""
    own_size = getattr(self, 'head_dim', None)
    if self.width // self.heads < 1 or (self.width % self.heads and not own_size):
      raise UserError(f'width={self.width} must be a multiple of heads={self.heads}')
    if self.heads % self.kv_heads:
      raise UserError(f'heads={self.heads} must be a multiple of kv_heads={self.kv_heads}')
    if self.turns % 2 or not 0 < self.turns <= self.head_size:
      raise UserError(
        f'rotary size {self.turns} must be even and at most the head size {self.head_size}'
      )
    if not all(0 <= end < self.vocab for end in self.eos):
      raise UserError(f'eos={self.eos}: ids from 0 to {self.vocab - 1}, or that end never comes')

  def flops(self, length: float) -> float:
    """Of one token, forward and backward: 6 a weight of every matmul, and causal attention."""
    D, H, G, K, F, V = self.sizes.values()
    matmuls = self.depth * (D * K * (2 * H + 2 * G) + self.mlp_matrices * D * F) + D * V
    return 6 * matmuls + 6 * self.depth * H * K * length

  def build(self, key: jax.Array) -> Any:
    """The model of this config, its weights drawn from a key."""
    raise NotImplementedError
