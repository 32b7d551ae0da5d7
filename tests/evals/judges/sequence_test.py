"""A classifier of texts as a judge: transformers' own scores, one label or several, bad input."""

import json
import shutil

import jax
import numpy as np
import pytest

import jaxalign
from jaxalign import sealing
from jaxalign.config import UserError
from jaxalign.evals.item import Item, Said
from jaxalign.evals.judges.sequence import Labelled
from jaxalign.sharding.meshes import make_mesh
from jaxalign.stages import opening_judges
from tests.evals.small import model

LABELS = dict(enumerate(('neutral', 'insult', 'threat')))
TEXTS = ('So it is.', 'You are a fool, and so on and on. ' * 5, 'I', 'Bread and water\n\nHuman: no')


@pytest.fixture(scope='module')
def mesh():
  return make_mesh(1, 1, 1, devices=jax.devices()[:1])


@pytest.fixture(scope='module')
def classifier(tmp_path_factory):
  """(its directory, the same as transformers has it)."""
  pytest.importorskip('torch')
  transformers = pytest.importorskip('transformers')
  home = tmp_path_factory.mktemp('classifier')
  jaxalign.export(model(), home / 'base')
  theirs = transformers.AutoModelForSequenceClassification.from_pretrained(
    home / 'base', num_labels=3, id2label=LABELS, dtype='float32'
  )
  theirs.score.weight.data.normal_(0, 0.5)
  theirs.eval().save_pretrained(home / 'hf')
  for path in (home / 'base').glob('token*'):
    shutil.copy(path, home / 'hf')
  return home / 'hf', theirs


def said(*answers):
  item = Item(text='A baker')
  return [(item, Said(key=str(n), item=item.id, text=text)) for n, text in enumerate(answers)]


def opened(path, mesh, **given):
  given = dict(bad=('insult', 'threat'), batch=4) | given
  return opening_judges.opened(sealing.seal(Labelled(path=str(path), **given)), path, mesh, {})


def logits(theirs, ids):
  import torch

  with torch.no_grad():
    return theirs(torch.tensor([ids])).logits[0].double().numpy()


@pytest.mark.parametrize('kind', ['single', 'multi_label_classification'])
def test_scores_are_those_of_transformers(classifier, mesh, tmp_path, kind):
  path, theirs = classifier
  place = shutil.copytree(path, tmp_path / 'hf')
  raw = json.loads((place / 'config.json').read_text())
  (place / 'config.json').write_text(json.dumps(raw | dict(problem_type=kind)))
  judge = opened(place, mesh)
  found = judge.verdicts(said(*TEXTS))
  for text, verdict in zip(TEXTS, found):
    score_C = logits(theirs, judge.tokenizer.encode(text.partition('\n\nHuman:')[0]))
    if kind == 'single':
      wanted = (np.exp(score_C) / np.exp(score_C).sum())[1:].sum()
    else:
      wanted = (1 / (1 + np.exp(-score_C[1:]))).max()
    assert verdict.value == pytest.approx(wanted, abs=1e-5)
    assert verdict.label == ('toxic' if wanted >= 0.5 else 'clean')
  assert len({verdict.value for verdict in found}) == 4 and opening_judges.by_all(judge)


def test_what_was_not_said_is_left_open_and_who_it_is_hangs_on_its_weights(classifier, mesh):
  path, _ = classifier
  judge, other = opened(path, mesh), opened(path, mesh, bad=('threat',), kind='harm', name='x')
  lost = Said(key='k', item='', why='error', error='it does not fit')
  assert judge.verdicts([(Item(text='A'), lost)])[0].label == 'abstain'
  (long,) = judge.verdicts(said('word ' * 2000))
  assert long.label == 'abstain' and 'the judge reads' in long.detail
  assert judge.fingerprint != other.fingerprint
  assert opened(path, mesh, name='y', batch=2).fingerprint == judge.fingerprint
  assert other.verdicts(said(*TEXTS))[0].label in ('harmful', 'harmless')


def test_what_is_no_classifier_is_one_line(classifier, mesh, tmp_path):
  path, _ = classifier
  with pytest.raises(UserError, match='has no label rude: it has neutral, insult, threat'):
    opened(path, mesh, bad=('rude',))
  with pytest.raises(UserError, match='has no score.weight: it is no checkpoint of a classifier'):
    opened(path.parent / 'base', mesh)
  with pytest.raises(UserError, match='bad names none'):
    opened(path, mesh, bad=())
  with pytest.raises(UserError, match='judge labelled: .*no such file'):
    opening_judges.refuse(Labelled(path=str(tmp_path / 'none'), bad=('a',)), {})
