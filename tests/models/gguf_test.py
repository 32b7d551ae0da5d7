"""GGUF: widened as transformers' own import widens it, and refused where it is another model."""

import json

import jax
import numpy as np
import pytest

import jaxalign
from jaxalign.config import UserError
from jaxalign.data.text import Tokenizer
from jaxalign.models import families, hub, matching
from jaxalign.sharding.alphabet import weight_name
from jaxalign.sharding.meshes import make_mesh

gguf = pytest.importorskip('gguf', reason='.gguf files are an extra: jaxalign[gguf]')
SIZES = dict(num_hidden_layers=2, hidden_size=256, num_attention_heads=4, num_key_value_heads=2)
SIZES |= dict(intermediate_size=256, vocab_size=64, max_position_embeddings=128)
SIZES |= dict(rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=2)
KINDS = ('F32', 'F16', 'BF16', 'Q8_0', 'Q4_0', 'Q4_1', 'Q4_K', 'Q6_K')
LAYER = {
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.o_proj': 'attn_output',
  'self_attn.q_norm': 'attn_q_norm',
  'self_attn.k_norm': 'attn_k_norm',
  'input_layernorm': 'attn_norm',
  'post_attention_layernorm': 'ffn_norm',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
}
TOP = {'model.embed_tokens': 'token_embd', 'model.norm': 'output_norm', 'lm_head': 'output'}
TOKENS = np.random.RandomState(5).randint(0, 64, (2, 9)).astype(np.int32)


def their_names(kind):
  """{Hugging Face's name: shape} of the small model."""
  module, found = families.MODELS[kind], {}
  cfg = module.HUGGING_FACE.read(module.Config, SIZES | dict(model_type=kind, head_dim=64))
  shapes = jax.eval_shape(lambda: cfg.build(jax.random.key(0)))
  for ours, leaf in ((weight_name(p), leaf) for p, leaf in jax.tree.leaves_with_path(shapes)):
    theirs = module.HUGGING_FACE.tensors[ours]
    layers, shape = ((2,), leaf.shape[1:]) if '{n}' in theirs else ((1,), leaf.shape)
    found |= {theirs.format(n=n): matching.their_shape(ours, shape) for n in range(*layers)}
  return found


def packed(values, kind):
  """The bytes of a matrix; of the kinds the library cannot write, random ones with small scales."""
  of = gguf.GGMLQuantizationType[kind]
  if kind not in ('Q4_K', 'Q6_K'):
    return gguf.quantize(values, of), of
  block = gguf.GGML_QUANT_SIZES[of][1]
  raw = np.random.RandomState(values.size).randint(0, 256, (values.shape[0], block), np.uint8)
  scales = np.full((values.shape[0], 1), 0.002, np.float16).view(np.uint8)
  at = slice(0, 2) if kind == 'Q4_K' else slice(block - 2, block)
  raw[:, at] = scales
  if kind == 'Q4_K':
    raw[:, 2:4] = scales
  return raw, of


def write(path, kind='llama', weights='F32', fields=(), drop=(), more=()):
  """A GGUF file of a small model, by the gguf library: what llama.cpp's converter would write."""
  random, writer = np.random.RandomState(7), gguf.GGUFWriter(path, kind)
  numbers = dict(
    block_count=2,
    context_length=128,
    embedding_length=256,
    feed_forward_length=256,
    vocab_size=64,
  ) | {'attention.head_count': 4, 'attention.head_count_kv': 2, 'attention.key_length': 64}
  for name, value in (numbers | dict(fields)).items():
    if value is not None:
      add = writer.add_string if isinstance(value, str) else writer.add_uint32
      add(f'{kind}.{name}', value)
  writer.add_float32(f'{kind}.attention.layer_norm_rms_epsilon', 1e-5)
  writer.add_float32(f'{kind}.rope.freq_base', 10_000.0)
  writer.add_bos_token_id(1)
  writer.add_eos_token_id(2)
  for theirs, shape in their_names(kind).items():
    stem, _, part = theirs.rpartition('.')
    layer = stem.removeprefix('model.layers.')
    name = TOP.get(stem) or f'blk.{layer[0]}.{LAYER[layer[2:]]}'
    values = random.standard_normal(shape).astype(np.float32) * 0.06
    if 'norm' in name:
      values += 1
    if f'{name}.{part}' not in drop:
      matrix = len(shape) == 2 and weights != 'F32'
      data, of = packed(values, weights) if matrix else (values, None)
      writer.add_tensor(f'{name}.{part}', data, raw_dtype=of)
  for name, values in dict(more).items():
    writer.add_tensor(name, np.asarray(values, np.float32))
  writer.write_header_to_file()
  writer.write_kv_data_to_file()
  writer.write_tensors_to_file()
  writer.close()
  return path


def of_transformers(path):
  torch = pytest.importorskip('torch', reason='torch is not installed: transformers cannot import')
  import transformers
  from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

  config = transformers.AutoConfig.from_pretrained(path.parent, gguf_file=path.name)
  with torch.device('meta'):  # for the names of its tensors
    dummy = transformers.AutoModelForCausalLM.from_config(config)
  found = load_gguf_checkpoint(str(path), return_tensors=True, model_to_load=dummy)['tensors']
  return {name: w.float().numpy() for name, w in found.items()}


@pytest.mark.parametrize('weights', KINDS)
def test_every_kind_of_weights_is_what_transformers_makes_of_it(weights, tmp_path):
  path = write(tmp_path / 'model.gguf', weights=weights)
  jaxalign.export(hub.load(path, dtype='float32'), tmp_path / 'out')
  again = hub.tensor_files.directory(tmp_path / 'out')
  assert hub.load(path).cfg.weights == dict(F16='float16', BF16='bfloat16').get(weights, 'float32')
  ours = {name: read(stored) for name, stored in again.items()}
  theirs = of_transformers(path)
  assert ours.keys() == theirs.keys()
  for name, w in theirs.items():
    np.testing.assert_array_equal(ours[name], w, name)


