"""A cloud where things go wrong, on PATH, and a launcher to be told about it."""

import os
import sys

import pytest

from launch import flags, pod
from tests.launch import cloud


@pytest.fixture
def place(tmp_path, monkeypatch):
  """place(**script) makes the cloud; runs that are left are ended."""
  here = tmp_path / 'cloud'
  monkeypatch.setenv('PATH', f'{here}/bin:{os.environ["PATH"]}')
  monkeypatch.setenv('CLOUD_HERE', str(here))
  monkeypatch.setenv('JAXALIGN_PYTHON', sys.executable)
  for name in flags.SECRETS:
    monkeypatch.delenv(name, raising=False)

  def make(**script):
    cloud.install(here, **script)
    return here

  yield make
  monkeypatch.setattr(cloud, 'HERE', here)
  cloud.lose_machines()


@pytest.fixture
def go(capsys, request):
  """go('up', ...) -> (exit status, lines)."""

  def run(verb, *more, command=None):
    slice_ = [] if any(f.startswith('--slice') for f in more) else ['--slice=v5e-16']
    after = ['--', *command] if command else []
    status = pod.main([verb, *cloud.BASE, *slice_, *more, *after])
    said = capsys.readouterr().out
    request.node.add_report_section('call', verb, said)  # for whoever reads of a failure
    return status, said.splitlines()

  return run


@pytest.fixture
def toy(tmp_path):
  """toy(code): a command; `n` counts how often this worker began it, `me` is its number."""

  def write(code):
    path = tmp_path / 'toy.py'
    path.write_text(
      'import os, pathlib, signal, sys, time\n'
      'me = int(os.environ["HOME"][-1])\n'
      f'tally = pathlib.Path({str(tmp_path)!r}) / f"began{{me}}"\n'
      'n = len(tally.read_text()) if tally.exists() else 0\n'
      'tally.write_text("x" * (n + 1))\n'
      'print(f"begin {n}")\n' + code
    )
    return ['python', str(path)]

  return write
