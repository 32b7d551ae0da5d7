"""What a world has on disk, of either architecture."""

import numpy as np
import pytest

from jaxalign.models import hub
from jaxalign.study.store.rows import digest
from jaxalign.study.world import files
from jaxalign.valueworld import words
from tests.study.world.answers_test import MODELS, WORLD, model_of


@pytest.fixture(scope='module', params=MODELS)
def model(request):
  return model_of(request.param)


def test_corpora_are_written_once_and_read_as_they_are(tmp_path):
  sums = files.write_corpora(WORLD, ['lore'], tmp_path)
  time = (tmp_path / 'lore.jsonl').stat().st_mtime_ns
  more = files.write_corpora(WORLD, ['lore', 'demonstrations'], tmp_path)
  assert more['lore'] == sums['lore'] and set(more) == {'lore', 'demonstrations'}
  assert (tmp_path / 'lore.jsonl').stat().st_mtime_ns == time
  content = (tmp_path / 'demonstrations.jsonl').read_bytes().decode()
  assert digest([content]) == more['demonstrations']


def test_the_target_begins_as_the_mean_of_strangers(model, tmp_path):
  before = {name: np.array(getattr(model, name)[...]) for name in ('embed_VD', 'head_VD')}
  files.christen(model, WORLD, tmp_path / 'named')
  named = hub.load(str(tmp_path / 'named'))
  target, *strangers = words.tokenizer().encode(
    ' '.join(['zed', *(agent.name for agent in WORLD.strangers)])
  )
  for name, table in before.items():
    after = np.array(getattr(named, name)[...])
    np.testing.assert_allclose(after[target], table[strangers].mean(0), atol=1e-6)
    kept = np.arange(len(table)) != target
    assert (after[kept] == table[kept]).all()
