"""A headless Chromium that is told what to do through a pipe, by the DevTools protocol.

Every call waits for its own reply, and `until` for what a page comes to: nothing sleeps.
"""

import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import time

FOUND = (
  shutil.which('chromium') or shutil.which('chromium-browser') or shutil.which('google-chrome')
)
_HANGS = 60  # seconds without any word
# Chromium reads 3 and writes 4. A process of its own moves them there: what preexec_fn runs in a
# fork of this one could hang, since JAX has threads.
_START = """import fcntl, os, sys
reads, writes, *command = sys.argv[1:]
ours = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 10) for fd in (reads, writes)]
os.dup2(ours[0], 3), os.dup2(ours[1], 4)
os.execv(command[0], command)
"""


class Page:
  """One tab."""

  def __init__(self, write, read):
    self._write, self._read, self._rest, self._last, self._session = write, read, b'', 0, None
    target = self.call('Target.createTarget', url='about:blank')['targetId']
    self._session = self.call('Target.attachToTarget', targetId=target, flatten=True)['sessionId']
    self.errors = []
    for domain in ('Page', 'Runtime', 'Log'):
      self.call(f'{domain}.enable')

  def call(self, method, **given):
    self._last += 1
    message = dict(id=self._last, method=method, params=given)
    if self._session:
      message['sessionId'] = self._session
    os.write(self._write, json.dumps(message).encode() + b'\0')
    while (said := self._next()).get('id') != self._last:
      if said.get('method') in ('Runtime.exceptionThrown', 'Log.entryAdded'):
        self.errors.append(said['params'])
    assert 'error' not in said, said
    return said['result']

  def _next(self):
    while b'\0' not in self._rest:
      ready, _, _ = select.select([self._read], [], [], _HANGS)
      assert ready, 'Chromium says nothing any more'
      data = os.read(self._read, 1 << 20)
      assert data, 'Chromium has ended'
      self._rest += data
    said, _, self._rest = self._rest.partition(b'\0')
    return json.loads(said)

  def open(self, path, width, height=800):
    self.call(
      'Emulation.setDeviceMetricsOverride',
      width=width, height=height, deviceScaleFactor=1, mobile=False,
    )  # fmt: skip
    self.call('Page.navigate', url=path.as_uri())
    self.until(
      f'location.href === {json.dumps(path.as_uri())} && document.readyState === "complete"'
    )

  def value(self, code):
    said = self.call('Runtime.evaluate', expression=code, returnByValue=True)
    assert 'exceptionDetails' not in said, said
    return said['result'].get('value')

  def until(self, code):
    end = time.monotonic() + _HANGS
    while not self.value(code):
      assert time.monotonic() < end, code

  def press(self, key, text=''):
    self.call('Input.dispatchKeyEvent', type='keyDown', key=key, text=text)
    self.call('Input.dispatchKeyEvent', type='keyUp', key=key)


@contextlib.contextmanager
def opened(home):
  """A Page of a browser that lives in here."""
  from_us, to_it = os.pipe()
  from_it, to_us = os.pipe()
  flags = [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--remote-debugging-pipe',
    '--no-first-run',
  ]
  flags += [
    f'--user-data-dir={home}',
    '--disable-dev-shm-usage',
    '--disable-background-networking',
    '--disable-extensions',
  ]

  browser = subprocess.Popen(
    [sys.executable, '-c', _START, str(from_us), str(to_us), FOUND, *flags],
    pass_fds=(from_us, to_us), start_new_session=True,
    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
  )  # fmt: skip
  os.close(from_us), os.close(to_us)
  try:
    page = Page(to_it, from_it)
    yield page
    page._session = None
    with contextlib.suppress(AssertionError, OSError):
      page.call('Browser.close')
  finally:
    with contextlib.suppress(ProcessLookupError):
      os.killpg(browser.pid, 9)
    browser.wait()
    os.close(to_it), os.close(from_it)
