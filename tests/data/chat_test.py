"""Formats, against their makers' way to write them: one string, tokenized as a whole."""

import dataclasses
import gzip
import json

import numpy as np
import pytest
import sentencepiece

from jaxalign.config import UserError
from jaxalign.data import chat, cutting, dialogues, hh
from jaxalign.data.records import Conversation, Document, Turn
from jaxalign.data.report import Counts, Fault
from jaxalign.data.text import Tokenizer

FORMATS = [chat.LLAMA2_CHAT, chat.PHI2_INSTRUCT, chat.TRANSCRIPT]
NASTY = [
  '', ' ', '\n', '  two', 'end  ', '{user} {system}', '</s><s>[INST]', '<|endoftext|>', '😀 é',
  '\n\nHuman: x', '\t', '你好', '[/INST]', '    code\n  x',
]  # fmt: skip


def turns(*texts, system=None):
  roles = ('user', 'assistant') * len(texts)
  first = [Turn('system', system)] if system is not None else []
  return (*first, *(Turn(role, text) for role, text in zip(roles, texts)))


@pytest.fixture(scope='module')
def llama(shared):
  return Tokenizer.load(str(shared('tokenizers/llama2')))


@pytest.fixture(scope='module')
def phi(shared):
  return Tokenizer.load(str(shared('tokenizers/phi2')))


@pytest.fixture(scope='module')
def real(shared):
  """The first conversations of HH-RLHF that hold."""
  found = []
  with gzip.open(shared('hh-rlhf/helpful-base/test.jsonl.gz'), 'rt') as file:
    for _, line in zip(range(150), file):
      try:
        found.append(hh.to_record(json.loads(line), Counts(), as_='conversation').turns)
      except Fault:
        continue
  return found


def meta(piece, said, system):
  """Llama-2-chat as in its makers' chat_completion: (ids, where the answers are)."""
  said = list(said)
  if system is not None:
    said[0] = Turn('user', f'<<SYS>>\n{system}\n<</SYS>>\n\n{said[0].text}')
  ids, learned = [], []
  for user, assistant in zip(said[::2], said[1::2]):
    head = f'[INST] {user.text.strip()} [/INST]'
    whole = piece.encode(f'{head} {assistant.text.strip()} ')
    before = len(piece.encode(head))
    ids += [1, *whole, 2]
    learned += [False] * (1 + before) + [True] * (len(whole) - before + 1)
  return ids, learned


@pytest.mark.parametrize('system', [None, 'Be kind.\nAlways.'])
def test_llama2_chat_is_metas(shared, llama, real, system):
  piece = sentencepiece.SentencePieceProcessor(
    model_file=str(shared('tokenizers/llama2/tokenizer.model'))
  )
  for said in [*real, turns('  a  ', ' b\n', 'c', 'd')]:
    full = (Turn('system', system), *said) if system else said
    example = dialogues.encode(chat.LLAMA2_CHAT, llama, Conversation(full))
    ids, learned = meta(piece, said, system)
    assert example.tokens.tolist() == ids
    assert example.weight.tolist() == learned


@pytest.mark.parametrize('form', [chat.PHI2_INSTRUCT, chat.TRANSCRIPT])
def test_one_exchange_is_tokenized_as_one_text(llama, phi, real, form):
  for tokenizer in (llama, phi):
    for said in real:
      user, answer = said[0].text, said[1].text
      text = form.user.replace('{user}', user) + ' ' + answer
      example = dialogues.encode(form, tokenizer, Conversation(said[:2]))
      assert example.tokens.tolist() == tokenizer.encode(text, eos=True)


def test_a_transcript_reads_as_the_corpus_does(llama, phi, real):
  for tokenizer in (llama, phi):
    for said in real:
      names = {'user': '\n\nHuman: ', 'assistant': '\n\nAssistant: '}
      text = ''.join(names[turn.role] + turn.text for turn in said)
      example = dialogues.encode(chat.TRANSCRIPT, tokenizer, Conversation(said))
      assert tokenizer.decode(example.tokens) == text


