"""A directory is replaced whole or not at all, wherever it is."""

import os
import pathlib
import subprocess
import sys

import pytest
from etils import epath

from jaxalign.config import UserError
from jaxalign.models.directories import place, replacing


def files(path):
  return {f.name: f.read_text() for f in epath.Path(path).iterdir()}


def put(path, overwrite=False, **content):
  with replacing(path, overwrite) as partial:
    for name, text in content.items():
      (partial / f'{name}.json').write_text(text)


@pytest.fixture(params=['here', 'bucket'])
def root(request, tmp_path):
  return (
    tmp_path if request.param == 'here' else epath.Path(request.getfixturevalue('bucket')) / 'r'
  )


def test_a_new_an_empty_and_an_old_one(root):
  put(root / 'a/b', config='1', weights='2')
  assert files(root / 'a/b') == {'config.json': '1', 'weights.json': '2'}
  put(root / 'a/b', overwrite=True, config='3')
  assert files(root / 'a/b') == {'config.json': '3'}
  assert [f.name for f in (root / 'a').iterdir()] == ['b']  # nothing is left behind
  (root / 'empty').mkdir(parents=True)
  put(root / 'empty', config='4')
  assert files(root / 'empty') == {'config.json': '4'}


def test_an_old_one_is_kept_unless_told_and_unless_the_new_is_whole(root):
  put(root / 'a', config='old')
  with pytest.raises(UserError, match='overwrite=True'):
    put(root / 'a', config='new')
  for error in (RuntimeError, KeyboardInterrupt):
    with pytest.raises(error), replacing(root / 'a', True) as partial:
      (partial / 'config.json').write_text('half')
      raise error
  with pytest.raises(UserError, match='could not be written'), replacing(root / 'a', True):
    raise OSError(5, 'Input/output error')
  assert files(root / 'a') == {'config.json': 'old'}
  assert [f.name for f in root.iterdir()] == ['a']


def test_what_is_no_model_is_never_deleted(tmp_path):
  (tmp_path / 'home').mkdir()
  (tmp_path / 'home/thesis.tex').write_text('x')
  with pytest.raises(UserError, match='no model'):
    put(tmp_path / 'home', overwrite=True, config='1')
  with pytest.raises(UserError, match='is a file'):
    put(tmp_path / 'home/thesis.tex', overwrite=True, config='1')
  assert files(tmp_path / 'home') == {'thesis.tex': 'x'}


def test_a_link_stays_a_link(tmp_path):
  put(tmp_path / 'a', config='1')
  (tmp_path / 'link').symlink_to('a')
  put(tmp_path / 'link', overwrite=True, config='2')
  assert (tmp_path / 'link').is_symlink() and files(tmp_path / 'a') == {'config.json': '2'}


def test_the_old_one_comes_back_if_the_new_cannot_take_its_place(tmp_path, monkeypatch):
  put(tmp_path / 'a', config='old')
  rename = os.rename

  def failing(source, target):
    if 'partial' in str(source) and not str(source).endswith('.old'):
      raise PermissionError(13, 'Permission denied')
    rename(source, target)

  monkeypatch.setattr(os, 'rename', failing)
  with pytest.raises(UserError, match='Permission denied'):
    put(tmp_path / 'a', overwrite=True, config='new')
  assert files(tmp_path / 'a') == {'config.json': 'old'}
  assert os.listdir(tmp_path) == ['a']


KILLED = """
import os, signal, sys
from jaxalign.models.directories import replacing
with replacing(sys.argv[1], True) as partial:
  (partial / 'config.json').write_text('half')
  os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_is_cleared_and_a_living_ones_is_not(tmp_path):
  put(tmp_path / 'a', config='old')
  here = pathlib.Path(__file__).resolve().parents[2]
  env = dict(os.environ, PYTHONPATH=str(here))
  done = subprocess.run([sys.executable, '-c', KILLED, tmp_path / 'a'], env=env)
  assert done.returncode == -9
  assert files(tmp_path / 'a') == {'config.json': 'old'}
  assert len(os.listdir(tmp_path)) == 2
  left = next(name for name in os.listdir(tmp_path) if name != 'a')
  living = left.rsplit('-', 1)[0] + f'-{os.getppid()}'
  (tmp_path / living).mkdir()
  put(tmp_path / 'a', overwrite=True, config='new')
  assert sorted(os.listdir(tmp_path)) == sorted([living, 'a'])


def test_a_place_that_cannot_be_written(tmp_path):
  (tmp_path / 'file').write_text('x')
  with pytest.raises(UserError, match='could not be written'):
    put(tmp_path / 'file/below', config='1')
  with pytest.raises(UserError, match='could not be written'):
    put('/proc/nowhere', config='1')


@pytest.mark.parametrize('path', ['ftp://host/x', 's3://bucket/x'])
def test_a_place_that_cannot_be_asked(path):
  with pytest.raises(UserError, match=path):
    place(path)


def test_home(monkeypatch, tmp_path):
  monkeypatch.setenv('HOME', str(tmp_path))
  assert place('~/x') == epath.Path(tmp_path / 'x')


def test_a_directory_or_a_pipe_in_the_place_of_a_file(tmp_path):
  (tmp_path / 'config.json').mkdir()
  with pytest.raises(UserError, match='config.json is a directory, where a file is meant'):
    place(tmp_path)
  (tmp_path / 'config.json').rmdir()
  os.mkfifo(tmp_path / 'model.safetensors')
  with pytest.raises(UserError, match='model.safetensors is a pipe, not a file'):
    place(tmp_path)
