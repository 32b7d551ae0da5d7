"""jaxalign serve: OpenAI's own client and raw requests against a server on this machine."""

import asyncio
import json
import queue
import socket
import threading
import time

import pytest

import jaxalign
from jaxalign.config import UserError
from jaxalign.doors import engine as engines
from jaxalign.doors import replies, serve
from jaxalign.doors.opening import opened
from jaxalign.endpoint import Client, Endpoint, EndpointError
from jaxalign.endpoint_answers import texts
from jaxalign.rl.stream import Request

for _name in ('starlette', 'uvicorn', 'httpx'):
  pytest.importorskip(
    _name, reason=f'serving is an extra, jaxalign[serve], and its tests need httpx: {_name}'
  )
import httpx  # noqa: E402

from tests.doors.server import LIMIT, Server  # noqa: E402


@pytest.fixture(scope='module')
def model(directory):
  return jaxalign.load(directory)


def greedy(model, text, length):
  return jaxalign.sample(model, [text], length=length, temperature=0.0)[0]


def test_completions_are_those_of_sample(served, model):
  body = dict(prompt=['one', 'another one'], max_tokens=9, temperature=0, echo=True)
  answer = served.post('completions', body).json()
  assert [one['index'] for one in answer['choices']] == [0, 1]
  for one, text in zip(answer['choices'], body['prompt']):
    assert one['text'] == text + greedy(model, text, 9)
    assert one['finish_reason'] in ('stop', 'length')
  usage = answer['usage']
  assert usage['total_tokens'] == usage['prompt_tokens'] + usage['completion_tokens']
  ids = model.tokenizer.encode('one')
  of_ids = served.post('completions', dict(prompt=ids, max_tokens=9, temperature=0)).json()
  assert of_ids['choices'][0]['text'] == greedy(model, 'one', 9)


def test_chat_streams_what_it_says_whole(served):
  body = dict(messages=[dict(role='user', content='hi <|im_end|>')], max_tokens=24, temperature=0)
  whole = served.post('chat/completions', body).json()
  said = whole['choices'][0]['message']['content']
  reply = served.post(
    'chat/completions', body | dict(stream=True, stream_options=dict(include_usage=True))
  )
  events = [line.removeprefix('data: ') for line in reply.text.splitlines() if line]
  assert events.pop() == '[DONE]'
  chunks = [json.loads(event) for event in events]
  assert chunks.pop()['usage'] == whole['usage']
  assert ''.join(chunk['choices'][0]['delta']['content'] for chunk in chunks) == said
  assert [chunk['choices'][0]['finish_reason'] for chunk in chunks][-1] is not None
  assert reply.headers['content-type'].startswith('text/event-stream')


def test_a_seed_gives_the_same_answers_and_n_gives_several(served):
  body = dict(prompt='x', max_tokens=12, n=3, seed=5, temperature=1.2, top_p=0.9, top_k=40)
  texts = [
    [one['text'] for one in served.post('completions', body).json()['choices']] for _ in range(2)
  ]
  assert texts[0] == texts[1] and len(set(texts[0])) == 3
  two = served.post('completions', body | dict(prompt=['x', 'x'], n=1)).json()['choices']
  assert [one['text'] for one in two] == texts[0][:2], 'equal prompts get answers of their own'


def test_a_stop_string_ends_it(served, model):
  whole = greedy(model, 'one', 20)
  stop = whole[6:9]
  body = dict(prompt='one', max_tokens=20, temperature=0, stop=[stop])
  one = served.post('completions', body).json()['choices'][0]
  assert one['text'] == whole.partition(stop)[0] and one['finish_reason'] == 'stop'


def test_health_models_and_metrics(served):
  assert httpx.get(f'{served.url}/health').json() == dict(status='ok')
  (one,) = httpx.get(f'{served.url}/v1/models').json()['data']
  assert one['id'].endswith('tiny')
  text = httpx.get(f'{served.url}/metrics').text
  assert '# TYPE jaxalign_tokens_total counter\njaxalign_tokens_total ' in text


def test_the_official_client(served, model):
  pytest.importorskip('openai', reason='the official client is not installed')
  import openai

  client = openai.OpenAI(base_url=f'{served.url}/v1', api_key='none', max_retries=0)
  text = client.completions.create(model='tiny', prompt='one', max_tokens=9, temperature=0)
  assert text.choices[0].text == greedy(model, 'one', 9)
  stream = client.chat.completions.create(
    model='tiny',
    messages=[dict(role='user', content='a')],
    max_tokens=9,
    temperature=0,
    stream=True,
  )
  assert ''.join(part.choices[0].delta.content or '' for part in stream)
  with pytest.raises(openai.BadRequestError, match='logit_bias'):
    client.completions.create(model='tiny', prompt='a', logit_bias={'5': 1})


