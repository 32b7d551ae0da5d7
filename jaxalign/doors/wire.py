"""What passes between a server and its clients over HTTP: requests as bytes, responses of JSON, and
under which names of this machine it is asked."""

import ipaddress
import json
import urllib.parse
from collections.abc import Mapping
from typing import Any

from jaxalign.doors import requests

_BODY = 4 << 20  # bytes of a request


async def body_of(request: Any) -> bytes:
  """The bytes of a request; what is too long, or of another kind, is refused."""
  from starlette.requests import ClientDisconnect

  kind = request.headers.get('content-type', '').partition(';')[0].strip().lower()
  if kind != 'application/json':  # a web page may send other kinds here, unasked
    raise requests.Refused('the content-type of a request is application/json', 415)
  body, length = b'', 0
  try:
    async for part in request.stream():
      length += len(part)
      body += part if length <= _BODY else b''
      if length > 16 * _BODY:
        break
  except ClientDisconnect:
    raise requests.Refused('the client has left', 499) from None
  if length > _BODY:  # read to its end all the same: who still sends hears no answer
    raise requests.Refused(f'the body has more than {_BODY} bytes', 413)
  return body


def as_json(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Any:
  """A response of JSON."""
  from starlette.responses import Response

  kind = 'application/json'
  return Response(json.dumps(content), status_code=status, headers=headers, media_type=kind)


def refused(error: requests.Refused) -> Any:
  """A response that says why not."""
  return as_json(error.body(), error.status, {'Retry-After': '1'} if error.status == 429 else None)


class Local:
  """Lets through what was asked under a name of this machine: whoever points the name of a web page
  here (DNS rebinding) has the browser of a user send that name."""

  def __init__(self, app: Any):
    self._app = app

  async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
    hosts = [value for name, value in scope.get('headers', ()) if name == b'host']
    if all(_is_local(value.decode('latin-1')) for value in hosts):
      return await self._app(scope, receive, send)
    said = 'this server is asked as localhost or 127.0.0.1 alone; --host=ADDRESS serves others too'
    await refused(requests.Refused(said, 403))(scope, receive, send)


def _is_local(host: str) -> bool:
  try:
    name = urllib.parse.urlsplit(f'//{host}').hostname or ''
    return name == 'localhost' or ipaddress.ip_address(name).is_loopback
  except ValueError:
    return False
