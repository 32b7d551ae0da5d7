"""A second run of an evaluation loads nothing where nothing is missing; what changed is noticed."""

import dataclasses
import json
import pathlib
import shutil

import pytest
from etils import epath

import jaxalign
from jaxalign import sealing
from jaxalign.config import Mesh, UserError
from jaxalign.data import chat
from jaxalign.evals import read
from jaxalign.evals.judges import gold, native, refusal
from jaxalign.stages import evaluate, loading, trained
from tests.evals.small import Letters, Small, model
from tests.stages.trained_test import store

pytestmark = pytest.mark.usefixtures('one_device')


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Judged(Small):
  """Small, with judges that have weights."""

  needs = ('refusal', 'truth', 'reward')


@pytest.fixture(scope='module')
def place(tmp_path_factory):
  """A pathlib.Path: a model to be asked, one that judges, and a reward model."""
  place = tmp_path_factory.mktemp('known')
  jaxalign.export(model(), place / 'asked')
  jaxalign.export(model(1), place / 'judge')
  (place / 'gold').mkdir()
  store(place / 'gold')
  return place


def config(place, **changes):
  judges = (
    refusal.Words(),
    native.Classifier(path=str(place / 'judge'), template=native.TRUTH),
    gold.Reward(workdir=str(place / 'gold')),
  )
  given = dict(model=str(place / 'asked'), format=chat.TRANSCRIPT, mesh=Mesh(fsdp=1), rows=4)
  given |= dict(suites=(Judged(), Letters()), judges=judges)
  return sealing.seal(evaluate.Config(**given | changes))


@pytest.fixture(scope='module')
def finished(place, tmp_path_factory):
  """A pathlib.Path: an evaluation of that model, never broken."""
  run = tmp_path_factory.mktemp('finished')
  evaluate.run(config(place), epath.Path(run))
  return run


@pytest.fixture
def own(place, finished, tmp_path, monkeypatch):
  """(a copy of the run, where the models are, a list of those that were loaded since)."""
  run, aside, loaded = epath.Path(tmp_path / 'run'), tmp_path / 'aside', []
  shutil.copytree(finished, run)
  shutil.copytree(place, aside)  # with the times of the files
  for module, name in ((loading, 'load'), (trained, 'scorer_of')):
    usual = getattr(module, name)

    def counted(path, *given, usual=usual, **how):
      loaded.append(str(path).rpartition('/')[2])
      return usual(path, *given, **how)

    monkeypatch.setattr(module, name, counted)
  yield run, place, loaded
  shutil.rmtree(place, ignore_errors=True)
  shutil.copytree(aside, place)


def contents(run):
  return {path.name: path.read_bytes() for path in pathlib.Path(run).rglob('*') if path.is_file()}


def test_a_second_run_loads_no_model_and_no_judge_though_all_are_gone(own):
  run, models, loaded = own
  before = contents(run)
  evaluate.run(config(models), run)
  assert loaded == [] and contents(run) == before
  shutil.rmtree(models)
  evaluate.run(config(models), run)
  evaluate.judge(config(models), run)
  assert loaded == [] and {**contents(run)} == before | {'judge.json': contents(run)['judge.json']}
  with pytest.raises(UserError, match='asked'):  # more is asked, of a model that is gone
    evaluate.run(config(models, suites=(Judged(), Letters(), Letters(name='more'))), run)


def test_what_is_missing_is_judged_by_that_judge_alone(own):
  run, models, loaded = own
  path = run / 'verdicts' / 'small.classifier.jsonl'
  before = path.read_bytes()
  path.write_bytes(before[: before.index(b'\n') + 1])
  evaluate.run(config(models), run)
  assert loaded == ['judge'] and path.read_bytes() == before
  shutil.rmtree(models / 'judge')
  path.write_bytes(before[: before.index(b'\n') + 1])
  with pytest.raises(UserError, match='judge classifier'):
    evaluate.run(config(models), run)


def test_another_model_in_the_same_place_is_noticed(own):
  run, models, loaded = own
  jaxalign.export(model(2), models / 'asked', overwrite=True)
  with pytest.raises(UserError, match='answers of another model'):
    evaluate.run(config(models), run)
  assert loaded == ['asked']


def test_another_classifier_in_the_same_place_judges_anew(own):
  run, models, loaded = own
  before = read.evaluated(run).about.judges
  jaxalign.export(model(2), models / 'judge', overwrite=True)
  evaluate.run(config(models), run)
  after = read.evaluated(run).about.judges
  assert loaded == ['judge'] and before['classifier'] != after['classifier']
  assert before['gold'] == after['gold']


def test_a_run_of_before_has_no_such_file_and_loads_once(own):
  run, models, loaded = own
  kept = json.loads((run / 'known.json').read_text())
  assert kept.keys() == {'model', 'judge classifier', 'judge gold'}
  (run / 'known.json').unlink()
  before = contents(run)
  evaluate.run(config(models), run)
  assert {'asked', 'judge', 'gold'} <= set(loaded)
  assert contents(run) == before | {'known.json': contents(run)['known.json']}
  loaded.clear()
  evaluate.run(config(models), run)
  assert loaded == []
