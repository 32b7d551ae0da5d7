"""The tokenizer.json contents this project knows: Llama-2's rule, GPT-2's bytes, and plain words.

A content is rewritten in one canonical way, so that two files which give the same ids are equal.
"""

import itertools
from typing import Any

from jaxalign.config import UserError

SPACE = '\u2581'  # how sentencepiece writes a space inside a piece
Spec = dict[str, Any]  # the content of a tokenizer.json
# Not a Metaspace pre-tokenizer: that drops the dummy space before a text that begins with a space.
_DUMMY_SPACE = [
  {'type': 'Prepend', 'prepend': SPACE},
  {'type': 'Replace', 'pattern': {'String': ' '}, 'content': SPACE},
]
_UNDUMMY = [
  {'type': 'Replace', 'pattern': {'String': SPACE}, 'content': ' '},
  {'type': 'ByteFallback'},
  {'type': 'Fuse'},
  {'type': 'Strip', 'content': ' ', 'start': 1, 'stop': 0},
]


def sentencepiece(vocab: dict, merges: list, added: list, unk: str | None) -> Spec:
  """Llama-2's rule around any vocabulary: written once, so that equal means equal."""
  model = {'type': 'BPE', 'unk_token': unk, 'fuse_unk': True, 'byte_fallback': True}
  spec = _around(model | {'vocab': vocab, 'merges': merges}, added)
  return spec | {
    'normalizer': {'type': 'Sequence', 'normalizers': _DUMMY_SPACE},
    'decoder': {'type': 'Sequence', 'decoders': _UNDUMMY},
  }


def settled(merges: list[list[str]], vocab: dict[str, int]) -> list[list[str]]:
  """Neighbours in rank that make one piece, by id: writers differ in their order, ids do not."""
  settled = []
  for _, same in itertools.groupby(merges, key=''.join):
    settled += sorted(same, key=lambda pair: [vocab[half] for half in pair])
  return settled


def byte_level(vocab: dict, merges: list, added: list, *, prefix: bool) -> Spec:
  """GPT-2's rule: every byte has a letter, words are cut out by its regex."""
  model = {'type': 'BPE', 'vocab': vocab, 'merges': merges}
  flags = {'type': 'ByteLevel', 'add_prefix_space': prefix, 'trim_offsets': True, 'use_regex': True}
  return _around(model, added) | {'pre_tokenizer': flags, 'decoder': flags}


def words(vocab: dict, added: list) -> Spec:
  """One id a word. '' is no word, so naming it the unknown one makes unknown words an error."""
  model = {'type': 'WordLevel', 'vocab': vocab, 'unk_token': ''}
  return _around(model, added) | {'pre_tokenizer': {'type': 'WhitespaceSplit'}}


def added_token(index: int, content: str, *, special: bool) -> dict:
  """A token that is matched before the merges; a special one is never normalised away."""
  flags = {'single_word': False, 'lstrip': False, 'rstrip': False}
  return {'id': index, 'content': content, **flags, 'normalized': not special, 'special': special}


def canonical(spec: Spec, name: str) -> Spec:
  """The same tokenizer, without what differs between files that give the same ids."""
  model = spec.get('model')
  if not isinstance(model, dict) or 'vocab' not in model:
    raise UserError(f'{name} is corrupt: it has no model with a vocab; copy it again')
  merges = [pair.split(' ') if isinstance(pair, str) else pair for pair in model.get('merges', [])]
  added = spec.get('added_tokens') or []
  if is_sentencepiece(spec):
    added = [token | {'normalized': False} if token['special'] else token for token in added]
    unk = model.get('unk_token') or ('<unk>' if '<unk>' in model['vocab'] else None)
    made = sentencepiece(model['vocab'], settled(merges, model['vocab']), added, unk)
  elif is_byte_level(spec):
    prefix = spec['pre_tokenizer'].get('add_prefix_space', True)
    made = byte_level(model['vocab'], merges, added, prefix=prefix)
  else:
    made = spec | {'truncation': None, 'padding': None, 'added_tokens': added}
  return made | {'post_processor': spec.get('post_processor')}


def is_sentencepiece(spec: Spec) -> bool:
  """Llama-2's rule in either spelling: Prepend and Replace, or (transformers 5) a Metaspace."""
  normal, split = spec.get('normalizer') or {}, spec.get('pre_tokenizer') or {}
  whole = normal.get('normalizers') == _DUMMY_SPACE and not split
  unsplit = split.get('type') == 'Metaspace' and split.get('split') is False and not normal
  dummy = whole or (unsplit and split.get('prepend_scheme') in ('first', 'always'))
  return bool(spec['model'].get('byte_fallback')) and dummy


def is_byte_level(spec: Spec) -> bool:
  split = spec.get('pre_tokenizer') or {}
  return (
    spec['model'].get('type', 'BPE') == 'BPE'
    and not spec['model'].get('ignore_merges')
    and split.get('type') == 'ByteLevel'
    and split.get('use_regex', True)
    and not spec.get('normalizer')
  )


def _around(model: dict, added: list) -> Spec:
  empty = {'normalizer': None, 'pre_tokenizer': None, 'post_processor': None, 'decoder': None}
  return {'version': '1.0', 'added_tokens': added, **empty, 'model': model}
