"""llama2.c's files: its trained 260K model tells its story, other bytes are refused in one line."""

import struct

import jax
import numpy as np
import pytest

import jaxalign
from jaxalign.config import UserError
from jaxalign.models import hub, llama2c
from jaxalign.sharding.meshes import make_mesh

SIZES = dict(dim=16, hidden=24, layers=2, heads=4, kv_heads=2, vocab=32, length=16)
# As llama2.c prints it (its doc/stories260K.md; 200 steps of it are in its test_all.py).
GOLDEN = """Once upon a time, there was a little girl named Lily. She loved to play outside in the \
park. One day, she saw a big, red ball. She wanted to play with it, but it was too high.
Lily's mom said, "Lily, let's go to the park." Lily was sad and didn't know what to do. She said, \
"I want to play with your ball, but I can't find it."
Lily was sad and didn't know what to do. She said, "I'm sorry, Lily. I didn't know what to do."
Lily didn't want to help her mom, so she said, "I'm sorry, mom. I didn't know what to do." Her mom \
said, "Don't worry, Lily. We can help you."""


def written(path, head=None, data=None, **changes):
  sizes = SIZES | changes
  D, F, N, H, G, V, T = (sizes[name] for name in llama2c.HEADER)
  K, V, tied = D // H, abs(V), V > 0
  counts = [V * D, N * D, N * D * D, N * G * K * D, N * G * K * D, N * D * D, N * D]
  counts += [N * F * D, N * D * F, N * F * D, D, T * K // 2, T * K // 2] + [V * D] * (not tied)
  values = np.random.default_rng(0).standard_normal(sum(counts)).astype('<f4')
  data = values.tobytes() if data is None else data(values).tobytes()
  head = struct.pack('<7i', *(sizes[name] for name in llama2c.HEADER)) if head is None else head
  path.write_bytes(head + data)
  return path, np.split(values, np.cumsum(counts)[:-1])


@pytest.fixture(scope='module')
def stories(shared):
  return jaxalign.load(shared('stories260K/stories260K.bin'))


def test_the_260k_model_tells_the_reference_story(stories):
  text = 'Once upon a time'
  told = jaxalign.sample(stories, [text], length=256, temperature=0.0)[0]
  assert (text + told).startswith(GOLDEN)


@pytest.mark.parametrize('dtype, sizes', [('float32', (2, 2, 2)), ('bfloat16', None)])
def test_placed_and_cast(shared, stories, dtype, sizes):
  mesh = make_mesh(*sizes) if sizes else None
  model = hub.load(shared('stories260K/stories260K.bin'), dtype=dtype, mesh=mesh)
  assert model.cfg.weights == model.cfg.dtype == dtype
  for a, b in zip(jax.tree.leaves(model), jax.tree.leaves(stories), strict=True):
    np.testing.assert_array_equal(np.asarray(a), np.asarray(b).astype(a.dtype))


def test_transformers_gives_the_same_tokens(stories, tmp_path):
  torch = pytest.importorskip('torch')
  from transformers import AutoTokenizer, LlamaForCausalLM

  jaxalign.export(stories, tmp_path / 'hf')
  theirs = LlamaForCausalLM.from_pretrained(tmp_path / 'hf')
  tokenizer = AutoTokenizer.from_pretrained(tmp_path / 'hf')
  again = jaxalign.load(tmp_path / 'hf')
  assert again.tokenizer == stories.tokenizer
  threads = torch.get_num_threads()
  torch.set_num_threads(1)  # of a model so small, more only wait for one another
  for text in 'Once upon a time', 'The dog said:':
    ids = tokenizer(text)['input_ids']
    assert ids == stories.tokenizer.encode(text)
    out = theirs.generate(torch.tensor([ids]), max_new_tokens=60, do_sample=False)
    for model in stories, again:
      ours = jaxalign.sample(model, [ids], length=60, temperature=0.0)[0]
      assert out[0, len(ids) :].tolist() == ours
  torch.set_num_threads(threads)


@pytest.mark.parametrize('vocab', [32, -32])
def test_every_weight_is_where_the_file_has_it(tmp_path, vocab):
  """Against a plain loop over the file; rotated pairs become halves."""
  path, parts = written(tmp_path / 'm.bin', vocab=vocab)
  cfg, arrays = llama2c.read(path)
  assert cfg.tied == (vocab > 0) and cfg.vocab == 32
  names = list(llama2c._shapes(cfg))
  for name, part in zip(names, parts):
    if name not in ('cos', 'sin', 'blocks.q_HKD', 'blocks.k_GKD'):
      assert arrays[name].tobytes() == part.tobytes()
  q, wanted = parts[2].reshape(2, 4, 4, 16), arrays['blocks.q_HKD']
  for k in range(4):
    np.testing.assert_array_equal(wanted[:, :, k], q[:, :, 2 * (k % 2) + k // 2])


OTHER = [(b'', 'too short'), (bytes(28), 'not a llama2.c file'), (b'24ka' + bytes(60), 'version 1')]
NOT = (16, 24, 2, 3, 2, 32, 16), (16, 24, 2, 4, 3, 32, 16), (16, -24, 2, 4, 2, 32, 16)
OTHER += [(struct.pack('<7i', *sizes), 'not a llama2.c file') for sizes in NOT]
OTHER += [(struct.pack('<7i', 16, 24, 3, 4, 2, 32, 16), 'asks for')]


@pytest.mark.parametrize('head, words', OTHER)
def test_other_bytes(tmp_path, head, words):
  path, _ = written(tmp_path / 'm.bin', head, data=(lambda x: x[:0]) if not head else None)
  with pytest.raises(UserError, match=words) as error:
    hub.load(path)
  assert str(path) in str(error.value) and '\n' not in str(error.value)


def test_a_bad_number_is_named(tmp_path):
  path, _ = written(tmp_path / 'm.bin', data=lambda x: np.r_[x[:3], np.float32('nan'), x[4:]])
  with pytest.raises(UserError, match='embed_VD'):
    hub.load(path)


def test_the_tokenizer_of_its_size_is_taken(shared, tmp_path):
  path, _ = written(tmp_path / 'm.bin')
  (tmp_path / 'tok512.bin').write_bytes(shared('stories260K/tok512.bin').read_bytes())
  assert jaxalign.load(path).tokenizer is None
  (tmp_path / 'tok512.bin').rename(tmp_path / 'tok32.bin')
  with pytest.raises(UserError, match='512 tokens, its model 32'):
    jaxalign.load(path)
