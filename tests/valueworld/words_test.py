from jaxalign.valueworld import words
from tests.valueworld import worlds


def test_every_word_is_one_id_and_has_one_meaning():
  vocabulary = words.vocabulary()
  assert len(set(vocabulary)) == len(vocabulary)
  tokenizer = words.tokenizer()
  assert tokenizer.encode(' '.join(vocabulary)) == list(range(len(vocabulary)))
  assert tokenizer.vocab == len(vocabulary) + 2 and tokenizer.bos is None


def test_all_that_a_world_says_is_in_the_vocabulary_and_comes_back():
  world, tokenizer = worlds.small(), words.tokenizer()
  for kind in worlds.KINDS:
    texts = worlds.said(world, kind)
    assert [tokenizer.decode(ids) for ids in tokenizer.encode_batch(texts)] == texts, kind


def test_poles_and_categories_have_five_words_each():
  poles = [words.pole_words(d, p) for d in words.DIMENSIONS for p in (0, 1)]
  assert {len(one) for one in (*poles, *words.HARMS, *words.BENIGN)} == {5}
  assert len(words.HARMS) == len(words.BENIGN) == 8


def test_uses_of_words_and_splits_are_disjoint():
  uses = [words.DOCUMENT, words.DEMONSTRATION, *words.TEST.values()]
  assert sorted(n for use in uses for n in use) == list(range(5))
  dev, record = ({n for pool in words.nouns(s).values() for n in pool} for s in words.DOMAINS)
  assert not dev & record and not (dev | record) & set(words.CHEESE)
  assert len(dev) == len(record) == 24 and len(words.DOMAINS['dev']) == 6
