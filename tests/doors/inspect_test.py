"""inspect_ai asks a tiny model, which it finds by the entry point: samples share one batch."""

import importlib.metadata

import pytest

pytest.importorskip('inspect_ai', reason='an extra, jaxalign[inspect]')

import inspect_ai
from inspect_ai.dataset import Sample
from inspect_ai.model import GenerateConfig, get_model
from inspect_ai.scorer import includes

from jaxalign.doors.opening import opened, turns_of
from jaxalign.rl.answers import answers
from jaxalign.rl.stream import Request

ASKED = [f'question {n}' for n in range(12)]


@pytest.fixture(scope='module')
def asked(directory):
  return get_model(f'jaxalign/{directory}', rows=4)


def test_inspect_finds_it_by_its_entry_point():
  named = importlib.metadata.entry_points(group='inspect_ai')
  assert 'jaxalign.doors.inspect' in {one.value for one in named}


def test_samples_share_a_batch_and_get_their_own_answers(asked, directory, tmp_path):
  task = inspect_ai.Task(
    dataset=[Sample(input=text, target='x') for text in ASKED],
    scorer=includes(),
    config=GenerateConfig(max_tokens=8),
  )
  (log,) = inspect_ai.eval(task, model=asked, log_dir=str(tmp_path), display='none')
  assert log.status == 'success', log.error
  guest = opened(str(directory))
  prompts = [guest.ids(turns_of([dict(role='user', content=text)])) for text in ASKED]
  requests = [Request(prompt=ids, length=8, temperature=0.0) for ids in prompts]
  expected = {ASKED[n]: answer.text for n, answer in answers(guest.model, requests)}
  assert {one.input: one.output.completion for one in log.samples} == expected
  assert all(0 < one.output.usage.output_tokens <= 8 for one in log.samples)


def test_epochs_of_a_sample_are_draws_of_their_own(asked, tmp_path):
  how = GenerateConfig(max_tokens=12, temperature=1.0, seed=3)
  task = inspect_ai.Task(dataset=[Sample(input='hi', target='x')], config=how, epochs=3)
  (log,) = inspect_ai.eval(task, model=asked, log_dir=str(tmp_path), display='none')
  assert log.status == 'success', log.error
  assert len({one.output.completion for one in log.samples}) == 3


def test_what_cannot_be_had_is_an_error_of_the_sample(asked, tmp_path):
  def run(text='hi', **how):
    task = inspect_ai.Task(dataset=[Sample(input=text, target='x')], config=GenerateConfig(**how))
    (log,) = inspect_ai.eval(task, model=asked, log_dir=str(tmp_path), display='none')
    return log

  log = run(max_tokens=4, presence_penalty=1.0)
  assert log.status == 'error' and 'presence_penalty cannot be had' in log.error.message
  log = run('long ' * 500, max_tokens=4)
  assert log.samples[0].output.stop_reason == 'model_length'
