"""A model behind an address: the client of OpenAI's interface for teacher, judge and evaluation.

`jaxalign serve`, vLLM and hosted models speak it alike. An answer is whole and of the form that was
asked for, or the call is tried again; what no trying mends ends at once, in one line. The key comes
from the environment at each call, and stands in no file, log or error.
"""

import dataclasses
import http.client
import ipaddress
import json
import os
import queue
import random
import socket
import ssl
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any

from jaxalign import endpoint_answers as back
from jaxalign import ranges
from jaxalign.config import UserError
from jaxalign.sealing import seal

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

  @property
  def ends(self) -> bool:
    """Whether nobody would be answered: no other call is worth its sending."""
    return self.status in back.FOR_NOBODY or back.QUOTA in str(self)


class Asked:
  """A body that is asked, and what stands beside each of its tries; here nothing does."""

  def __init__(self, body: Mapping[str, Any]):
    self.body = body  # as it is at each try

  def before(self) -> None:
    """Called before a try is sent: it may wait, or raise what ends the call."""

  def after(self, status: int | None, answer: Mapping[str, Any] | None, sent: bool) -> None:
    """What came of it. answer: what could be read; sent: whether the server may have seen it."""

  def why_not(self, answer: Mapping[str, Any]) -> str:
    """Why an answer of the right form is none all the same, and is tried again; '': it is one."""
    del answer
    return ''


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

  def complete(
    self, body: Mapping[str, Any] | Asked, ended: threading.Event | None = None
  ) -> dict[str, Any]:
    """The answer to a body of /chat/completions (it has messages) or /completions (a prompt).

    EndpointError where none came. The endpoint's model is added. ended: once it is set, nothing is
    tried again.
    """
    one = body if isinstance(body, Asked) else Asked(body)
    if ('messages' in one.body) == ('prompt' in one.body) or one.body.get('stream'):
      raise ValueError('a body has either messages or a prompt, and is not streamed')
    tries = self.endpoint.tries
    for n in range(tries):
      status, found, why, asked = self._try(one)
      if found is not None:
        return found
      if back.is_final(status, why) or asked > _LONGEST:
        wait = f'; it asks to wait {asked:.0f} s' if asked > _LONGEST else ''
        raise EndpointError(f'{self._name} answers {status}: {why}{wait}', status)
      if n + 1 < tries:
        self._sleep(asked + self._draw() * (_BASE if asked else min(_CAP, _BASE * 2**n)))
      if ended is not None and ended.is_set():
        raise EndpointError(f'{self._name}: left, not tried again: {why}')
    said = 'no answer' if status is None else f'{status}'
    raise EndpointError(f'{self._name}: {said} in {tries} tries: {why}', status)

  def _try(self, one: Asked) -> tuple[int | None, dict[str, Any] | None, str, float]:
    """(status, the answer, what came instead of one, seconds that the server asks to wait)."""
    key = self._key()
    path = '/chat/completions' if 'messages' in one.body else '/completions'
    data = json.dumps(dict(one.body, model=self.endpoint.model), allow_nan=False).encode()
    one.before()
    status, found, sent = None, None, True
    try:
      status, headers, content = self._post(path, data, key)
      found, why = back.read(status, back.without(key, content))
    except ssl.SSLCertVerificationError as error:
      raise EndpointError(f'{self._name}: {error.verify_message}') from error
    except (OSError, http.client.HTTPException) as error:
      self.close()
      sent = not isinstance(error, ConnectionRefusedError | socket.gaierror)
      return None, None, back.one_line(back.hidden(key, f'{type(error).__name__}: {error}')), 0.0
    finally:
      one.after(status, found, sent)
    if found is not None and (why := one.why_not(found)):
      found = None
    asked = 0.0 if status == 200 else back.asked_to_wait(headers, self._now())
    return status, found, back.one_line(back.hidden(key, why)), asked

  def refuse_key(self) -> None:
    """UserError where the key that is named is not there: before anything is asked."""
    self._key()

  def answers(
    self, bodies: Iterable[Mapping[str, Any] | Asked]
  ) -> Iterator[tuple[int, dict[str, Any] | EndpointError]]:
    """(place of a body, its answer or why there is none), as they come, `threads` at once.

    Where nobody would be answered (a wrong key, a model that is not there) nothing more is sent;
    what is on its way still comes, then that error is raised. Ends at once when it is left: what is
    on its way is not waited for.
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
            found.put((n, self.complete(body, ended)))
          except EndpointError as error:
            if error.ends:
              ended.set()
            found.put((n, error))
      except BaseException as error:  # of a body, or of who reads them: the caller's
        found.put((-1, error))
      finally:
        self.close()
        found.put(None)

    for _ in range(self.endpoint.threads):
      threading.Thread(target=work, daemon=True, name='endpoint').start()
    try:
      working, last = self.endpoint.threads, None
      while working:
        if (one := found.get()) is None:
          working -= 1
          continue
        n, answer = one
        if n < 0:
          raise answer
        if isinstance(answer, EndpointError) and answer.ends:
          last = last or answer
          ended.set()
        else:
          yield n, answer
      if last is not None:
        raise last
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

  def _post(self, path: str, data: bytes, key: str) -> tuple[int, http.client.HTTPMessage, bytes]:
    """(status, headers, body) of one try, within the time that a call may take."""
    until = time.monotonic() + self.endpoint.timeout
    head = {'Content-Type': 'application/json', 'Accept': 'application/json'}
    head |= {'Authorization': f'Bearer {key}'} if key else {}
    response = self._begun(path, data, head)
    content = b''
    while part := response.read1(1 << 16):
      content += part
      if len(content) > _MOST or time.monotonic() > until:
        raise TimeoutError('the answer is too long, or comes too slowly')
    if response.length:
      raise http.client.IncompleteRead(content, response.length)
    response.read()  # its end, after which the connection serves again
    return response.status, response.headers, content

  def _begun(self, path: str, data: bytes, head: dict[str, str]) -> http.client.HTTPResponse:
    """A response that begins. A connection that idled too long for its server is made anew."""
    parts = urllib.parse.urlsplit(self.endpoint.url)
    kept = getattr(self._own, 'connection', None)
    if kept is None:
      kind = http.client.HTTPSConnection if parts.scheme == 'https' else http.client.HTTPConnection
      self._own.connection = kind(parts.hostname or '', parts.port, timeout=self.endpoint.timeout)
    try:
      self._own.connection.request('POST', parts.path.rstrip('/') + path, data, head)
      return self._own.connection.getresponse()
    except (ConnectionResetError, BrokenPipeError):  # RemoteDisconnected is one of them
      if kept is None:
        raise
      self.close()
      return self._begun(path, data, head)


def _is_loopback(host: str) -> bool:
  try:
    return host == 'localhost' or ipaddress.ip_address(host).is_loopback
  except ValueError:
    return False
