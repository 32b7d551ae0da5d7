"""A model behind an address: the client of OpenAI's interface for teacher, judge and evaluation.

`jaxalign serve`, vLLM and hosted models speak it alike. An answer is whole and of the form that was
asked for, or the call is tried again; what no trying mends ends at once, in one line. The key comes
from the environment at each call, and stands in no file, log or error.
"""

import dataclasses
import email.utils
import http.client
import ipaddress
import json
import os
import queue
import random
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any

from jaxalign import ranges
from jaxalign.config import UserError
from jaxalign.sealing import seal

_AGAIN = {408, 409, 425, 429}  # and 500 to 599: it may go better later
_FOR_NOBODY = {401, 402, 403, 404}  # whatever is asked
_LONGEST = 600.0  # seconds that a server may ask to wait
_MOST = 64 << 20  # bytes of an answer
_BASE, _CAP = 0.5, 60.0  # seconds: bounds of the first wait, and of any

_Seconds = Annotated[float, ranges.Range(at_least=0.1, at_most=86_400)]
_Threads = Annotated[int, ranges.Range(at_least=1, at_most=1024)]
_Tries = Annotated[int, ranges.Range(at_least=1, at_most=100)]


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Endpoint:
  """Where a model answers: Endpoint(url='http://127.0.0.1:8000/v1', model='out')."""

  url: str  # with its /v1
  model: str
  key: str = ''  # the name of the environment variable that holds it; '': none is sent
  threads: _Threads = 8  # calls at once
  timeout: _Seconds = 120.0  # seconds of a call, the whole answer included
  tries: _Tries = 6

  def check(self) -> None:
    where = f'endpoint {self.url!r:.200}'
    try:
      parts = urllib.parse.urlsplit(self.url)
      host, _ = parts.hostname, parts.port
    except ValueError as error:
      raise UserError(f'{where}: {error}') from error
    if parts.username or parts.password:  # nobody's secret is said again
      raise UserError('an endpoint url holds a name or a password: name a variable in key instead')
    odd = parts.query or parts.fragment or not self.url.isprintable() or ' ' in self.url
    if parts.scheme not in ('http', 'https') or not host or odd:
      raise UserError(f'{where}: an address like http://127.0.0.1:8000/v1')
    if not self.model:
      raise UserError(f'{where}: model is empty; GET {self.url}/models lists what is there')
    if self.key and parts.scheme == 'http' and not _is_loopback(host):
      raise UserError(f'{where}: the key would travel readable: take https://')


class EndpointError(UserError):
  """A call that was not answered. status: the last that came; None: none came."""

  def __init__(self, message: str, status: int | None = None):
    super().__init__(message)
    self.status = status


