"""jaxalign serve MODEL

OpenAI's interface to a model, for one machine: /v1/models, /v1/completions, /v1/chat/completions,
/health and /metrics. MODEL is a workdir, a Hugging Face directory or hub name, a .gguf or a .bin.
Only this machine is served unless --host says otherwise, and only under a name of its own: a web
page elsewhere whose name is made to point here is refused. A token in the environment variable
JAXALIGN_SERVE_TOKEN is asked of every client. SIGTERM ends what is being answered first.
"""

import asyncio
import contextlib
import hmac
import json
import os
import socket
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any

from absl import flags

from jaxalign.config import UserError
from jaxalign.doors import requests
from jaxalign.doors.engine import Broken, Engine, Full, Job, sizes
from jaxalign.doors.opening import Flag, flag_values, opened
from jaxalign.doors.replies import Saying
from jaxalign.doors.wire import Local, as_json, body_of, refused
from jaxalign.rl.answers import Answer

_FLAGS: tuple[Flag, ...] = (
  (flags.DEFINE_string, 'host', '127.0.0.1', 'address to listen on'),
  (flags.DEFINE_integer, 'port', 8000, 'port to listen on; 0: any free one'),
  (flags.DEFINE_integer, 'rows', 16, 'answers that are written at once'),
  (flags.DEFINE_integer, 'waiting', 256, 'requests that may wait; more are told to come again'),
  (flags.DEFINE_integer, 'tokens', None, 'of a prompt and its answer together, at most'),
  (flags.DEFINE_string, 'format', None, "a chat format's name; default: the model's own"),
  (flags.DEFINE_string, 'dtype', None, "float32, bfloat16 or float16; default: the file's"),
)
_TOKEN = 'JAXALIGN_SERVE_TOKEN'
_DRAIN = 60.0  # seconds that SIGTERM waits for answers
_Inbox = asyncio.Queue[tuple[int, str, Answer | None] | None]  # None: the client has left


def run(argv: Sequence[str]) -> int:
  """The command; argv[0] is `serve`."""
  given = flag_values(argv, __doc__ or '', _FLAGS)
  if given is None:
    return 0
  values, name = given
  for flag, most in (('rows', 4096), ('waiting', 10**6)):
    if not 1 <= values[flag].value <= most:
      raise UserError(f'--{flag}={values[flag].value}: from 1 to {most}')
  if not 0 <= values.port < 65536:
    raise UserError(f'--port={values.port}: from 0 to 65535')
  try:
    import uvicorn
  except ImportError as error:
    raise UserError("to serve, pip install 'jaxalign[serve]'") from error
  token = os.environ.get(_TOKEN)
  if token is not None and not token.strip():
    raise UserError(f'{_TOKEN} is empty: put the token there, or unset it to serve without one')
  listening = _bound(values.host, values.port)
  guest = opened(name, dtype=values.dtype, form=values.format)
  limit = sizes(guest, values.tokens)
  engine = Engine(guest, rows=values.rows, limit=limit, waiting=values.waiting)
  config = uvicorn.Config(
    app(engine, token, local=values['host'].using_default_value), log_level='warning',
    timeout_graceful_shutdown=int(_DRAIN),
  )  # fmt: skip
  server = uvicorn.Server(config)
  asyncio.run(_serve(server, listening, engine, guest.name))
  if engine.broken:
    raise RuntimeError(engine.broken)
  return 0


def _bound(host: str, port: int) -> socket.socket:
  """A socket of that address, before anything is read for whom nobody could ask."""
  try:
    family, kind, number, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    made = socket.socket(family, kind, number)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(address)
    return made
  except (OSError, UnicodeError) as error:
    why = getattr(error, 'strerror', None) or error
    raise UserError(f'--host={host} --port={port}: {why}; take another') from error


async def _serve(server: Any, listening: socket.socket, engine: Engine, name: str) -> None:
  task = asyncio.create_task(server.serve(sockets=[listening]))
  while not server.started and not task.done():
    await asyncio.sleep(0.05)
  if server.started:
    host, port = listening.getsockname()[:2]
    host = f'[{host}]' if ':' in host else host
    print(f'{name} is served at http://{host}:{port}/v1 (Ctrl-C ends)', flush=True)
  await task
  await asyncio.to_thread(engine.drain, _DRAIN)


def app(engine: Engine, token: str | None, local: bool = True) -> Any:
  """The Starlette application over an engine. local: whether it is asked under names of this
  machine alone."""
  from starlette.applications import Starlette
  from starlette.middleware import Middleware
  from starlette.routing import Route

  api = _Api(engine, token)
  return Starlette(
    routes=[
      Route('/v1/models', api.models),
      Route('/v1/completions', api.completions, methods=['POST']),
      Route('/v1/chat/completions', api.dialogues, methods=['POST']),
      Route('/health', api.health),
      Route('/metrics', api.metrics),
    ],
    exception_handlers={404: api.strange, 405: api.strange, 500: api.fallen},
    middleware=[Middleware(Local)] if local else [],
  )