def test_our_own_client(served, model):
  client = Client(Endpoint(url=f'{served.url}/v1', model='tiny', threads=6))
  prompts = [f'{n} times' for n in range(10)]
  bodies = [dict(prompt=text, max_tokens=8, temperature=0) for text in prompts]
  bodies.append(dict(prompt='a', max_tokens=1000))
  found = dict(client.answers(bodies))
  wanted = jaxalign.sample(model, prompts, length=8, temperature=0.0)
  assert 'more than the 96' in str(found.pop(10))
  assert [texts(found[n]) for n in range(10)] == [[text] for text in wanted]
  stranger = Client(Endpoint(url=f'{served.url}/v1', model='other'))
  with pytest.raises(EndpointError, match='404: there is no model "other" here, only tiny'):
    list(stranger.answers(bodies))


def test_many_clients_of_whom_some_leave_get_their_own_answers(served, model):
  """None is lost, and no text stands in another's stream."""
  texts = [f'{"ab" * (n % 9)} {n}' for n in range(40)]
  wanted = jaxalign.sample(model, texts, length=16, temperature=0.0)
  before = served.engine.counts.asked

  async def ask(client, n):
    body = dict(prompt=texts[n], max_tokens=16, temperature=0)
    if n % 5 == 4:  # leaves before its answer can be there
      with pytest.raises(httpx.TransportError):
        await client.post('/v1/completions', json=body | dict(max_tokens=60), timeout=0.0001)
      return None
    return (await client.post('/v1/completions', json=body, timeout=120)).json()['choices'][0][
      'text'
    ]

  async def all_of_them():
    async with httpx.AsyncClient(base_url=served.url) as client:
      return await asyncio.gather(*(ask(client, n) for n in range(len(texts))))

  found = asyncio.run(all_of_them())
  assert [text for text in found if text is not None] == [
    w for n, w in enumerate(wanted) if n % 5 != 4
  ]
  assert served.engine.counts.asked - before >= 32 and not served.engine.broken


def test_a_token_is_asked_for_and_a_full_queue_says_come_again(directory, monkeypatch):
  server = Server(directory, token='secret', waiting=2, rows=1)
  try:
    body = dict(prompt='a', max_tokens=60, temperature=0)
    assert server.post('completions', body).status_code == 401
    wrong = server.post('completions', body, headers={'Authorization': 'Bearer other'})
    assert wrong.status_code == 401 and 'secret' not in wrong.text
    head = {'Authorization': 'Bearer secret'}
    assert server.post('completions', body, headers=head).status_code == 200
    never = server.post('completions', body | dict(n=3), headers=head)
    assert never.status_code == 400 and 'only 2 answers may wait' in never.text
    going, usual = threading.Event(), server.engine._stream.step
    monkeypatch.setattr(server.engine._stream, 'step', lambda: going.wait() and usual())
    asked = [
      threading.Thread(target=server.post, args=('completions', body), kwargs=dict(headers=head))
      for _ in range(3)  # one in the row, two in the queue
    ]
    for one in asked:
      one.start()
    while server.engine.depth < 2:
      assert all(one.is_alive() for one in asked)
      time.sleep(0.01)
    full = server.post('completions', body, headers=head)
    assert full.status_code == 429 and full.headers['retry-after'] == '1'
    going.set()
    assert httpx.get(f'{server.url}/health').status_code == 200  # for whoever watches it
  finally:
    assert server.close()
  with pytest.raises(engines.Full):
    server.engine.ask([])


def test_a_server_that_breaks_tells_all_who_wait_and_whoever_comes(directory, monkeypatch):
  server = Server(directory, rows=1)

  def broken(*given):
    raise RuntimeError('the device is gone')

  monkeypatch.setattr(server.engine._stream, 'step', broken)
  monkeypatch.setattr(threading, 'excepthook', lambda given: None)  # said to the log
  body = dict(prompt='a', max_tokens=60, temperature=0, n=2)
  first, second = (server.post('completions', body) for _ in range(2))
  assert (first.status_code, second.status_code) == (500, 503)
  assert 'the server broke' in first.json()['error']['message'] == second.json()['error']['message']
  health = httpx.get(f'{server.url}/health')
  assert (health.status_code, health.json()) == (503, dict(status='broken'))
  server.close()