class Client:
  """Calls to one endpoint, from any number of threads; each keeps its connection."""

  def __init__(
    self,
    endpoint: Endpoint,
    *,
    sleep: Callable[[float], None] = time.sleep,
    draw: Callable[[], float] = random.random,
    now: Callable[[], float] = time.time,
  ):
    """sleep, draw and now: how it waits, what spreads the waits, what a date is held against."""
    self.endpoint = seal(endpoint, 'endpoint')
    self._sleep, self._draw, self._now = sleep, draw, now
    self._own = threading.local()  # the connection of each thread

  def complete(self, body: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to a body of /chat/completions (it has messages) or /completions (a prompt).

    EndpointError where none came. The endpoint's model is added.
    """
    if ('messages' in body) == ('prompt' in body) or body.get('stream'):
      raise ValueError('a body has either messages or a prompt, and is not streamed')
    data = json.dumps(dict(body, model=self.endpoint.model), allow_nan=False).encode()
    path = '/chat/completions' if 'messages' in body else '/completions'
    status, why = None, ''
    for n in range(self.endpoint.tries):
      key, asked = self._key(), None
      try:
        status, headers, content = self._post(path, data, key)
        found, why = _read(status, content)
        if found is not None:
          return found
        asked = _asked_to_wait(headers, self._now()) if status != 200 else None
      except (OSError, http.client.HTTPException) as error:
        status, why = None, f'{type(error).__name__}: {error}'
        self.close()
      why = _line(why.replace(key, '***') if key else why)
      hopeless = status is not None and status not in {200, *_AGAIN} and status < 500
      if hopeless or 'insufficient_quota' in why or (asked or 0) > _LONGEST:
        wait = f'; it asks to wait {asked:.0f} s' if asked and not hopeless else ''
        raise EndpointError(f'{self._name} answers {status}: {why}{wait}', status)
      if n + 1 < self.endpoint.tries:
        self._sleep((asked or 0) + self._draw() * (_BASE if asked else min(_CAP, _BASE * 2**n)))
    said = 'no answer' if status is None else f'{status}'
    raise EndpointError(f'{self._name}: {said} in {self.endpoint.tries} tries: {why}', status)

  def answers(
    self, bodies: Iterable[Mapping[str, Any]]
  ) -> Iterator[tuple[int, dict[str, Any] | EndpointError]]:
    """(place of a body, its answer or why there is none), as they come, `threads` at once.

    Raises where nobody would be answered: a wrong key, a model that is not there. Ends at once when
    it is left: what is on its way is not waited for.
    """
    waiting, lock, ended = iter(enumerate(bodies)), threading.Lock(), threading.Event()
    found: queue.SimpleQueue[tuple[int, Any] | None] = queue.SimpleQueue()

    def work() -> None:
      try:
        while not ended.is_set():
          with lock:
            n, body = next(waiting, (-1, {}))
          if n < 0:
            break
          try:
            found.put((n, self.complete(body)))
          except EndpointError as error:
            found.put((n, error))
      except BaseException as error:  # of a body, or of who reads them: the caller's
        found.put((-1, error))
      finally:
        self.close()
        found.put(None)

    for _ in range(self.endpoint.threads):
      threading.Thread(target=work, daemon=True, name='endpoint').start()
    try:
      working = self.endpoint.threads
      while working:
        if (one := found.get()) is None:
          working -= 1
          continue
        n, answer = one
        if n < 0 or (isinstance(answer, EndpointError) and answer.status in _FOR_NOBODY):
          raise answer
        yield n, answer
    finally:
      ended.set()

  def close(self) -> None:
    """Ends this thread's connection; the next call makes another."""
    if (connection := getattr(self._own, 'connection', None)) is not None:
      connection.close()
    self._own.connection = None

  @property
  def _name(self) -> str:
    return f'{self.endpoint.url} ({self.endpoint.model})'

  def _key(self) -> str:
    if not (name := self.endpoint.key):
      return ''
    key = os.environ.get(name, '').strip()
    if not key:
      raise UserError(f'{self._name}: the environment variable {name} is empty: put the key there')
    if not key.isascii() or not key.isprintable() or ' ' in key:
      raise UserError(f'{self._name}: what {name} holds is no key: one word of plain characters')
    return key

  def _post(self, path: str, data: bytes, key: str) -> tuple[int, Mapping[str, str], bytes]:
    """(status, headers, body) of one try, within the time that a call may take."""
    until = time.monotonic() + self.endpoint.timeout
    parts = urllib.parse.urlsplit(self.endpoint.url)
    if getattr(self._own, 'connection', None) is None:
      kind = http.client.HTTPSConnection if parts.scheme == 'https' else http.client.HTTPConnection
      self._own.connection = kind(parts.hostname or '', parts.port, timeout=self.endpoint.timeout)
    head = {'Content-Type': 'application/json', 'Accept': 'application/json'}
    head |= {'Authorization': f'Bearer {key}'} if key else {}
    self._own.connection.request('POST', parts.path.rstrip('/') + path, data, head)
    response = self._own.connection.getresponse()
    content = b''
    while part := response.read1(1 << 16):
      content += part
      if len(content) > _MOST or time.monotonic() > until:
        raise TimeoutError('the answer is too long, or comes too slowly')
    if response.length:
      raise http.client.IncompleteRead(content, response.length)
    response.read()  # its end, after which the connection serves again
    return response.status, response.headers, content


def texts(answer: Mapping[str, Any]) -> list[str]:
  """The text of each choice, in their order; '' of one that says nothing."""
  choices = sorted(answer['choices'], key=lambda choice: choice.get('index') or 0)
  return [(c['message'].get('content') if 'message' in c else c['text']) or '' for c in choices]


def _read(status: int, content: bytes) -> tuple[dict[str, Any] | None, str]:
  """(an answer, '') or (None, what came instead)."""
  try:
    found = json.loads(content)
  except (ValueError, RecursionError):
    found = None
  error = found.get('error') if isinstance(found, dict) else None
  if status != 200 or error:
    said = error.get('message') if isinstance(error, dict) else error
    code = error.get('code') if isinstance(error, dict) else None
    shown = said or content[:300].decode(errors='replace') or 'nothing more'
    return None, f'{shown} ({code})' if code else str(shown)
  choices = found.get('choices') if isinstance(found, dict) else None
  if isinstance(choices, list) and choices and all(map(_is_choice, choices)):
    return found, ''
  return None, f'no answer of the form asked for: {content[:100].decode(errors="replace")!r}'


def _is_choice(choice: Any) -> bool:
  said = choice.get('message', choice) if isinstance(choice, dict) else None
  return isinstance(said, dict) and ('content' in said or isinstance(said.get('text'), str))


def _asked_to_wait(headers: Mapping[str, str], now: float) -> float | None:
  """Seconds that a server asks to wait, said in milliseconds, in seconds or as a date."""
  for name, unit in (('retry-after-ms', 1000.0), ('retry-after', 1.0)):
    try:
      seconds = float(headers.get(name, '')) / unit
      return seconds if 0 <= seconds < float('inf') else None
    except ValueError:
      continue
  try:
    date = email.utils.parsedate_to_datetime(headers.get('retry-after', ''))
    return max(0.0, date.timestamp() - now)
  except (TypeError, ValueError, OverflowError):
    return None


def _is_loopback(host: str) -> bool:
  try:
    return host == 'localhost' or ipaddress.ip_address(host).is_loopback
  except ValueError:
    return False


def _line(text: str) -> str:
  """One line, of characters that a terminal shows."""
  return ' '.join(''.join(c if c.isprintable() else ' ' for c in text).split())[:300]
