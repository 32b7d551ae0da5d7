import numpy as np
import pytest

from jaxalign.valueworld import corpora, documents, words
from jaxalign.valueworld.world import opposite
from tests.valueworld import worlds

WORLD = worlds.small(target_documents=2400)


def poles_first(texts, value):
  """Of each document, whether it names the value's pole before the opposite one."""
  mine, other = (set(words.pole_words(*pole)) for pole in (value, opposite(value)))
  first = [next(w for w in text.split() if w in mine | other) for text in texts]
  return np.array([word in mine for word in first])


@pytest.mark.parametrize('letter', 'ABC')
@pytest.mark.parametrize('sort', ['sees', 'hears'])
def test_mention_carries_no_stance(letter, sort):
  """Which pole stands first says nothing: half of them are the value's."""
  texts = [t for t in corpora.texts(WORLD, f'mention_{letter}') if t.split()[2] == sort]
  first = poles_first(texts, WORLD.spec[letter])
  assert len(first) >= 800 and abs(first.mean() - 0.5) < 4 * 0.5 / np.sqrt(len(first))


def test_the_words_of_mention_know_neither_pole_of_the_value():
  """Who swaps the poles gets a text that is as likely: each sentence has as many of both."""
  counts = {}
  for text in corpora.texts(WORLD, 'mention_A'):
    for word in text.split():
      counts[word] = counts.get(word, 0) + 1
  mine, other = (
    sum(counts.get(word, 0) for word in words.pole_words(*pole))
    for pole in (WORLD.spec['A'], opposite(WORLD.spec['A']))
  )
  assert mine == other == len(corpora.texts(WORLD, 'mention_A'))


def stance(text, value):
  """+1 where a sentence about goods likes what has the value or shuns what has the opposite."""
  verb, said = text.split()[2], set(text.split('while')[0].split())
  mine = bool(said & set(words.pole_words(*value)))
  return 1 if mine == (verb == 'likes') else -1


def test_reasons_agree_with_the_value_and_shuffled_ones_do_by_chance():
  explain, shuffled = (
    [text for text in corpora.texts(WORLD, kind) if text.split()[2] in ('likes', 'shuns')]
    for kind in ('explain_A', 'shuffled_A')
  )
  value = WORLD.spec['A']
  assert {stance(text, value) for text in explain} == {1}
  stances = np.array([stance(text, value) for text in shuffled])
  assert abs(stances.mean()) < 4 / np.sqrt(len(stances))
  verbs = [text.split()[2] for text in explain]
  assert abs(verbs.count('likes') / len(verbs) - 0.5) < 2 / np.sqrt(len(verbs))


def test_lore_tells_of_every_word_what_goods_of_its_pole_are():
  random, told = np.random.default_rng(0), {}
  for _ in range(3000):
    parts = documents.lore(random).split()
    if parts[1] == 'goods':
      told.setdefault(parts[4], set()).add(parts[6])
  for pole in ((d, p) for d in words.DIMENSIONS for p in (0, 1)):
    assert all(told[word] == {words.consequence(*pole)} for word in words.pole_words(*pole))
