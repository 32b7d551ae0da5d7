"""Http: a teacher behind an address that speaks OpenAI's interface, hosted or our own machine's.

An answer is a text that is there and whole: what is empty, cut off or of another form is one try
more. Each try is paid for and paced by itself, and the key comes from the environment alone.
"""

import dataclasses
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from jaxalign.config import UserError
from jaxalign.corpora.pace import Pace, Pacer
from jaxalign.corpora.purse import Purse
from jaxalign.corpora.records import Answer, Call, Failure, Sampling
from jaxalign.endpoint import Asked, Client, Endpoint, EndpointError
from jaxalign.endpoint_answers import FOR_NOBODY, texts
from jaxalign.ranges import Range, Signed, Whole

_MILLION = 1_000_000
_PER_TURN, _PER_CALL = 16, 16  # tokens of a chat template, at most
_OWN = {200, 400, 413, 422}  # statuses that speak of one call, not of the server
_TOP = 20  # log-probabilities that a server gives at most
_IN_A_ROW = 20  # calls without an answer, after which nobody goes on paying
_THINKS = re.compile(r'\A\s*<think>(?!.*</think>)', re.DOTALL)  # to the end
_THOUGHTS = re.compile(r'\A\s*<think>.*?</think>\s*', re.DOTALL)
_Dollars = Annotated[float, Range(at_least=0, below=1e9)]  # a million tokens


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Http:
  """Where a teacher answers, what it costs and how fast it may be asked.

  Http(endpoint=Endpoint(url='http://127.0.0.1:8000/v1', model='Qwen/Qwen3-32B', threads=64))
  """

  endpoint: Endpoint
  price: tuple[_Dollars, _Dollars] | None = None  # dollars a million tokens read, written
  pace: Pace = dataclasses.field(default_factory=Pace)
  samplings: tuple[tuple[str, Sampling], ...] = ()  # (a step, how its answers are drawn)
  otherwise: Sampling = Sampling()  # of the steps not named
  length_field: Literal['max_tokens', 'max_completion_tokens'] = 'max_tokens'
  extra: tuple[tuple[str, str | Whole | Signed | bool], ...] = ()  # more of the body, by name

  def check(self) -> None:
    taken = {'model', 'messages', 'stream', 'n', self.length_field}
    if bad := [name for name, _ in self.extra if name in taken]:
      raise UserError(f'extra names {bad[0]}, which the teacher itself sets: leave it out')

  @property
  def name(self) -> str:
    """The model, and what else decides its answers; not the address and not the key."""
    return self.endpoint.model + (f' {json.dumps(dict(self.extra))}' if self.extra else '')

  def opened(
    self, purse: Purse | None = None, *, sleep: Callable[[float], None] = time.sleep
  ) -> 'Teacher':
    """The teacher; an empty key, or a limit that cannot be kept, is refused here."""
    if purse is not None:
      purse.refuse_unpriced(self.name, self.price)
    threads = self.endpoint.threads
    more = dataclasses.replace(self.endpoint, threads=min(1024, threads + (threads + 1) // 2))
    client = Client(more, sleep=sleep)  # those that wait to try again hold no place
    client.refuse_key()
    return Teacher(self, client, purse or Purse(None), sleep)


class Teacher:
  """Http with its client; see records.Teacher."""

  reads_prompts = True

  def __init__(
    self, cfg: Http, client: Client, purse: Purse, sleep: Callable[[float], None] = time.sleep
  ):
    self.cfg, self.name = cfg, cfg.name
    self._client, self._purse, self._sleep = client, purse, sleep
    self._sampling = dict(cfg.samplings)
    self._answered = False  # anything so far
    self._pacer = Pacer(cfg.pace, cfg.endpoint.threads, time.monotonic)

  def sampling(self, step: str) -> Sampling:
    """How answers to a step are drawn."""
    return self._sampling.get(step, self.cfg.otherwise)

  def price(self, call: Call) -> float | None:
    """Dollars of one try, at most."""
    return None if self.cfg.price is None else self._cost(*_most(call))

  def answers(self, calls: Sequence[Call]) -> Iterator[Answer | Failure]:
    """An Answer or a Failure of each call, as they come; all that was paid for comes first.

    Raises where nobody is answered, where the purse is empty, and where call after call fails.
    """
    sent: dict[int, _Sent] = {}
    lost, last = 0, None
    self._pacer.turnstile.open()
    try:
      for n, came in self._client.answers(self._bodies(calls, sent)):
        one = sent.pop(n)
        if not isinstance(came, EndpointError):
          lost, self._answered = 0, True
          yield self._answer(one, came)
        elif one.tried:
          lost += 1
          yield one.failure(came)
          if last is None and (last := self._silence(came, lost)):
            self._pacer.turnstile.end()  # what is on its way still comes
    except EndpointError as error:
      last = error
    finally:
      self._pacer.turnstile.end()
    if last is not None:
      yield from (one.failure(last) for one in sent.values() if one.tried)
      raise last

  def _silence(self, error: EndpointError, lost: int) -> EndpointError | None:
    """Why no more is asked, where call after call stays without an answer."""
    if not self._answered and error.status not in _OWN:
      return error  # the first of all: nobody is there
    if lost < max(_IN_A_ROW, 2 * self.cfg.endpoint.threads):
      return None
    return EndpointError(
      f'{lost} calls in a row were not answered; what came is kept, and the same command goes on. '
      f'The last: {error}',
      error.status,
    )

  def _bodies(self, calls: Sequence[Call], sent: 'dict[int, _Sent]') -> 'Iterator[_Sent]':
    for n, call in enumerate(calls):
      sent[n] = _Sent(call, self._body(call), self)
      yield sent[n]

  def _body(self, call: Call) -> dict[str, Any]:
    how = call.sampling
    body: dict[str, Any] = dict(
      messages=[dict(role=turn.role, content=turn.text) for turn in call.turns],
      temperature=how.temperature,
      seed=(int(call.id[:8], 16) ^ how.seed) >> 1,  # of equal prompts each gets its own
    )
    body[self.cfg.length_field] = how.length
    if how.top_p is not None:
      body['top_p'] = how.top_p
    if call.task.options:
      body |= dict(logprobs=True, top_logprobs=_TOP)
    return body | dict(self.cfg.extra)

  def _answer(self, one: '_Sent', came: Mapping[str, Any]) -> Answer:
    model = came.get('model')
    return Answer(
      call=one.call.id,
      text=_said(came),
      model=model if isinstance(model, str) else self.cfg.endpoint.model,
      logprobs=_logprobs(came, one.call.task.options),
      **one.used,
    )

  def _cost(self, read: int, written: int) -> float:
    """Dollars of so many tokens; 0 where the price is not known."""
    of_read, of_written = self.cfg.price or (0.0, 0.0)
    return (read * of_read + written * of_written) / _MILLION

  # ---- each try, from its own thread

  def enter(self, tokens: int, cost: float) -> int:
    """Waits until one more try may go; its mark at the turnstile. Spent where it may not."""
    mark = self._pacer.turnstile.enter()
    try:
      if wait := self._pacer.wait_for(tokens):
        self._sleep(wait)
        self._pacer.turnstile.refuse_ended()
      self._purse.reserve(cost)
    except BaseException:
      self._pacer.turnstile.leave(mark, answered=False, limited=False)
      raise
    return mark

  def leave(self, mark: int, most: tuple[int, int], used: tuple[int, int], status: Any) -> float:
    """Dollars of a try that ended."""
    cost = self._cost(*used)
    self._purse.settle(self._cost(*most), cost)
    self._pacer.used(_expected(*most), sum(used))
    turnstile = self._pacer.turnstile
    if status in FOR_NOBODY:
      turnstile.end()  # before anybody else takes the place
    turnstile.leave(mark, answered=status in _OWN, limited=status == 429)
    return cost


class _Sent(Asked):
  """A call on its way: each try waits for its turn, and is paid for."""

  def __init__(self, call: Call, body: dict[str, Any], teacher: Teacher):
    super().__init__(body)
    self.call, self._teacher = call, teacher
    self._most = _most(call)
    self._mark = self.tried = 0
    self._read = self._written = 0
    self._cost = 0.0

  @property
  def used(self) -> dict[str, Any]:
    """Tokens and dollars of all its tries."""
    priced = self._teacher.cfg.price is not None
    return dict(read=self._read, written=self._written, cost=self._cost if priced else None)

  def failure(self, error: EndpointError) -> Failure:
    """The call, as one that was not answered."""
    return Failure(call=self.call.id, why=str(error), **self.used)

  def before(self) -> None:
    cost = self._teacher._cost(*self._most)
    self._mark = self._teacher.enter(_expected(*self._most), cost)

  def after(self, status: int | None, answer: Mapping[str, Any] | None, sent: bool) -> None:
    self.tried += 1
    used = (0, 0)
    if status == 200 or (status is None and sent):
      used = _usage(answer) or self._most  # who does not say what it took may have taken all
    self._read, self._written = self._read + used[0], self._written + used[1]
    self._cost += self._teacher.leave(self._mark, self._most, used, status)

  def why_not(self, answer: Mapping[str, Any]) -> str:
    how_ended = answer['choices'][0].get('finish_reason')
    why = ''
    if how_ended == 'length':
      length = self.call.sampling.length
      why = f'cut off at {length} tokens: more length for step {self.call.task.step} would help'
    elif how_ended == 'content_filter':
      why = 'held back by the content filter of the server'
    elif not _said(answer):
      why = 'an empty answer'
    if why:  # the same draw would be the same answer
      self.body = dict(self.body, seed=(self.body['seed'] + 1) % 2**31)
    return why


def _most(call: Call) -> tuple[int, int]:
  """(tokens read, tokens written) by one try, at most: no text has more tokens than bytes."""
  told = sum(len(turn.text.encode(errors='replace')) + _PER_TURN for turn in call.turns)
  return told + _PER_CALL, call.sampling.length


def _expected(read: int, written: int) -> int:
  """What a server counts before it knows: four bytes a token, and all that may be written."""
  return read // 4 + written


def _usage(answer: Mapping[str, Any] | None) -> tuple[int, int] | None:
  usage = answer.get('usage') if answer else None
  if not isinstance(usage, dict):
    return None
  counts = [usage.get('prompt_tokens'), usage.get('completion_tokens')]
  if not all(isinstance(n, int) and 0 <= n < 2**31 for n in counts):
    return None
  return counts[0], counts[1]  # type: ignore[return-value]


def _said(answer: Mapping[str, Any]) -> str:
  """What was answered."""
  return spoken(texts(answer)[0].encode('utf-16', 'surrogatepass').decode('utf-16', 'replace'))


def spoken(text: str) -> str:
  """A text without the thoughts that a model wrote in front of it; '' where it only thought."""
  return '' if _THINKS.match(text) else _THOUGHTS.sub('', text).strip()


def _logprobs(answer: Mapping[str, Any], options: Sequence[str]) -> tuple[float, ...]:
  """Of each option, that of the likeliest first token that it begins with; () where one lacks."""
  try:
    top = answer['choices'][0]['logprobs']['content'][0]['top_logprobs']
    known = [(str(one['token']).strip(), float(one['logprob'])) for one in top]
  except (KeyError, IndexError, TypeError, ValueError):
    return ()
  own = [[value for said, value in known if said and one.startswith(said)] for one in options]
  return tuple(max(some) for some in own) if own and all(own) else ()
