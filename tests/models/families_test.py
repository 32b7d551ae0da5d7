"""The families over the one decoder: published configs, files, caches, adapters and meshes."""

import json
import math
import pathlib

import jax
import numpy as np
import pytest
import safetensors.numpy
from jax.sharding import AbstractMesh

from jaxalign.config import UserError
from jaxalign.models import families, hub, llama2, llama3, mistral, phi2, qwen2, qwen3
from jaxalign.models.adapters import Lora, attach, make_adapter, merge
from jaxalign.models.export import export
from jaxalign.sharding.layout import layout
from jaxalign.sharding.meshes import make_mesh
from tests.golden import cases
from tests.golden.cases import SEGMENT_BT, TOLERANCE, apart

PUBLISHED = json.loads((pathlib.Path(__file__).parent / 'published.json').read_text())
FAMILIES = 'llama3', 'mistral', 'qwen2', 'qwen3'


@pytest.mark.parametrize('name', PUBLISHED)
def test_a_published_config_is_read_and_has_the_published_size(name):
  raw = PUBLISHED[name]['config']
  module = families.module_of(raw)
  cfg = module.HUGGING_FACE.read(module.Config, raw)
  leaves = jax.tree.leaves(jax.eval_shape(lambda: cfg.build(jax.random.key(0))))
  assert sum(math.prod(leaf.shape) for leaf in leaves) == PUBLISHED[name]['parameters']
  assert cfg.length == raw['max_position_embeddings']
  assert cfg.theta == raw.get('rope_theta', 10_000.0)
  assert module.HUGGING_FACE.read(module.Config, module.HUGGING_FACE.write(cfg)) == cfg


NAMED = [
  ('meta-llama/Llama-2-7b-hf', llama2.llama2_7b()),
  ('meta-llama/Llama-2-70b-chat-hf', llama2.llama2_70b()),
  ('meta-llama/Llama-3.1-8B', llama3.llama3_1_8b()),
  ('HuggingFaceTB/SmolLM2-135M-Instruct', llama2.smollm2_135m()),
  ('mistralai/Mistral-7B-Instruct-v0.2', mistral.mistral_7b()),
  ('mistralai/Mistral-7B-v0.1', mistral.mistral_7b(theta=10_000.0, window=4096)),
  ('microsoft/phi-2', phi2.phi2(bos=50_256)),
  ('Qwen/Qwen2.5-14B', qwen2.qwen2_5_14b()),
  ('Qwen/Qwen3-14B', qwen3.qwen3_14b()),
]


@pytest.mark.parametrize('name, ours', NAMED, ids=[name for name, _ in NAMED])
def test_our_name_for_a_published_model_is_its_config(name, ours):
  raw = PUBLISHED[name]['config']
  assert families.module_of(raw).HUGGING_FACE.read(type(ours), raw) == ours


@pytest.mark.parametrize(
  'name, one, four',
  [('cais/HarmBench-Llama-2-13b-cls', 24.24, 6.06), ('Qwen/Qwen3-14B', 27.51, 6.88)],
)
def test_a_13b_judge_and_a_14b_load_into_the_shards_of_four_chips(name, one, four):
  """GiB of bfloat16 weights on a chip of 15.75, of shapes alone; no chip would hold them all."""
  raw = PUBLISHED[name]['config']
  module = families.module_of(raw)
  cfg = module.HUGGING_FACE.read(module.Config, raw, dtype='bfloat16', weights='bfloat16')
  shapes = jax.eval_shape(cfg.build, jax.random.key(0))
  sizes = []
  for chips in (1, 4):
    homes = layout(shapes, AbstractMesh((1, chips, 1), ('data', 'fsdp', 'tensor')))
    parts = jax.tree.map(lambda w, home: math.prod(home.shard_shape(w.shape)), shapes, homes)
    sizes.append(2 * sum(jax.tree.leaves(parts)) / 2**30)
  assert sizes == pytest.approx([one, four], abs=0.01) and four < 15.75 < one


BASE = dict(hidden_size=64, num_attention_heads=4, num_hidden_layers=2)
REFUSED = [  # what changes the arithmetic
  (dict(model_type='llama', rope_scaling=dict(type='linear', factor=8.0)), "type 'linear'"),
  (dict(model_type='qwen2', rope_scaling=dict(type='yarn', factor=4.0)), "type 'yarn'"),
  (dict(model_type='qwen3', rope_scaling=cases.CASES['llama3']['rope_scaling']), "type 'llama3'"),
  (dict(model_type='llama', rope_scaling=dict(rope_type='llama3', factor=8.0)), 'is missing'),
  (dict(model_type='qwen2', use_sliding_window=True), 'use_sliding_window=True'),
  (dict(model_type='qwen3', attention_bias=True), 'attention_bias=True'),
  (dict(model_type='mistral', layer_types=['sliding_attention'] * 2), 'layer_types='),
  (dict(model_type='llama', quantization_config=dict(bits=4)), 'quantization_config='),
  (dict(model_type='llama', logit_scale=0.1), 'logit_scale=0.1'),
  (dict(model_type='qwen3_moe'), "model_type='qwen3_moe'"),
  (dict(model_type='mistral', sliding_window=0), 'sliding_window=0'),
  (dict(model_type='mistral', sliding_window='4096'), "sliding_window='4096'"),
]


@pytest.mark.parametrize('fields, says', REFUSED, ids=[says for _, says in REFUSED])
def test_what_would_be_another_model_is_refused(fields, says, tmp_path):
  (tmp_path / 'config.json').write_text(json.dumps(BASE | fields))
  (tmp_path / 'model.safetensors').write_bytes(safetensors.numpy.save({}))
  with pytest.raises(UserError, match='config.json') as refused:
    hub.load(tmp_path)
  assert says in str(refused.value)


