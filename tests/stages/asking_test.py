"""Who is asked: what a name means, how dialogues are written for it, where it comes from."""

import json

import jax
import pytest

import jaxalign
from jaxalign import sealing
from jaxalign.config import Mesh, UserError
from jaxalign.data import chat
from jaxalign.data.text import Tokenizer, shipped
from jaxalign.endpoint import Endpoint
from jaxalign.evals.ask import fingerprint_of
from jaxalign.sharding.meshes import make_mesh
from jaxalign.stages import asking, evaluate, loading, sft
from tests.evals.small import Small, model

ONE = jax.devices()[:1]


@pytest.fixture(scope='module')
def mesh():
  return make_mesh(1, 1, 1, devices=ONE)


@pytest.fixture(scope='module')
def base(tmp_path_factory):
  """A str: the directory of weights that runs begin with."""
  place = tmp_path_factory.mktemp('base') / 'hf'
  jaxalign.export(model(), place)
  return str(place)


def trained_from(workdir, init, seed=7):
  """What a run of sft says of itself; its weights are not looked at here."""
  (workdir / 'checkpoints').mkdir(parents=True)
  raw = {'class': f'{sft.__name__}:Config', 'model': sealing.tree(model().cfg), 'lora': None}
  raw |= dict(init=init and str(init), seed=seed, tokenizer='shipped')
  raw |= dict(format=sealing.tree(chat.TRANSCRIPT))
  (workdir / 'config.json').write_text(json.dumps(raw))
  return str(workdir)


def asking_of(**changes):
  return evaluate.Config(**dict(suites=(Small(),), mesh=Mesh(fsdp=1)) | changes)


def test_an_endpoint_is_named_by_its_url_and_model():
  found = asking.endpoint_of('http://127.0.0.1:8000/v1#some/model')
  assert found == Endpoint(url='http://127.0.0.1:8000/v1', model='some/model')
  assert asking.endpoint_of(found) is found
  assert asking.endpoint_of('runs/align') is None is asking.endpoint_of(model().cfg)
  with pytest.raises(UserError, match='say which model is meant there, as https://h/v1#MODEL'):
    asking.endpoint_of('https://h/v1')


def test_all_runs_that_began_with_the_same_weights_have_one_base(tmp_path, base, mesh):
  first = trained_from(tmp_path / 'first', base)
  second = trained_from(tmp_path / 'second', first, seed=8)
  known = fingerprint_of(jaxalign.load(base))
  assert asking.lineage(asking_of(model=first), mesh) == (known, 7)
  assert asking.lineage(asking_of(model=second), mesh) == (known, 8)
  assert asking.lineage(asking_of(model=base), mesh) == (None, None)  # it begins as it is
  chance = trained_from(tmp_path / 'chance', None)
  gone = trained_from(tmp_path / 'gone', tmp_path / 'nowhere')
  assert asking.lineage(asking_of(model=chance), mesh) == ('', 7)
  assert asking.lineage(asking_of(model=gone), mesh) == ('', 7)
  assert asking.lineage(asking_of(model='http://127.0.0.1:1/v1#m'), mesh) == ('', None)


def test_dialogues_are_written_as_the_config_says_or_as_the_model_was_taught(tmp_path, base):
  workdir, tokenizer = trained_from(tmp_path / 'run', None), shipped()
  assert asking.form_of(asking_of(model=workdir), tokenizer) == chat.TRANSCRIPT
  assert asking.form_of(asking_of(model=workdir, format='chatml'), tokenizer) == chat.CHATML
  assert asking.form_of(asking_of(model=base), tokenizer) is None
  tokenizer.save(tmp_path / 'own')
  (tmp_path / 'own' / 'chat_template.jinja').write_text('{{ messages }}')
  own = Tokenizer.load(tmp_path / 'own')
  assert loading.format_of(tmp_path / 'own', own) == own.template is not None
  by_chance = asking_of(model=model().cfg, format=chat.OWN)  # as a study's doctor asks it
  assert asking.form_of(by_chance, own) == own.template
  with pytest.raises(UserError, match='format is chat.OWN, and .* came with no chat template'):
    asking.form_of(by_chance, tokenizer)


def test_a_model_by_chance_says_its_seed(mesh):
  cfg = asking_of(model=model().cfg, tokenizer='shipped', format=chat.TRANSCRIPT, seed=3)
  assert asking.asker_of(cfg, mesh).name == 'llama2 by chance, seed 3'


def test_a_time_is_said_as_a_person_says_it():
  assert [asking.clock(s) for s in (8, 89, 90, 5399, 5400)] == [
    '8 s', '89 s', '2 min', '90 min', '1.5 h',
  ]  # fmt: skip
