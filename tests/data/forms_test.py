"""A tokenizer's files: which family they are of, and how those are refused that are none."""

import json
import os

import pytest

from jaxalign.config import UserError
from jaxalign.data.text import Tokenizer


def test_family_is_what_config_and_files_agree_on(llama_dir, phi_dir, tmp_path):
  for source, named in [(llama_dir, 'mistral'), (phi_dir, 'llama')]:
    Tokenizer.load(source).save(tmp_path / named)
    (tmp_path / named / 'config.json').write_text(json.dumps({'model_type': named}))
    assert Tokenizer.load(tmp_path / named).family == 'other'


def test_missing_and_corrupt_files_are_named(phi_dir, tmp_path):
  with pytest.raises(UserError, match='looked for tokenizer.json, or tokenizer.model, or vocab'):
    Tokenizer.load(tmp_path)
  with pytest.raises(UserError, match='nowhere does not exist'):
    Tokenizer.load(tmp_path / 'nowhere')
  (tmp_path / 'some.txt').write_text('')
  with pytest.raises(UserError, match='some.txt is no tokenizer'):
    Tokenizer.load(tmp_path / 'some.txt')
  Tokenizer.load(phi_dir).save(tmp_path)
  good = (tmp_path / 'tokenizer.json').read_text()
  wrong_id = good.replace('"content": "\\t\\t"', '"content": "\\t \\t"')
  wrong_id = wrong_id.replace('"vocab": {', '"vocab": {"\\t \\t": 3, ')
  assert good != wrong_id
  for bad in (good[:-40], '[]', '{}', wrong_id):
    (tmp_path / 'tokenizer.json').write_text(bad)
    with pytest.raises(UserError, match='copy it again'):
      Tokenizer.load(tmp_path)


def test_code_in_a_checkpoint_never_runs(llama_dir, tmp_path):
  Tokenizer.load(llama_dir).save(tmp_path)
  (tmp_path / 'tokenization_llama.py').write_text('raise SystemExit("ran")')
  Tokenizer.load(tmp_path).save(tmp_path / 'copy')
  assert not list((tmp_path / 'copy').glob('*.py'))
  config = json.loads((tmp_path / 'tokenizer_config.json').read_text())
  config['auto_map'] = {'AutoTokenizer': [None, 'tokenization_llama.Tokenizer']}
  (tmp_path / 'tokenizer_config.json').write_text(json.dumps(config))
  with pytest.raises(UserError, match='auto_map'):
    Tokenizer.load(tmp_path)


def test_a_foreign_tokenizer_whose_text_could_give_orders_is_refused(tmp_path):
  model = {'type': 'WordLevel', 'vocab': {'a': 0, '</s>': 1, '<unk>': 2}, 'unk_token': '<unk>'}
  spec = {'version': '1.0', 'added_tokens': [], 'model': model}
  spec['pre_tokenizer'] = {'type': 'WhitespaceSplit'}
  (tmp_path / 'tokenizer.json').write_text(json.dumps(spec))
  (tmp_path / 'tokenizer_config.json').write_text('{"eos_token": {"content": "</s>"}}')
  with pytest.raises(UserError, match='would become the control token 1'):
    Tokenizer.load(tmp_path)
  (tmp_path / 'tokenizer_config.json').write_text('{"eos_token": "<end>"}')
  with pytest.raises(UserError, match="eos_token '<end>' is not in the vocabulary"):
    Tokenizer.load(tmp_path)


@pytest.mark.parametrize(
  'files, says',
  [
    ({'tokenizer.json': b'[' * 100_000}, 'tokenizer.json cannot be read .its JSON nests'),
    ({'tokenizer.json': b'{"a":' * 400 + b'1' + b'}' * 400}, 'corrupt'),
    ({'tokenizer.json': b'{"model": {"vocab": {}}, "added_tokens": "x"}'}, 'are corrupt'),
    ({'vocab.json': b'{"a": 0}', 'merges.txt': b'\xff'}, 'are corrupt .UnicodeDecodeError'),
  ],
)
def test_files_that_are_no_tokenizer_are_one_line(tmp_path, files, says):
  for name, content in files.items():
    (tmp_path / name).write_bytes(content)
  with pytest.raises(UserError, match=says):
    Tokenizer.load(str(tmp_path))


def test_a_tokenizer_that_is_a_pipe_is_not_waited_for(tmp_path):
  os.mkfifo(tmp_path / 'tokenizer.json')
  for path in (tmp_path, tmp_path / 'tokenizer.json'):
    with pytest.raises(UserError, match='is a pipe, not a file'):
      Tokenizer.load(str(path))
