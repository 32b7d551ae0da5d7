"""A GGUF file's tokenizer as the content of a tokenizer.json.

The file keeps the vocabulary, and only the name of the rule by which text is split before it is
merged. Rules known here are written out; another name is refused, for its ids would be others.
"""

from collections.abc import Mapping
from typing import Any

from jaxalign.config import UserError
from jaxalign.data import llama2c, specs
from jaxalign.gguf_file import File

_NORMAL, _UNKNOWN, _CONTROL, _USER, _BYTE = 1, 2, 3, 4, 6  # the format's kinds of token
_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r'| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+'
_BYTES = {'type': 'ByteLevel', 'add_prefix_space': False, 'trim_offsets': True}


def _by_regex(numbers: str) -> list[dict[str, Any]]:
  split = {'pattern': {'Regex': _WORDS + numbers + _REST}, 'behavior': 'Isolated', 'invert': False}
  return [{'type': 'Split', **split}, _BYTES | {'use_regex': False}]


# Name of the rule -> what splits a text, one after the other.
_SPLITS = {
  'default': [_BYTES | {'use_regex': True}],
  'smollm': [{'type': 'Digits', 'individual_digits': True}, _BYTES | {'use_regex': True}],
  'llama-bpe': _by_regex(r'\p{N}{1,3}'),
  'qwen2': _by_regex(r'\p{N}'),
}
_SPLITS |= {'gpt-2': _SPLITS['default'], 'llama3': _SPLITS['llama-bpe']}
_SPLITS |= {'deepseek-r1-qwen': _SPLITS['qwen2'], 'llama-v3': _SPLITS['llama-bpe']}
_WHOLE_WORDS = ('llama-bpe', 'llama3', 'llama-v3')  # a word in the vocabulary is not merged
_COMPOSED = ('qwen2', 'deepseek-r1-qwen')  # text is put in Unicode's form NFC first


def read(file: File) -> tuple[specs.Spec, dict[str, Any], dict[str, bytes]]:
  """(tokenizer.json, tokenizer_config.json, further files by name) of a .gguf file."""
  own = {
    name.removeprefix('tokenizer.ggml.'): value
    for name, value in file.fields.items()
    if name.startswith('tokenizer.ggml.')
  }
  if not isinstance(own.get('tokens'), list) or not all(type(t) is str for t in own['tokens']):
    raise UserError(
      f'{file.path}: it holds no tokenizer (tokenizer.ggml.tokens); take another file'
    )
  kinds = own.get('token_type', [_NORMAL] * len(own['tokens']))
  makers = {'gpt2': _byte_level, 'llama': _sentencepiece}
  if own.get('model') not in makers:
    known = ', '.join(makers)
    raise UserError(f'{file.path}: tokenizer {own.get("model")!r} is not one of {known}')
  spec = makers[own['model']](file.path, own, kinds)
  config: dict[str, Any] = dict(
    add_bos_token=bool(own.get('add_bos_token', own['model'] == 'llama'))
  )
  for role, field in (('bos', 'bos'), ('eos', 'eos'), ('pad', 'padding')):
    index = own.get(f'{field}_token_id')
    if index is not None and not 0 <= index < len(own['tokens']):
      raise UserError(f'{file.path}: {field}_token_id={index}, of {len(own["tokens"])} tokens')
    config[f'{role}_token'] = None if index is None else own['tokens'][index]
  template = file.fields.get('tokenizer.chat_template')
  more = {'chat_template.jinja': template.encode()} if isinstance(template, str) else {}
  return spec, config, more


def _added(tokens: list[str], kinds: list[int]) -> list[dict[str, Any]]:
  added = [(i, kinds[i]) for i in range(len(tokens)) if kinds[i] in (_CONTROL, _USER)]
  return [specs.added_token(i, tokens[i], special=kind == _CONTROL) for i, kind in added]


def _byte_level(path: str, own: Mapping[str, Any], kinds: list[int]) -> specs.Spec:
  rule = own.get('pre', 'default')
  if rule not in _SPLITS:
    known = ', '.join(_SPLITS)
    raise UserError(f'{path}: text is split by the rule {rule!r}, and only {known} are known here')
  vocab = {token: index for index, token in enumerate(own['tokens'])}
  if len(vocab) < len(own['tokens']):
    raise UserError(f'{path}: two of its tokens are the same text; fetch it again')
  merges = [pair.split(' ') for pair in own.get('merges', [])]
  added = _added(own['tokens'], kinds)
  spec = specs.byte_level(vocab, merges, added, prefix=False)
  splits = _SPLITS[rule]
  spec['pre_tokenizer'] = (
    splits[0] if len(splits) == 1 else {'type': 'Sequence', 'pretokenizers': splits}
  )
  spec['decoder'] = _BYTES | {'use_regex': True}
  spec['normalizer'] = {'type': 'NFC'} if rule in _COMPOSED else None
  if rule in _WHOLE_WORDS:
    spec['model'] = spec['model'] | {'ignore_merges': True}
  return spec


def _sentencepiece(path: str, own: Mapping[str, Any], kinds: list[int]) -> specs.Spec:
  tokens = own['tokens']
  if not own.get('add_space_prefix', True) or len(own.get('scores', [])) != len(tokens):
    raise UserError(f"{path}: not Llama-2's kind of sentencepiece: no scores, or no leading space")
  unknown = own.get('unknown_token_id', 0)
  pieces = llama2c.Pieces(
    text=tuple(tokens),
    score=tuple(own['scores']),
    normal=frozenset(i for i, kind in enumerate(kinds) if kind == _NORMAL),
    control=tuple(i for i, kind in enumerate(kinds) if kind in (_UNKNOWN, _CONTROL)),
    unk=unknown,
    bos=None,
    eos=None,
    pad=None,
  )
  spec = llama2c.as_spec(pieces)
  users = [
    specs.added_token(i, tokens[i], special=False) for i, k in enumerate(kinds) if k == _USER
  ]
  added = sorted(spec['added_tokens'] + users, key=lambda token: token['id'])
  return spec | {'added_tokens': added}
