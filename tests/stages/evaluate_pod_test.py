"""An evaluation by two processes: what one finds, and killed it goes on."""

import json
import os
import signal

import jax
import numpy as np
import pytest
from etils import epath

import jaxalign
from jaxalign import sealing
from jaxalign.config import Mesh
from jaxalign.data.text import shipped
from jaxalign.evals import read
from jaxalign.stages import evaluate
from tests.stages import small_evaluation
from tests.train import running

TOLERANCE = 1e-4


@pytest.fixture(scope='module')
def judge(tmp_path_factory):
  """A str: a classifier of chance as Hugging Face lays it."""
  place = tmp_path_factory.mktemp('judge') / 'model'
  model = small_evaluation.MODEL.build(jax.random.key(3))
  model.tokenizer = shipped()
  jaxalign.export(model, place)
  return str(place)


@pytest.fixture(scope='module')
def alone(tmp_path_factory, judge):
  """A pathlib.Path: the evaluation by this process, on one device."""
  place = tmp_path_factory.mktemp('alone')
  cfg = small_evaluation.get_config()
  cfg.judges[1].path, cfg.mesh = judge, Mesh(fsdp=1)
  evaluate.run(sealing.seal(cfg), epath.Path(place))
  return place


def of_two(workdir, judge):
  command = running.command(workdir, small_evaluation.__file__)
  return running.pod([*command, f'--config.judges.1.path={judge}'], hosts=2, devices=1)


def lines(place, name):
  return [json.loads(line) for line in (place / name).read_text().splitlines()]


def assert_same(one, other):
  """What was said, how likely choices are, and what judges made of it."""
  said, again = (lines(place, 'answers/small.jsonl') for place in (one, other))
  assert [a['text'] for a in again] == [a['text'] for a in said]
  assert [a['key'] for a in again] == [a['key'] for a in said]
  scores, again = (
    [score[0] for a in lines(place, 'answers/letters.jsonl') for score in a['scores']]
    for place in (one, other)
  )
  np.testing.assert_allclose(again, scores, atol=TOLERANCE)
  wanted, found = (read.evaluated(place) for place in (one, other))
  assert found.rows == wanted.rows and found.about.judges == wanted.about.judges
  assert {'classifier', 'words'} == found.about.judges.keys()


@pytest.mark.usefixtures('one_device')
def test_two_processes_find_what_one_finds(tmp_path, judge, cache, alone):
  running.run(of_two(tmp_path, judge), cache, devices=1)
  assert_same(alone, tmp_path)


@pytest.mark.campaign
@pytest.mark.usefixtures('one_device')
def test_two_processes_of_which_one_was_killed_go_on(tmp_path, judge, cache, alone):
  process = running.start(of_two(tmp_path, judge), cache, devices=1)
  victim = running.host_pid(process, 1)
  answers = tmp_path / 'answers/small.jsonl'
  assert running.wait_for(lambda: answers.exists() and answers.stat().st_size > 500, process)
  os.kill(victim, signal.SIGKILL)
  status, said = running.finish(process)
  assert status != 0 and not (tmp_path / 'evaluated.json').exists(), said
  some = lines(tmp_path, 'answers/small.jsonl')
  running.run(of_two(tmp_path, judge), cache, devices=1)
  assert_same(alone, tmp_path)
  every = lines(tmp_path, 'answers/small.jsonl')
  assert 0 < len(some) < len(every) and all(one in every for one in some)
