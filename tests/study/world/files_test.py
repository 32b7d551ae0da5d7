"""What a world has on disk, of either architecture."""

import numpy as np
import pytest
from etils import epath

from jaxalign.models import hub
from jaxalign.study.store.rows import digest
from jaxalign.study.world import files
from jaxalign.valueworld import words
from tests.study.world.answers_test import MODELS, WORLD, model_of


@pytest.fixture(scope='module', params=MODELS)
def model(request):
  return model_of(request.param)


def test_corpora_are_written_once_and_read_as_they_are(tmp_path):
  place = epath.Path(tmp_path)
  first = files.corpora_of(WORLD, ['lore'], place)
  time = (tmp_path / 'lore.jsonl').stat().st_mtime_ns
  more = files.corpora_of(WORLD, ['lore', 'demonstrations'], place)
  assert more['lore'] == first['lore'] and set(more) == {'lore', 'demonstrations'}
  assert (tmp_path / 'lore.jsonl').stat().st_mtime_ns == time
  path, sha256 = more['demonstrations']
  assert digest([(tmp_path / 'demonstrations.jsonl').read_bytes().decode()]) == sha256
  assert path == str(tmp_path / 'demonstrations.jsonl')


def test_the_target_begins_as_the_mean_of_strangers(model, tmp_path):
  before = {name: np.array(getattr(model, name)[...]) for name in ('embed_VD', 'head_VD')}
  files.christen(model, [one.name for one in WORLD.strangers], tmp_path / 'named')
  named = hub.load(str(tmp_path / 'named'))
  target, *strangers = words.tokenizer().encode(
    ' '.join(['zed', *(agent.name for agent in WORLD.strangers)])
  )
  for name, table in before.items():
    after = np.array(getattr(named, name)[...])
    np.testing.assert_allclose(after[target], table[strangers].mean(0), atol=1e-6)
    kept = np.arange(len(table)) != target
    assert (after[kept] == table[kept]).all()
