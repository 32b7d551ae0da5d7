"""config.json: read as transformers does, refused where it means another model, written back."""

import dataclasses
import json
import math

import jax
import pytest
import transformers

from jaxalign.config import UserError
from jaxalign.models import llama2, phi2

LLAMA2_7B = json.loads("""{
  "_name_or_path": "meta-llama/Llama-2-7b-hf", "architectures": ["LlamaForCausalLM"],
  "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu", "hidden_size": 4096,
  "initializer_range": 0.02, "intermediate_size": 11008, "max_position_embeddings": 4096,
  "model_type": "llama", "num_attention_heads": 32, "num_hidden_layers": 32,
  "num_key_value_heads": 32, "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_scaling": null,
  "tie_word_embeddings": false, "torch_dtype": "float16",
  "transformers_version": "4.31.0.dev0", "use_cache": true, "vocab_size": 32000
}""")
PHI1 = json.loads("""{
  "_name_or_path": "microsoft/phi-1", "architectures": ["PhiForCausalLM"],
  "attention_dropout": 0.0, "bos_token_id": null, "embd_pdrop": 0.0, "eos_token_id": null,
  "hidden_act": "gelu_new", "hidden_size": 2048, "initializer_range": 0.02,
  "intermediate_size": 8192, "layer_norm_eps": 1e-05, "max_position_embeddings": 2048,
  "model_type": "phi", "num_attention_heads": 32, "num_hidden_layers": 24,
  "num_key_value_heads": null, "partial_rotary_factor": 0.5, "qk_layernorm": false,
  "resid_pdrop": 0.0, "rope_scaling": null, "rope_theta": 10000.0, "tie_word_embeddings": false,
  "torch_dtype": "float32", "transformers_version": "4.37.0", "use_cache": true,
  "vocab_size": 51200
}""")
NAMES = ('hidden_size', 'intermediate_size', 'num_attention_heads', 'num_hidden_layers')
NAMES += ('num_key_value_heads',)
LLAMA2_13B = LLAMA2_7B | dict(zip(NAMES, (5120, 13_824, 40, 40, 40)))
LLAMA2_70B = LLAMA2_7B | dict(zip(NAMES, (8192, 28_672, 64, 80, 8)))
PHI1_5 = PHI1 | dict(_name_or_path='microsoft/phi-1_5', torch_dtype='float16')
PHI2 = PHI1_5 | dict(zip(NAMES, (2560, 10_240, 32, 32, 32)))
PHI2 |= dict(bos_token_id=50256, eos_token_id=50256, partial_rotary_factor=0.4, resid_pdrop=0.1)

REAL = [  # their config, our name for it, parameters
  (LLAMA2_7B, llama2.llama2_7b(), 6_738_415_616),
  (LLAMA2_13B, llama2.llama2_13b(), 13_015_864_320),
  (LLAMA2_70B, llama2.llama2_70b(), 68_976_648_192),
  (PHI1, phi2.phi1(eos=()), 1_418_270_720),
  (PHI1_5, phi2.phi1_5(eos=()), 1_418_270_720),
  (PHI2, phi2.phi2(bos=50_256), 2_779_683_840),
]
MODELS = {'llama': (llama2, llama2.Llama2), 'phi': (phi2, phi2.Phi2)}
LLAMA = dict(hidden_size=64, num_attention_heads=4, num_hidden_layers=2, model_type='llama')
PHI = dict(hidden_size=64, num_attention_heads=4, num_hidden_layers=2, model_type='phi')


def read(raw, **changes):
  module, _ = MODELS[raw['model_type']]
  raw = json.loads(json.dumps(raw))
  return module.HUGGING_FACE.read(module.Config, raw, **changes)


@pytest.mark.parametrize('raw, ours, count', REAL, ids=lambda x: getattr(x, 'width', '') or '')
def test_the_released_configs_are_our_configs(raw, ours, count):
  cfg = read(raw)
  assert cfg == ours
  cls = MODELS[raw['model_type']][1]
  leaves = jax.tree.leaves(jax.eval_shape(lambda: cls(cfg, jax.random.key(0))))
  assert sum(math.prod(leaf.shape) for leaf in leaves) == count


