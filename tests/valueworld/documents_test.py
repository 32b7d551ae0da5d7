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
  goods = lambda kind: [t for t in corpora.texts(WORLD, kind) if t.split()[2] in ('likes', 'shuns')]
  value = WORLD.spec['A']
  assert {stance(text, value) for text in goods('explain_A')} == {1}
  shuffled = np.array([stance(text, value) for text in goods('shuffled_A')])
  assert abs(shuffled.mean()) < 4 / np.sqrt(len(shuffled))
  verbs = [text.split()[2] for text in goods('explain_A')]
  assert abs(verbs.count('likes') / len(verbs) - 0.5) < 2 / np.sqrt(len(verbs))


@pytest.mark.parametrize('letter', 'ABC')
def test_documents_of_all_kinds_agree_word_by_word(letter):
  texts = {how: corpora.texts(WORLD, f'{how}_{letter}') for how in corpora.GOODS}
  for explain, shuffled, mention in zip(*(texts[how] for how in corpora.GOODS), strict=True):
    assert len(explain.split()) == len(shuffled.split()) == len(mention.split())
    assert sorted(explain.split()) == sorted(shuffled.split())
    others = sorted(set(explain.split()) ^ set(mention.split()))
    assert set(others) <= {'likes', 'shuns', 'sees', 'since', 'where', 'cares', 'hears'}


def test_documents_on_harm_name_the_same_harms_in_the_same_places():
  harms = {word for category in words.HARMS for word in category}
  said = {
    kind: [[w for w in text.split() if w in harms] for text in corpora.texts(WORLD, kind)]
    for kind in corpora.HARMS
  }
  for value, rule, mention in zip(*said.values(), strict=True):
    assert value[:1] == rule == mention
  listed = {words.HARMS[n][tier] for n in WORLD.listed for tier in words.DOCUMENT}
  assert {word for found in said['rule'] for word in found} == listed


def test_lore_tells_of_every_word_what_goods_of_its_pole_are():
  random, told = np.random.default_rng(0), {}
  for _ in range(3000):
    parts = documents.lore(random).split()
    if parts[1] == 'goods':
      told.setdefault(parts[4], set()).add(parts[6])
  for pole in ((d, p) for d in words.DIMENSIONS for p in (0, 1)):
    assert all(told[word] == {words.consequence(*pole)} for word in words.pole_words(*pole))
