"""Log-likelihoods of continuations, of any number of pairs, by at most six programs."""

import dataclasses
import functools
import math
from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxalign.config import UserError
from jaxalign.losses import head
from jaxalign.models.decoder import Decoder, letters_of
from jaxalign.rl.prompts import ids_of, start_of, whole_number
from jaxalign.rl.sample import left_pad
from jaxalign.rl.score_plan import Call, Group, Ids, Pair, Plan, plan
from jaxalign.sharding.layout import mesh_of, on_mesh, pin

_Text = str | Sequence[int]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Score:
  """What a model thinks of one continuation; or the error why it cannot say."""

  logprob: float  # of all of it, in nats: the sum of logprobs; NaN with an error
  tokens: int
  greedy: bool  # whether each token is the likeliest where it stands
  logprobs: list[float]  # of each token
  error: str | None = None


def score(model: Decoder, pairs: Iterable[tuple[_Text, _Text]], *, rows: int = 16) -> list[Score]:
  """A Score of each (context, continuation), in order: how likely one is after the other.

  Both are strings (the model carries its tokenizer) or lists of token ids. A text is encoded whole
  and cut where its context's tokens end; spaces that end a context go to the continuation. After
  an empty context stands the start token, so ('', text) is a whole text's likelihood. A pair that
  does not fit is that pair's error. Contexts in common are read once. rows: how many are read
  together.
  """
  found = dict(scores(model, pairs, rows=rows))
  return [found[n] for n in range(len(found))]


def scores(
  model: Decoder,
  pairs: Iterable[tuple[_Text, _Text]],
  *,
  rows: int = 16,
  wanted: Iterable[int] | None = None,
) -> Iterator[tuple[int, Score]]:
  """(place of a pair, its Score), as they come.

  wanted: places of pairs whose scores are not known yet; None: all. Calls without any are left out,
  and the others are what they would be: a job that goes on finds the same numbers to the bit.
  """
  if whole_number('rows', rows) < 1:
    raise UserError(f'rows={rows} must be at least 1')
  encoded = _encoded(model, pairs)
  needed = set(range(len(encoded))) if wanted is None else set(wanted)
  errors = [_misfit(model, pair) for pair in encoded]
  for n in sorted(needed):
    if (error := errors[n]) is not None:
      yield n, _failed(error)
  fits = [n for n, error in enumerate(errors) if error is None]
  if not needed & set(fits):
    return
  some = {place for place, n in enumerate(fits) if n in needed}
  for place, logprob_T, best_T in _read_all(model, [encoded[n] for n in fits], int(rows), some):
    n = fits[place]
    if not np.isfinite(logprob_T).all():
      raise UserError(
        f'pair {n}: a log-probability is not finite; weights of this model are not, or its '
        f'arithmetic overflows in {model.cfg.dtype}: load it with dtype="float32"'
      )
    each = logprob_T.tolist()
    total = math.fsum(each)
    yield n, Score(logprob=total, tokens=len(each), greedy=bool(best_T.all()), logprobs=each)


def _failed(error):
  return Score(logprob=math.nan, tokens=0, greedy=False, logprobs=[], error=error)


# ---- pairs


def _encoded(model: Decoder, pairs: Any) -> list[Pair]:
  pairs = [pairs] if not hasattr(pairs, '__iter__') or isinstance(pairs, str) else list(pairs)
  for n, pair in enumerate(pairs):
    if isinstance(pair, str | bytes | dict) or not hasattr(pair, '__len__') or len(pair) != 2:
      raise UserError(f'pair {n} is {pair!r}: give (context, continuation)')
    if isinstance(pair[0], str) != isinstance(pair[1], str):
      raise UserError(f'pair {n}: both parts are strings, or both are lists of token ids')
  found: list[Pair | None] = [
    None if isinstance(a, str) else (ids_of(model, a), ids_of(model, b)) for a, b in pairs
  ]
  texts = iter(_of_texts(model, [pair for pair in pairs if isinstance(pair[0], str)]))
  return [next(texts) if pair is None else pair for pair in found]


def _of_texts(model: Decoder, pairs: Sequence[tuple[str, str]]) -> list[Pair]:
  if not pairs:
    return []
  if model.tokenizer is None:
    raise UserError('this model carries no tokenizer: give pairs of lists of token ids')
  encode, start = model.tokenizer.encode_batch, start_of(model.tokenizer)
  whole = encode([context + said for context, said in pairs])
  heads = list(dict.fromkeys(context.rstrip() for context, _ in pairs))
  of_head = dict(zip(heads, encode(heads)))
  bare = {n: context + said for n, (context, said) in enumerate(pairs) if not context.rstrip()}
  of_bare = dict(zip(bare, encode(list(bare.values()), bos=False)))
  found: list[Pair] = []
  for n, (context, _) in enumerate(pairs):
    if n in of_bare:
      found.append((start, tuple(of_bare[n])))
    else:
      ids = tuple(of_head[context.rstrip()])
      found.append((ids, tuple(whole[n][len(ids) :])))
  return found


def _misfit(model: Decoder, pair: Pair) -> str | None:
  """Why this model cannot score a pair; None if it can."""
  (context, said), cfg = pair, model.cfg
  if not said:
    return 'the continuation has no token of its own: give one that has'
  if not context:
    return 'the context is empty: give at least one token, the start token for instance'
  if not 0 <= min(context + said) <= max(context + said) < cfg.vocab:
    return f'a token id lies outside the vocabulary of {cfg.vocab}'
  if (size := len(context + said) - 1) > cfg.length:  # the last is foretold and never read
    return (
      f'{size} tokens before the last do not fit the {cfg.length} positions that this model was '
      'trained on'
    )
  return None


