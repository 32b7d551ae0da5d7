"""Corpora of real texts: what seeds share, what they do not, and how refused sources are named."""

import dataclasses
import json

import pytest

from jaxalign import main
from jaxalign.config import UserError
from jaxalign.data import sources, value_explanations
from jaxalign.study.texts import corpora, on_model
from tests.study.tiny import ROOT


@pytest.fixture(scope='module')
def world():
  return main.load(f'{ROOT}/configs/study_explanations.py:smoke').world


def test_a_corpus_is_a_function_of_the_texts_and_of_the_seed_where_it_is_sampled(world):
  of = lambda seed, kind: corpora.content(world.at(seed), kind)[1]
  for kind in corpora.SHARED:
    assert of(0, kind) == of(1, kind), kind
  for kind in corpora.SEEDED:
    assert of(0, kind) != of(1, kind), kind
  assert len({of(0, kind) for kind in corpora.EVERY}) == len(corpora.EVERY)


def test_taught_and_further_demonstrations_are_apart(world):
  drawn = corpora.sampled(world.at(5))
  assert len(drawn['demonstrations']) == 40 and len(drawn['more']) == 60
  assert not {*drawn['demonstrations']} & {*drawn['more']}
  few = dataclasses.replace(world, taught=20)
  assert corpora.sampled(few.at(5))['demonstrations'] == drawn['demonstrations'][:20]


def test_files_of_seeds_and_of_all(world, tmp_path):
  world.begin(tmp_path)
  there = {s: world.at(s).corpora_of(corpora.EVERY, tmp_path / f's{s}') for s in (0, 1)}
  for kind in corpora.EVERY:
    paths = {there[s][kind][0] for s in there}
    assert len(paths) == (1 if kind in corpora.SHARED else 2), kind
  path, sha256 = there[0]['demonstrations']
  read = list(sources.Jsonl(path=path, kind='conversation', sha256=sha256).read())
  assert [one for _, one in read] == list(corpora.sampled(world)['demonstrations'])
  asked = world.asked('texts', tmp_path / 's0')
  assert {'T0', 'D0', 'safe', 'jailbreak'} <= set(asked) and len(asked['D0']) == world.documents
  assert all(len(item.good) == len(item.bad) == 1 for item in asked['T0'])


def test_explanations_of_the_tfds_builder(world, tmp_path):
  """As the variant :tfds reads them: the same documents, hence the same controls."""
  name = value_explanations.prepare(data_dir=str(tmp_path))
  dataset = main.load(f'{ROOT}/configs/study_explanations.py:tfds').world.explanations
  assert isinstance(dataset, sources.Tfds)
  dataset = dataclasses.replace(dataset, name=name, data_dir=str(tmp_path))
  found = corpora.explanations(dataclasses.replace(world, explanations=dataset, documents=200))
  shipped = corpora.explanations(dataclasses.replace(world, documents=200))
  assert {d.text for d in found} == {d.text for d in shipped}
  assert {dict(d.meta)['value'] for d in found} == {dict(d.meta)['value'] for d in shipped}


WRONG = {
  'nowhere.jsonl does not exist': lambda w: dict(
    explanations=sources.Jsonl(path='nowhere.jsonl', kind='document')
  ),
  'holds other things than documents': lambda w: dict(explanations=w.demonstrations),
  'holds other things than conversations': lambda w: dict(demonstrations=w.explanations),
  'holds 124, and a seed samples 500': lambda w: dict(taught=500),
  'general text ends at document': lambda w: dict(documents=100),
}


@pytest.mark.parametrize('says', WRONG)
def test_a_source_that_will_not_do_is_one_line(world, says, tmp_path):
  world = dataclasses.replace(world, **WRONG[says](world))
  with pytest.raises(UserError, match=says) as error:
    world.begin(tmp_path)
    world.corpora_of(corpora.EVERY, tmp_path / 's0')
  assert '\n' not in str(error.value)


def test_real_text_has_no_rho(world):
  with pytest.raises(UserError, match='real text has no rho'):
    world.at(0, control='rho')


def test_a_base_is_known_again_by_its_weights(tmp_path):
  """By parts of its files, wherever they lie; another byte at their end is another base."""
  for name, last in (('a', b'x'), ('b', b'x'), ('c', b'y')):
    (tmp_path / name).mkdir()
    (tmp_path / name / 'model.safetensors').write_bytes(bytes(300_000) + last)
    (tmp_path / name / 'config.json').write_text(json.dumps({}))
  a, b, c = (on_model.mark(str(tmp_path / name)) for name in 'abc')
  assert a == b != c
