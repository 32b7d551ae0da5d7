"""Scalar heads on a decoder: a scorer judges a whole text, a critic values every prefix of it."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jaxalign.models import adapters
from jaxalign.models.adapters import Lora
from jaxalign.models.decoder import Decoder, Normal
from jaxalign.models.model_config import ModelConfig


class _Scalar(nnx.Module):
  """A decoder of any kind whose last hidden states are read as one number each."""

  def __init__(self, decoder, key=None, score_D=None):
    """With a key the head starts near zero; with another head's score_D, as that one."""
    self.decoder = decoder
    if score_D is None:
      score_D = Normal(Normal.init(key, (decoder.cfg.width,), decoder.cfg.weights))
    self.score_D = score_D

  def values(self, tokens_BT, segment_BT=None):
    """One float32 number for every position, of the text up to and including its token."""
    x_BTD = self.decoder(tokens_BT, segment_BT).astype(jnp.float32)
    return jnp.einsum('BTD,D->BT', x_BTD, self.score_D.astype(jnp.float32), precision='highest')


class Scorer(_Scalar):
  """A reward model: the value at the last real token, whichever side the padding is on."""

  def __call__(self, tokens_BT, segment_BT=None):
    values_BT = self.values(tokens_BT, segment_BT)
    return jnp.take_along_axis(values_BT, last_real(tokens_BT, segment_BT)[:, None], 1)[:, 0]


class Critic(_Scalar):
  """PPO's critic: a value at every position; it may start from a scorer's decoder and score_D."""

  def __call__(self, tokens_BT, segment_BT=None):
    return self.values(tokens_BT, segment_BT)


def last_real(tokens_BT: jax.Array, segment_BT: jax.Array | None) -> jax.Array:
  """The column of each row's last token that is not padding."""
  T = tokens_BT.shape[1]
  if segment_BT is None:
    return jnp.full(tokens_BT.shape[0], T - 1)
  return T - 1 - jnp.argmax(segment_BT[:, ::-1] != 0, axis=1)


@functools.lru_cache(maxsize=32)
def fresh(cfg: ModelConfig) -> Callable[[jax.Array], Scorer]:
  """key -> a scorer by chance; what a reward run trains, whole."""
  return lambda key: Scorer(cfg.build(key), jax.random.fold_in(key, 1))


def fresh_thin(cfg: ModelConfig, lora: Lora) -> Callable[[jax.Array], dict[str, Any]]:
  """key -> what a reward run trains over a frozen decoder: an adapter, and the head."""

  def build(key):
    scorer = fresh(cfg)(key)
    return dict(adapter=adapters.make_adapter(scorer.decoder, lora, key), score_D=scorer.score_D)

  return build


def laid(base: Decoder, thin: Mapping[str, Any], lora: Lora) -> Scorer:
  """The scorer that a frozen decoder and what was trained over it make."""
  return Scorer(adapters.attach(base, thin['adapter'], lora), score_D=thin['score_D'])
