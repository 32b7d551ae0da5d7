"""A teacher behind a loopback address, for tests: real HTTP, answers that are planned."""

import contextlib
import http.server
import json
import socketserver
import threading

from jaxalign.corpora.records import Call, Sampling, Task
from jaxalign.data.records import Turn
from jaxalign.endpoint import Endpoint


def said(text, reason='stop', usage=(10, 5), **rest):
  choice = dict(index=0, message=dict(role='assistant', content=text), finish_reason=reason, **rest)
  told = dict(choices=[choice], model='the-model-itself')
  if usage:
    told['usage'] = dict(prompt_tokens=usage[0], completion_tokens=usage[1])
  return json.dumps(told)


def a_call(n, length=100, step='document', **task):
  told = (Turn('user', f'write {n}'),)
  task = Task(step=step, slot=f'{n}', **task)
  return Call(task=task, teacher='m', sampling=Sampling(length=length), turns=told)


class Stub:
  """Answers as `reply(body, n)` says, (status, headers, text); by default '<prompt> said'."""

  def __init__(self):
    stub, self.seen, self.keys, self.at_once, self.most = self, [], [], 0, 0
    self.reply = lambda body, n: (200, {}, said(body['messages'][-1]['content'] + ' said'))
    lock = threading.Lock()

    class Handler(http.server.BaseHTTPRequestHandler):
      protocol_version = 'HTTP/1.1'

      def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers['content-length'])))
        with lock:
          n = len(stub.seen)
          stub.seen.append(body)
          stub.keys.append(self.headers.get('authorization'))
          stub.at_once += 1
          stub.most = max(stub.most, stub.at_once)
        status, headers, text = stub.reply(body, n)
        with lock:
          stub.at_once -= 1
        content = text.encode()
        self.send_response(status)
        self.send_header('Content-Length', str(headers.get('length', len(content))))
        for name, value in headers.items():
          self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # who asked may have left
          self.wfile.write(content)
        self.close_connection = headers.get('Connection') == 'close'

      def log_message(self, *given):
        pass

    self.server = socketserver.ThreadingTCPServer(('127.0.0.1', 0), Handler)
    self.server.daemon_threads = True
    threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
    self.url = f'http://127.0.0.1:{self.server.server_address[1]}/v1'

  def endpoint(self, **fields):
    return Endpoint(**dict(url=self.url, model='m', threads=4, tries=3) | fields)

  def close(self):
    self.server.shutdown()
    self.server.server_close()
