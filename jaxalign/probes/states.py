"""What a decoder holds at chosen positions of a prompt, and what it would answer next.

Made for very many short prompts: rows are padded to one length and read in batches of one size, so
that one compiled program serves every model of a config, whatever is asked of it.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from jaxalign.config import UserError
from jaxalign.models.decoder import Decoder
from jaxalign.models.heads import last_real
from jaxalign.sharding.layout import mesh_of, on_mesh, pin

BATCH = 256
_STRIDE = 16  # lengths nobody chose are rounded up to this: few programs
_Prompts = Iterable[Sequence[int]]
_Where = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (tokens_NT, segment_NT) -> weight_NT


class _Sizes(Protocol):
  vocab: int
  length: int


def last(tokens_NT: np.ndarray, segment_NT: np.ndarray) -> np.ndarray:
  """At each prompt's last token."""
  column_T = np.arange(segment_NT.shape[1])
  return (column_T == segment_NT.sum(1)[:, None] - 1).astype(np.float32)


def mean(tokens_NT: np.ndarray, segment_NT: np.ndarray) -> np.ndarray:
  """The mean over each prompt's tokens."""
  return (segment_NT / segment_NT.sum(1, keepdims=True)).astype(np.float32)


def token(id: int) -> _Where:
  """At the last place where a prompt holds this token: states(..., at=token(17))."""

  def at(tokens_NT, segment_NT):
    here_NT = (tokens_NT == id) & (segment_NT != 0)
    if not here_NT.any(1).all():
      n = int(np.argmin(here_NT.any(1)))
      raise UserError(f'prompt {n} does not hold token {id}: read it at another place')
    column_T = np.arange(here_NT.shape[1])
    at_N = np.where(here_NT, column_T, -1).max(1)
    return (column_T == at_N[:, None]).astype(np.float32)

  return at


def states(
  model: Decoder,
  prompts: _Prompts,
  *,
  length: int | None = None,
  batch: int = BATCH,
  at: _Where = last,
) -> np.ndarray:
  """x_LND float32: the residual stream of every prompt, layer by layer.

  Layer 0 is the embedding; the last one is the last block's output, before the final norm. `at`
  gives the weight of each token: last, mean, token(id).
  """
  tokens_NT, segment_NT = padded(model.cfg, prompts, length)
  weight_NT = at(tokens_NT, segment_NT)
  (x_NLD,) = in_batches(_states, model, batch, tokens_NT, segment_NT, weight_NT)
  return np.ascontiguousarray(np.moveaxis(x_NLD, 1, 0))


def answers(
  model: Decoder,
  prompts: _Prompts,
  yes: int | np.ndarray,
  no: int | np.ndarray,
  *,
  length: int | None = None,
  batch: int = BATCH,
) -> tuple[np.ndarray, np.ndarray]:
  """(logodds_N, mass_N) float32: log p(yes) - log p(no) of the next token, and p(yes) + p(no).

  yes and no are token ids, of all prompts or one each.
  """
  tokens_NT, segment_NT = padded(model.cfg, prompts, length)
  asked = []
  for name, given in dict(yes=yes, no=no).items():
    ids = np.asarray(given)
    if ids.dtype.kind not in 'iu' or ids.shape not in ((), (len(tokens_NT),)):
      raise UserError(f'{name}={ids}: give one token id, or one a prompt ({len(tokens_NT)})')
    _check_ids(model.cfg, ids)
    asked.append(np.broadcast_to(ids.astype(np.int32), len(tokens_NT)))
  logodds_N, mass_N = in_batches(read_answers, model, batch, tokens_NT, segment_NT, *asked)
  return logodds_N, mass_N