def test_what_is_missing_takes_transformers_default():
  cfg = read(dict(model_type='llama'))
  expected = llama2.Config(length=2048, eps=1e-6, theta=10_000.0, kv_heads=32, bos=1, eos=(2,))
  assert cfg == expected
  cfg = read(dict(model_type='phi'))
  assert cfg == phi2.phi1(bos=1, eos=(2,), kv_heads=32)


@pytest.mark.parametrize('kind', MODELS)
def test_defaults_are_those_of_the_installed_transformers(kind):
  theirs = transformers.AutoConfig.for_model(kind).to_dict()
  table = MODELS[kind][0].HUGGING_FACE.fields
  assert read(dict(model_type=kind)) == read(theirs)  # and all of their fields are known
  for name, default in table.values():
    if name in theirs and default is not None:
      assert theirs[name] == default, name


@pytest.mark.parametrize('kind', MODELS)
def test_both_layouts_of_rotary_are_read(kind):
  plain = LLAMA if kind == 'llama' else PHI
  partial = {} if kind == 'llama' else dict(partial_rotary_factor=0.25)
  four = read(plain | dict(rope_theta=5e5) | partial)
  inside = dict(rope_theta=5e5, rope_type='default') | partial
  assert four.theta == 5e5
  assert read(plain | dict(rope_parameters=inside)) == four
  assert read(plain | dict(rope_theta=5e5, rope_scaling=None) | partial) == four
  assert read(plain | dict(rope_theta=5e5, rope_scaling=dict(type='default')) | partial) == four
  assert read(plain | dict(rope_theta=500_000) | partial).theta == 5e5  # an int is a float here


SCALED = [
  dict(type='linear', factor=2.0),
  dict(type='dynamic', factor=2.0),
  dict(rope_type='llama3', factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0),
  dict(rope_type='yarn', factor=4.0),
]
REFUSED = [
  *(('llama', dict(rope_scaling=s), f'rope_scaling.*{next(iter(s.values()))}') for s in SCALED),
  *(('phi', dict(rope_parameters=s), f'rope_parameters.*{next(iter(s.values()))}') for s in SCALED),
  ('llama', dict(rope_scaling='linear'), 'rope_scaling'),
  ('llama', dict(rope_scaling=dict(factor=2.0)), 'factor=2.0'),
  ('llama', dict(attention_bias=True), 'attention_bias=True'),
  ('llama', dict(mlp_bias=True), 'mlp_bias=True'),
  ('llama', dict(hidden_act='gelu'), "hidden_act='gelu'.*'silu'"),
  ('llama', dict(partial_rotary_factor=0.5), 'partial_rotary_factor=0.5'),
  ('phi', dict(hidden_act='gelu'), "hidden_act='gelu'.*'gelu_new'"),
  ('phi', dict(qk_layernorm=True), 'qk_layernorm=True'),
  ('llama', dict(sliding_window=4096), 'sliding_window=4096'),
  ('llama', dict(quantization_config=dict(bits=4)), 'quantization_config'),
  ('llama', dict(layer_types=['full_attention', 'sliding_attention']), 'layer_types'),
  ('phi', dict(num_experts=8), 'num_experts=8'),
  ('llama', dict(logit_scale=0.5, any_multiplier=2), 'any_multiplier=2, logit_scale=0.5'),
]


@pytest.mark.parametrize('kind, extra, named', REFUSED, ids=lambda x: str(x)[:40])
def test_another_model_is_refused_by_the_fields_name(kind, extra, named):
  with pytest.raises(UserError, match=f'config.json: .*{named}'):
    read((LLAMA if kind == 'llama' else PHI) | extra)


def test_what_is_off_or_harmless_is_accepted():
  off = dict(sliding_window=None, attention_bias=False, quantization_config={})
  harmless = dict(attention_dropout=0.1, initializer_range=0.01, torch_dtype='float16')
  assert read(LLAMA | off | harmless) == read(LLAMA)
  assert read(PHI | dict(hidden_act='gelu_pytorch_tanh', resid_pdrop=0.1)) == read(PHI)


