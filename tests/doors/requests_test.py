"""Requests that cannot be answered: OpenAI's error form by real HTTP, and never a stack."""

import asyncio
import json
import shutil
import socket
import subprocess

import pytest

import jaxalign
from jaxalign.doors import serve

for _name in ('starlette', 'uvicorn', 'httpx'):
  pytest.importorskip(_name, reason=f'serving is an extra, jaxalign[serve]: {_name}')
import httpx  # noqa: E402

DEEP = '{"prompt": "a", "metadata": ' + '[' * 900 + ']' * 900 + '}'
COMPLETIONS = [
  (b'', 400, 'not JSON'),
  (b'{', 400, 'not JSON'),
  (b'[]', 400, 'no JSON object'),
  (b'{"prompt": "a", "temperature": NaN}', 400, 'NaN'),
  (b'{"prompt": "a", "temperature": 1e999}', 400, 'temperature=Infinity: a number'),
  (b'{"prompt": "a", "n": ' + b'9' * 5000 + b'}', 400, 'not JSON'),
  (b'{"prompt": "a", "n": ' + b'9' * 400 + b'}', 400, 'n=999'),
  (b'{"prompt": "a", "temperature": ' + b'9' * 400 + b'}', 400, 'temperature=999'),
  (b'[' * 100_000, 400, 'not JSON: maximum'),
  (DEEP.encode(), 400, 'metadata=[[['),
  (b'{"prompt": "\xff\xfe"}', 400, 'not JSON'),
  (b'\xff\xfe{', 400, 'not JSON'),
  (b' ' * (10 << 20), 413, 'more than 4194304 bytes'),
  (b'{"prompt": "a", "\\ud800": 1}', 400, 'is not supported'),
  (b'{"prompt": "\\ud800"}', 400, 'surrogate'),
  (dict(prompt='a', nope=1), 400, 'nope=1 is not supported'),
  (dict(prompt='a', messages=[]), 400, 'messages=[] is not supported'),
  (dict(prompt='a', logit_bias={'5': 3}), 400, 'logit_bias'),
  (dict(prompt='a', model='another'), 404, 'there is no model "another" here, only tiny'),
  (dict(prompt='a', model=['tiny']), 404, 'there is no model ["tiny"]'),
  (dict(), 400, 'prompt: a text'),
  (dict(prompt=[]), 400, 'prompt: a text'),
  (dict(prompt=[[]]), 400, 'prompt: a text'),
  (dict(prompt=['a', 3]), 400, 'prompt: a text'),
  (dict(prompt=[1.5]), 400, 'prompt: a text'),
  (dict(prompt=[True]), 400, 'prompt: a text'),
  (dict(prompt=[99999]), 400, 'outside the vocabulary'),
  (dict(prompt=[-1]), 400, 'outside the vocabulary'),
  (dict(prompt=[2**70]), 400, 'outside the vocabulary'),
  (dict(prompt='a ' * 400_000), 400, 'more than the 96'),
  (dict(prompt=[5] * 400_000), 400, 'a prompt of 400000 tokens'),
  (dict(prompt='a', max_tokens=0), 400, 'max_tokens=0: from 1'),
  (dict(prompt='a', max_tokens=-1, echo=True), 400, 'max_tokens=-1: from 0'),
  (dict(prompt='a', max_tokens=True), 400, 'whole number'),
  (dict(prompt='a', max_tokens=2.5), 400, 'whole number'),
  (dict(prompt='a', max_tokens=10**12), 400, 'max_tokens=1000000000000: from'),
  (dict(prompt='a', n=1000), 400, 'n=1000'),
  (dict(prompt='a', n=100), 400, 'only 64 answers may wait'),
  (dict(prompt=['a'] * 100, n=2), 400, '100 prompts with n=2'),
  (dict(prompt='a', temperature=-1), 400, 'temperature=-1'),
  (dict(prompt='a', temperature='hot'), 400, 'temperature="hot": a number'),
  (dict(prompt='a', top_p=1.5), 400, 'top_p=1.5'),
  (dict(prompt='a', seed='x'), 400, 'seed="x"'),
  (dict(prompt='a', stop=['']), 400, 'stop'),
  (dict(prompt='a', stop=['a'] * 100), 400, 'at most 16'),
  (dict(prompt='a', stop=3), 400, 'stop'),
  (dict(prompt='a', stream='yes'), 400, 'stream'),
  (dict(prompt='a', logprobs=6), 400, 'logprobs=6: from 0 to 5'),
]
TURN = dict(role='user', content='a')
DIALOGUES = [
  (dict(), 'messages: a list'),
  (dict(messages=[]), 'messages: a list'),
  (dict(messages='hello'), 'messages: a list'),
  (dict(messages=['hello']), 'message 1: role is one of'),
  (dict(messages=[dict(content='a')]), 'message 1: role is one of'),
  (dict(messages=[dict(role='x', content='a')]), 'message 1: role is one of'),
  (dict(messages=[dict(role=['user'], content='a')]), 'message 1: role is one of'),
  (dict(messages=[TURN, dict(role='user')]), 'message 2'),
  (dict(messages=[dict(role='user', content=dict(a=1))]), 'content is text'),
  (dict(messages=[dict(role='user', content=[dict(type='image_url')])]), 'content is text'),
  (dict(messages=[dict(role='assistant', content='a')]), ''),
  (dict(messages=[TURN], prompt='a'), 'prompt="a" is not supported'),
  (dict(messages=[TURN], max_tokens=0), 'max_tokens=0'),
  (dict(messages=[TURN], top_logprobs=3), 'top_logprobs=3 needs logprobs=true'),
  (dict(messages=[TURN], logprobs=True, top_logprobs=20), 'top_logprobs=20: from 0 to 5'),
  (dict(messages=[TURN], tools=[dict(type='function')]), 'tools='),
]  # fmt: skip


