"""Import: the same bits on every mesh, and one line for whatever is wrong with a checkpoint."""

import json
import os
import pathlib
import tracemalloc

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxalign.config import UserError
from jaxalign.models import hub
from jaxalign.models.llama2 import HUGGING_FACE
from jaxalign.sharding.alphabet import weight_name
from jaxalign.sharding.meshes import make_mesh

MESHES = [(8, 1, 1), (1, 8, 1), (2, 2, 2), (1, 1, 8)]
Q1 = 'model.layers.1.self_attn.q_proj.weight'


def refused(path, *words, **kwargs):
  """The one line; it names the place and all the words."""
  with pytest.raises(UserError) as error:
    hub.load(path, **kwargs)
  text = str(error.value)
  assert '\n' not in text and str(path) in text, text
  for word in words:
    assert word in text, text
  return text


def ours(model):
  """{their name: our bytes} of every tensor."""
  out = {}
  for p, w in jax.tree.leaves_with_path(model):
    theirs = HUGGING_FACE.tensors[weight_name(p)]
    w = np.asarray(w)
    for n in range(len(w)) if '{n}' in theirs else [None]:
      out[theirs.format(n=n)] = (w if n is None else w[n]).tobytes()
  return out


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16', 'float16'])
@pytest.mark.parametrize('shards', [1, 3])
def test_the_bits_of_the_file_are_the_bits_of_the_model(checkpoint, dtype, shards):
  path, tensors = checkpoint(dtype, shards=shards)
  model = hub.load(path)
  assert model.cfg.dtype == model.cfg.weights == dtype
  assert ours(model) == {name: a.tobytes() for name, a in tensors.items()}


@pytest.mark.parametrize('sizes', MESHES)
@pytest.mark.parametrize('dtype', [None, 'bfloat16'])
def test_a_sharded_load_is_the_plain_load(checkpoint, sizes, dtype):
  path, _ = checkpoint(shards=2)
  mesh = make_mesh(*sizes)
  plain, sharded = hub.load(path, dtype=dtype), hub.load(path, dtype=dtype, mesh=mesh)
  assert ours(plain) == ours(sharded)
  homes = hub.layout(plain, mesh)
  jax.tree.map(
    lambda w, home: w.sharding.is_equivalent_to(home, w.ndim) or pytest.fail(), sharded, homes
  )


@pytest.mark.parametrize('tied', [False, True])
def test_a_sharded_index_goes_straight_into_the_shards(checkpoint, tied):
  """Beside the shards themselves no tensor is ever held, let alone a file: chunks of it are."""
  rows, head = 1 << 15, 'lm_head.weight'

  def larger(tensors):
    for name in ('model.embed_tokens.weight', head):
      tensors[name] = np.random.default_rng(3).standard_normal((rows, 64), 'f4')
    if tied:
      del tensors[head]

  path, tensors = checkpoint(change=larger, shards=3, vocab_size=rows, tie_word_embeddings=tied)
  hub.load(path, mesh=make_mesh(1, 8, 1))  # what is compiled and cached is there
  tracemalloc.start()
  try:
    model = hub.load(path, mesh=make_mesh(1, 8, 1))
    held, peak = tracemalloc.get_traced_memory()
  finally:
    tracemalloc.stop()
  assert ours(model) == {name: a.tobytes() for name, a in tensors.items()}
  (shard, *others) = model.embed_VD[...].addressable_shards
  assert len(others) == 7 and shard.data.size == rows * 64 // 8
  assert held >= sum(a.nbytes for a in tensors.values()), 'the shards were seen'
  assert peak - held < tensors['model.embed_tokens.weight'].nbytes / 4


