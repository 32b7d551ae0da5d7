"""A small checkpoint on the disk, written by the safetensors library and not by our own writer."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

CONFIG = dict(
  model_type='llama',
  architectures=['LlamaForCausalLM'],
  num_hidden_layers=2,
  hidden_size=64,
  num_attention_heads=8,
  num_key_value_heads=2,
  intermediate_size=96,
  vocab_size=128,
  max_position_embeddings=64,
  rms_norm_eps=1e-5,
  rope_theta=10000.0,
  tie_word_embeddings=False,
  bos_token_id=1,
  eos_token_id=2,
)
LAYER = {
  'input_layernorm': (64,),
  'self_attn.q_proj': (64, 64),
  'self_attn.k_proj': (16, 64),
  'self_attn.v_proj': (16, 64),
  'self_attn.o_proj': (64, 64),
  'post_attention_layernorm': (64,),
  'mlp.gate_proj': (96, 64),
  'mlp.up_proj': (96, 64),
  'mlp.down_proj': (64, 96),
}


def llama_tensors(dtype):
  shapes = {'model.embed_tokens': (128, 64), 'model.norm': (64,), 'lm_head': (128, 64)}
  shapes |= {f'model.layers.{n}.{k}': shape for n in range(2) for k, shape in LAYER.items()}
  rng, dtype = np.random.default_rng(7), jnp.dtype(dtype)
  return {f'{k}.weight': rng.standard_normal(s, 'f4').astype(dtype) for k, s in shapes.items()}


@pytest.fixture
def checkpoint(tmp_path):
  """checkpoint(change=..., shards=..., **fields) is (directory, {name: array}) of a small Llama.

  `change(tensors)` alters the tensors before they are written, `fields` the config.
  """

  def make(dtype='float32', change=None, shards=1, **fields):
    path = tmp_path / f'checkpoint{len(list(tmp_path.iterdir()))}'
    path.mkdir()
    tensors = llama_tensors(dtype)
    if change:
      change(tensors)
    (path / 'config.json').write_text(json.dumps(CONFIG | fields))
    names = sorted(tensors)
    files = {
      f'model-{i + 1:05d}-of-{shards:05d}.safetensors': names[i::shards] for i in range(shards)
    }
    if shards == 1:
      files = {'model.safetensors': names}
    for file, inside in files.items():
      safetensors.numpy.save_file({n: tensors[n] for n in inside}, path / file)
    if shards > 1:
      where = {name: file for file, inside in files.items() for name in inside}
      index = dict(metadata={}, weight_map=where)
      (path / 'model.safetensors.index.json').write_text(json.dumps(index))
    return path, tensors

  return make
