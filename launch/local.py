"""A pod of local processes behind the same words as a slice: to rehearse the launcher itself.

A worker is a directory which is its home. What runs in it is what runs on a TPU VM, but for the
packages, which are this Python's own, and for the JAX_* variables by which the processes meet.
"""

import os
import pathlib
import re
import shlex
import shutil
import sys
import tempfile

from launch import shell
from launch.rehearse import free_port, together
from launch.shell import PodError

PASSED = ('JAX_', 'XLA_', 'HF_')  # of this process' environment


class Local:
  existing, costs, why, other = False, False, '', ''

  def __init__(self, name, hosts, devices=1, root=None):
    self.name, self.hosts, self.devices = name, hosts, devices
    self.place = pathlib.Path(root or pathlib.Path(tempfile.gettempdir()) / 'jaxalign-pods')
    self.root = self.place.absolute() / name

  def check(self):
    pass

  def state(self):
    return 'ACTIVE' if (self.root / 'up').exists() else 'NONE'

  def create(self):
    for worker in self.workers():
      (self.root / f'w{worker}' / 'bin').mkdir(parents=True, exist_ok=True)
      python = self.root / f'w{worker}' / 'bin' / 'python3'
      python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -S "$@"\n')
      python.chmod(0o755)
    (self.root / 'up').write_text(f'{self.hosts}\n')

  def delete(self):
    for home in self.root.glob('w*'):  # it may have been made with more of them
      self.ask(
        home.name[1:],
        'for w in ~/jaxalign-pods/*/tree/launch/worker.py; do test -e "$w" && '
        'python3 "$w" kill "${w%/tree/launch/worker.py}"; done',
        patience=30,
      )
    shutil.rmtree(self.root, ignore_errors=True)

  def removal(self):
    where = [f'--slice=local-{self.hosts}', f'--root={self.place}']
    return ['python', '-m', 'launch.pod', 'down', f'--name={self.name}', *where]

  def workers(self):
    return range(self.hosts)

  def copy(self, worker, path, name):
    try:
      shutil.copyfile(path, self.root / f'w{worker}' / name)
    except OSError as error:
      return shell.Done(1, '', str(error))
    return shell.Done(0, '', '')

  def ask(self, worker, command, *, given='', patience):
    home = self.root / f'w{worker}'
    if not home.is_dir():
      return shell.Done(1, '', f'{home} is not there')
    env = dict(os.environ, HOME=str(home), TMUX_TMPDIR=str(home), JAXALIGN_PYTHON=sys.executable)
    env['PATH'] = f'{home / "bin"}:{env["PATH"]}'
    env.pop('TMUX', None)
    return shell.run(['bash', '-c', command], given=given, patience=patience, env=env, cwd=home)

  def environments(self):
    passed = {k: v for k, v in os.environ.items() if k.startswith(PASSED)}
    port = free_port()
    return [passed | together(w, self.hosts, self.devices, port) for w in self.workers()]


def hosts_of(name):
  """4 of 'local-4'; None where the slice is not local."""
  match = re.fullmatch(r'local-(\d{1,9})', name or '')
  if match and not 1 <= int(match[1]) <= 64:
    raise PodError(f'--slice={name}: from 1 to 64 processes')
  return int(match[1]) if match else None