class _Api:
  """What each path answers. A request here is Starlette's."""

  def __init__(self, engine: Engine, token: str | None):
    self._engine, self._token, self._began = engine, token, int(time.time())

  async def completions(self, request: Any) -> Any:
    return await self._answer(request, chat=False)

  async def dialogues(self, request: Any) -> Any:
    return await self._answer(request, chat=True)

  async def models(self, request: Any) -> Any:
    name = self._engine.guest.id
    one = dict(id=name, object='model', created=self._began, owned_by='jaxalign')
    return self._refused_client(request) or as_json(dict(object='list', data=[one]))

  async def health(self, request: Any) -> Any:
    if self._engine.broken:  # why is for the log: it may name what is no client's business
      return as_json(dict(status='broken'), 503)
    return as_json(dict(status='ok'))

  async def metrics(self, request: Any) -> Any:
    from starlette.responses import PlainTextResponse

    return PlainTextResponse(_metrics(self._engine), media_type='text/plain; version=0.0.4')

  async def strange(self, request: Any, error: Any) -> Any:
    said = f'there is no {request.method} {request.url.path[:200]}'
    return as_json(requests.Refused(said).body(), error.status_code, error.headers)

  async def fallen(self, request: Any, error: Exception) -> Any:
    """Of what nobody expected: the log has all of it, the client a line."""
    said = f'something broke in the server ({type(error).__name__}); its log says what'
    return as_json(requests.Refused(said, 500, 'server_error').body(), 500)

  def _refused_client(self, request: Any) -> Any:
    """An error for whoever lacks the token, or None."""
    given = request.headers.get('authorization', '').removeprefix('Bearer ')
    if self._token is None or hmac.compare_digest(given.encode(), self._token.encode()):
      return None
    error = requests.Refused('the token is missing or another one', 401, 'invalid_api_key')
    return refused(error)

  async def _answer(self, request: Any, chat: bool) -> Any:
    from starlette.responses import StreamingResponse

    if stranger := self._refused_client(request):
      return stranger
    try:
      body = await body_of(request)
      asked = await asyncio.to_thread(_read, body, self._engine, chat)  # a long text takes its time
      jobs, inbox = _jobs(asked)
      self._engine.ask(jobs)
    except Full:
      return refused(requests.Refused('too many wait: come again', 429, 'rate_limit_exceeded'))
    except Broken as error:
      return refused(requests.Refused(str(error), 503, 'server_error'))
    except requests.Refused as error:
      return refused(error)
    kind = 'chatcmpl' if chat else 'cmpl'
    said = Saying(asked, jobs, f'{kind}-{uuid.uuid4().hex}', int(time.time()))
    if asked.stream:
      return StreamingResponse(_events(request, jobs, inbox, said), media_type='text/event-stream')
    async with _watched(request, jobs, inbox):
      found = await _all(jobs, inbox)
    if found is None:
      return refused(requests.Refused('the client has left', 499))
    wrong = next((one.error for one in found if one.error), None)
    if wrong is not None:
      return refused(requests.Refused(wrong, 500, 'server_error'))
    return as_json(await asyncio.to_thread(said.whole, found))


def _read(body: bytes, engine: Engine, chat: bool) -> requests.Asked:
  return requests.read(requests.parsed(body), engine, chat)


def _jobs(asked: requests.Asked) -> tuple[list[Job], _Inbox]:
  """Jobs that tell what comes of them to one queue, as (which, text, Answer or None)."""
  loop = asyncio.get_running_loop()
  inbox: _Inbox = asyncio.Queue()

  def tells(n):
    return lambda text, answer: loop.call_soon_threadsafe(inbox.put_nowait, (n, text, answer))

  jobs = [
    Job(request, asked.stops, tells(n), scored=asked.scored)
    for n, request in enumerate(asked.requests)
  ]
  return jobs, inbox


@contextlib.asynccontextmanager
async def _watched(request: Any, jobs: Sequence[Job], inbox: _Inbox) -> AsyncIterator[None]:
  """Frees the rows at the end, and before it if the client goes away: the inbox says so."""

  async def watch() -> None:
    while not await request.is_disconnected():
      await asyncio.sleep(0.2)
    for job in jobs:
      job.gone = True
    inbox.put_nowait(None)

  watcher = asyncio.create_task(watch())
  try:
    yield
  finally:
    watcher.cancel()
    for job in jobs:
      job.gone = True


async def _all(jobs: Sequence[Job], inbox: _Inbox) -> list[Answer] | None:
  """Every job's answer; None if nobody waits for them."""
  found: dict[int, Answer] = {}
  while len(found) < len(jobs):
    if (told := await inbox.get()) is None:
      return None
    n, _, answer = told
    if answer is not None:
      found[n] = answer
  return [found[n] for n in range(len(jobs))]


async def _events(
  request: Any, jobs: Sequence[Job], inbox: _Inbox, said: Saying
) -> AsyncIterator[str]:
  """Server-sent events; whoever goes away ends them, and so frees the rows."""
  ended = 0
  async with _watched(request, jobs, inbox):
    while ended < len(jobs):
      if (told := await inbox.get()) is None:
        return
      n, text, answer = told
      ended += answer is not None
      if answer is not None and said.words:  # of every token: others are not kept waiting for it
        events = await asyncio.to_thread(said.events, n, text, answer)
      else:
        events = said.events(n, text, answer)
      for event in events:
        yield f'data: {json.dumps(event)}\n\n'
    for event in said.end():
      yield f'data: {json.dumps(event)}\n\n'
    yield 'data: [DONE]\n\n'


def _metrics(engine: Engine) -> str:
  """Prometheus' text."""
  c = engine.counts
  counted = (
    ('requests_total', c.asked, 'counter'), ('answers_total', c.answered, 'counter'),
    ('clients_left_total', c.left, 'counter'), ('failures_total', c.failed, 'counter'),
    ('prompt_tokens_total', c.prompt_tokens, 'counter'), ('tokens_total', c.tokens, 'counter'),
    ('waiting', engine.depth, 'gauge'), ('running', engine.live, 'gauge'),
  )  # fmt: skip
  return ''.join(f'# TYPE jaxalign_{n} {kind}\njaxalign_{n} {v}\n' for n, v, kind in counted)
