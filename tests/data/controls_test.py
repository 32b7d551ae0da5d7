"""Controls are honest: as many tokens, the same sentences, and nothing that they control for."""

import dataclasses

import pytest

from jaxalign.config import UserError
from jaxalign.data import controls, sources
from jaxalign.data.records import Document
from jaxalign.data.text import Tokenizer, shipped


@pytest.fixture(scope='module')
def documents():
  source = sources.Shipped(name='value_explanations', split='train')
  return [record for _, record in source.read()]


def general():
  return (record for _, record in sources.Shipped(name='general').read())


def doc(text, value, kind='memo'):
  return Document(text, (('value', value), ('type', kind)))


def test_sentences_are_the_text(documents):
  for document in documents:
    parts = controls.sentences(document.text)
    assert ''.join(parts) == document.text and len(parts) > 3
  assert controls.sentences('One. "Two!" Three\nfour') == ['One. ', '"Two!" ', 'Three\n', 'four']


def test_shuffled_swaps_reasons_between_values_and_nothing_else(documents):
  made = controls.shuffled(documents)
  controls.check(documents, dict(shuffled=made), shipped())
  assert controls.bag(made) == controls.bag(documents)
  for ours, theirs in zip(documents, made, strict=True):
    head, reasons = controls.opened(ours)
    assert theirs.text.startswith(head) and not theirs.text.endswith(reasons)
    assert theirs.meta == ours.meta
  donors = dict(controls.donors(documents, [1] * len(documents), 0))
  assert sorted(donors.values()) == list(range(len(documents)))  # each once
  for n, other in donors.items():
    assert controls.field(documents[n], 'value') != controls.field(documents[other], 'value')
    assert controls.field(documents[n], 'type') == controls.field(documents[other], 'type')


def test_shuffled_is_a_function_of_texts_and_seed(documents):

  def of(*seed):
    return controls.content(controls.shuffled(documents, *seed))[1]

  assert of() == of(0) != of(1)
  assert of() == SHUFFLED


SHUFFLED = 'ede1d3c4db4163d21dbd3926b5185d00972853b20f6c1da30a10d8bb51905932'


@pytest.mark.parametrize(
  'name', ['shipped', 'tokenizers/llama2/tokenizer.model', 'tokenizers/phi2']
)
def test_neutral_has_as_many_tokens_document_by_document(documents, name, request):
  tokenizer = shipped()
  if name != 'shipped':
    tokenizer = Tokenizer.load(str(request.getfixturevalue('shared')(name)))
  few = documents[::40]
  made = controls.neutral(few, general(), tokenizer)
  controls.check(few, dict(neutral=made), tokenizer)
  for one, other in zip(made, few, strict=True):
    lengths = {len(tokenizer.encode(document.text, bos=False)) for document in (one, other)}
    assert len(lengths) == 1
  assert made == controls.neutral(few, general(), tokenizer)


def test_background_and_neutral_share_no_text(documents):
  texts = general()
  read = controls.background(texts, 1000, shipped())
  made = controls.neutral(documents[:3], texts, shipped())
  assert sum(controls.counts(read, shipped())) >= 1000
  held = {s.strip() for d in read for s in controls.sentences(d.text)}
  assert not held & {s.strip() for d in made for s in controls.sentences(d.text)}


def test_what_is_not_honest_is_found(documents):
  few, tokenizer = documents[:60:6], shipped()
  longer = [dataclasses.replace(d, text=d.text + ' More.') for d in few]
  with pytest.raises(controls.Dishonest, match='neutral: other token counts'):
    controls.check(few, dict(neutral=longer), tokenizer)
  with pytest.raises(controls.Dishonest, match='holds an explanation'):
    controls.check(few, dict(neutral=few), tokenizer)
  with pytest.raises(controls.Dishonest, match='shuffled: other sentences'):
    controls.check(few, dict(shuffled=longer), tokenizer)
  with pytest.raises(controls.Dishonest, match='keeps its own reasons'):
    controls.check(few, dict(shuffled=few), tokenizer)


@pytest.mark.parametrize(
  'make, says',
  [
    (lambda t: controls.neutral([doc('a b. ' * 4000, 'x')], general(), t), 'ends at document 1 of'),
    (lambda t: controls.background(general(), 10**6, t), 'holds .* tokens and 1,000,000 are asked'),
    (lambda t: controls.shuffled([doc('One. Two.', 'x'), doc('Three. Four.', 'x')]), "value 'x'"),
    (lambda t: controls.shuffled([Document('One. Two.')] * 3), 'needs meta `value`'),
    (lambda t: controls.shuffled([doc('One.', 'x'), doc('Two. Three.', 'y')]), 'one sentence'),
  ],
)
def test_a_corpus_of_which_no_control_can_be_made_is_one_line(make, says):
  with pytest.raises(UserError, match=says) as error:
    make(shipped())
  assert '\n' not in str(error.value)
