"""A workdir is one run's place: what may change when it goes on, and what may not."""

import dataclasses
import os
import subprocess
import sys

import pytest
from etils import epath

from jaxalign import sealing, workdir
from jaxalign.config import AdamW, Logging, UserError
from jaxalign.files import read_json


@dataclasses.dataclass(kw_only=True)
class Config:
  steps: int = 4
  optim: AdamW = dataclasses.field(default_factory=AdamW)
  logging: Logging = dataclasses.field(default_factory=Logging)


@pytest.fixture
def place(tmp_path):
  """Of a run that has a checkpoint."""
  workdir.claim(Config(), epath.Path(tmp_path))
  (tmp_path / 'checkpoints/4').mkdir(parents=True)
  return epath.Path(tmp_path)


def test_the_run_it_was_goes_on_also_with_other_logging(place):
  workdir.claim(Config(), place)
  workdir.claim(Config(logging=Logging(every=3)), place)
  assert read_json(place / 'config.json')['logging']['every'] == 3


def test_another_run_is_refused_and_writes_nothing(place):
  before = (place / 'config.json').read_text()
  other = Config(steps=5, optim=AdamW(lr=1.0))
  says = r'optim.lr \(1e-05 there, 1.0 here\), steps \(4 there, 5 here\); take another --workdir'
  with pytest.raises(UserError, match=says):
    workdir.claim(other, place)
  assert (place / 'config.json').read_text() == before


def test_without_checkpoints_there_is_nothing_to_lose(tmp_path):
  here = epath.Path(tmp_path)
  workdir.claim(Config(), here)
  (tmp_path / 'checkpoints').mkdir()
  workdir.claim(Config(steps=5), here)
  assert read_json(here / 'config.json')['steps'] == 5


def test_of_several_processes_one_writes(tmp_path):
  workdir.claim(Config(), epath.Path(tmp_path), writes=False)
  assert os.listdir(tmp_path) == []


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
  (tmp_path / 'file').write_text('')
  with pytest.raises(UserError, match=r'cannot be written .a file is there.: choose another'):
    workdir.claim(Config(), epath.Path(tmp_path / 'file'))


class NoCredentials(Exception):
  """Of no family of its own, as those of a bucket's client."""


def test_a_bucket_without_credentials_is_one_line(tmp_path, monkeypatch):
  def refuse(*_):
    raise NoCredentials('log in first')

  monkeypatch.setattr(sealing, 'write_text', refuse)
  with pytest.raises(UserError, match=r'cannot be written .log in first.: choose another'):
    workdir.claim(Config(), epath.Path(tmp_path))


def test_a_second_run_waits_and_is_refused(tmp_path, capsys):
  here = epath.Path(tmp_path / 'new')
  with workdir.alone(here):
    with pytest.raises(UserError, match='another run writes there; let it end, or take another'):
      with workdir.alone(here, patience=0.3):
        pass
    assert capsys.readouterr().out.count('waiting') == 1
    with workdir.alone(epath.Path(tmp_path / 'other'), patience=0):
      pass
  with workdir.alone(here, patience=0):  # ended: the place is free
    assert os.listdir(here) == []


def test_a_run_that_is_killed_holds_nothing(tmp_path):
  hold = (
    'import sys, time, pathlib; from jaxalign import workdir\n'
    'with workdir.alone(pathlib.Path(sys.argv[1])): print("held", flush=True); time.sleep(60)'
  )
  here = epath.Path(tmp_path)
  command = [sys.executable, '-c', hold, str(tmp_path)]
  with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
    assert holder.stdout.readline() == 'held\n'
    with pytest.raises(UserError, match='another run'):
      with workdir.alone(here, patience=0):
        pass
    holder.kill()
    with workdir.alone(here, patience=30):
      pass


def test_a_bucket_has_no_lock():
  with workdir.alone(epath.Path('gs://nowhere/run')), workdir.alone(epath.Path('gs://nowhere/run')):
    pass


@pytest.mark.parametrize('text', ['null', '[1]', '{}'])
def test_a_config_that_is_none_is_named(tmp_path, text):
  (tmp_path / 'checkpoints' / '3').mkdir(parents=True)
  (tmp_path / 'config.json').write_text(text)
  with pytest.raises(UserError, match='config.json cannot be read'):
    workdir.refuse_other_run(Config(), epath.Path(tmp_path))
