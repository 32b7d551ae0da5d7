"""Judges of text: Python functions, and reward models that read another template or tokenizer.

A reward model that reads the policy's very tokens is no business of this file: it is a player, and
scores where the tokens are. Here the text is decoded on the host; every process judges the rows
that lie on its own devices.
"""

import collections.abc
import dataclasses
import numbers
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from absl import logging
from jax.sharding import Mesh, NamedSharding

from jaxalign.config import UserError
from jaxalign.data import dialogues
from jaxalign.data.chat import ChatFormat
from jaxalign.data.records import Conversation, Turn
from jaxalign.data.text import Tokenizer
from jaxalign.models.heads import Scorer
from jaxalign.ranges import Signed
from jaxalign.rl.sample import Sampled
from jaxalign.sealing import shown
from jaxalign.sharding.alphabet import spec

_Score = Callable[[Sampled], jax.Array]  # to score_B
_Reader = tuple[Tokenizer, dialogues.Format]  # by which a model reads text


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Judge:
  """What gives a score, and what it counts beside the others."""

  by: str | collections.abc.Callable  # a workdir of stage reward; or (prompt, answer) -> number
  weight: Signed = 1.0
  called: str = ''  # in the metrics; none: the function's name, or the workdir's
  apart: bool = False  # in a program of its own, so that the rollout's is the same without it

  @property
  def name(self) -> str:
    if self.called:
      return self.called
    if isinstance(self.by, str):
      return self.by.rstrip('/').split('/')[-1]
    return shown(self.by).split('.')[-1]


class Row(NamedTuple):
  """A prompt and the answer it got: ids, without padding; the answer with its end token."""

  prompt: list[int]
  answer: list[int]
  finished: bool


def rows_here(samples: Sampled) -> dict[int, Row]:
  """{row of the batch: Row} of the rows that this process' devices hold."""
  tokens, segments, lengths, finished = (
    mine(x) for x in (samples.tokens_BT, samples.segment_BT, samples.length_B, samples.finished_B)
  )
  slots = samples.response_BR.shape[1]

  def one(n):
    prompt, answer = tokens[n][:-slots], tokens[n][-slots:]
    prompt = prompt[segments[n][:-slots] != 0]
    return Row(prompt.tolist(), answer[: int(lengths[n])].tolist(), bool(finished[n]))

  return {n: one(n) for n in sorted(tokens)}


def mine(array: jax.Array) -> dict[int, np.ndarray]:
  """{row: its values} of the rows that lie on this process' devices."""
  found: dict[int, np.ndarray] = {}
  for shard in array.addressable_shards:
    start = shard.index[0].start or 0
    if start not in found:  # the same rows lie on every device of a 'tensor' axis
      found |= {start + n: row for n, row in enumerate(np.asarray(shard.data))}
  return found


def _placed(values, rows, mesh):
  """A global array of `rows` rows, spread as batches are, from {row: its value here}."""
  some = np.asarray(next(iter(values.values())))
  sharding = NamedSharding(mesh, spec('B' + '-' * some.ndim))

  def part(index):
    return np.stack([values[n] for n in range(rows)[index[0]]])

  return jax.make_array_from_callback((rows, *some.shape), sharding, part)


def texts(tokenizer: Tokenizer, row: Row) -> tuple[str, str]:
  """(prompt, answer) as text; the end token and other control tokens are none of it."""
  answer = row.answer[:-1] if row.finished else row.answer
  return tokenizer.decode(row.prompt), tokenizer.decode_continuation(row.prompt, answer)


def by_function(judge: Judge, tokenizer: Tokenizer, mesh: Mesh) -> _Score:
  """Scorer by a function of text; a row without a prompt is not asked about."""

  def score(samples):
    values = {
      n: np.float32(ask(judge, texts(tokenizer, row)) if row.prompt else 0)
      for n, row in rows_here(samples).items()
    }
    return _placed(values, samples.length_B.shape[0], mesh)

  return score