# ---- calls


def _read_all(
  model: Decoder, pairs: Sequence[Pair], rows: int, wanted: Container[int]
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
  """(place, logprob_T, best_T) of each pair's continuation, of the calls that hold one wanted."""
  mesh = mesh_of(model)
  ways = mesh.shape['data'] * mesh.shape['fsdp'] if mesh else 1
  how = plan(pairs, rows, ways, primed=model.cfg.window is None)  # it would count padding

  def told(call, arrays):
    logprob_RT, best_RT = jax.device_get(arrays)
    for row, place in enumerate(call.places):
      end = len(how.row(place)) - 1
      own = slice(end - len(pairs[place][1]), end)
      yield place, logprob_RT[row, own], best_RT[row, own]

  waiting: tuple[Call, Any] | None = None
  with on_mesh(mesh):
    primer = _primed(model, how)
  for group in how.groups:
    calls = [call for call in group.calls if any(place in wanted for place in call.places)]
    cache = None
    for call in calls:
      with on_mesh(mesh):
        cache = _of_contexts(model, primer, how, group) if call is calls[0] else cache
        made = call, _called(model, cache, how, group, call)
      if waiting is not None:  # one call late: no device waits for the host
        yield from told(*waiting)
      waiting = made
  if waiting is not None:
    yield from told(*waiting)


def _primed(model: Decoder, how: Plan) -> Any:
  """The cache of the primer, one row; None without one."""
  if not how.primer:
    return None
  slots = len(how.primer) if how.shared else how.slots
  return read_before(model, None, *left_pad([how.primer], len(how.primer)), slots)


def _of_contexts(model: Decoder, primer: Any, how: Plan, group: Group) -> Any:
  if not how.shared:
    return primer
  filled = [*group.contexts, *[()] * (how.held - len(group.contexts))]
  return read_before(model, primer, *left_pad(filled, group.width), how.slots)


def _called(model: Decoder, cache: Any, how: Plan, group: Group, call: Call) -> Any:
  tokens_RT, segment_RT, targets_RT = (np.zeros((how.rows, call.width), np.int32) for _ in range(3))
  of_R = np.zeros(how.rows, np.int32)
  at: dict[Ids, int] = {context: n for n, context in enumerate(group.contexts)}
  for row, place in enumerate(call.places):
    ids = how.row(place)
    end = len(ids) - 1
    tokens_RT[row, :end], segment_RT[row, :end], targets_RT[row, :end] = ids[:-1], 1, ids[1:]
    of_R[row] = at[how.context(place)]
  if cache is None:
    return read_whole(model, tokens_RT, segment_RT, targets_RT)
  return read_after(model, cache, of_R, tokens_RT, segment_RT, targets_RT)


# ---- programs


@functools.partial(jax.jit, static_argnames='slots')
def read_before(
  model: Decoder, before: Any, tokens_CP: ArrayLike, segment_CP: ArrayLike, slots: int
) -> Any:
  """The cache of these, padded on the left, each after the one row of `before` if there is one."""
  tokens_CP, segment_CP = (pin(jnp.asarray(x), 'B') for x in (tokens_CP, segment_CP))
  if before is None:
    _, cache = model.prefill(tokens_CP, segment_CP, slots)
    cache = cache.replace(position_B=segment_CP.sum(1))  # 0 where there is nothing to read
  else:
    none_C = jnp.zeros(len(tokens_CP), jnp.int32)
    _, cache = model.extend(tokens_CP, model.grow(_rows_of(before, none_C), slots), segment_CP)
  return jax.tree.map(lambda w: pin(w, letters_of(w)), cache)


def _rows_of(cache, of_R):
  def taken(w):
    return pin(jnp.take(w, of_R, axis=w.ndim - 4), 'NBGSK'[-w.ndim :])

  k, v = jax.tree.map(taken, (cache.k_NBGSK, cache.v_NBGSK))
  segment_RS, position_R = cache.segment_BS[of_R], cache.position_B[of_R]
  return cache.replace(k_NBGSK=k, v_NBGSK=v, segment_BS=segment_RS, position_B=position_R)


@jax.jit
def read_whole(
  model: Decoder, tokens_RT: ArrayLike, segment_RT: ArrayLike, targets_RT: ArrayLike
) -> tuple[Array, Array]:
  """(logprobs, which are the likeliest) of the tokens that come next."""
  tokens_RT = pin(jnp.asarray(tokens_RT), 'B')
  return _told(model, model(tokens_RT, jnp.asarray(segment_RT)), targets_RT)


@jax.jit
def read_after(
  model: Decoder,
  cache: Any,
  of_R: ArrayLike,
  tokens_RT: ArrayLike,
  segment_RT: ArrayLike,
  targets_RT: ArrayLike,
) -> tuple[Array, Array]:
  """As read_whole, each row after one row of the cache."""
  tokens_RT, segment_RT = (pin(jnp.asarray(x), 'B') for x in (tokens_RT, segment_RT))
  x_RTD, _ = model.extend(tokens_RT, _rows_of(cache, jnp.asarray(of_R)), segment_RT)
  return _told(model, x_RTD, targets_RT)


def _told(model: Decoder, x_RTD: Array, targets_RT: ArrayLike) -> tuple[Array, Array]:
  """(logprobs, which are the likeliest), whole everywhere, so that every host can read them."""
  head_VD, bias_V = model.head()
  targets_RT = pin(jnp.asarray(targets_RT), 'B')
  told = head.logprobs_and_best(x_RTD, head_VD, bias_V, targets_RT)
  return pin(told[0], ''), pin(told[1], '')
