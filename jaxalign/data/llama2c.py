"""Scored pieces -> ranked merges: the two files that store a BPE as pieces with scores.

A sentencepiece `.model` and a llama2.c export of one say: join the adjacent pair whose union is the
best-scoring piece, the leftmost first. `tokenizers` wants a ranked list of pairs; ranking every way
to split a piece by that piece's score gives the same ids.
"""

import dataclasses
import struct
from typing import Any

from jaxalign.config import UserError
from jaxalign.data import specs

BYTES = tuple(f'<0x{byte:02X}>' for byte in range(256))
_FIRST_BYTE = 3  # ids 0, 1, 2 are <unk>, <s>, </s> in both formats
_BPE, _NORMAL, _UNKNOWN, _CONTROL, _BYTE = 2, 1, 2, 3, 6  # sentencepiece's own enum values


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pieces:
  """A scored vocabulary: a piece's place is its id; only `normal` ids take part in merges."""

  text: tuple[str, ...]
  score: tuple[float, ...]
  normal: frozenset[int]
  control: tuple[int, ...]
  unk: int
  bos: str | None
  eos: str | None
  pad: str | None = None


def read_export(raw: bytes, name: str) -> Pieces:
  """llama2.c's export: int32 longest; then per token float32 score, int32 length, its bytes."""
  if len(raw) < 4:
    raise UserError(f'{name} is cut short: it has no header; export the tokenizer again')
  (longest,), at = struct.unpack_from('<i', raw), 4
  text: list[str] = []
  score: list[float] = []
  while at < len(raw):
    head, at = raw[at : at + 8], at + 8
    value, size = struct.unpack('<fi', head) if len(head) == 8 else (0.0, len(raw))
    if at + size > len(raw):
      raise UserError(f'{name} is cut short inside token {len(text)}; copy or export it again')
    if not 0 <= size <= longest:
      raise UserError(f'{name} is no llama2.c tokenizer: token {len(text)} claims {size} bytes')
    try:
      text.append(raw[at : at + size].decode().replace(' ', specs.SPACE))
    except UnicodeDecodeError as error:
      piece = f'token {len(text)} is not utf-8 ({raw[at : at + size]!r})'
      raise UserError(f'{name}: {piece}; export the tokenizer again') from error
    score.append(value)
    at += size
  if tuple(text[_FIRST_BYTE : _FIRST_BYTE + 256]) != BYTES:
    raise UserError(f'{name} is no llama2.c tokenizer: ids 3..258 must be <0x00>..<0xFF>')
  text[:_FIRST_BYTE] = '<unk>', '<s>', '</s>'  # exports show 1 and 2 as '\n<s>\n' and '\n</s>\n'
  normal = frozenset(range(_FIRST_BYTE + 256, len(text)))
  _refuse_twins(text, name)
  return Pieces(
    text=tuple(text),
    score=tuple(score),
    normal=normal,
    control=(0, 1, 2),
    unk=0,
    bos='<s>',
    eos='</s>',
  )


def read_sentencepiece(raw: bytes, name: str) -> Pieces:
  from google.protobuf.message import DecodeError
  from sentencepiece import sentencepiece_model_pb2 as proto

  try:
    model = proto.ModelProto.FromString(raw)
  except DecodeError as error:
    raise UserError(f'{name} is not a sentencepiece model ({error}); copy it again') from error
  _check_rule(model, name)
  text = [piece.piece for piece in model.pieces]
  types = [piece.type for piece in model.pieces]
  _refuse_twins(text, name)
  trainer = model.trainer_spec

  def named(index: int) -> str | None:
    return text[index] if 0 <= index < len(text) else None

  return Pieces(
    text=tuple(text),
    score=tuple(piece.score for piece in model.pieces),
    normal=frozenset(i for i, kind in enumerate(types) if kind == _NORMAL),
    control=tuple(i for i, kind in enumerate(types) if kind in (_UNKNOWN, _CONTROL)),
    unk=trainer.unk_id,
    bos=named(trainer.bos_id),
    eos=named(trainer.eos_id),
    pad=named(trainer.pad_id),
  )


def as_spec(pieces: Pieces) -> specs.Spec:
  """The `tokenizers` JSON of these pieces: `tokenizer.json`'s content."""
  vocab = {text: index for index, text in enumerate(pieces.text)}
  added = [specs.added_token(index, pieces.text[index], special=True) for index in pieces.control]
  return specs.sentencepiece(vocab, _merges(pieces, vocab), added, pieces.text[pieces.unk])


def _merges(pieces: Pieces, vocab: dict[str, int]) -> list[list[str]]:
  """Best score first. Llama-2's runs of spaces tie: there the longest left half first grows a run
  from its left as sentencepiece does, and is the order of the published tokenizer.json."""
  ranked = []
  for index in sorted(pieces.normal):
    text = pieces.text[index]
    for cut in range(1, len(text)):
      left, right = text[:cut], text[cut:]
      if vocab.get(left) in pieces.normal and vocab.get(right) in pieces.normal:
        ranked.append((-pieces.score[index], -cut, cut - len(text), left, right))
  ranked.sort(key=lambda merge: merge[:3])
  return specs.settled([[left, right] for *_, left, right in ranked], vocab)


def _check_rule(model: Any, name: str) -> None:
  """Only Llama-2's kind is read: other kinds need other code and do not give text back exactly."""
  trainer, rule = model.trainer_spec, model.normalizer_spec
  types = {piece.type for piece in model.pieces}
  holds = {
    'model_type=bpe': trainer.model_type == _BPE,
    'byte_fallback=true': trainer.byte_fallback,
    'add_dummy_prefix=true': rule.add_dummy_prefix and rule.escape_whitespaces,
    'remove_extra_whitespaces=false': not rule.remove_extra_whitespaces,
    'normalization_rule_name=identity': not rule.precompiled_charsmap,
    'treat_whitespace_as_suffix=false': not trainer.treat_whitespace_as_suffix,
    'no user_defined_symbols': types <= {_NORMAL, _UNKNOWN, _CONTROL, _BYTE},
  }
  missing = [wanted for wanted, there in holds.items() if not there]
  if missing:
    raise UserError(
      f"{name} is not Llama-2's kind of sentencepiece model: it lacks {', '.join(missing)}; "
      'train it with these, or save it as tokenizer.json with transformers'
    )


def _refuse_twins(text: list[str], name: str) -> None:
  first: dict[str, int] = {}
  for index, piece in enumerate(text):
    if first.setdefault(piece, index) != index:
      raise UserError(
        f'{name}: tokens {first[piece]} and {index} are both {piece!r}; export it again'
      )
