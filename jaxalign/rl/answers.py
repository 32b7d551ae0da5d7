"""Answers to any number of prompts, through a running batch of constant size."""

import collections
import dataclasses
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

from jaxalign.data.text import Tokenizer
from jaxalign.models.decoder import Decoder
from jaxalign.rl.sample import bucket
from jaxalign.rl.stream import PIECE, Piece, Request, Stream, truncates

AT_ONCE = 8  # prompts read together
_PROGRAMS = 3  # widths in which prompts are read: each is a program to compile
_SHARED = 32  # tokens that all prompts begin with, from which they are read once for all

_Why = Literal['end', 'stop', 'length', 'error']


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
  """What was said to one request, and why it ended there; or the error why nothing was."""

  tokens: list[int]
  logprobs: list[float]
  text: str | None  # None without a tokenizer
  why: _Why
  error: str | None = None


class Reading:
  """The text of an answer as its tokens come: what is safe to show, and whether it has stopped."""

  def __init__(self, tokenizer: Tokenizer | None, request: Request, stops: Sequence[str]):
    self._tokenizer, self._request = tokenizer, request
    self._stops = [stop for stop in stops if stop]
    self.tokens: list[int] = []
    self.logprobs: list[float] = []
    self.text = ''
    self._shown = 0
    self.why: _Why | None = None

  def take(self, piece: Piece) -> str:
    """The text that may be shown now: half a character and the start of a stop string wait."""
    self.tokens += piece.tokens
    self.logprobs += piece.logprobs
    self.why = 'end' if piece.ended else 'length' if piece.full else None
    if self._tokenizer is None:
      return ''
    self.text = self._tokenizer.decode_continuation(self._request.prompt, self.tokens)
    found = [at for at in (self.text.find(stop) for stop in self._stops) if at >= 0]
    if found:
      self.text, self.why = self.text[: min(found)], 'stop'
    safe = len(self.text) if self.why else len(self.text) - self._held()
    new, self._shown = self.text[self._shown : safe], max(self._shown, safe)
    return new

  def _held(self) -> int:
    whole = len(self.text.rstrip('\ufffd'))
    starts = [
      n for stop in self._stops for n in range(1, len(stop)) if self.text[:whole].endswith(stop[:n])
    ]
    return len(self.text) - whole + max(starts, default=0)

  def answer(self) -> Answer:
    """The whole of it, once it has ended."""
    assert self.why is not None
    text = None if self._tokenizer is None else self.text
    return Answer(tokens=self.tokens, logprobs=self.logprobs, text=text, why=self.why)


def answers(
  model: Decoder,
  requests: Sequence[Request],
  *,
  rows: int = 16,
  stops: Sequence[str] = (),
  like: Sequence[Request] = (),
) -> Iterator[tuple[int, Answer]]:
  """(place of a request, its answer), as they end; one that cannot be answered ends no other.

  like: requests of which these are what is left: all of them are read by the same programs.
  """
  requests = list(requests)
  fits = []
  for n, request in enumerate(requests):
    if why := misfit(model, request):
      yield n, Answer(tokens=[], logprobs=[], text=None, why='error', error=why)
    else:
      fits.append(n)
  if not fits:
    return
  waiting = sorted(fits, key=lambda n: -len(requests[n].prompt))
  shaping = [one for one in like if not misfit(model, one)]
  stream = Stream(model, **shape_of(model, shaping or [requests[n] for n in waiting], rows))
  live: dict[int, tuple[int, Reading]] = {}
  enough = max(1, min(AT_ONCE, stream.rows // 2))  # free rows, for which prompts are read
  while waiting or live:
    pieces: list[Piece] = []
    if waiting and (stream.free >= min(enough, len(waiting)) or not live):
      now = waiting[: min(stream.free, AT_ONCE)]
      waiting = waiting[len(now) :]
      joined = stream.join([requests[n] for n in now])
      for n, piece in zip(now, joined):
        live[piece.row] = n, Reading(model.tokenizer, requests[n], stops)
      pieces += joined
    if not pieces:
      pieces = stream.step()
    for piece in pieces:
      n, reading = live[piece.row]
      reading.take(piece)
      if reading.why:
        if not (piece.ended or piece.full):
          stream.leave(piece.row)
        del live[piece.row]
        yield n, reading.answer()


def shape_of(model: Decoder, requests: Sequence[Request], rows: int) -> dict[str, Any]:
  """What a Stream that answers these is given beside the model: its programs are those of that."""
  shared = _shared(requests) if model.cfg.window is None else ()  # it would count their padding
  widths = best_widths([len(request.prompt) - len(shared) for request in requests])
  longest = max(request.length for request in requests)
  return dict(
    rows=min(rows, bucket(len(requests), least=1)),
    slots=len(shared) + widths[-1] + longest + PIECE,
    widths=widths,
    at_once=min(AT_ONCE, rows),
    truncates=truncates(requests),
    prefix=shared,
  )


def misfit(model: Decoder, request: Request) -> str | None:
  """Why a request can never be answered by this model; None if it can."""
  n, cfg = len(request.prompt), model.cfg
  if not n:
    return 'the prompt is empty: give at least one token, the start token for instance'
  if not 0 <= min(request.prompt) <= max(request.prompt) < cfg.vocab:
    return f'a token id lies outside the vocabulary of {cfg.vocab}'
  if n + request.length > cfg.length:
    return (
      f'a prompt of {n} tokens and length={request.length} do not fit the {cfg.length} positions '
      'that this model was trained on'
    )
  return None


def _shared(requests: Sequence[Request]) -> tuple[int, ...]:
  """Tokens that all prompts begin with, if they are many; each keeps one of its own at least."""
  prompts = {request.prompt for request in requests}
  if len(prompts) < 2:
    return ()
  common = os.path.commonprefix([min(prompts), max(prompts)])
  cut = min(len(common), min(map(len, prompts)) - 1)
  return tuple(common[:cut]) if cut >= _SHARED else ()


def best_widths(lengths: Iterable[int], most: int = _PROGRAMS, step: int = 16) -> list[int]:
  """At most so many widths, multiples of `step`, that leave the fewest slots of padding."""
  count = collections.Counter(-(-length // step) * step for length in lengths)
  sizes = sorted(count)
  rows = [0, *itertools.accumulate(count[size] for size in sizes)]  # of the sizes before each
  best: dict[tuple[int, int], tuple[int, list[int]]] = {(0, 0): (0, [])}
  for used in range(1, most + 1):
    for end in range(1, len(sizes) + 1):
      options = [
        (cost + sizes[end - 1] * (rows[end] - rows[start]), [*chosen, sizes[end - 1]])
        for start in range(end)
        if (found := best.get((used - 1, start))) is not None
        for cost, chosen in [found]
      ]
      if options:
        best[used, end] = min(options)
  return min(value for (_, end), value in best.items() if end == len(sizes))[1]