def write(path, name):
  """The case as Hugging Face lays it: a config, two files of tensors and their index."""
  path.mkdir()
  (path / 'config.json').write_text(json.dumps(cases.CASES[name]))
  tensors = dict(cases.tensors(name))
  where = {
    theirs: f'model-{i % 2 + 1:05d}-of-00002.safetensors' for i, theirs in enumerate(tensors)
  }
  for file in set(where.values()):
    safetensors.numpy.save_file({k: v for k, v in tensors.items() if where[k] == file}, path / file)
  index = dict(metadata={}, weight_map=where)
  (path / 'model.safetensors.index.json').write_text(json.dumps(index))
  return tensors


@pytest.mark.parametrize('name', (*FAMILIES, 'qwen3_tied'))
def test_files_come_back_byte_for_byte_and_two_meshes_agree(name, tmp_path):
  tensors = write(tmp_path / 'in', name)
  for number, sizes in enumerate((None, (2, 2, 2), (1, 4, 2))):
    model = hub.load(tmp_path / 'in', mesh=make_mesh(*sizes) if sizes else None)
    assert apart(model.logits(cases.tokens(name), SEGMENT_BT), cases.golden(name)['logits']) < (
      TOLERANCE
    )
    out = tmp_path / f'out{number}'
    export(model, out)
    again = safetensors.numpy.load_file(out / 'model.safetensors')
    assert {k: v.tobytes() for k, v in again.items()} == {
      k: v.tobytes() for k, v in tensors.items()
    }


@pytest.mark.parametrize('name', FAMILIES)
def test_transformers_reads_what_is_exported(name, tmp_path):
  torch = pytest.importorskip('torch', reason='torch is not installed: the golden files stand in')
  import transformers

  export(cases.model(name), tmp_path / 'out')
  theirs = transformers.AutoModelForCausalLM.from_pretrained(
    tmp_path / 'out', dtype=torch.float32, attn_implementation='eager'
  )
  with torch.no_grad():
    logits_BTV = theirs(torch.tensor(cases.tokens(name)[:1], dtype=torch.long)).logits.numpy()
  golden = cases.golden(name)['logits'][:1]
  assert apart(logits_BTV, golden, SEGMENT_BT[:1]) < TOLERANCE


@pytest.mark.parametrize('name', FAMILIES)
def test_a_cache_gives_what_the_whole_text_gives(name):
  """Prompts of 6, 3, 5 and 1 tokens, padded on the left; Mistral's window of 5 is passed."""
  model, tokens_BT = cases.model(name), cases.tokens(name)
  segment_BT = (np.arange(12) >= 6 - np.array([[6], [3], [5], [1]])).astype(np.int32)
  full = model.logits(tokens_BT, segment_BT)

  @jax.jit
  def in_steps(model):
    x_BTD, cache = model.prefill(tokens_BT[:, :6], segment_BT[:, :6], 12)
    parts = [x_BTD]
    for start, stop in ((6, 7), (7, 12)):
      x_BTD, cache = model.extend(tokens_BT[:, start:stop], cache)
      parts.append(x_BTD)
    return model.unembed(jax.numpy.concatenate(parts, 1))

  assert apart(in_steps(model), full, segment_BT) < TOLERANCE


@pytest.mark.parametrize('name', FAMILIES)
def test_an_adapter_beside_the_weights_is_the_adapter_folded_in(name):
  model, lora = cases.model(name), Lora(rank=2, weights=('*',))
  adapter = make_adapter(model, lora, jax.random.key(1))
  assert not any('norm' in weight or 'bias' in weight for weight in adapter)
  adapter = jax.tree.map(
    lambda w: w + 0.03 * jax.random.normal(jax.random.key(2), w.shape), adapter
  )
  ask = cases.tokens(name), SEGMENT_BT
  beside, folded = (f(model, adapter, lora).logits(*ask) for f in (attach, merge))
  assert apart(beside, folded) < 3 * TOLERANCE < 0.01 < apart(beside, model.logits(*ask))


def test_a_window_hides_in_every_kernel():
  """Splash, interpreted here, agrees with XLA's mask on packed rows of 128."""
  cfg = mistral.tiny(window=20, head_dim=128, heads=2, kv_heads=1, remat='none')
  model = cfg.build(jax.random.key(3))
  tokens_BT = np.random.RandomState(4).randint(0, 512, (2, 256)).astype(np.int32)
  segment_BT = np.repeat([[1, 2], [1, 0]], 128, 1).astype(np.int32)
  rows = [
    model.under(mistral.Config(**vars(cfg) | changes)).logits(tokens_BT, segment_BT)
    for changes in (dict(attention='xla'), dict(attention='splash'), dict(window=None))
  ]
  assert apart(rows[0], rows[1], segment_BT) < 3 * TOLERANCE < 0.01
  assert apart(rows[0], rows[2], segment_BT) > 10 * TOLERANCE


@pytest.mark.parametrize('kind', ['mistral', 'qwen2', 'qwen3'])
def test_what_is_missing_takes_the_default_of_the_installed_transformers(kind):
  transformers = pytest.importorskip('transformers')
  module = families.MODELS[kind]
  theirs = transformers.AutoConfig.for_model(kind).to_dict()
  bare, whole = (
    module.HUGGING_FACE.read(module.Config, raw) for raw in (dict(model_type=kind), theirs)
  )
  assert bare == whole
