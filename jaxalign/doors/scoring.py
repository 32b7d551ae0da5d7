"""What a model gives every token of a text, and which tokens it likes best there.

One forward of the whole text, when somebody asks: no answer is written slower because of it.
"""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxalign.models.decoder import Decoder
from jaxalign.rl.sample import bucket, to_every_host
from jaxalign.sharding.layout import mesh_of, on_mesh, pin

BEST = 5  # tokens named beside each
_CHUNK = 64  # places whose logits exist at a time


@dataclasses.dataclass(frozen=True)
class Scores:
  """Of every token but the first, which nothing precedes: its logprob and the likeliest's."""

  logprobs: list[float]
  best: list[list[tuple[int, float]]]  # (token, logprob), the likeliest first


def scores(model: Decoder, tokens: Sequence[int], begun: int, temperature: float) -> Scores:
  """Scores of a text. From the token at `begun` on, at the temperature at which it was drawn."""
  size, mesh = len(tokens), mesh_of(model)
  ways = mesh.shape['data'] * mesh.shape['fsdp'] if mesh else 1
  width = bucket(size, least=_CHUNK)
  tokens_BT, segment_BT = (np.zeros((ways, width), np.int32) for _ in range(2))
  tokens_BT[:, :size], segment_BT[:, :size] = tokens, 1
  temperature_T = np.ones(width, np.float32)
  temperature_T[max(begun - 1, 0) :] = temperature or 1.0
  with on_mesh(mesh):
    found = _scores(model, tokens_BT, segment_BT, temperature_T)
  logprob_T, id_TK, best_TK = (one[: size - 1].tolist() for one in to_every_host(*found))
  return Scores(logprob_T, [list(zip(*pair)) for pair in zip(id_TK, best_TK)])


@jax.jit
def _scores(model, tokens_BT, segment_BT, temperature_T):
  """(logprob of the next token, ids of the likeliest, their logprobs) at each place."""
  x_BTD = model(pin(jnp.asarray(tokens_BT), 'B'), segment_BT)
  next_BT = jnp.pad(tokens_BT[:, 1:], ((0, 0), (0, 1)))

  def chunk(start):
    def cut(a, axis):
      return jax.lax.dynamic_slice_in_dim(a, start, _CHUNK, axis)

    logits_BTV = model.unembed(cut(x_BTD, 1)) / cut(temperature_T, 0)[:, None]
    logprob_BTV = jax.nn.log_softmax(logits_BTV)
    best_BTK, id_BTK = jax.lax.top_k(logprob_BTV, min(BEST, logprob_BTV.shape[-1]))
    own_BT = jnp.take_along_axis(logprob_BTV, cut(next_BT, 1)[..., None], -1)[..., 0]
    return own_BT[0], id_BTK[0], best_BTK[0]

  starts = jnp.arange(0, tokens_BT.shape[1], _CHUNK)
  return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), jax.lax.map(chunk, starts))