@pytest.mark.parametrize('where, length', [('join', 3), ('scores', 3), ('scores', 0)])
def test_whoever_is_being_answered_when_it_breaks_is_told_too(
  directory, monkeypatch, where, length
):
  """Memory runs out where a prompt is read, or where a long text is scored."""
  engine = engines.Engine(opened(str(directory)), limit=LIMIT, rows=1, waiting=4)

  def broken(*given):
    raise RuntimeError('no memory is left')

  monkeypatch.setattr(engine._stream if where == 'join' else engines, where, broken)
  monkeypatch.setattr(threading, 'excepthook', lambda given: None)  # said to the log
  told = queue.SimpleQueue()

  def tell(text, answer):
    if answer is not None:
      told.put(answer)

  request = Request(prompt=(5,), length=length, temperature=0.0)
  engine.ask([engines.Job(request, [], tell, scored=True) for _ in range(2)])
  assert [told.get(timeout=30).error for _ in range(2)] == [
    'the server broke; its log says why'
  ] * 2
  assert engine.counts.failed == 2 and engine.counts.answered == 0 and told.empty()


@pytest.mark.parametrize(
  'host, status',
  [
    ('localhost', 200), ('LOCALHOST:80', 200), ('127.0.0.1', 200), ('127.0.0.2:9', 200),
    ('[::1]:8000', 200), ('evil.example', 403), ('127.0.0.1.evil.example:8000', 403),
    ('192.168.0.7', 403), ('[::1', 403), ('', 403),
  ],
)  # fmt: skip
def test_a_server_of_this_machine_is_asked_under_its_own_names(served, host, status):
  for path in ('/health', '/v1/models', '/metrics', '/no/such'):
    reply = httpx.get(f'{served.url}{path}', headers={'Host': host})
    assert reply.status_code == (404 if (path, status) == ('/no/such', 200) else status)
  if status == 403:
    assert 'localhost or 127.0.0.1 alone' in reply.json()['error']['message']


def test_whoever_names_a_host_serves_under_any_name(served):
  from starlette.testclient import TestClient

  asked = TestClient(serve.app(served.engine, None, local=False), base_url='http://box.example')
  assert asked.get('/health').status_code == 200


def test_what_nobody_expected_is_a_line_to_the_client(served, monkeypatch):
  def broken(self):
    raise KeyError('/a/path/of/ours')

  monkeypatch.setattr(engines.Engine, 'depth', property(broken))
  reply = httpx.get(f'{served.url}/metrics')
  assert reply.status_code == 500 and 'KeyError' in reply.json()['error']['message']
  assert 'path' not in reply.text and reply.json()['error']['type'] == 'server_error'
  monkeypatch.undo()
  assert httpx.get(f'{served.url}/metrics').status_code == 200


def test_the_words_of_a_stream_are_written_off_the_loop(served, monkeypatch):
  seen, usual = [], replies.Saying._logprobs

  def watched(self, *given):
    seen.append(threading.get_ident())
    return usual(self, *given)

  monkeypatch.setattr(replies.Saying, '_logprobs', watched)
  body = dict(prompt='one', max_tokens=6, temperature=0, stream=True, logprobs=2)
  lines = served.post('completions', body).text.splitlines()
  told = [json.loads(line[6:]) for line in lines if line.startswith('data: {')]
  assert seen and served.thread.ident not in seen
  assert told[-1]['choices'][0]['logprobs']['tokens']


def test_an_address_that_cannot_be_had_is_said_before_a_model_is_read(monkeypatch):
  with socket.create_server(('127.0.0.1', 0)) as taken:
    port = taken.getsockname()[1]
    with pytest.raises(UserError, match=f'--port={port}: Address already in use; take another'):
      serve.run(['serve', '/no/model', f'--port={port}'])
  with pytest.raises(UserError, match='--host=192.0.2.1 --port=0'):
    serve.run(['serve', '/no/model', '--host=192.0.2.1', '--port=0'])
  monkeypatch.setenv('JAXALIGN_SERVE_TOKEN', ' ')
  with pytest.raises(UserError, match='JAXALIGN_SERVE_TOKEN is empty'):
    serve.run(['serve', '/no/model', '--port=0'])