def test_replicas_on_a_cpu_share_their_memory_and_survive_donation(checkpoint):
  path, tensors = checkpoint()
  model = hub.load(path, mesh=make_mesh(2, 2, 2))
  shards = model.head_VD[...].addressable_shards
  places = {(str(s.index), s.data.unsafe_buffer_pointer()) for s in shards}
  assert len(shards) == 8 and len(places) == 4
  kept = jax.tree.map(lambda w: w + 0, model)
  doubled = jax.jit(lambda m: jax.tree.map(lambda w: w * 2, m), donate_argnums=0)(model)
  halves = jax.tree.map(lambda w: w / 2, doubled)
  assert ours(halves) == ours(kept) == {name: a.tobytes() for name, a in tensors.items()}


CASTS = [('bfloat16', 'float32'), ('float32', 'bfloat16'), ('float16', 'bfloat16')]


@pytest.mark.parametrize('of, to', CASTS)
def test_a_cast_is_numpys_cast(checkpoint, of, to):
  path, tensors = checkpoint(of)
  model = hub.load(path, dtype=to)
  assert model.cfg.dtype == model.cfg.weights == to
  assert ours(model) == {name: a.astype(jnp.dtype(to)).tobytes() for name, a in tensors.items()}


def test_dtype_by_any_name(checkpoint):
  path, _ = checkpoint()
  assert hub.load(path, dtype=jnp.bfloat16).cfg.weights == 'bfloat16'
  assert hub.load(path, dtype=np.float32).cfg.weights == 'float32'
  for dtype in 'int8', 'float64', 'brainfloat', 7, np.int32:
    with pytest.raises(UserError, match='float32, bfloat16, float16'):
      hub.load(path, dtype=dtype)


def test_every_misfit_is_named_at_once(checkpoint):
  def change(tensors):
    for n in range(2):
      del tensors[f'model.layers.{n}.mlp.up_proj.weight']
    tensors['model.norm.weight'] = np.zeros(63, 'f4')
    tensors[Q1] = np.zeros((64, 8, 8), 'f4')
    tensors['score.weight'] = np.zeros(3, 'f4')
    tensors['lm_head.weight'] = np.zeros((128, 64), 'i1')

  path, _ = checkpoint(change=change)
  misfits = ['missing: model.layers.{0-1}.mlp.up_proj.weight', f'[64, 8, 8], not [64, 64]: {Q1}']
  misfits += ['[63], not [64]: model.norm.weight', 'score.weight', 'type I8', 'lm_head.weight']
  refused(path, *misfits)


@pytest.mark.parametrize('shards', [1, 2])
def test_a_truncated_file_names_what_it_lost(checkpoint, shards):
  path, tensors = checkpoint(shards=shards)
  file = sorted(path.glob('*.safetensors'))[-1]
  os.truncate(file, file.stat().st_size - 1000)
  text = refused(path, f'cut off: {file.name}', 'fetch it again', '1.self_attn.v_proj.weight')
  assert 'missing' not in text


def test_old_rotary_buffers_are_not_weights(checkpoint):
  name = 'model.layers.0.self_attn.rotary_emb.inv_freq'
  path, tensors = checkpoint(change=lambda t: t.update({name: np.ones(4, 'f4')}))
  assert name not in ours(hub.load(path))


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16', 'float16'])
@pytest.mark.parametrize('value', [np.nan, -np.inf])
@pytest.mark.parametrize('sizes', [None, (1, 8, 1), (2, 2, 2)])
def test_nan_and_infinity_are_named(checkpoint, dtype, value, sizes):
  def change(tensors):
    tensors[Q1][63, 63] = value
    tensors['model.norm.weight'][0] = value

  path, _ = checkpoint(dtype, change=change)
  refused(path, 'NaN', Q1, mesh=make_mesh(*sizes) if sizes else None)
  path, _ = checkpoint(dtype, change=lambda t: t['model.norm.weight'].fill(value))
  refused(path, 'NaN', 'model.norm.weight')


def test_a_cast_that_overflows_is_named(checkpoint):
  path, _ = checkpoint(change=lambda t: t[Q1].fill(1e6))
  refused(path, Q1, 'as float16', dtype='float16')
  hub.load(path, dtype='bfloat16')