def error_of(reply, status):
  error = reply.json()['error']
  assert reply.status_code == status and 'Traceback' not in reply.text
  assert error.keys() == {'message', 'type', 'param', 'code'}
  assert error['type'] == 'invalid_request_error'
  return error


@pytest.mark.parametrize('body, status, says', COMPLETIONS)
def test_bad_completions(served, body, status, says):
  assert says in error_of(served.post('completions', body), status)['message']


@pytest.mark.parametrize('body, says', DIALOGUES)
def test_bad_dialogues(served, body, says):
  assert says in error_of(served.post('chat/completions', body), 400)['message']


@pytest.mark.parametrize('kind', ['text/plain', 'application/x-www-form-urlencoded', ''])
def test_what_a_web_page_may_send_unasked_is_refused(served, kind):
  reply = served.post('completions', dict(prompt='a'), headers={'Content-Type': kind})
  assert 'application/json' in error_of(reply, 415)['message']
  charset = {'Content-Type': 'Application/JSON; charset=utf-8'}
  assert served.post('completions', dict(prompt='a'), headers=charset).status_code == 200


def test_methods_and_paths(served):
  assert served.post('nope', {}).status_code == 404
  assert error_of(httpx.get(f'{served.url}/nope\u20ac%0a'), 404)['message'].startswith(
    'there is no'
  )
  for method in ('GET', 'PUT', 'DELETE'):
    reply = httpx.request(method, f'{served.url}/v1/completions')
    assert method in error_of(reply, 405)['message'] and reply.headers['allow'] == 'POST'
  assert httpx.head(f'{served.url}/v1/completions').status_code == 405
  assert httpx.head(f'{served.url}/health').status_code == 200


def test_what_openai_allows_is_answered(served, directory):
  """One text, texts, ids, lists of ids; stops that stand twice; fields that say what is so."""
  model = jaxalign.load(directory)
  ids = [model.tokenizer.encode(text) for text in ('one', 'two')]
  wanted = jaxalign.sample(model, ['one', 'two'], length=6, temperature=0.0)
  for prompt, answers in (
    ('one', wanted[:1]), (ids[0], wanted[:1]), (['one', 'two'], wanted), (ids, wanted),
    ([ids[0], 'two'], wanted),
  ):  # fmt: skip
    body = dict(prompt=prompt, max_tokens=6, temperature=0, model='tiny', user='me', stop=[])
    body |= dict(frequency_penalty=0, logit_bias={}, best_of=1, metadata=None)
    found = served.post('completions', body).json()['choices']
    assert [one['text'] for one in found] == answers
  body = dict(prompt='x', max_tokens=6, stop=['\x00', '\x00'], n=2, seed=-7)
  assert served.post('completions', body).status_code == 200
  parts = [dict(type='text', text='a'), dict(type='text', text='b')]
  said = [
    served.post(
      'chat/completions',
      dict(messages=[dict(role='user', content=content)], max_tokens=6, temperature=0),
    ).json()['choices'][0]['message']['content']
    for content in (parts, 'ab')
  ]
  assert said[0] == said[1]


