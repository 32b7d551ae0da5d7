"""Cases of Hugging Face directories: each part of a whole one, damaged in every way that is known.

`whole(root)` makes the whole one first, in a child, since it takes a device.
"""

import json
import os
import random
import shutil
import struct

from benchmarks.faults import forking
from benchmarks.faults.case import run_case

HUGE = 10**30
SIZES = (
  'hidden_size',
  'intermediate_size',
  'num_hidden_layers',
  'num_attention_heads',
  'num_key_value_heads',
  'vocab_size',
  'max_position_embeddings',
)
ABSENT = object()
OURS = {  # what the package calls them; a line may name either, with the directory
  'hidden_size': 'width',
  'intermediate_size': 'mlp',
  'num_hidden_layers': 'depth',
  'num_attention_heads': 'heads',
  'num_key_value_heads': 'kv_heads',
  'vocab_size': 'vocab',
  'max_position_embeddings': 'length',
  'rms_norm_eps': 'eps',
  'rope_theta': 'theta',
  'head_dim': 'rotary|head',
  'eos_token_id': 'eos',
  'bos_token_id': 'bos',
}
MAY_BE_ABSENT = ('num_key_value_heads', 'max_position_embeddings')
OTHERS = {
  'rms_norm_eps': (-1.0, float('nan'), 1e308, 'x'),
  'rope_theta': (0.0, -1.0, float('nan'), 'x'),
  'head_dim': (0, -1, HUGE, 'x'),
  'eos_token_id': (5000, 'x', [[2]]),
  'bos_token_id': ('x',),
  'hidden_act': ('relu', 7),
  'tie_word_embeddings': ('perhaps',),
  'attention_bias': (True,),
  'rope_scaling': ({'rope_type': 'yarn', 'factor': 4.0}, 'x'),
  'model_type': (ABSENT, 'gpt2', None, 7, ['llama']),
}


def whole(root):
  """root/hf: a tiny Llama with its tokenizer, as transformers would save it."""

  def make():
    import jax

    import jaxalign
    from benchmarks.faults import stages
    from jaxalign.data.text import shipped
    from jaxalign.models import llama2

    model = llama2.Llama2(stages.model(), jax.random.key(0))
    model.tokenizer = shipped()
    jaxalign.export(model, str(root / 'hf'))

  place = root / 'export'
  place.mkdir()
  ended = forking.Child(make, place, limit=300).wait()
  if ended.status:
    raise SystemExit(f'no model to damage could be made: {ended.err[-2000:]}')


def config_changes():
  """(what is changed, the field, its value)."""
  for field in SIZES:
    for value in (ABSENT, 0, -1, HUGE, 2**31, 'many', float('nan'), 1.5, [], True):
      if value is not ABSENT or field not in MAY_BE_ABSENT:
        yield field, value
  for field, values in OTHERS.items():
    yield from ((field, value) for value in values)


def with_config(root, field, value):
  def make(place):
    copy(root, place)
    path = place / 'hf/config.json'
    raw = json.loads(path.read_text())
    raw[field] = value
    if value is ABSENT:
      del raw[field]
    path.write_text(json.dumps(raw))

  return make


def copy(root, place):
  shutil.copytree(root / 'hf', place / 'hf')


def with_file(root, name, change):
  """The directory with change(path) done to one of its files."""

  def make(place):
    copy(root, place)
    change(place / 'hf' / name)

  return make


def contents():
  """{name: change(path)} of what no JSON file should be."""

  def put(content):
    return lambda path: path.write_bytes(content)

  def again(path):
    path.unlink()

  def directory(path):
    path.unlink()
    path.mkdir()

  def fifo(path):
    path.unlink()
    os.mkfifo(path)

  return {
    'not there': again,
    'empty': put(b''),
    'a directory': directory,
    'a fifo': fifo,
    'torn': lambda path: path.write_bytes(path.read_bytes()[:-40]),
    'an array': put(b'[]'),
    'null': put(b'null'),
    'nested deep': put(b'[' * 100_000),
    'a number': put(b'3'),
    'binary': put(random.Random(1).randbytes(999)),
    'not UTF-8': put(b'{"a": "\xff"}'),
    'only braces': put(b'{}'),
  }


def tensors(path):
  """(header, data) of a safetensors file."""
  raw = path.read_bytes()
  size = struct.unpack('<Q', raw[:8])[0]
  return json.loads(raw[8 : 8 + size]), raw[8 + size :]


