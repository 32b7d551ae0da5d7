"""jaxalign serve under load: many clients at once beside one at a time, and nothing lost.

  python benchmarks/serve_load.py [--model=MODEL] [--clients=64] [--requests=2000] [--rows=16]

Starts the server as a user would, on stories260K (where the file is there) or a tiny random model.
Prompts of 1 to 120 tokens, answers of up to 8 to 120, a third of them streamed; of the clients one
in twelve leaves midway. Every whole answer must be the text that jaxalign's own answers give, rows
of leavers must be free at the end, the server's memory flat from a third of the requests on, and
tokens a second be at least 4 times those of one request at a time. Both sides share the machine's
cores with the clients, so that only the ratio within one run says anything.
Expected: exit status 0; on two busy cores 8 to 13 times.
"""

import argparse
import collections
import contextlib
import dataclasses
import http.client
import json
import pathlib
import queue
import random
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

import jax

import jaxalign
from jaxalign.data import text
from jaxalign.models import llama2
from jaxalign.rl.answers import answers
from jaxalign.rl.stream import Request

STORIES = pathlib.Path(__file__).resolve().parents[1] / '../shared/data/stories260K/stories260K.bin'
LEAST = 4.0  # times as many tokens a second
GROWTH = 1.05  # of the server's memory, from a third of the requests to the last
LEAVE = 12  # one in so many goes away midway
WORDS = 'Once upon a time there was little girl named Lily and she big dog who liked to play .'


@dataclasses.dataclass(frozen=True)
class Ask:
  prompt: str
  length: int
  stream: bool
  leaves: bool


def main():
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--model', help='a workdir, a Hugging Face directory, a .gguf or a .bin')
  parser.add_argument('--clients', type=int, default=64)
  parser.add_argument('--requests', type=int, default=2000)
  parser.add_argument('--alone', type=int, default=60, help='requests that are asked one by one')
  parser.add_argument('--rows', type=int, default=16)
  args = parser.parse_args()
  with tempfile.TemporaryDirectory() as place, contextlib.ExitStack() as stack:
    model = args.model or (str(STORIES) if STORIES.exists() else made(place))
    asks = planned(args.requests)
    wanted = greedy(jaxalign.load(model), asks)
    process, url = stack.enter_context(serving(model, args.rows))
    crowd(url, planned(6 * args.clients, seed=1), args.clients)  # compiles
    alone = [dataclasses.replace(ask, leaves=False) for ask in asks[: args.alone]]
    single, _ = measured(url, alone, 1)
    third = len(asks) // 3
    _, first = measured(url, asks[:third], args.clients)
    before = memory(process)
    many, rest = measured(url, asks[third:], args.clients)
    found = first | {n + third: one for n, one in rest.items()}
    wrong = faults(asks, found, wanted) + left_over(url)
    after = memory(process)
  print(f'memory of the server: {before:.0f} MiB after a third, {after:.0f} MiB at the end')
  print(f'{args.clients} clients beside one: {many / single:.1f} times the tokens a second')
  for line in wrong[:20]:
    print(f'wrong: {line}')
  sys.exit(bool(wrong) or many < LEAST * single or after > GROWTH * before)


