"""Texts become as long as others by whole sentences, and hold nothing that is not allowed."""

import pytest

from jaxalign.corpora.fitting import Sentences, Tokens, fitted
from jaxalign.data.controls import sentences
from jaxalign.data.text import shipped
from tests.corpora import small

TOKENS = Tokens(shipped())


def allowed(sentence):
  return 'should' not in sentence


@pytest.fixture(scope='module')
def pool():
  return Sentences([one.text for one in small.documents(20, seed=3)], TOKENS, allowed)


def tokens(text):
  return len(shipped().encode(text, bos=False))


@pytest.mark.parametrize('share', [0.3, 0.8, 0.97, 1.03, 1.3, 3])
def test_a_text_becomes_as_long_as_asked(pool, share):
  text = small.document(0).text + ' They should go now.'
  size = round(share * tokens(text))
  found, count = fitted(text, size, pool, TOKENS, allowed)
  assert count == tokens(found) and abs(count - size) <= 0.05 * size
  assert 'should' not in found and found == found.strip()
  own = [one.strip() for one in sentences(text)]
  added = [one.strip() for one in sentences(found) if one.strip() not in own]
  assert len(added) == len({*added}) and bool(added) == (share > 1)
  assert fitted(text, size, pool, TOKENS, allowed) == (found, count)


def test_what_is_needed_stays(pool):
  text = small.document(0).text
  last = sentences(text)[-1]
  found, _ = fitted(text, tokens(text) // 2, pool, TOKENS, allowed, lambda one: one == last)
  assert found.endswith(last.strip())


def test_only_sentences_that_read_anywhere_are_lent():
  texts = ['The gate stands by the door. Vesna: And the felt? "So it is," he said. He saw Oksana.']
  lent = Sentences([*texts, 'The gate should go away.\nThe end'], TOKENS, allowed)
  assert len(lent) == 1 and lent.nearest(7, 'lot')[0] == 'The gate stands by the door.'
  assert lent.nearest(7, 'lot', ['The gate stands by the door.']) is None
  assert Sentences([], TOKENS, allowed).nearest(5, 'lot') is None
