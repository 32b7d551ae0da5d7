"""Tiny random checkpoints that the models are held against, and the one tolerance of parity.

Weights follow from a seed (numpy's RandomState, whose stream is frozen), so a golden file holds the
config, what transformers answered, and nothing else. `make_golden.py` writes them.
"""

import functools
import json
import pathlib
import types
import zlib

import jax
import numpy as np

from jaxalign.models import families, matching
from jaxalign.sharding.alphabet import axes, weight_name

TOLERANCE = 1e-5  # largest difference of two float32 results that should be the same
GOLDEN = pathlib.Path(__file__).parent

_LLAMA = dict(
  model_type='llama', vocab_size=64, hidden_size=32, intermediate_size=56, num_hidden_layers=2,
  num_attention_heads=4, rms_norm_eps=1e-5, max_position_embeddings=128,
)  # fmt: skip
_PHI = dict(
  model_type='phi', vocab_size=64, hidden_size=64, intermediate_size=96, num_hidden_layers=2,
  num_attention_heads=4, layer_norm_eps=1e-5, max_position_embeddings=128,
)  # fmt: skip
_PHI1 = _PHI | dict(hidden_size=128, num_attention_heads=2)  # heads of 64, 32 of it rotary
_PHI2 = _PHI | dict(hidden_size=160, num_attention_heads=2)  # heads of 80, 32 of it rotary
# Stretched from 32 positions, so that slow, fast and mixed angles all occur in heads of 8.
_STRETCH = dict(
  factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32
)

# Hugging Face's config.json of each case: in the words of transformers 4 here, of 5 there.
CASES = {
  'llama': _LLAMA,
  'llama_grouped': _LLAMA | dict(num_key_value_heads=2, rope_theta=500_000.0),
  'llama_one_key_head': _LLAMA
  | dict(num_key_value_heads=1, rope_parameters=dict(rope_theta=1e6, rope_type='default')),
  'llama_head_dim': _LLAMA | dict(num_key_value_heads=2, head_dim=16, rope_theta=1000.0),
  'llama_tied': _LLAMA | dict(tie_word_embeddings=True, rms_norm_eps=1e-6, num_hidden_layers=3),
  'llama3': _LLAMA
  | dict(num_key_value_heads=2, rope_theta=500.0, rope_scaling=dict(_STRETCH, rope_type='llama3')),
  'llama3_nested': _LLAMA
  | dict(rope_parameters=dict(_STRETCH, rope_theta=900.0, rope_type='llama3', factor=32.0)),
  'mistral': _LLAMA | dict(model_type='mistral', num_key_value_heads=2, sliding_window=5),
  'mistral_whole': _LLAMA | dict(model_type='mistral', num_key_value_heads=1, sliding_window=None),
  'qwen2': _LLAMA | dict(model_type='qwen2', num_key_value_heads=2, rope_theta=1e6),
  'qwen2_tied': _LLAMA | dict(model_type='qwen2', num_key_value_heads=1, tie_word_embeddings=True),
  'qwen3': _LLAMA | dict(model_type='qwen3', num_key_value_heads=2, head_dim=16, rope_theta=1e6),
  'qwen3_tied': _LLAMA
  | dict(model_type='qwen3', num_key_value_heads=1, head_dim=8, tie_word_embeddings=True),
  'phi1': _PHI1 | dict(partial_rotary_factor=0.5, rope_theta=10_000.0),
  'phi1_5': _PHI1
  | dict(rope_parameters=dict(rope_theta=10_000.0, rope_type='default', partial_rotary_factor=0.5)),
  'phi2': _PHI2 | dict(partial_rotary_factor=0.4),
  'phi_grouped': _PHI | dict(num_key_value_heads=2, rope_theta=50_000.0),
  'phi_tied': _PHI | dict(tie_word_embeddings=True, num_hidden_layers=3),
}
WITH_HIDDEN = ('llama_grouped', 'phi2')  # whose golden files hold every layer's output too

SEGMENT_BT = np.array(
  [
    [1] * 12,  # plain
    [0] * 4 + [1] * 8,  # padded on the left
    [1] * 5 + [2] * 4 + [3] * 2 + [0],  # three documents packed, padding after them
    [0] * 7 + [1] * 5,
  ],
  np.int32,
)


def module_of(name):
  return families.module_of(CASES[name])


@functools.cache
def config(name):
  module = module_of(name)
  return module.HUGGING_FACE.read(
    module.Config, CASES[name], dtype='float32', weights='float32', remat='none', attention='xla'
  )


@functools.cache
def tokens(name):
  """[B,T], other ones in every case; padding is random too, as it must not matter."""
  return _random(name + ' tokens').randint(0, 64, SEGMENT_BT.shape).astype(np.int32)


@functools.cache
def tensors(name):
  """Hugging Face's tensors by Hugging Face's names: large enough that every mistake shows."""
  random = _random(name)
  out = {}
  for theirs, shape in sorted(_their_shapes(config(name), module_of(name)).items()):
    draw = random.standard_normal(shape)
    if 'norm' in theirs and theirs.endswith('weight'):
      draw = 1 + 0.2 * draw
    elif len(shape) == 1 or 'embed' in theirs:
      draw = 0.2 * draw
    else:
      draw *= shape[1] ** -0.5
    out[theirs] = draw.astype(np.float32)
  return types.MappingProxyType(out)


def _random(text):
  return np.random.RandomState(zlib.crc32(text.encode()))


@functools.cache
def _abstract(cfg):
  return jax.eval_shape(lambda: cfg.build(jax.random.key(0)))


def _their_shapes(cfg, module):
  names = module.HUGGING_FACE.tensors
  shapes = {}
  for path, leaf in jax.tree.leaves_with_path(_abstract(cfg)):
    ours = weight_name(path)
    shape = matching.their_shape(ours, tuple(cfg.sizes[letter] for letter in axes(ours)))
    layers = range(cfg.depth) if '{n}' in names[ours] else [None]
    shapes |= {names[ours].format(n=n): shape for n in layers}
    assert leaf.size == np.prod(shape) * len(layers)
  return shapes


def from_tensors(cfg, module, tensors):
  """Our model with Hugging Face's tensors in it, by the table alone."""
  names = module.HUGGING_FACE.tensors

  def fill(path, leaf):
    theirs = names[weight_name(path)]
    if '{n}' not in theirs:
      return jax.numpy.asarray(tensors[theirs].reshape(leaf.shape))
    layers = [tensors[theirs.format(n=n)] for n in range(cfg.depth)]
    return jax.numpy.asarray(np.stack(layers).reshape(leaf.shape))

  return jax.tree.map_with_path(fill, _abstract(cfg))


def model(name, **changes):
  """The case's model; with changes, the same weights under another config."""
  cfg = config(name)
  cfg = type(cfg)(**vars(cfg) | changes)
  return from_tensors(cfg, module_of(name), tensors(name))


@functools.cache
def golden(name):
  """{'logits': [B,T,V], 'hidden': [N,B,T,D] in some cases}, as transformers gave them."""
  with np.load(GOLDEN / f'{name}.npz') as file:
    content = dict(file)
  made_from = json.loads(str(content.pop('config')))
  if made_from != json.loads(json.dumps(CASES[name])):
    raise AssertionError(f'{name}.npz is of an older config: run tests/golden/make_golden.py')
  return content


def apart(ours, theirs, segment_BT=SEGMENT_BT):
  """The largest difference at real positions; the last axes but one are [B,T]."""
  gap = np.abs(np.asarray(ours, np.float64) - np.asarray(theirs, np.float64))
  return float(gap[..., segment_BT != 0, :].max())
