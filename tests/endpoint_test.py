"""The client of a model behind an address, against a server of this file on this machine."""

import email.utils
import http.server
import json
import socketserver
import threading

import pytest

from jaxalign.config import UserError
from jaxalign.endpoint import Client, Endpoint, EndpointError
from jaxalign.endpoint_answers import texts

CHAT = dict(messages=[dict(role='user', content='a')])
SECRET = 'sk-very-secret'


def said(text, **rest):
  return json.dumps(
    dict(choices=[dict(index=0, message=dict(role='assistant', content=text))], **rest)
  )


def refused(message, code=None):
  return json.dumps(dict(error=dict(message=message, type='x', param=None, code=code)))


class Stub:
  """A server that answers what is planned, then '<prompt> said', and remembers who came."""

  def __init__(self):
    stub, self.plan, self.seen, self.ports = self, [], [], set()
    self.hangs_up = False  # after each answer, without a word

    class Handler(http.server.BaseHTTPRequestHandler):
      protocol_version = 'HTTP/1.1'

      def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers['content-length'])))
        stub.seen.append((self.path, body, self.headers.get('authorization')))
        stub.ports.add(self.client_address[1])
        status, headers, text = stub.plan.pop(0) if stub.plan else (200, {}, None)
        content = stub.usual(body) if text is None else text.encode()
        self.send_response(status)
        self.send_header('Content-Length', str(headers.pop('length', len(content))))
        for name, value in headers.items():
          self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
        self.close_connection = headers.get('Connection') == 'close' or stub.hangs_up

      def log_message(self, *given):
        pass

    self.server = socketserver.ThreadingTCPServer(('127.0.0.1', 0), Handler)
    self.server.daemon_threads = True
    threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
    self.url = f'http://127.0.0.1:{self.server.server_address[1]}/v1'

  @staticmethod
  def usual(body):
    if 'messages' in body:
      return said(body['messages'][-1]['content'] + ' said').encode()
    return json.dumps(dict(choices=[dict(index=0, text=body['prompt'] + ' said')])).encode()


@pytest.fixture
def stub():
  made = Stub()
  yield made
  made.server.shutdown()
  made.server.server_close()


def client(stub, **how):
  """(a client that waits for nobody, how long it would have waited)."""
  waits = []
  made = Client(
    Endpoint(url=stub.url, model='m', **how),
    sleep=waits.append, draw=lambda: 1.0, now=lambda: 1_000_000.0,
  )  # fmt: skip
  return made, waits


def test_both_kinds_of_body_over_one_connection(stub):
  made, waits = client(stub)
  assert texts(made.complete(CHAT)) == ['a said']
  assert texts(made.complete(dict(prompt='b'))) == ['b said']
  assert [path for path, *_ in stub.seen] == ['/v1/chat/completions', '/v1/completions']
  assert all(body['model'] == 'm' and key is None for _, body, key in stub.seen)
  assert len(stub.ports) == 1 and waits == []
  for body in ({}, dict(prompt='a', messages=[]), dict(prompt='a', stream=True)):
    with pytest.raises(ValueError, match='either messages or a prompt'):
      made.complete(body)
  made.close()


DATE = email.utils.formatdate(1_000_030, usegmt=True)
AGAIN = [
  ((429, {'Retry-After': '0.25'}, refused('slow')), 0.25 + 0.5),
  ((429, {'Retry-After': DATE}, refused('slow')), 30 + 0.5),
  ((429, {'retry-after-ms': '1500', 'Retry-After': '9'}, refused('slow')), 1.5 + 0.5),
  ((429, {'Retry-After': 'soon'}, refused('slow')), 0.5),
  ((503, {}, '<html>gateway</html>'), 0.5),
  ((408, {}, ''), 0.5),
  ((409, {}, ''), 0.5),
  ((200, {'length': 1000, 'Connection': 'close'}, said('cut')), 0.5),
  ((200, {'Connection': 'close'}, said('half a body')[:30]), 0.5),
  ((200, {}, 'I am prose'), 0.5),
  ((200, {}, ''), 0.5),
  ((200, {}, '{"status": "ok"}'), 0.5),
  ((200, {}, '[1]'), 0.5),
  ((200, {}, '{"choices": []}'), 0.5),
  ((200, {}, '{"choices": [{"index": 0}]}'), 0.5),
  ((200, {}, refused('overloaded')), 0.5),
]


@pytest.mark.parametrize('first, wait', AGAIN)
def test_what_may_go_better_is_tried_again(stub, first, wait):
  made, waits = client(stub)
  stub.plan.append(first)
  assert texts(made.complete(CHAT)) == ['a said']
  assert waits == [wait] and len(stub.seen) == 2


def test_waits_grow_and_the_tries_end(stub):
  made, waits = client(stub, tries=10)
  stub.plan += [(500, {}, refused('out of \x1b[31m luck'))] * 10
  with pytest.raises(EndpointError) as caught:
    made.complete(CHAT)
  assert waits == [0.5, 1, 2, 4, 8, 16, 32, 60, 60] and len(stub.seen) == 10
  assert caught.value.status == 500 and str(caught.value) == (
    f'{stub.url} (m): 500 in 10 tries: out of [31m luck'
  )


