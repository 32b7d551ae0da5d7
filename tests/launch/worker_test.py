"""What a worker does with what it is sent: packages, secrets, and nothing twice."""

import argparse
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time

import pytest

from launch import worker
from tests.launch import cloud
from tests.launch.cloud import UP

UV = """#!/bin/sh
echo "$ANSWERS uv $*" >> "$CLOUD_HERE/uv"
case "$1" in
  venv) for last; do :; done; mkdir -p "$last/bin"
    printf '#!/bin/sh\\ntest "$1" = -c && exit\\nexec %s "$@"\\n' "$REAL" > "$last/bin/python"
    chmod +x "$last/bin/python";;
  pip) test "$(cat "$CLOUD_HERE/broken")" != yes || { echo 'the download broke off'; exit 1; }
    case "$ANSWERS" in prepare1:1) echo 'no space left'; exit 1;; esac;;
esac
"""


@pytest.fixture
def uv(place, monkeypatch):
  here = place()
  monkeypatch.delenv('JAXALIGN_PYTHON')
  monkeypatch.setenv('REAL', sys.executable)
  (here / 'broken').write_text('no')
  (here / 'bin' / 'uv').write_text(UV.replace('\\\\n', '\\n'))
  (here / 'bin' / 'uv').chmod(0o755)
  return here


@pytest.mark.campaign
def test_a_partial_installation_is_made_anew_and_a_whole_one_kept(uv, go, toy, tmp_path):
  status, said = go('up', command=toy(''))
  assert status == 0 and '1 of 2 workers could not install; once more' in said, said
  made = [line for line in (uv / 'uv').read_text().splitlines() if ' uv venv ' in line]
  assert sorted(line.split()[0] for line in made) == ['prepare0:1', 'prepare1:1', 'prepare1:2']
  assert '--require-hashes' in (uv / 'uv').read_text()
  assert go('up', command=toy('# again'))[0] == 0
  assert len([x for x in (uv / 'uv').read_text().splitlines() if ' uv venv ' in x]) == 3


def test_an_installation_that_fails_is_shown(uv, go, toy, tmp_path):
  (uv / 'broken').write_text('yes')
  status, said = go('up', command=toy(''))
  assert status == 1 and 'worker 0, 1 could not install' in said[-2]
  assert 'the download broke off' in said[-2] and said[-1] == UP
  assert not (tmp_path / 'began0').exists()


def test_secrets_go_by_standard_input_alone(place, go, toy, monkeypatch, tmp_path):
  eights = '8' * 20  # no checksum among the arguments holds as many
  here, value = place(), 'hf_' + eights  # which this file, sent along, does not hold
  monkeypatch.setenv('HF_TOKEN', value)
  monkeypatch.setenv('MINE', value[::-1])
  code = 'print("I know", os.environ["HF_TOKEN"], os.environ["MINE"])'
  status, said = go('up', '--env=MINE', command=toy(code))
  assert status == 0 and 'I know *** ***' in said and eights not in ' '.join(said)
  made = cloud.calls(here)
  assert not any(eights in word for call in made for word in call['argv'])
  told = [call['argv'][-1] for call in made if value in call['given']]
  assert len(told) == 2 and all('worker.py prepare' in command for command in told)
  held = here / 'w1' / 'jaxalign-pods' / 'p' / 'env.json'
  assert stat.S_IMODE(held.stat().st_mode) == 0o600
  assert json.loads(held.read_text()) == dict(HF_TOKEN=value, MINE=value[::-1])
  known = ('env.json', 'calls.jsonl', 'log')  # the toy prints it
  others = [p for p in here.rglob('*') if p.is_file() and p.name not in known]
  assert not any(value.encode() in p.read_bytes() for p in others)
  status, said = go('up', '--env=NOT_SET', command=toy(''))
  assert status == 2 and 'NOT_SET is not set here' in said[0]


@pytest.fixture
def prepares(uv, tmp_path, monkeypatch):
  """prepares(stdin) is a worker that installs, all in one place."""
  monkeypatch.setenv('ANSWERS', 'x')
  argv = [sys.executable, '-S', worker.__file__, 'prepare', str(tmp_path / 'h' / 'p')]
  return lambda stdin: subprocess.Popen(argv, stdin=stdin, stdout=subprocess.PIPE, text=True)


def is_ok(process):
  return json.loads(process.communicate(timeout=60)[0].removeprefix('POD '))['ok']