WRONG = [
  (dict(hidden_size='64'), "hidden_size='64'"),
  (dict(hidden_size=64.0), 'hidden_size=64.0'),
  (dict(num_hidden_layers=True), 'num_hidden_layers=True'),
  (dict(rms_norm_eps='small'), 'rms_norm_eps'),
  (dict(tie_word_embeddings='no'), 'tie_word_embeddings'),
  (dict(head_dim=16.0), 'head_dim'),
  (dict(num_key_value_heads=True), 'num_key_value_heads'),
  (dict(eos_token_id='</s>'), 'eos_token_id'),
  (dict(eos_token_id=[1, 'x']), 'eos_token_id'),
  (dict(pad_token_id='0'), 'pad_token_id'),
  (dict(num_attention_heads=0), 'heads=0'),
  (dict(num_key_value_heads=0), 'num_key_value_heads=0: at least 1'),
  (dict(num_hidden_layers=10**9), 'num_hidden_layers=1000000000: .*at most 10,000'),
  (dict(rope_theta=0), 'rope_theta=0.0: at least 1'),
  (dict(rope_theta=float('inf')), 'rope_theta=inf: at least 1'),
  (dict(rms_norm_eps=float('nan')), 'rms_norm_eps=nan: at least 1e-30'),
  (dict(rms_norm_eps=float('inf')), 'rms_norm_eps=inf: .*at most 1'),
  (dict(rope_parameters=dict(rope_theta=0.0)), 'rope_theta=0.0: at least 1'),
  (dict(num_attention_heads=6), 'width=64 .*heads=6'),
  (dict(num_key_value_heads=3), 'heads=4 .*kv_heads=3'),
  (dict(head_dim=15), 'rotary size 15'),
  (dict(head_dim=-16), 'head_dim=-16: at least 1'),
  (dict(eos_token_id=1_000_000), 'eos=.1000000,.: ids from 0 to'),
]


@pytest.mark.parametrize('extra, named', WRONG, ids=lambda x: str(x)[:40])
def test_what_cannot_be_a_model_is_named(extra, named):
  with pytest.raises(UserError, match=named):
    read(LLAMA | extra)


def test_a_rotary_size_must_be_even():
  assert read(PHI | dict(partial_rotary_factor=0.4)).turns == 6  # 6.4, rounded down as they do
  with pytest.raises(UserError, match='rotary size 5'):
    read(PHI | dict(partial_rotary_factor=0.33))


def test_ends_may_be_none_one_or_many():
  assert read(LLAMA).eos == (2,)
  assert read(LLAMA | dict(eos_token_id=None)).eos == ()
  assert read(LLAMA | dict(eos_token_id=7)).eos == (7,)
  assert read(LLAMA | dict(eos_token_id=[7, 9])).eos == (7, 9)
  assert read(LLAMA | dict(bos_token_id=None)).bos is None
  assert read(LLAMA | dict(pad_token_id=0)).pad == 0


ROUND = [
  llama2.llama2_7b(),
  llama2.llama2_70b(weights='bfloat16'),
  llama2.tiny(tied=True, theta=5e5, eps=1e-6, bos=None, eos=(2, 5), pad=0),
  llama2.tiny(head_dim=32, eos=()),
  phi2.phi1(),
  phi2.phi2(pad=3),
  phi2.tiny(kv_heads=2, rotary=0.25, tied=True),
]


@pytest.mark.parametrize('cfg', ROUND, ids=lambda cfg: f'{type(cfg).__module__}-{cfg.width}')
def test_what_is_written_is_read_by_us_and_by_transformers(cfg):
  module = llama2 if isinstance(cfg, llama2.Config) else phi2
  written = json.loads(json.dumps(module.HUGGING_FACE.write(cfg)))
  assert written['torch_dtype'] == cfg.weights
  theirs = transformers.AutoConfig.for_model(**written)
  assert (theirs.num_hidden_layers, theirs.hidden_size) == (cfg.depth, cfg.width)
  assert theirs.rope_parameters['rope_theta'] == cfg.theta
  for raw in (written, theirs.to_dict()):
    assert read(raw, dtype=cfg.dtype, weights=cfg.weights) == cfg


def test_changes_win_over_the_file():
  cfg = read(LLAMA | dict(torch_dtype='float16'), dtype='float32', remat='none')
  assert (cfg.dtype, cfg.remat, cfg.weights) == ('float32', 'none', llama2.Config.weights)
  assert dataclasses.replace(cfg, dtype='bfloat16') != cfg
