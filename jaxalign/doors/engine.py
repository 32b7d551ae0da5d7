"""The thread that owns a running batch, for whoever asks from other threads."""

import collections
import dataclasses
import queue
import threading
import time
from collections.abc import Callable, Sequence

from jaxalign.config import UserError
from jaxalign.doors.opening import Opened
from jaxalign.doors.scoring import Scores, scores
from jaxalign.rl.answers import Answer, Reading, misfit
from jaxalign.rl.sample import bucket
from jaxalign.rl.stream import PIECE, Piece, Request, Stream


class Full(Exception):
  """Nobody more may wait."""


class Broken(Exception):
  """Nobody is answered any more; the log says why."""


_BROKE = 'the server broke; its log says why'


class Job:
  """An answer that is being written: what came of it goes to `tell`, as (text, Answer or None)."""

  def __init__(
    self,
    request: Request,
    stops: Sequence[str],
    tell: Callable[[str, Answer | None], None],
    *,
    scored: bool = False,
  ):
    """scored: its end comes with the scores of prompt and answer."""
    self.request, self.stops, self.scored, self._tell = request, stops, scored, tell
    self.gone = False  # whoever asked has left
    self.reading: Reading | None = None
    self.scores: Scores | None = None

  def tell(self, text: str, answer: Answer | None) -> None:
    if not self.gone:
      self._tell(text, answer)


@dataclasses.dataclass
class _Counts:
  """What the engine has done, for /metrics."""

  asked: int = 0
  answered: int = 0
  left: int = 0
  failed: int = 0
  prompt_tokens: int = 0
  tokens: int = 0


class Engine:
  """Rows of one batch for all who ask; the rest wait, at most `waiting` of them."""

  def __init__(self, guest: Opened, *, rows: int, limit: int, waiting: int):
    """limit: tokens of a prompt and its answer together."""
    self.guest, self.limit, self.most = guest, limit, waiting
    slots = bucket(limit) + bucket(limit) // 2 + PIECE
    self._stream = Stream(guest.model, rows=rows, slots=slots, at_once=1)
    self._live: dict[int, Job] = {}
    self._waiting: collections.deque[Job] = collections.deque()
    self._inbox: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
    self._lock = threading.Lock()
    self._draining = threading.Event()
    self._pending = 0  # asked, and not yet in a row
    self.counts = _Counts()
    self.broken: str | None = None
    self._thread = threading.Thread(target=self._run, name='engine', daemon=True)
    self._thread.start()

  def refuse(self, request: Request) -> str | None:
    """Why a request cannot be answered here, or None."""
    n = len(request.prompt)
    if n + request.length > self.limit:
      return (
        f'a prompt of {n} tokens and max_tokens={request.length} are more than the {self.limit} '
        'that this server takes together'
      )
    return misfit(self.guest.model, request)

  def ask(self, jobs: Sequence[Job]) -> None:
    """Puts jobs in the queue, all or none."""
    with self._lock:
      if self.broken:
        raise Broken(_BROKE)
      if self._draining.is_set() or self.depth + len(jobs) > self.most:
        raise Full
      self.counts.asked += len(jobs)
      self.counts.prompt_tokens += sum(len(job.request.prompt) for job in jobs)
      self._pending += len(jobs)
      for job in jobs:
        self._inbox.put(job)

  @property
  def depth(self) -> int:
    """How many wait for a row."""
    return self._pending

  @property
  def live(self) -> int:
    """How many answers are being written."""
    return len(self._live)

  def drain(self, seconds: float) -> bool:
    """Takes no more, and waits until all that was asked is answered; whether it is."""
    self._draining.set()
    until = time.monotonic() + seconds
    while (self._pending or self._live) and time.monotonic() < until and not self.broken:
      time.sleep(0.05)
    done = not (self._pending or self._live)
    self._inbox.put(None)
    self._thread.join(timeout=5)
    return done

  def _run(self) -> None:
    try:
      while self._turn():
        pass
    except Exception as error:  # of the device or the compiler: everybody is told, /health says it
      with self._lock:  # whoever asks from now on is told at once
        self.broken = ' '.join(f'{type(error).__name__}: {error}'.split())[:300]
        waiting = [*self._live.values(), *self._waiting]
        while not self._inbox.empty():
          waiting += [job for job in [self._inbox.get()] if job is not None]
        self._live, self._pending = {}, 0
      for job in dict.fromkeys(waiting):  # the one that had just begun stands in both
        self._end(job, _failed(_BROKE))
      raise

  def _turn(self) -> bool:
    """One look at who waits, one piece for all; False at the end."""
    idle = not (self._live or self._waiting)
    while idle or not self._inbox.empty():
      job = self._inbox.get()
      if job is None:
        return False
      self._waiting.append(job)
      idle = False
    for row, job in list(self._live.items()):
      if job.gone:
        self._stream.leave(row)
        self._drop(row)
    for _ in range(self._stream.rows):  # then the others get their piece
      if not (self._waiting and self._stream.free):
        break
      with self._lock:
        self._pending -= 1
      self._begin(self._waiting[0])
      self._waiting.popleft()  # only now: whose beginning breaks everything is told so
    for piece in self._stream.step():
      self._take(piece)
    return True

  def _begin(self, job: Job) -> None:
    if job.gone:
      self.counts.left += 1
      return
    if not job.request.length:  # the prompt alone is asked about
      answer = Answer(tokens=[], logprobs=[], text='', why='length')
      self._score(job, answer)
      self._end(job, answer)
      return
    job.reading = Reading(self.guest.tokenizer, job.request, job.stops)
    (piece,) = self._stream.join([job.request])
    self._live[piece.row] = job
    self._take(piece)

  def _take(self, piece: Piece) -> None:
    job = self._live.get(piece.row)
    if job is None:
      return
    assert job.reading is not None
    self.counts.tokens += len(piece.tokens)
    text = job.reading.take(piece)
    if not job.reading.why:
      job.tell(text, None)
      return
    if not (piece.ended or piece.full):
      self._stream.leave(piece.row)
    answer = job.reading.answer()
    self._score(job, answer)  # before it leaves the live, who are told if this breaks
    del self._live[piece.row]
    self._end(job, answer, text)

  def _drop(self, row: int) -> None:
    del self._live[row]
    self.counts.left += 1

  def _score(self, job: Job, answer: Answer) -> None:
    if job.scored and not job.gone:
      request = job.request
      whole = *request.prompt, *answer.tokens
      job.scores = scores(self.guest.model, whole, len(request.prompt), request.temperature)

  def _end(self, job: Job, answer: Answer, text: str = '') -> None:
    self.counts.failed += answer.why == 'error'
    self.counts.answered += answer.why != 'error'
    job.tell(text, answer)


def _failed(why: str) -> Answer:
  return Answer(tokens=[], logprobs=[], text=None, why='error', error=why)


def sizes(guest: Opened, limit: int | None) -> int:
  """Tokens that a prompt and its answer may have together: what was asked for, or the model's."""
  longest = guest.model.cfg.length
  if limit is not None and not 2 <= limit <= longest:
    raise UserError(f'--tokens={limit}: from 2 to the {longest} positions of this model')
  return min(limit or 4096, longest)