def test_a_tied_head_must_be_the_embedding(checkpoint):
  def tie(tensors):
    tensors['lm_head.weight'] = tensors['model.embed_tokens.weight'].copy()

  path, _ = checkpoint(change=tie, tie_word_embeddings=True)
  assert hub.load(path).cfg.tied
  path, _ = checkpoint(change=lambda t: t.pop('lm_head.weight'), tie_word_embeddings=True)
  assert hub.load(path).cfg.tied
  path, _ = checkpoint(tie_word_embeddings=True)
  refused(path, 'lm_head.weight', 'tie_word_embeddings')


def test_a_pickle_is_never_opened(checkpoint, tmp_path):
  path, _ = checkpoint()
  (path / 'model.safetensors').rename(path / 'pytorch_model.bin')
  refused(path, 'pytorch_model.bin is a pickle', 'save_pretrained')
  bomb = tmp_path / 'bomb.bin'
  for start in (b'PK\x03\x04', b'\x80\x02', b'\x80\x05'):
    bomb.write_bytes(start + bytes(100))
    refused(bomb, 'pickle')
  for name in 'model.pt', 'model.pth':
    (tmp_path / name).write_bytes(b'whatever it holds, and longer than a header')
    refused(tmp_path / name, 'pickle')


@pytest.mark.parametrize('kind', ['mamba', None, ['llama']], ids=str)
def test_a_config_that_is_another_model(checkpoint, kind):
  refused(checkpoint(model_type=kind)[0], repr(kind), 'llama', 'phi')
  refused(checkpoint(sliding_window=4096)[0], 'sliding_window=4096')  # and so in hf_config_test.py


def test_a_config_that_is_none(checkpoint):
  path, _ = checkpoint()
  for text in ('', '{', '[]', '3', 'null', '[' * 100_000):
    (path / 'config.json').write_text(text)
    refused(path)
  (path / 'config.json').write_bytes(b'\xff\xfe')
  refused(path)
  (path / 'config.json').unlink()
  refused(path, 'config.json', 'not there')


def test_places_that_hold_no_checkpoint(checkpoint, tmp_path):
  empty = tmp_path / 'empty'
  empty.mkdir()
  refused(empty, 'model.safetensors')
  refused(tmp_path / 'absent', 'no such file')
  path, _ = checkpoint()
  refused(path / 'model.safetensors', 'give its directory')
  (path / 'model.safetensors').write_bytes(b'')
  refused(path, '0 bytes')
  refused('s3://bucket/model')
  refused('ftp://host/model')


def test_a_snapshot_of_links_loads(checkpoint, tmp_path):
  """As huggingface_hub's cache has it: snapshots/<commit>/file -> ../../blobs/<hash>."""
  path, tensors = checkpoint(shards=2)
  blobs, snapshot = tmp_path / 'hub/blobs', tmp_path / 'hub/snapshots/abc'
  blobs.mkdir(parents=True)
  snapshot.mkdir(parents=True)
  for n, file in enumerate(sorted(path.iterdir())):
    file.rename(blobs / f'{n:064x}')
    (snapshot / file.name).symlink_to(pathlib.Path('../../blobs') / f'{n:064x}')
  assert ours(hub.load(snapshot)) == {name: a.tobytes() for name, a in tensors.items()}


def test_a_bucket_loads_through_its_file_objects(checkpoint, bucket):
  from etils import epath

  path, tensors = checkpoint('bfloat16', shards=2)
  there = epath.Path(bucket) / 'model'
  there.mkdir(parents=True)
  for file in path.iterdir():
    (there / file.name).write_bytes(file.read_bytes())
  wanted = {name: a.tobytes() for name, a in tensors.items()}
  assert ours(hub.load(f'{bucket}/model')) == wanted
  assert ours(hub.load(f'{bucket}/model', mesh=make_mesh(2, 2, 2))) == wanted
  (there / 'config.json').write_text(json.dumps(dict(model_type='gpt2')))
  refused(f'{bucket}/model', 'gpt2')
