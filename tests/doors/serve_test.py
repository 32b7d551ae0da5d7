"""jaxalign serve: OpenAI's own client and raw requests against a server on this machine."""

import asyncio
import json
import threading
import time

import pytest

import jaxalign
from jaxalign.doors import engine as engines
from jaxalign.doors import serve
from jaxalign.doors.opening import opened

for _name in ('starlette', 'uvicorn', 'httpx'):
  pytest.importorskip(
    _name, reason=f'serving is an extra, jaxalign[serve], and its tests need httpx: {_name}'
  )
import httpx  # noqa: E402
import uvicorn  # noqa: E402

LIMIT = 96


class Server:
  def __init__(self, directory, token=None, **how):
    guest = opened(str(directory))
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
    return httpx.post(f'{self.url}/v1/{path}', content=content, timeout=120, **how)

  def close(self):
    self.server.should_exit = True
    self.thread.join(timeout=30)
    return self.engine.drain(30)


@pytest.fixture(scope='module')
def served(directory):
  server = Server(directory)
  yield server
  assert server.close()


@pytest.fixture(scope='module')
def model(directory):
  return jaxalign.load(directory)


def greedy(model, text, length):
  return jaxalign.sample(model, [text], length=length, temperature=0.0)[0]


def test_completions_are_those_of_sample(served, model):
  body = dict(prompt=['one', 'another one'], max_tokens=9, temperature=0, logprobs=1, echo=True)
  answer = served.post('completions', body).json()
  assert [one['index'] for one in answer['choices']] == [0, 1]
  for one, text in zip(answer['choices'], body['prompt']):
    assert one['text'] == text + greedy(model, text, 9)
    assert one['finish_reason'] in ('stop', 'length')
    assert len(one['logprobs']['token_logprobs']) <= 9 >= 1
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


def test_a_stop_string_ends_it(served, model):
  whole = greedy(model, 'one', 20)
  stop = whole[6:9]
  body = dict(prompt='one', max_tokens=20, temperature=0, stop=[stop])
  one = served.post('completions', body).json()['choices'][0]
  assert one['text'] == whole.partition(stop)[0] and one['finish_reason'] == 'stop'


BAD = [
  (b'{', 400, 'not JSON'),
  (b'[]', 400, 'no JSON object'),
  (b'{"prompt": "a", "temperature": NaN}', 400, 'NaN'),
  (b'{"prompt": "a", "temperature": 1e999}', 400, 'number'),
  (b'[' * 100_000, 400, 'not JSON'),
  (b' ' * (5 << 20), 413, 'more than 4194304 bytes'),
  (dict(prompt='a', nope=1), 400, 'nope=1 is not supported'),
  (dict(prompt='a', logit_bias={'5': 3}), 400, 'logit_bias'),
  (dict(prompt=[]), 400, 'prompt: a text'),
  (dict(prompt=['a', 3]), 400, 'prompt: a text'),
  (dict(prompt=[99999]), 400, 'outside the vocabulary'),
  (dict(prompt='a ' * 400_000), 400, 'more than the 96'),
  (dict(prompt='a', max_tokens=0), 400, 'max_tokens=0'),
  (dict(prompt='a', max_tokens=True), 400, 'whole number'),
  (dict(prompt='a', n=1000), 400, 'n=1000'),
  (dict(prompt='a', temperature=-1), 400, 'temperature=-1'),
  (dict(prompt='a', stop=['']), 400, 'stop'),
  (dict(prompt='a', stream='yes'), 400, 'stream'),
  (dict(prompt='a', logprobs=5), 400, 'logprobs'),
]


@pytest.mark.parametrize('body, status, says', BAD, ids=[says for *_, says in BAD])
def test_bad_requests_get_openais_error(served, body, status, says):
  reply = served.post('completions', body)
  error = reply.json()['error']
  assert reply.status_code == status and says in error['message']
  assert error.keys() == {'message', 'type', 'param', 'code'} and 'Traceback' not in reply.text


def test_bad_dialogues_and_paths(served):
  for messages in (None, [], [dict(role='x', content='a')], [dict(role='assistant', content='a')]):
    reply = served.post('chat/completions', dict(messages=messages))
    assert reply.status_code == 400 and reply.json()['error']['param'] == 'messages'
  assert served.post('nope', {}).status_code == 404
  assert (
    httpx.get(f'{served.url}/v1/completions').json()['error']['type'] == 'invalid_request_error'
  )


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
  text = client.completions.create(model='m', prompt='one', max_tokens=9, temperature=0)
  assert text.choices[0].text == greedy(model, 'one', 9)
  stream = client.chat.completions.create(
    model='m', messages=[dict(role='user', content='a')], max_tokens=9, temperature=0, stream=True
  )
  assert ''.join(part.choices[0].delta.content or '' for part in stream)
  with pytest.raises(openai.BadRequestError, match='logit_bias'):
    client.completions.create(model='m', prompt='a', logit_bias={'5': 1})


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


def test_a_token_is_asked_for_and_a_full_queue_says_come_again(directory):
  server = Server(directory, token='secret', waiting=2, rows=1)
  try:
    body = dict(prompt='a', max_tokens=60, temperature=0)
    assert server.post('completions', body).status_code == 401
    wrong = server.post('completions', body, headers={'Authorization': 'Bearer other'})
    assert wrong.status_code == 401 and 'secret' not in wrong.text
    head = {'Authorization': 'Bearer secret'}
    assert server.post('completions', body, headers=head).status_code == 200
    full = server.post('completions', body | dict(n=3), headers=head)
    assert full.status_code == 429 and full.headers['retry-after'] == '1'
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
  assert health.status_code == 503 and 'the device is gone' in health.json()['status']
  server.close()
