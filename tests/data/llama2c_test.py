"""Scored pieces become ranked merges: against sentencepiece and a literal llama2.c loop."""

import random
import struct

import pytest
import sentencepiece

from jaxalign.config import UserError
from jaxalign.data import llama2c
from jaxalign.data.text import Tokenizer
from tests.data.written import trained

SENTENCES = [
  'Once upon a time there was a little girl named Lily.',
  'She loved to play outside in the park, and the park loved her back.',
  'aaa aaaa aaaaaa abababa ababab baba banana -- ---- ------ == ====',
  'The cat sat on the mat; the dog ate the hat!  Two  spaces   three.',
] * 5
LETTERS = ' \n\tabcdehilnorstuyTOL.,!-=<>/sé\u00a0你好😀👩‍👧\u202e\u0301\x00\x7f'


@pytest.fixture(scope='module')
def model():
  return trained(SENTENCES)


def exported(model):
  """What llama2.c's own export writes for a sentencepiece model."""
  read = sentencepiece.SentencePieceProcessor(model_proto=model)
  pieces = [read.id_to_piece(i).replace('\u2581', ' ') for i in range(len(read))]
  pieces[1:3] = '\n<s>\n', '\n</s>\n'
  raw = [piece.encode() for piece in pieces]
  rows = [struct.pack('<fi', read.get_score(i), len(b)) + b for i, b in enumerate(raw)]
  return struct.pack('<i', max(map(len, raw))) + b''.join(rows)


def llama2c_encode(raw, text):
  """llama2.c's encode, word for word: characters or their bytes, best adjacent pair, repeat."""
  ids, scores, at = {}, [], 4
  while at < len(raw):
    score, size = struct.unpack_from('<fi', raw, at)
    ids[raw[at + 8 : at + 8 + size]] = len(scores)
    scores.append(score)
    at += 8 + size
  names = {index: piece for piece, index in ids.items()}
  tokens = [ids[b' ']] if text else []
  for letter in text:
    known = ids.get(letter.encode())
    tokens += [byte + 3 for byte in letter.encode()] if known is None else [known]
  while True:
    best, where = -1e10, None
    for i in range(len(tokens) - 1):
      union = ids.get(names[tokens[i]] + names[tokens[i + 1]])
      if union is not None and scores[union] > best:
        best, where, merged = scores[union], i, union
    if where is None:
      return tokens
    tokens[where : where + 2] = [merged]


def texts(count, seed, letters=LETTERS):
  rng = random.Random(seed)
  lengths = [rng.choice((0, 1, 2, 5, 20, 60)) for _ in range(count)]
  return [''.join(rng.choice(letters) for _ in range(length)) for length in lengths]


def hard_texts():
  runs = [piece * n for piece in ('a', 'ab', '-', ' ', '\n', 'aba', '😀') for n in range(1, 25)]
  return SENTENCES[:4] + runs + texts(300, 0) + texts(200, 1, 'ab') + texts(200, 2, 'a- =')


def test_export_encodes_as_llama2c_does(model, tmp_path):
  raw = exported(model)
  (tmp_path / 'tok.bin').write_bytes(raw)
  ours = Tokenizer.load(tmp_path / 'tok.bin')
  for text in hard_texts():
    assert ours.encode(text, bos=False) == llama2c_encode(raw, text), repr(text)
    assert ours.decode(ours.encode(text, eos=True)) == text


def test_stories_export_encodes_as_llama2c_does(shared):
  path = shared('stories260K/tok512.bin')
  ours = Tokenizer.load(path)
  assert (ours.vocab, ours.bos, ours.eos, ours.pad, ours.family) == (512, 1, 2, None, 'llama2')
  for text in hard_texts():
    assert ours.encode(text, bos=False) == llama2c_encode(path.read_bytes(), text), repr(text)


def test_sentencepiece_model_encodes_as_sentencepiece_does(model, tmp_path):
  (tmp_path / 'my.model').write_bytes(model)
  ours = Tokenizer.load(tmp_path / 'my.model')
  theirs = sentencepiece.SentencePieceProcessor(model_proto=model)
  for text in [*hard_texts(), 'a\u2581b', '<s></s><unk><0x0A>']:
    ids = ours.encode(text, bos=False)
    assert ids == theirs.encode(text), repr(text)
    if '\u2581' not in text:
      assert ours.decode(ids) == text


def test_export_and_model_are_equal(model, tmp_path):
  (tmp_path / 'my.model').write_bytes(model)
  (tmp_path / 'tok.bin').write_bytes(exported(model))
  assert Tokenizer.load(tmp_path / 'my.model') == Tokenizer.load(tmp_path / 'tok.bin')


def test_pad_of_a_sentencepiece_model(tmp_path):
  (tmp_path / 'my.model').write_bytes(trained(SENTENCES, pad_id=3))
  assert Tokenizer.load(tmp_path / 'my.model').pad == 3


@pytest.mark.parametrize(
  'options, lacks',
  [
    ({'model_type': 'unigram', 'vocab_size': 300}, 'model_type=bpe'),
    ({'byte_fallback': False, 'vocab_size': 100}, 'byte_fallback=true'),
    ({'normalization_rule_name': 'nfkc'}, 'normalization_rule_name=identity'),
    ({'remove_extra_whitespaces': True}, 'remove_extra_whitespaces=false'),
    ({'add_dummy_prefix': False}, 'add_dummy_prefix=true'),
    ({'user_defined_symbols': ['<x>']}, 'no user_defined_symbols'),
  ],
)
def test_other_kinds_of_sentencepiece_are_refused(options, lacks):
  with pytest.raises(UserError, match=lacks):
    llama2c.read_sentencepiece(trained(SENTENCES, **options), 'my.model')


def test_what_is_no_sentencepiece_model_is_refused():
  with pytest.raises(UserError, match='my.model is not a sentencepiece model'):
    llama2c.read_sentencepiece(b'\xff\xff version https://git-lfs', 'my.model')


def test_an_export_cut_short_names_the_token(model):
  raw = exported(model)
  last = sentencepiece.SentencePieceProcessor(model_proto=model).get_piece_size() - 1
  for cut in (1, len(raw) - len(raw[raw.rindex(struct.pack('<i', 1)) :]) + 1):
    with pytest.raises(UserError, match=f'tok.bin is cut short inside token {last};'):
      llama2c.read_export(raw[: len(raw) - 1 if cut == 1 else cut], 'tok.bin')
  with pytest.raises(UserError, match='cut short: it has no header'):
    llama2c.read_export(raw[:3], 'tok.bin')


def test_what_is_no_export_is_refused(model):
  raw = exported(model)
  with pytest.raises(UserError, match='token 0 claims 5 bytes'):
    llama2c.read_export(struct.pack('<i', 4) + raw[4:], 'tok.bin')
  with pytest.raises(UserError, match='ids 3..258 must be'):
    llama2c.read_export(raw.replace(b'<0x0A>', b'<0x0?>'), 'tok.bin')
  with pytest.raises(UserError, match='are both'):
    llama2c.read_export(raw + struct.pack('<fi', 0, 6) + b'<0x0A>', 'tok.bin')
  with pytest.raises(UserError, match='is not utf-8'):
    llama2c.read_export(raw + struct.pack('<fi', 0, 1) + b'\xff', 'tok.bin')
