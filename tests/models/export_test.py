"""Export: byte for byte what was imported, whole or not at all."""

import json
import pathlib
import shutil
import subprocess

import jax
import jax.numpy as jnp
import pytest
import safetensors.numpy

from jaxalign.config import UserError
from jaxalign.models import export as exporting
from jaxalign.models import hub
from jaxalign.models.adapters import Lora, attach, make_adapter, merge
from jaxalign.models.export import export
from jaxalign.models.heads import Critic, Scorer
from jaxalign.sharding.meshes import make_mesh

ROOT = pathlib.Path(__file__).resolve().parents[2]


def on_disk(path):
  """{name: bytes}, by the safetensors library."""
  found = {}
  for file in sorted(path.glob('*.safetensors')):
    found |= {name: a.tobytes() for name, a in safetensors.numpy.load_file(file).items()}
  return found


def of(tensors):
  return {name: a.tobytes() for name, a in tensors.items()}


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16', 'float16'])
@pytest.mark.parametrize('sizes', [None, (2, 2, 2)])
def test_export_after_import_is_byte_identical(checkpoint, tmp_path, dtype, sizes):
  path, tensors = checkpoint(dtype, shards=2)
  model = hub.load(path, mesh=make_mesh(*sizes) if sizes else None)
  export(model, tmp_path / 'out')
  assert on_disk(tmp_path / 'out') == of(tensors)
  config = json.loads((tmp_path / 'out/config.json').read_text())
  assert config['torch_dtype'] == dtype
  assert hub.load(tmp_path / 'out').cfg == model.cfg
  generation = json.loads((tmp_path / 'out/generation_config.json').read_text())
  assert (generation['bos_token_id'], generation['eos_token_id']) == (1, 2)


def test_a_tied_model_has_no_head_in_its_file(checkpoint, tmp_path):
  path, tensors = checkpoint(change=lambda t: t.pop('lm_head.weight'), tie_word_embeddings=True)
  export(hub.load(path), tmp_path / 'out')
  assert on_disk(tmp_path / 'out') == of(tensors)


def test_shards_and_their_index(checkpoint, tmp_path, monkeypatch):
  path, tensors = checkpoint()
  monkeypatch.setattr(exporting, 'SHARD', 40_000)
  export(hub.load(path), tmp_path / 'out')
  index = json.loads((tmp_path / 'out/model.safetensors.index.json').read_text())
  files = sorted(f.name for f in (tmp_path / 'out').glob('*.safetensors'))
  assert len(files) > 3 and files[0] == f'model-00001-of-{len(files):05d}.safetensors'
  assert set(index['weight_map'].values()) == set(files)
  assert index['metadata']['total_size'] == sum(a.nbytes for a in tensors.values())
  for file in files:
    inside = safetensors.numpy.load_file(tmp_path / 'out' / file)
    assert sum(a.nbytes for a in inside.values()) <= 40_000 or len(inside) == 1
    assert {index['weight_map'][name] for name in inside} == {file}
  assert on_disk(tmp_path / 'out') == of(tensors)
  hub.load(tmp_path / 'out')


def test_the_config_names_the_type_that_the_weights_have(checkpoint, tmp_path):
  model = hub.load(checkpoint()[0])
  export(jax.tree.map(lambda w: w.astype(jnp.bfloat16), model), tmp_path / 'out')
  assert json.loads((tmp_path / 'out/config.json').read_text())['torch_dtype'] == 'bfloat16'


def test_to_a_bucket_and_back(checkpoint, bucket):
  path, tensors = checkpoint('bfloat16')
  model = hub.load(path)
  export(model, f'{bucket}/out')
  again = hub.load(f'{bucket}/out')
  jax.tree.map(lambda a, b: (a == b).all() or pytest.fail(), model, again)
  with pytest.raises(UserError, match='overwrite=True'):
    export(model, f'{bucket}/out')
  export(model, f'{bucket}/out', overwrite=True)
  assert hub.load(f'{bucket}/out').cfg == model.cfg


@pytest.fixture
def disk(tmp_path):
  """A file system of 200 kB; needs root."""
  place = tmp_path / 'disk'
  place.mkdir()
  mount = ['mount', '-t', 'tmpfs', '-o', 'size=200k', 'tmpfs', str(place)]
  if shutil.which('mount') is None or subprocess.run(mount, capture_output=True).returncode:
    pytest.skip('mounting a small disk is not permitted here')
  yield place
  subprocess.run(['umount', str(place)], check=True)


def test_a_full_disk(checkpoint, disk, monkeypatch):
  model = hub.load(checkpoint()[0])
  with pytest.raises(UserError, match='GB are free'):
    export(model, disk / 'out')
  monkeypatch.setattr(exporting, '_check_space', lambda *_: None)  # as if others filled it then
  with pytest.raises(UserError, match='No space left.*nothing was kept') as error:
    export(model, disk / 'out')
  assert '\n' not in str(error.value) and not (disk / 'out').exists()


def test_what_has_no_place_in_a_checkpoint(checkpoint, tmp_path):
  path, tensors = checkpoint()
  model = hub.load(path)
  adapter = make_adapter(model, Lora(), jax.random.key(0))
  for head in Scorer, Critic:
    with pytest.raises(UserError, match=f'{head.__name__}.*export its decoder'):
      export(head(model, jax.random.key(0)), tmp_path / 'out')
  with pytest.raises(UserError, match='dict is not a model'):
    export({}, tmp_path / 'out')
  assert not (tmp_path / 'out').exists()
  export(attach(model, adapter, Lora()), tmp_path / 'out')  # a fresh adapter changes nothing
  assert on_disk(tmp_path / 'out') == of(tensors)
  adapter = jax.tree.map(lambda w: w + 0.1, adapter)
  export(attach(model, adapter, Lora()), tmp_path / 'attached')
  export(merge(model, adapter, Lora()), tmp_path / 'merged')
  assert on_disk(tmp_path / 'attached') == on_disk(tmp_path / 'merged') != of(tensors)
