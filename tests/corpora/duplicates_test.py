"""Twins: near copies are found whatever their case, and texts that only share frames stay."""

import random

import pytest

from jaxalign.corpora import duplicates, shingles
from jaxalign.data import sources
from tests.corpora import small

pytest.importorskip('rensa', reason='twins are found by an extra: jaxalign[corpora]')


@pytest.fixture(scope='module')
def texts():
  return [document.text for _, document in sources.Shipped(name='value_explanations').read()]


def changed(text, share, draw):
  """A text with this share of its words changed."""
  words = text.split(' ')
  for n in draw.sample(range(len(words)), round(share * len(words))):
    words[n] = f'word{draw.randrange(10**6)}'
  return ' '.join(words)


def index(one, other):
  """The Jaccard index of five-word runs, word by word."""
  one, other = (
    {tuple(w[n : n + 5]) for n in range(len(w) - 4)} for w in map(shingles.words, (one, other))
  )
  return len(one & other) / len(one | other)


def test_planted_twins_are_found(texts):
  draw = random.Random(0)
  planted = [changed(texts[n % len(texts)], 0.02, draw) for n in range(300)]
  found = duplicates.twins(planted, against=texts)
  assert found.count(duplicates.AGAINST) >= 297
  within = duplicates.twins([*texts, *planted])
  assert within[: len(texts)] == [None] * len(texts)
  assert within[len(texts) :].count(duplicates.WITHIN) >= 297


def test_the_exact_index_decides(texts):
  draw = random.Random(1)
  for share in (0.04, 0.06, 0.08, 0.1, 0.12, 0.14, 0.2):
    for text in texts[::37]:
      other = changed(text, share, draw)
      (found,) = duplicates.twins([other], against=[text])
      assert (found is not None) == (index(text, other) >= 0.5), (share, index(text, other))


def test_the_first_of_twins_stays_and_what_is_dropped_drops_nothing():
  words = [f'w{n}' for n in range(40)]
  first, second, third = (' '.join(words[n : n + 24]) for n in (0, 6, 12))
  assert index(first, second) >= 0.5 and index(second, third) >= 0.5 > index(first, third)
  assert duplicates.twins([first, second, third]) == [None, duplicates.WITHIN, None]
  assert duplicates.twins([first, third]) == [None, None]
  assert duplicates.twins([second], against=[first]) == [duplicates.AGAINST]


def test_case_form_and_punctuation_hide_no_copy():
  text = 'The winch on the slipway had stuck again, and nobody said so.'
  other = text.upper().replace(',', ' —').replace('.', '!')
  assert duplicates.twins([text, other]) == [None, duplicates.WITHIN]


def test_short_and_empty_texts():
  assert duplicates.twins([]) == []
  assert duplicates.twins(['', '', 'Yes.', 'yes', 'No.']) == [
    None, None, None, duplicates.WITHIN, None,
  ]  # fmt: skip
  assert duplicates.twins(['a b c'], against=['A, b: c']) == [duplicates.AGAINST]


def test_documents_of_one_grammar_are_no_twins():
  some = [one.text for one in small.documents(60)]
  assert duplicates.twins(some) == [None] * 60