def read(stored):
  with open(stored.file, 'rb') as file:
    file.seek(stored.start)
    return np.frombuffer(file.read(stored.nbytes), stored.dtype).reshape(stored.shape)


@pytest.mark.parametrize('kind', ['qwen2', 'qwen3'])
def test_qwen_is_what_transformers_makes_of_it_on_a_mesh_too(kind, tmp_path):
  path = write(tmp_path / 'model.gguf', kind, 'Q8_0')
  model, spread = hub.load(path), hub.load(path, mesh=make_mesh(2, 2, 2))
  np.testing.assert_allclose(model.logits(TOKENS), spread.logits(TOKENS), atol=2e-5)
  jaxalign.export(model, tmp_path / 'out')
  ours = hub.tensor_files.directory(tmp_path / 'out')
  for name, w in of_transformers(path).items():
    np.testing.assert_array_equal(read(ours[name]), w, name)


def test_a_file_without_a_head_is_tied(tmp_path):
  model = hub.load(write(tmp_path / 'model.gguf', drop=['output.weight']))
  assert model.cfg.tied and not hasattr(model, 'head_VD')


def stretched(factor):
  turns = 8192 / (2 * np.pi) * 10_000.0 ** (-np.arange(32) / 32)
  share = np.clip((turns - 1) / 3, 0, 1)
  return 1 / (share + (1 - share) / factor)


def test_llama_3_keeps_its_stretch_in_a_tensor(tmp_path):
  path = write(tmp_path / 'model.gguf', more={'rope_freqs.weight': stretched(32.0)})
  cfg = hub.load(path).cfg
  assert type(cfg) is families.MODELS['llama3'].Config
  assert (cfg.factor, cfg.low, cfg.high, cfg.original) == (32.0, 1.0, 4.0, 8192)


WRONG = [
  (dict(kind='gemma'), "architecture 'gemma' is not one jaxalign reads"),
  (dict(fields={'expert_count': 8}), 'llama.expert_count=8: not supported'),
  (dict(fields={'rope.scaling.type': 'yarn'}), "llama.rope.scaling.type='yarn'"),
  (dict(fields={'rope.dimension_count': 32}), 'llama.rope.dimension_count=32'),
  (dict(fields={'block_count': None}), 'llama.block_count is missing'),
  (dict(fields={'block_count': 3}), 'missing: model.layers.2'),
  (dict(drop=['blk.1.ffn_up.weight']), 'missing: model.layers.1.mlp.up_proj.weight'),
  (dict(more={'blk.0.attn_q.bias': [0.0]}), 'model.layers.0.self_attn.q_proj.bias'),
  (dict(more={'rope_freqs.weight': np.full(32, 2.0)}), 'not Llama-3'),
]


@pytest.mark.parametrize('change, says', WRONG, ids=[says for _, says in WRONG])
def test_another_model_is_refused_by_name(change, says, tmp_path, monkeypatch):
  if change.get('kind') == 'gemma':
    monkeypatch.setitem(families.MODELS, 'gemma', families.MODELS['llama'])
  path = write(tmp_path / 'model.gguf', **change)
  with pytest.raises(UserError) as refused:
    hub.load(path)
  assert says in str(refused.value) and 'model.gguf' in str(refused.value)


@pytest.mark.parametrize('keep', [0, 3, 40, 2000, -100])
def test_a_file_cut_off_is_a_line(keep, tmp_path):
  path = write(tmp_path / 'model.gguf')
  path.write_bytes(path.read_bytes()[:keep])
  with pytest.raises(UserError, match='model.gguf: not a GGUF file, or cut off'):
    hub.load(path)


def test_its_tokenizer_comes_along(tmp_path):
  """Bytes and one merge under SmolLM's rule, with control tokens that text cannot become."""
  from tokenizers.pre_tokenizers import ByteLevel

  letters = sorted(ByteLevel.alphabet())
  tokens = ['<|end|>', '<|im_start|>', '<|im_end|>', *letters, 'Ġt', 'Ġto']
  writer = gguf.GGUFWriter(tmp_path / 'only.gguf', 'llama')
  writer.add_tokenizer_model('gpt2')
  writer.add_tokenizer_pre('smollm')
  writer.add_token_list(tokens)
  writer.add_token_types([3] * 3 + [1] * (len(tokens) - 3))
  writer.add_token_merges(['Ġ t', 'Ġt o'])
  writer.add_bos_token_id(1)
  writer.add_eos_token_id(2)
  writer.add_chat_template('{{ messages }}')
  writer.write_header_to_file()
  writer.write_kv_data_to_file()
  writer.write_tensors_to_file()
  writer.close()
  tokenizer = Tokenizer.load(str(tmp_path / 'only.gguf'))
  assert (tokenizer.bos, tokenizer.eos, tokenizer.pad, tokenizer.add_bos) == (1, 2, None, False)
  assert [tokens[i] for i in tokenizer.encode('go to 12')] == ['g', 'o', 'Ġto', 'Ġ', '1', '2']
  said = 'a <|im_end|> é'
  assert not {0, 1, 2} & set(tokenizer.encode(said))
  assert tokenizer.decode(tokenizer.encode(said)) == said
  tokenizer.save(str(tmp_path / 'out'))
  assert Tokenizer.load(str(tmp_path / 'out')) == tokenizer
  assert (tmp_path / 'out/chat_template.jinja').read_text() == '{{ messages }}'
  assert json.loads((tmp_path / 'out/tokenizer_config.json').read_text())['add_bos_token'] is False
