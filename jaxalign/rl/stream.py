"""A running batch: rows join and leave between pieces of a few tokens, over one carried cache.

All rows fill the same slots. A row that joins brings its prompt's keys and values, read apart, and
lays them down so that they end where the others are; slots before them stay empty. When the slots
are used up, what no row needs any more is dropped and the rest moves to the left. So few programs
serve any number of rows: one for each width of prompts, one for a piece, one to move.
"""

import dataclasses
import zlib
from collections.abc import Sequence

import numpy as np

from jaxalign.models.decoder import Decoder
from jaxalign.rl import stream_step
from jaxalign.rl.sample import bucket, left_pad, to_every_host
from jaxalign.sharding.layout import mesh_of, on_mesh

PIECE = 16  # tokens between two looks at who has ended and who waits


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
  """A prompt, and how it is continued. Equal requests get equal answers, wherever they stand."""

  prompt: tuple[int, ...]
  length: int  # tokens at most
  temperature: float = 1.0  # 0: greedy
  top_k: int | None = None
  top_p: float | None = None
  seed: int = 0
  draw: int = 0  # which of several answers to one prompt: the third is the third in any call


@dataclasses.dataclass(frozen=True)
class Piece:
  """What a row was given in one step: tokens, their logprobs, and whether that was the last."""

  request: Request
  row: int
  tokens: list[int]
  logprobs: list[float]
  ended: bool  # by an end token
  full: bool  # by its length