def padded(
  cfg: _Sizes, prompts: _Prompts, length: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
  """(tokens_NT, segment_NT) of lists of ids: on the left; then segment 0 up to `length`."""
  prompts = list(prompts)
  if not prompts:
    raise UserError('there are no prompts: give at least one list of token ids')
  size_N = np.array([len(prompt) for prompt in prompts])
  if not size_N.all():
    raise UserError(f'prompt {int(np.argmin(size_N))} is empty: give at least one token')
  flat = np.array(list(itertools.chain.from_iterable(prompts)))
  if flat.dtype.kind not in 'iu':
    raise UserError('prompts are lists of token ids: encode text with the tokenizer of the model')
  _check_ids(cfg, flat)
  longest = int(size_N.max())
  length = -(-longest // _STRIDE) * _STRIDE if length is None else length
  if longest > min(length, cfg.length):
    raise UserError(
      f'prompt {int(size_N.argmax())} has {longest} tokens, and length={length} of a model of '
      f'{cfg.length}: give a larger length, or shorter prompts'
    )
  here_NT = np.arange(length) < size_N[:, None]
  tokens_NT = np.zeros(here_NT.shape, np.int32)
  tokens_NT[here_NT] = flat
  return tokens_NT, here_NT.astype(np.int32)


def _check_ids(cfg, ids):
  for id in (ids.min(), ids.max()):
    if not 0 <= id < cfg.vocab:
      raise UserError(f'token id {id} is outside the vocabulary of {cfg.vocab}')


def in_batches(
  read: Callable[..., tuple[jax.Array, ...]], model: Any, batch: int, *columns: np.ndarray
) -> list[np.ndarray]:
  """read(model, *columns) on `batch` rows at a time: its results, whole, on every host.

  Rows of zeros fill the last batch. Results are fetched one batch late: no device waits for it.
  """
  if batch < 1:
    raise UserError(f'batch={batch}: at least 1')
  rows = len(columns[0])
  whole = [np.pad(c, [(0, -rows % batch)] + [(0, 0)] * (c.ndim - 1)) for c in columns]
  done, waiting = [], None
  with on_mesh(mesh_of(model)):
    for start in range(0, rows, batch):
      now = read(model, *(c[start : start + batch] for c in whole))
      if waiting is not None:
        done.append(jax.device_get(waiting))
      waiting = now
    done.append(jax.device_get(waiting))
  return [np.concatenate(parts)[:rows] for parts in zip(*done)]


@jax.jit
def _states(model, tokens_BT, segment_BT, weight_BT):
  def look(x_BTD):
    x_BTD = x_BTD.astype(jnp.float32)
    return jnp.einsum('BTD,BT->BD', x_BTD, weight_BT, precision='highest')

  tokens_BT = pin(tokens_BT, 'B')
  table_VD = pin(model.embed_VD.astype(model.cfg.dtype), 'V-')
  start_BD = look(pin(table_VD[tokens_BT], 'B'))
  _, seen_NBD = model(tokens_BT, segment_BT, tap=look)
  x_BLD = jnp.concatenate([start_BD[:, None], jnp.moveaxis(seen_NBD, 0, 1)], 1)
  return (pin(x_BLD, ''),)  # whole everywhere, so that every host can read it


@jax.jit
def read_answers(
  model: Decoder, tokens_BT: jax.Array, segment_BT: jax.Array, yes_B: jax.Array, no_B: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """(log-odds, mass) of the token that comes after each row: a program of `answers`."""
  tokens_BT = pin(tokens_BT, 'B')
  x_BTD = model(tokens_BT, segment_BT)
  at_B = last_real(tokens_BT, segment_BT)
  x_B1D = jnp.take_along_axis(x_BTD, at_B[:, None, None], 1)
  logprob_BV = jax.nn.log_softmax(pin(model.unembed(x_B1D)[:, 0], 'B'))
  yes_B, no_B = (jnp.take_along_axis(logprob_BV, id_B[:, None], 1)[:, 0] for id_B in (yes_B, no_B))
  return pin(yes_B - no_B, ''), pin(jnp.exp(yes_B) + jnp.exp(no_B), '')
