"""The Http teacher against a server of this machine: calls a second, CPU a call, faults, the purse.

  python benchmarks/teacher_http.py [--threads=64] [--calls=4000]

A process of its own answers after 50 or 200 ms; of its answers one in twelve is a fault (500, 429,
half a body, cut off, prose). Must hold: at 50 ms at least 250 calls a second and at most 3 ms of
CPU a call; at 200 ms with faults at least .75 of threads / latency (in calls that reach the
server); no call lost, none answered twice, no more spent than max_cost; a 401 ends within one call.
Expected: exit status 0. The figures are those of the machine's other load, too.
"""

import argparse
import asyncio
import json
import multiprocessing
import sys
import threading
import time

from jaxalign.corpora.http import Http
from jaxalign.corpora.purse import Purse, Spent
from jaxalign.corpora.records import Answer, Call, Sampling, Task
from jaxalign.data.records import Turn
from jaxalign.endpoint import Endpoint, EndpointError

TOKENS = 40, 60  # of each call, read and written
PRICE = 1000.0, 1000.0  # dollars a million: a call costs .1
_ANSWER = dict(
  choices=[dict(index=0, message=dict(role='assistant', content='It is so.'))],
  model='stub',
  usage=dict(prompt_tokens=TOKENS[0], completion_tokens=TOKENS[1]),
)


class Stub:
  """What the server did, counted in its own process."""

  def __init__(self, latency: float, faults: bool, status: int):
    self.latency, self.faults, self.status = latency, faults, status
    self.seen = self.paid = 0

  async def serve(self, reader, writer):
    try:
      while True:
        head = await reader.readuntil(b'\r\n\r\n')
        size = next(int(x[15:]) for x in head.split(b'\r\n') if x.lower().startswith(b'content-l'))
        asked = await reader.readexactly(size)
        if b'"how"' in asked:
          writer.write(_http(200, json.dumps([self.seen, self.paid]).encode()))
          continue
        self.seen += 1
        n = self.seen
        await asyncio.sleep(self.latency)
        whole = self.answer(n)
        writer.write(whole)
        await writer.drain()
        if whole.endswith(b'half'):
          break
    except (asyncio.IncompleteReadError, ConnectionError):
      pass
    writer.close()

  def answer(self, n: int) -> bytes:
    if self.status != 200:
      return _http(self.status, b'{"error": {"message": "no"}}')
    if self.faults and n % 12 == 0:
      kind = n // 12 % 5
      self.paid += kind > 1
      if kind == 0:
        return _http(500, b'')
      if kind == 1:
        return _http(429, b'', 'Retry-After: 0.2\r\n')
      if kind == 2:
        return _http(200, json.dumps(_ANSWER).encode())[:-40] + b'half'
      if kind == 3:
        choice = dict(_ANSWER['choices'][0], finish_reason='length')
        return _http(200, json.dumps(_ANSWER | dict(choices=[choice])).encode())
      return _http(200, b'I am prose')
    self.paid += 1
    return _http(200, json.dumps(_ANSWER).encode())


def _http(status: int, body: bytes, more: str = '') -> bytes:
  return f'HTTP/1.1 {status} x\r\nContent-Length: {len(body)}\r\n{more}\r\n'.encode() + body


def _serve(port, latency: float, faults: bool, status: int) -> None:
  async def main():
    stub = Stub(latency, faults, status)
    server = await asyncio.start_server(stub.serve, '127.0.0.1', 0, backlog=1024)
    port.put(server.sockets[0].getsockname()[1])
    await asyncio.Event().wait()

  asyncio.run(main())


class Served:
  """A server while it is used."""

  def __init__(self, latency: float, faults: bool = False, status: int = 200):
    spawn = multiprocessing.get_context('spawn')
    port = spawn.Queue()
    self._process = spawn.Process(target=_serve, args=(port, latency, faults, status), daemon=True)
    self._process.start()
    self.port = port.get()

  def __enter__(self) -> 'Served':
    return self

  def __exit__(self, *_) -> None:
    self._process.terminate()

  def counts(self) -> tuple[int, int]:
    """(calls that reached it, calls that a bill would name)."""
    import http.client

    connection = http.client.HTTPConnection('127.0.0.1', self.port)
    connection.request('POST', '/', b'{"how": 1}')
    seen, paid = json.loads(connection.getresponse().read())
    return seen, paid


def calls_of(count: int) -> list[Call]:
  told = Turn('user', 'Write a document about benevolence, please. ' * 90)  # ~ 1,000 tokens
  how = Sampling(length=1000)
  return [
    Call(task=Task(step='document', slot=f'{n}'), teacher='m', sampling=how, turns=(told,))
    for n in range(count)
  ]


def asked(served: Served, calls: list[Call], threads: int, purse: Purse | None = None):
  """(answers, seconds, CPU seconds of this process, what ended it)."""
  url = f'http://127.0.0.1:{served.port}/v1'
  cfg = Http(endpoint=Endpoint(url=url, model='m', threads=threads), price=PRICE)
  for call in calls:
    _ = call.id  # made by whoever keeps the journal
  found, ended = [], None
  began, cpu = time.monotonic(), time.process_time()
  try:
    found += cfg.opened(purse).answers(calls)
  except EndpointError as error:
    ended = error
  return found, time.monotonic() - began, time.process_time() - cpu, ended


def check(name: str, value: float, good: bool) -> bool:
  print(f'{"ok  " if good else "FAIL"} {name}: {value:,.3f}', flush=True)
  return good


def main() -> int:
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--threads', type=int, default=64)
  parser.add_argument('--calls', type=int, default=4000)
  given = parser.parse_args()
  calls, good = calls_of(given.calls), []
  with Served(0.05) as served:
    found, seconds, cpu, _ = asked(served, calls, given.threads)
    good += [
      check('calls a second at 50 ms', len(found) / seconds, len(found) / seconds >= 250),
      check('CPU ms a call', 1000 * cpu / len(found), cpu / len(found) <= 0.003),
    ]
  with Served(0.2, faults=True) as served:
    found, seconds, _, _ = asked(served, calls, given.threads)
    seen, paid = served.counts()
    rate = seen / seconds / (given.threads / 0.2)
    answered = [one.call for one in found if isinstance(one, Answer)]
    good += [
      check('of threads / latency at 200 ms and 8 % faults', rate, rate >= 0.75),
      check(
        'calls without an answer',
        given.calls - len(set(answered)),
        len(set(answered)) == given.calls,
      ),
      check(
        'answers that came twice',
        len(answered) - len(set(answered)),
        len(set(answered)) == len(answered),
      ),
    ]
  with Served(0.02, faults=True) as served:
    purse = Purse(50.0)
    found, _, _, ended = asked(served, calls, given.threads, purse)
    seen, paid = served.counts()
    good += [
      check('spent of 50.0, as the server counts', paid * 0.1, paid * 0.1 <= 50),
      check('spent of 50.0, as the purse counts', purse.spent, purse.spent <= 50),
      check('ended by the purse', float(isinstance(ended, Spent)), isinstance(ended, Spent)),
    ]
  with Served(0.02, status=401) as served:
    _, _, _, ended = asked(served, calls, given.threads)
    seen, _ = served.counts()
    good.append(check('calls sent after which a 401 ended it', seen, seen == 1))
  print(f'threads left: {threading.active_count()}')
  return 0 if all(good) else 1


if __name__ == '__main__':
  sys.exit(main())