def put_tensors(path, header, data, size=None):
  text = json.dumps(header).encode()
  path.write_bytes(struct.pack('<Q', len(text) if size is None else size) + text + data)


def weights():
  """{name: change(path)} of model.safetensors."""

  def header(change, data=lambda d: d):
    def do(path):
      found, rest = tensors(path)
      change(found)
      put_tensors(path, found, data(rest))

    return do

  norm = 'model.norm.weight'

  def sized(size):
    return lambda path: put_tensors(path, *tensors(path), size=size)

  def nan(path):
    found, rest = tensors(path)
    begin, _ = found[norm]['data_offsets']
    put_tensors(path, found, rest[:begin] + struct.pack('<f', float('nan')) + rest[begin + 4 :])

  def index(text):
    def do(path):
      path.unlink()
      (path.parent / 'model.safetensors.index.json').write_text(text)

    return do

  def cut(share):
    return lambda path: path.write_bytes(path.read_bytes()[: int(share(path))])

  def set_(**new):
    return header(lambda h: h[norm].update(new))

  return {
    'cut in half': cut(lambda path: path.stat().st_size / 2),
    'cut in its header': cut(lambda _: 99),
    'five bytes': cut(lambda _: 5),
    'header of 2**60 bytes': sized(2**60),
    'header of 2**63 bytes': sized(2**63),
    'header of no bytes': sized(0),
    'header of the whole file': lambda path: sized(path.stat().st_size)(path),
    'a tensor less': header(lambda h: h.pop(norm)),
    'wrong shape': set_(shape=[4, 4]),
    'negative shape': set_(shape=[-16]),
    'shape of 10**30': set_(shape=[10**30]),
    'integers': set_(dtype='I32'),
    'no such dtype': set_(dtype='F7'),
    'dtype null': set_(dtype=None),
    'offsets beyond the end': set_(data_offsets=[0, 10**9]),
    'offsets turned round': set_(data_offsets=[64, 0]),
    'no offsets': set_(data_offsets=[]),
    'offsets of text': set_(data_offsets=['a', 'b']),
    'NaN': nan,
    'index torn': index('{"weight_map": {'),
    'index without map': index('{}'),
    'index names no file': index('{"weight_map": {"model.norm.weight": "other.safetensors"}}'),
    'index names a file outside': index('{"weight_map": {"model.norm.weight": "../../x"}}'),
  }


def tokenizers():
  """{name: change(path)} of tokenizer.json."""

  def change(do):
    def made(path):
      raw = json.loads(path.read_text())
      do(raw)
      path.write_text(json.dumps(raw))

    return made

  big = {f'w{n}': n for n in range(5000)}
  return {
    'no model': change(lambda raw: raw.pop('model')),
    'model null': change(lambda raw: raw.update(model=None)),
    'no such model': change(lambda raw: raw['model'].update(type='Oracle')),
    'no vocabulary': change(lambda raw: raw['model'].update(vocab={})),
    'a list for vocabulary': change(lambda raw: raw['model'].update(vocab=[1, 2])),
    'text for ids': change(lambda raw: raw['model'].update(vocab={'a': 'b'})),
    'larger than the model': change(lambda raw: raw['model'].update(vocab=big, merges=[])),
    'merges of nothing': change(lambda raw: raw['model'].update(merges=[['qq', 'zz']])),
    'added token without id': change(lambda raw: raw.update(added_tokens=[{'content': 'x'}])),
    'added token of huge id': change(lambda raw: raw['added_tokens'][0].update(id=10**30)),
  }


def cases(root):
  more = ('--config.init={place}/hf', '--config.tokenizer=none')

  def one(name, make, says):
    return run_case(name, kind='models', more=more, make=make, says=says, limit=40)

  for field, value in config_changes():
    shown = 'absent' if value is ABSENT else value
    says = rf'\b({field}|{OURS.get(field, field)})\b|not those of its config\.json'
    yield one(f'config.json {field}: {shown}', with_config(root, field, value), says)
  for name, change in contents().items():
    for file, says in (('config.json', r'config\.json'), ('tokenizer.json', 'tokenizer')):
      yield one(f'{file}: {name}', with_file(root, file, change), says)
  for name, change in weights().items():
    says = r'safetensors|model\.norm|other|weight'
    yield one(f'weights: {name}', with_file(root, 'model.safetensors', change), says)
  for name, change in tokenizers().items():
    yield one(
      f'tokenizer.json: {name}', with_file(root, 'tokenizer.json', change), 'tokenizer|token'
    )