def planned(count, seed=0, longest=120):
  """Requests of mixed length, the same for a seed."""
  draw, words = random.Random(seed), WORDS.split()
  return [
    Ask(
      prompt=' '.join(draw.choices(words, k=draw.randint(1, longest // 3))),
      length=draw.randint(8, longest),
      stream=draw.random() < 1 / 3,
      leaves=draw.randrange(LEAVE) == 0,
    )
    for _ in range(count)
  ]


def greedy(model, asks):
  """What jaxalign itself answers to each."""
  ids = [tuple(model.tokenizer.encode(ask.prompt)) for ask in asks]
  requests = [Request(prompt=i, length=ask.length, temperature=0.0) for i, ask in zip(ids, asks)]
  return {n: answer.text for n, answer in answers(model, requests)}


def made(place):
  """A tiny random model, where the file of stories is not there."""
  tokenizer = text.shipped()
  cfg = llama2.tiny(vocab=tokenizer.vocab, eos=(tokenizer.eos,), bos=tokenizer.bos)
  model = cfg.build(jax.random.key(0))
  model.tokenizer = tokenizer
  jaxalign.export(model, f'{place}/model')
  return f'{place}/model'


@contextlib.contextmanager
def serving(model, rows):
  """(process, address) of a server that has begun."""
  command = [sys.executable, '-m', 'jaxalign.main', 'serve', model, '--port=0', f'--rows={rows}']
  with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
    try:
      while 'is served at ' not in (line := process.stdout.readline()):
        if process.poll() is not None:
          sys.exit('the server did not begin')
      yield process, line.split('is served at ')[1].split()[0]
    finally:
      process.terminate()


def measured(url, asks, clients):
  """(tokens a second that whole answers brought, texts by place)."""
  began = time.monotonic()
  found = crowd(url, asks, clients)
  took = time.monotonic() - began
  tokens = sum(one[1] for one in found.values() if one)
  whole = sum(one is not None for one in found.values())
  print(
    f'{clients:3} clients: {len(asks)} requests, {whole} answered whole, {took:.1f} s, '
    f'{whole / took:.1f} requests/s, {tokens / took:.0f} tokens/s',
    flush=True,
  )
  return tokens / took, found


def crowd(url, asks, clients):
  """{place: (text, tokens) or None of who left}, from so many clients that each ask in turn."""
  waiting, found, broken = queue.SimpleQueue(), {}, []
  for one in enumerate(asks):
    waiting.put(one)

  def client():
    host = urllib.parse.urlsplit(url).netloc
    connection = http.client.HTTPConnection(host, timeout=600)
    try:
      while True:
        n, ask = waiting.get_nowait()
        found[n] = answer(connection, ask)
    except queue.Empty:
      connection.close()
    except Exception as error:
      broken.append(f'request {n}: {error!r}')

  threads = [threading.Thread(target=client, daemon=True) for _ in range(clients)]
  for one in threads:
    one.start()
  for one in threads:
    one.join()
  if broken:
    raise RuntimeError('; '.join(broken[:3]))
  return found


def answer(connection, ask):
  """(text, tokens) of one request; None if its client leaves, which ends the connection."""
  body = dict(prompt=ask.prompt, max_tokens=ask.length, temperature=0, stream=ask.stream)
  body |= dict(stream_options=dict(include_usage=True)) if ask.stream else {}
  head = {'Content-Type': 'application/json'}
  connection.request('POST', '/v1/completions', json.dumps(body), head)
  if ask.leaves and not ask.stream:
    connection.close()
    return None
  response = connection.getresponse()
  if response.status != 200:
    raise RuntimeError(f'{response.status}: {response.read()[:200]!r}')
  if not ask.stream:
    found = json.loads(response.read())
    return found['choices'][0]['text'], found['usage']['completion_tokens']
  texts, tokens = [], 0
  for line in response:
    if ask.leaves:
      connection.close()
      return None
    if line.startswith(b'data: {'):
      event = json.loads(line[len(b'data: ') :])
      texts += [choice['text'] for choice in event['choices']]
      tokens = event.get('usage', {}).get('completion_tokens', tokens)
  return ''.join(texts), tokens


def faults(asks, found, wanted):
  """One line for each answer that is lost, or is not what it should be."""
  wrong = [f'request {n} is lost' for n in range(len(asks)) if n not in found]
  for n, one in found.items():
    if one is None and not asks[n].leaves:
      wrong.append(f'request {n} has no answer')
    if one is not None and one[0] != wanted[n]:
      wrong.append(f'request {n}: {one[0]!r:.60} and not {wanted[n]!r:.60}')
  return wrong


def left_over(url, tries=200):
  """A line for each row or place in the queue that is still taken when nobody is there."""
  host = urllib.parse.urlsplit(url).netloc
  for _ in range(tries):
    connection = http.client.HTTPConnection(host, timeout=60)
    connection.request('GET', '/metrics')
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    counts = collections.Counter(
      {k: int(v) for k, v in (one.split() for one in lines if one[0] != '#')}
    )
    taken = {name: counts[f'jaxalign_{name}'] for name in ('running', 'waiting')}
    if not any(taken.values()):
      return []
    time.sleep(0.1)
  return [f'{count} are still {name}' for name, count in taken.items() if count]


def memory(process):
  """MiB that a process holds."""
  status = pathlib.Path(f'/proc/{process.pid}/status').read_text()
  return int(status.split('VmRSS:')[1].split()[0]) / 1024


if __name__ == '__main__':
  main()