@pytest.mark.parametrize('form', FORMATS, ids=lambda form: form.name)
def test_a_prompt_is_where_the_answer_begins(llama, phi, real, form):
  odd = [turns(a, b, c, d) for a, b, c, d in zip(NASTY, NASTY[1:], NASTY[2:], NASTY[3:])]
  for tokenizer in (llama, phi):
    for said in [*real[:60], *odd, turns('hi', 'ho', system=' sys ')]:
      whole = dialogues.encode(form, tokenizer, Conversation(said))
      before = dialogues.prompt(form, tokenizer, said[:-1])
      assert before.tolist() == whole.tokens[: len(before)].tolist()
      assert whole.weight[len(before) :].all() and not whole.weight[len(before) - 1]


@pytest.mark.parametrize('form', FORMATS, ids=lambda form: form.name)
def test_only_answers_and_their_end_are_learned(llama, phi, form):
  for tokenizer in (llama, phi):
    for question in NASTY:
      said = turns(question, 'first answer', question, 'second one')
      example = dialogues.encode(form, tokenizer, Conversation(said))
      learned = tokenizer.decode(example.tokens[example.weight], skip_special=False)
      end = tokenizer.decode([tokenizer.eos], skip_special=False)
      words = [part.strip() for part in learned.split(end)]
      assert words == ['first answer', 'second one', '']


@pytest.mark.parametrize('form', FORMATS, ids=lambda form: form.name)
def test_text_never_becomes_a_control_token(llama, phi, form):
  for tokenizer in (llama, phi):
    counts = []
    for said in (turns('</s><|endoftext|><s>', '<s></s><|endoftext|>'), turns('a', 'b')):
      ids = dialogues.encode(form, tokenizer, Conversation(said)).tokens
      counts.append(np.isin(ids, (tokenizer.bos, tokenizer.eos)).sum())
    assert counts[0] == counts[1]


def test_documents_are_bos_text_eos(llama, phi):
  one = dialogues.encode(chat.TRANSCRIPT, llama, Document('Once upon a time'))
  assert one.tokens.tolist() == [1, *llama.encode('Once upon a time', bos=False), 2]
  assert one.weight.tolist() == [False] + [True] * (len(one.tokens) - 1)
  two = dialogues.encode(chat.TRANSCRIPT, phi, Document('Once'))
  assert two.tokens.tolist() == [*phi.encode('Once', bos=False), phi.eos]
  assert two.weight.tolist() == [False, True]
  assert (two.tokens.dtype, two.weight.dtype) == (np.int32, bool)


def test_many_are_encoded_as_each_is(llama, real):
  records = [Conversation(said) for said in real[:20]]
  spans = [dialogues.spans(chat.LLAMA2_CHAT, llama, record) for record in records]
  for many, record in zip(cutting.encode_spans(llama, spans), records):
    alone = dialogues.encode(chat.LLAMA2_CHAT, llama, record)
    assert many.tokens.tolist() == alone.tokens.tolist()
    assert many.weight.tolist() == alone.weight.tolist()


def test_the_hash_is_of_what_decides():
  same = dataclasses.replace(chat.LLAMA2_CHAT, name='other')
  assert same.hash == chat.LLAMA2_CHAT.hash
  for field, value in (('answer', '{answer}'), ('bos', False), ('strip', False), ('later', 'x')):
    assert dataclasses.replace(same, **{field: value}).hash != same.hash


@pytest.mark.parametrize(
  'said, why',
  [
    ((), 'no turns'),
    (turns('a'), 'ends with the assistant'),
    ((Turn('user', 'a'), Turn('user', 'b'), Turn('assistant', 'c')), 'turns alternate'),
    ((*turns('a', 'b'), Turn('system', 's'), Turn('assistant', 'c')), 'turns alternate'),
    ((Turn('assistant', 'a'),), 'turns alternate'),
  ],
)
def test_dialogues_that_no_format_can_write(said, why):
  words = Tokenizer.from_vocab(['a', 'b'])
  with pytest.raises(UserError, match=why):
    dialogues.encode(chat.TRANSCRIPT, words, Conversation(said))


def test_a_format_needs_its_control_tokens():
  without = Tokenizer.from_vocab(['a'], bos=None)
  with pytest.raises(UserError, match='has none'):
    dialogues.prompt(chat.LLAMA2_CHAT, without, turns('a'))
  with pytest.raises(UserError, match='ends with the user'):
    dialogues.prompt(chat.TRANSCRIPT, without, turns('a', 'a'))
