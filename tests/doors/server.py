"""A server of a tiny model on this machine, for the tests of what it answers."""

import json
import threading
import time

import httpx
import uvicorn

from jaxalign.doors import engine as engines
from jaxalign.doors import serve
from jaxalign.doors.opening import Opened, opened

LIMIT = 96


class Server:
  def __init__(self, directory, token=None, **how):
    """directory: of the model, or what `opened` made of it."""
    guest = directory if isinstance(directory, Opened) else opened(str(directory))
    self.engine = engines.Engine(guest, limit=LIMIT, **dict(rows=4, waiting=64) | how)
    config = uvicorn.Config(serve.app(self.engine, token), port=0, log_level='error')
    self.server = uvicorn.Server(config)
    self.thread = threading.Thread(target=self.server.run, daemon=True)
    self.thread.start()
    while not self.server.started:
      assert self.thread.is_alive()
      time.sleep(0.01)
    port = self.server.servers[0].sockets[0].getsockname()[1]
    self.url = f'http://127.0.0.1:{port}'

  def post(self, path, body, **how):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = {'Content-Type': 'application/json'} | how.pop('headers', {})
    return httpx.post(f'{self.url}/v1/{path}', content=content, headers=head, timeout=120, **how)

  def close(self):
    self.server.should_exit = True
    self.thread.join(timeout=60)  # ends when no request is left
    return not self.thread.is_alive() and self.engine.drain(60)