def ask(judge: Judge, pair: tuple[str, str]) -> float:
  """What a user's function says of a text; whatever is wrong with it is one line with its name."""
  assert not isinstance(judge.by, str), judge.by  # what a workdir holds is not asked
  answer = repr(pair[1] if len(pair[1]) < 60 else pair[1][:60] + '...')
  try:
    value = judge.by(*pair)
  except Exception as error:
    what = f'failed with {type(error).__name__}: {error}, on the answer {answer}'
    raise UserError(f'judge {judge.name} {what}') from error
  return _number(f'judge {judge.name} gave', value, f'for the answer {answer}')


def _number(who, value, where):
  if isinstance(value, np.ndarray | np.generic) and np.ndim(value) == 0:
    value = value.item()
  if not isinstance(value, numbers.Real):
    size = f' of {len(value)}' if hasattr(value, '__len__') else ''
    raise UserError(
      f'{who} a {type(value).__name__}{size}, not one number, {where}: it is asked about one text '
      'at a time'
    )
  if not abs(value) <= float(np.finfo(np.float32).max):  # which is what it becomes
    raise UserError(
      f'{who} {value} {where}: make it give a finite number to any text, an empty one too'
    )
  return float(value)


def by_text(
  judge: Judge, scorer: Scorer, theirs: _Reader, ours: _Reader, length: int, mesh: Mesh
) -> _Score:
  """Scorer by a reward model with a (tokenizer, format) of its own: the conversation is read back
  out of our tokens, and written anew in its template; control tokens come once."""
  most = min(length, scorer.decoder.cfg.length)

  def score(samples):
    found = rows_here(samples)
    ids_of = {n: rewritten(x, theirs, ours) if x.prompt else [0] for n, x in found.items()}
    tokens, segments = {}, {}
    for n, ids in ids_of.items():
      tokens[n] = np.zeros(most, np.int32)
      tokens[n][: len(ids)] = ids[-most:]
      segments[n] = (np.arange(most) < len(ids)).astype(np.int32)
    cut = sum(len(ids) > most for ids in ids_of.values())
    if cut:
      many = f'{cut} of {len(ids_of)} texts have more than {most} tokens in its template'
      logging.warning('judge %s: %s; of these it reads the last alone', judge.name, many)
    rows = samples.length_B.shape[0]
    return _read(scorer, _placed(tokens, rows, mesh), _placed(segments, rows, mesh))

  return score


@jax.jit
def _read(scorer, tokens_BT, segment_BT):
  return scorer(tokens_BT, segment_BT)


def rewritten(row: Row, theirs: _Reader, ours: _Reader) -> list[int]:
  """The ids by which a judge of another (tokenizer, format) reads this row."""
  tokenizer, form = ours
  assert isinstance(form, ChatFormat)  # check_readable sees to it
  lead = form.answer.partition('{answer}')[0]
  answer = Turn('assistant', texts(tokenizer, row)[1].removeprefix(lead))
  talk = Conversation((*dialogues.turns_of(form, tokenizer, row.prompt), answer))
  whole = dialogues.encode(theirs[1], theirs[0], talk)
  ids = whole.tokens.tolist()
  end = int(np.flatnonzero(whole.weight)[-1])  # the last that is learned
  return ids[: end + 1] if row.finished else ids[:end]  # a text that was cut off has no end


def check_readable(
  judge: Judge, theirs: tuple[Tokenizer, dialogues.Format | None], ours: _Reader
) -> None:
  """Before anything is spent: whether what our template writes can be read back out of it."""
  tokenizer, form = ours
  if theirs[1] is None:
    raise UserError(
      f'judge {judge.name} has another tokenizer than the policy, and no template to write its '
      'text with: train it by stage reward, which keeps its template'
    )
  if not isinstance(form, ChatFormat):
    raise UserError(
      f'judge {judge.name} reads {theirs[1].name} by {theirs[0]}, and the turns of a conversation '
      "cannot be read back out of a chat template of a model, which is the policy's format: take a "
      'judge that was trained on this template (format=chat.OWN and the same tokenizer), or give '
      'both a format of ours, as chat.CHATML'
    )
  turns = (Turn('user', 'one'), Turn('assistant', 'two'), Turn('user', 'three'))
  read = dialogues.turns_of(form, tokenizer, dialogues.prompt(form, tokenizer, turns).tolist())
  if read != turns:
    raise UserError(
      f'judge {judge.name} reads another template than format {form.name}, out of which the turns '
      'of a conversation cannot be read back: take a judge that was trained on this format'
    )