def test_a_client_that_dawdles_blocks_nobody(served):
  """Twenty have begun a request and say no more; one that comes later is answered."""
  host, port = served.url.removeprefix('http://').split(':')
  idle = [socket.create_connection((host, int(port))) for _ in range(20)]
  try:
    head = 'POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n'
    for n, one in enumerate(idle):
      one.sendall((head + 'Content-Length: 1000\r\n\r\n{"pro').encode()[: 30 if n % 2 else None])
    assert served.post('completions', dict(prompt='a', max_tokens=3)).status_code == 200
  finally:
    for one in idle:
      one.close()
  assert served.post('completions', dict(prompt='a', max_tokens=3)).status_code == 200


def test_a_client_that_leaves_within_its_body_breaks_nothing(served):
  came = iter([
    dict(type='http.request', body=b'{"pro', more_body=True), dict(type='http.disconnect'),
  ])  # fmt: skip
  sent = []

  async def receive():
    return next(came)

  async def send(message):
    sent.append(message)

  scope = dict(type='http', method='POST', path='/v1/completions', query_string=b'')
  scope |= dict(headers=[(b'content-type', b'application/json')])
  asyncio.run(serve.app(served.engine, None)(scope, receive, send))
  assert sent[0]['status'] == 499


@pytest.fixture
def curl(served, tmp_path):
  """curl(path, body, *flags) -> (status, what it printed)."""
  if not shutil.which('curl'):
    pytest.skip('curl is not installed')

  def run(path, body, *flags):
    (tmp_path / 'body').write_bytes(body if isinstance(body, bytes) else json.dumps(body).encode())
    words = ['curl', '-sS', '-N', '--max-time', '120', '-H', 'Content-Type: application/json']
    words += ['--data-binary', f'@{tmp_path}/body', '-w', '\n%{http_code}', '--noproxy', '*']
    done = subprocess.run(
      [*words, *flags, f'{served.url}/v1/{path}'], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    said, _, status = done.stdout.rpartition('\n')
    return int(status), said

  return run


def test_curl_asks_and_streams(curl, directory):
  status, said = curl('completions', dict(prompt='one', max_tokens=6, temperature=0))
  wanted = jaxalign.sample(jaxalign.load(directory), ['one'], length=6, temperature=0.0)
  assert status == 200 and [one['text'] for one in json.loads(said)['choices']] == wanted
  body = dict(messages=[TURN], max_tokens=20, temperature=0)
  whole = json.loads(curl('chat/completions', body)[1])['choices'][0]['message']['content']
  status, said = curl('chat/completions', body | dict(stream=True))
  *events, last = [line for line in said.split('\n') if line]
  assert status == 200 and last == 'data: [DONE]'
  deltas = [json.loads(one.removeprefix('data: '))['choices'][0]['delta'] for one in events]
  assert ''.join(delta['content'] for delta in deltas) == whole
  assert [delta.get('role') for delta in deltas] == ['assistant'] + [None] * (len(deltas) - 1)


@pytest.mark.parametrize(
  'body, status, says',
  [
    (b'{"prompt": ', 400, 'not JSON'),
    (b'{"prompt": "' + b'a' * (10 << 20) + b'"}', 413, 'more than 4194304 bytes'),
    (b'{"prompt": "a", "temperature": NaN}', 400, 'NaN'),
    (dict(prompt='a', magic=1), 400, 'magic=1 is not supported'),
    (dict(prompt='a ' * 400_000), 400, 'more than the 96'),
  ],
)
def test_curl_is_told_what_is_wrong(curl, body, status, says):
  got, said = curl('completions', body)
  assert got == status and says in json.loads(said)['error']['message']
  got, said = curl('completions', body, '-H', 'Expect:')  # sends without being asked to go on
  assert got == status and says in json.loads(said)['error']['message']
