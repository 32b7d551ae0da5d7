"""--dry_run: a cloud where everything goes well and nothing happens. It prints what it is told."""

import json
import threading

from launch.shell import Done, shown

SAYING = threading.Lock()


class Imaginary:
  """In the place of shell.run. There is no such slice until it is made."""

  def __init__(self, hosts, there):
    self.hosts, self.there = hosts, there

  def __call__(self, argv, *, given='', patience=60, env=None, cwd=None):
    with SAYING:
      print(shown(argv, given), flush=True)
    words = ' '.join(argv)
    if ' create ' in words or ' delete ' in words:
      self.there = ' create ' in words
    if ' describe ' in words:
      if not self.there:
        return Done(1, '', 'NOT_FOUND')
      ends = [{} for _ in range(self.hosts)]
      if 'tpu-vm' in argv:
        return Done(0, json.dumps(dict(state='READY', networkEndpoints=ends)), '')
      return Done(0, json.dumps(dict(state=dict(state='ACTIVE'))), '')
    if argv[:2] == ['gcloud', 'auth']:
      return Done(0, 'you', '')
    if ' ssh ' in words:
      done = dict(ok=True, state='ended', rc=0, said='', text='', last='', offset=0, stopped=False)
      return Done(0, 'POD ' + json.dumps(done), '')
    return Done(0, '', '')