class Stream:
  """A batch of `rows` rows of at most `slots` slots, prompt and answer and padding together.

  Every process of a pod calls the same methods with the same requests, in the same order.
  """

  def __init__(
    self,
    model: Decoder,
    *,
    rows: int,
    slots: int,
    widths: Sequence[int] = (),
    at_once: int = 0,
    truncates: bool | None = None,
    prefix: Sequence[int] = (),
  ):
    """A stream without requests yet.

    widths: of prompts as they are read, the prefix left out; (): powers of two.
    at_once: prompts that are read together; 0: as many as come, rounded up.
    truncates: whether any request has a top_k or a top_p; None: it is looked at.
    prefix: how every prompt begins, read once.
    """
    self._mesh, self._prefix = mesh_of(model), tuple(prefix)
    self._widths, self._at_once, self._always = sorted(widths), at_once, truncates
    ways = self._mesh.shape['data'] * self._mesh.shape['fsdp'] if self._mesh else 1
    self.rows, self._ways, self.slots = -(-rows // ways) * ways, ways, slots
    self._requests: list[Request | None] = [None] * self.rows
    self._starts = [0] * self.rows  # each live row's first slot
    self._given = [0] * self.rows
    self._filled = 0
    with on_mesh(self._mesh):
      self._model = model.at_hand(self.rows)
    self._state: stream_step.Rows | None = None
    self._gone = np.zeros(self.rows, bool)  # left before their end

  @property
  def free(self) -> int:
    return sum(request is None for request in self._requests)

  @property
  def live(self) -> int:
    return self.rows - self.free

  def join(self, requests: Sequence[Request]) -> list[Piece]:
    """The first piece of each of these requests, at most as many as rows are free: prompts are
    read, equal ones once, and the first tokens drawn."""
    if not requests:
      return []
    rows = [n for n, request in enumerate(self._requests) if request is None][: len(requests)]
    if len(rows) < len(requests):
      raise ValueError(f'{len(requests)} requests for {len(rows)} free rows')
    prompts = list(dict.fromkeys(request.prompt for request in requests))
    cut = len(self._prefix)
    width = self._width(max(len(prompt) for prompt in prompts) - cut)
    self._make_room(max(cut + width, self._filled), requests)
    of = [prompts.index(request.prompt) for request in requests]
    count = bucket(len(prompts), least=max(self._ways, self._at_once))
    read = left_pad([p[cut:] for p in prompts] + [()] * (count - len(prompts)), width)
    from_B = np.full(self.rows, -1, np.int32)
    from_B[rows] = of
    with on_mesh(self._mesh):
      state = self._state or stream_step.empty(self._model, self.rows, self.slots)
      asked = from_B, self._how(dict(zip(rows, requests)))
      static = self._prefix, self._truncates(requests)
      self._state, first_B, logprob_B = stream_step.join(
        self._model, state, *read, *asked, np.int32(self._filled), *static
      )
    self._gone[rows] = False
    tokens, logprobs = to_every_host(first_B, logprob_B)
    found = []
    for row, request in zip(rows, requests):
      self._requests[row], self._given[row] = request, 0
      self._starts[row] = self._filled - cut - width
      found.append(self._piece(row, [int(tokens[row])], [float(logprobs[row])]))
    return found

  def step(self, tokens: int = PIECE) -> list[Piece]:
    """A piece for each live row: up to so many tokens more."""
    if not self.live:
      return []
    self._make_room(self._filled + tokens, ())
    with on_mesh(self._mesh):
      truncates = self._truncates([request for request in self._requests if request])
      out = stream_step.advance(self._model, self._state, self._gone, tokens, truncates)
      self._state, *arrays, steps = out
      tokens_BR, logprob_BR, length_B, steps = to_every_host(*arrays, steps)
    self._filled += int(steps)
    return [
      self._piece(row, tokens_BR[row, :n].tolist(), logprob_BR[row, :n].tolist())
      for row, n in enumerate(length_B)
      if self._requests[row] is not None
    ]

  def leave(self, row: int) -> None:
    """Frees a row before its end: whoever asked has gone, or its text holds a stop string."""
    self._requests[row] = None
    self._gone[row] = True

  def _piece(self, row: int, tokens: list[int], logprobs: list[float]) -> Piece:
    request = self._requests[row]
    assert request is not None
    self._given[row] += len(tokens)
    ended = bool(tokens) and tokens[-1] in self._model.cfg.eos
    full = not ended and self._given[row] >= request.length
    if ended or full:
      self._requests[row] = None
    return Piece(request, row, tokens, logprobs, ended, full)

  def _make_room(self, needed: int, requests: Sequence[Request]) -> None:
    """Sees to it that slots up to `needed` are there, dropping those that no live row needs."""
    live = [self._starts[n] for n, request in enumerate(self._requests) if request is not None]
    if not live:
      self._state, self._filled = None, needed if requests else 0
      return
    if needed <= self.slots:
      if requests and needed > self._filled:
        self._shift(self._filled - needed)
      return
    self._shift(min(live))
    if needed - min(live) > self.slots:
      raise ValueError('the slots are used up')

  def _shift(self, by: int) -> None:
    """Moves everything to the left by so many slots; to the right if negative."""
    with on_mesh(self._mesh):
      self._state = stream_step.shifted(self._state, np.int32(by))
    self._starts = [start - by for start in self._starts]
    self._filled -= by

  def _width(self, length: int) -> int:
    return next((width for width in self._widths if width >= length), bucket(length))

  def _truncates(self, requests: Sequence[Request]) -> bool:
    return truncates(requests) if self._always is None else self._always

  def _how(self, requests: dict[int, Request]) -> dict[str, np.ndarray]:
    """What each row that joins asks for."""
    B, vocab = self.rows, self._model.cfg.vocab
    how: dict[str, np.ndarray] = dict(
      length_B=np.ones(B, np.int32),
      temperature_B=np.zeros(B, np.float32),
      top_k_B=np.full(B, vocab, np.int32),
      top_p_B=np.ones(B, np.float32),
    )
    key_B = np.zeros((3, B), np.uint32)  # seed, content of the prompt, draw
    for row, request in requests.items():
      how['length_B'][row] = request.length
      how['temperature_B'][row] = request.temperature
      how['top_k_B'][row] = min(request.top_k or vocab, vocab)
      how['top_p_B'][row] = request.top_p or 1.0
      content = zlib.crc32(np.asarray(request.prompt, np.int32).tobytes())
      key_B[:, row] = request.seed, content, request.draw
    return how | dict(key_3B=key_B)


def truncates(requests: Sequence[Request]) -> bool:
  """Whether any of these draws from less than the whole distribution, which costs a sort."""
  return any(r.temperature and (r.top_k or r.top_p not in (None, 1.0)) for r in requests)