@pytest.mark.parametrize(
  'status, body, says',
  [
    (400, refused('too long', 'context_length_exceeded'), r'400: too long \(context_length'),
    (401, refused(f'wrong key {SECRET}'), r'401: wrong key \*\*\*$'),
    (402, refused('pay'), '402: pay'),
    (403, refused('not you'), '403: not you'),
    (404, 'no\nsuch\tmodel', '404: no such model'),
    (307, '', '307: nothing more'),
    (429, refused('no money', 'insufficient_quota'), '429: no money'),
  ],
)
def test_what_no_trying_mends_ends_within_one_call(stub, monkeypatch, status, body, says):
  monkeypatch.setenv('ITS_KEY', f'{SECRET}\n')
  made, waits = client(stub, key='ITS_KEY')
  stub.plan.append((status, {}, body))
  with pytest.raises(EndpointError, match=says) as caught:
    made.complete(CHAT)
  assert len(stub.seen) == 1 and waits == [] and caught.value.status == status
  assert stub.seen[0][2] == f'Bearer {SECRET}' and SECRET not in str(caught.value)


def test_a_server_that_asks_for_hours_is_not_waited_for(stub):
  made, waits = client(stub)
  stub.plan.append((429, {'Retry-After': '7200'}, refused('tomorrow')))
  with pytest.raises(EndpointError, match='429: tomorrow; it asks to wait 7200 s'):
    made.complete(CHAT)
  assert waits == []


def test_a_key_is_read_when_it_is_needed_and_said_by_nobody(stub, monkeypatch):
  monkeypatch.delenv('ITS_KEY', raising=False)
  made, _ = client(stub, key='ITS_KEY')
  for value in (None, '', ' \n'):
    if value is not None:
      monkeypatch.setenv('ITS_KEY', value)
    with pytest.raises(UserError, match='the environment variable ITS_KEY is empty'):
      made.complete(CHAT)
    with pytest.raises(UserError, match='the environment variable ITS_KEY is empty'):
      list(made.answers([CHAT]))
  monkeypatch.setenv('ITS_KEY', f'{SECRET}\nX-Other: 1')
  with pytest.raises(UserError, match='what ITS_KEY holds is no key') as caught:
    made.complete(CHAT)
  assert SECRET not in str(caught.value) and stub.seen == []


def test_a_connection_that_idled_too_long_is_made_anew(stub):
  made, waits = client(stub, tries=1)
  stub.hangs_up = True
  for _ in range(4):
    assert texts(made.complete(CHAT)) == ['a said']
  assert len(stub.ports) == 4 and waits == []


def test_nobody_there(stub):
  stub.server.shutdown()
  stub.server.server_close()
  made, waits = client(stub, tries=3)
  with pytest.raises(EndpointError, match='no answer in 3 tries: ConnectionRefusedError') as caught:
    made.complete(CHAT)
  assert waits == [0.5, 1] and caught.value.status is None


@pytest.mark.parametrize(
  'how, says',
  [
    (dict(url='ftp://host/v1'), 'an address like http'),
    (dict(url='host:8000'), 'an address like http'),
    (dict(url='http://host/v1?a=b'), 'an address like http'),
    (dict(url='http://host:port/v1'), 'Port could not'),
    (dict(url=f'https://me:{SECRET}@host/v1'), 'holds a name or a password'),
    (dict(url='http://host/v1', key='KEY'), 'the key would travel readable: take https://'),
    (dict(url='http://host/v1', model=''), 'model is empty'),
    (dict(url='http://host/v1', tries=0), 'tries=0'),
    (dict(url='http://host/v1', timeout=float('nan')), 'timeout'),
  ],
)
def test_a_bad_endpoint_is_refused(how, says):
  with pytest.raises(UserError, match=says) as caught:
    Client(Endpoint(**dict(model='m') | how))
  assert SECRET not in str(caught.value)


@pytest.mark.parametrize('url', ['https://host/v1', 'http://[::1]:80/v1', 'http://localhost/v1'])
def test_a_key_goes_to_this_machine_or_by_https(url):
  Client(Endpoint(url=url, model='m', key='KEY'))


def test_many_bodies_get_their_own_answers_and_one_that_fails_ends_no_other(stub):
  made, _ = client(stub, threads=5)
  bodies = [dict(prompt=f'{n}') for n in range(60)]
  stub.plan.append((400, {}, refused('not this one')))
  found = dict(made.answers(iter(bodies)))
  failed = [n for n, one in found.items() if isinstance(one, EndpointError)]
  assert sorted(found) == list(range(60)) and len(failed) == 1
  assert all(texts(one) == [f'{n} said'] for n, one in found.items() if n not in failed)
  assert len(stub.ports) <= 5


def test_where_nobody_is_answered_all_ends(stub):
  made, _ = client(stub, threads=3)
  stub.plan += [(401, {}, refused('who are you'))] * 1000
  with pytest.raises(EndpointError, match='401: who are you'):
    list(made.answers([CHAT] * 1000))
  assert len(stub.seen) < 1000


def test_an_error_of_whoever_reads_the_bodies_is_theirs(stub):
  made, _ = client(stub, threads=2)

  def bodies():
    yield CHAT
    raise UserError('line 2 of the file')

  with pytest.raises(UserError, match='line 2 of the file'):
    list(made.answers(bodies()))
  with pytest.raises(ValueError, match='JSON'):
    list(made.answers([dict(prompt='a', temperature=float('nan'))]))


def test_leaving_does_not_wait_for_what_is_on_its_way(stub):
  """A server that never answers the rest: the loop that reads the answers ends all the same."""
  never = threading.Event()
  usual, lock, asked = stub.usual, threading.Lock(), []

  def slow(body):
    with lock:
      asked.append(body)
      first = len(asked) == 1
    if not first:
      never.wait()
    return usual(body)

  stub.usual = slow
  made, _ = client(stub, threads=4)
  for _n, answer in made.answers([CHAT] * 50):
    assert texts(answer) == ['a said']
    break
  assert len(asked) <= 5
  never.set()