def test_two_installations_take_turns(uv, prepares):
  """An ssh that was given up may have left one running there."""
  uv_ = uv / 'bin' / 'uv'
  uv_.write_text(uv_.read_text().replace('case', 'sleep .5\ncase', 1))
  both = [prepares(subprocess.DEVNULL) for _ in range(2)]
  assert is_ok(both[0]) and is_ok(both[1])
  assert (uv / 'uv').read_text().count(' uv venv ') == 1


def test_nobody_waits_for_an_ssh_that_hangs_with_its_secrets(prepares):
  with prepares(subprocess.PIPE) as hangs:
    time.sleep(0.5)
    assert is_ok(prepares(subprocess.DEVNULL))
    hangs.kill()


def test_what_is_followed_begins_where_the_tail_ended(tmp_path):
  (tmp_path / 'log').write_text('one\ntwo\n')
  got = worker.tail(argparse.Namespace(home=tmp_path, lines=1))
  assert (got['text'], got['offset']) == ('two', 8)


def test_a_log_comes_in_whole_lines_once(tmp_path, monkeypatch):
  log = tmp_path / 'log'
  assert worker.chunk(log, 0, whole=True) == dict(text='', offset=0)
  log.write_text('one\ntwo\nthr')
  assert worker.chunk(log, 0, whole=True) == dict(text='one\ntwo\n', offset=8)
  assert worker.chunk(log, 8, whole=True) == dict(text='', offset=8)
  assert worker.chunk(log, 8, whole=False) == dict(text='thr', offset=11)  # it has ended
  assert worker.chunk(log, -7, whole=True) == dict(text='two\n', offset=8)
  assert worker.chunk(log, 99, whole=False) == dict(text='', offset=11)
  monkeypatch.setattr(worker, 'CHUNK', 6)
  assert worker.chunk(log, 0, whole=False) == dict(text='one\n', offset=4)
  log.write_text('a line longer than any answer')
  assert worker.chunk(log, 0, whole=True) == dict(text='a line', offset=6)


def test_what_became_of_a_run(tmp_path):
  said = lambda: worker.state(tmp_path)['state']
  assert said() == 'none'
  (tmp_path / 'pid').write_text(f'{os.getpid()} {worker.born(os.getpid())}')
  assert said() == 'running'
  (tmp_path / 'pid').write_text(f'{os.getpid()} another-boot:77')  # a number that came again
  assert said() == 'lost'
  (tmp_path / 'rc').write_text('-9')
  assert worker.state(tmp_path)['rc'] == -9 and said() == 'ended'


def test_a_file_of_secrets_is_never_readable_by_others(tmp_path):
  (tmp_path / 'env.json').write_text('old')
  (tmp_path / 'env.json').chmod(0o644)
  worker.write(tmp_path / 'env.json', 'new', mode=0o600)
  assert stat.S_IMODE((tmp_path / 'env.json').stat().st_mode) == 0o600
  assert (tmp_path / 'env.json').read_text() == 'new' and len(list(tmp_path.iterdir())) == 1


@pytest.mark.skipif(shutil.which('tmux') is None, reason='tmux is not here')
def test_a_session_of_tmux_ends_with_its_run(tmp_path, monkeypatch):
  with tempfile.TemporaryDirectory(dir='/tmp') as place:  # a socket's path is short
    monkeypatch.setenv('TMUX_TMPDIR', place)
    home = tmp_path / 'p'
    home.mkdir()
    for name, text in (('env.json', '{}'), ('python', sys.executable)):
      (home / name).write_text(text)
    tmux = ['tmux', '-L', 'jaxalign']
    # Another session keeps the server: one that is just ending would take no new one.
    subprocess.run([*tmux, 'new-session', '-d', '-s', 'other', 'sleep', '600'], check=True)
    try:
      for _ in range(2):  # and the next one gets a session again
        got = worker.start(argparse.Namespace(home=home, env=[], command=['sleep', '0.1']))
        assert got['ok'] and got['said'] == 'in tmux'
        while worker.state(home)['state'] == 'running':
          time.sleep(0.05)
      end, has = time.monotonic() + 60, [*tmux, 'has-session', '-t', f'={home.name}']
      while subprocess.run(has, capture_output=True).returncode == 0:
        assert time.monotonic() < end, 'the session goes on'
        time.sleep(0.1)
    finally:
      subprocess.run([*tmux, 'kill-server'], check=True)
    assert worker.state(home)['rc'] == 0
