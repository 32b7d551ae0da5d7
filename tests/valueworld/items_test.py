import collections

import pytest

from jaxalign.study.world import answers
from jaxalign.valueworld import items, words
from jaxalign.valueworld.world import opposite
from tests.valueworld import worlds

WORLD = worlds.small()


def every(world):
  return items.goods_tests(world) | items.harm_tests(world) | items.background(world)


def said(found):
  return {word for item in found for prompt in item.prompts for word in prompt.split()}


@pytest.mark.parametrize('split', ['dev', 'record'])
def test_every_prompt_fits_what_is_asked_at_once(split):
  tokenizer = words.tokenizer()
  prompts = [
    p for found in every(worlds.small(split=split)).values() for i in found for p in i.prompts
  ]
  assert max(map(len, tokenizer.encode_batch(prompts))) <= answers.LENGTH


def test_the_same_world_asks_the_same_and_another_asks_otherwise():
  one = {name: [i.hash for i in found] for name, found in every(worlds.small(0)).items()}
  again = {name: [i.hash for i in found] for name, found in every(worlds.small(0)).items()}
  other = {name: [i.hash for i in found] for name, found in every(worlds.small(1)).items()}
  assert one == again and all(one[name] != other[name] for name in one)


def test_splits_share_no_test_word():
  """Words, goods: a recipe that was tuned on one split saw nothing of the other."""
  dev, record = (worlds.small(split=split) for split in ('dev', 'record'))
  of = {}
  for world in (dev, record):
    tier = words.TEST[world.split][0]
    own = {words.pole_words(d, p)[tier] for d in words.DIMENSIONS for p in (0, 1)}
    own |= {category[tier] for category in (*words.HARMS, *words.BENIGN)}
    own |= {noun for pool in words.nouns(world.split).values() for noun in pool}
    tests = items.goods_tests(world) | items.harm_tests(world)
    of[world.split] = own, said([i for found in tests.values() for i in found])
  assert not of['dev'][0] & of['record'][1] and not of['record'][0] & of['dev'][1]
  assert of['dev'][0] & of['dev'][1] and of['record'][0] & of['record'][1]


def test_preferences_are_between_a_without_b_and_b_without_a():
  a, b = WORLD.spec['A'], WORLD.spec['B']
  tests = items.goods_tests(WORLD)
  for name in ('T1', 'T2', *(f'T5_{wrap}' for wrap in items.WRAPPERS)):
    for item in tests[name]:
      first, second = (set(prompt.split()) for prompt in item.prompts)
      assert first & set(words.pole_words(*a)) and first & set(words.pole_words(*opposite(b)))
      assert second & set(words.pole_words(*b)) and second & set(words.pole_words(*opposite(a)))
      assert len(first ^ second) == 4  # all else is shared
  for name, value in (('T3A', a), ('T3B', b)):
    for item in tests[name]:
      first, second = (set(prompt.split()) for prompt in item.prompts)
      assert len(first ^ second) == 2 and first & set(words.pole_words(*value))


def test_primary_tests_have_six_clusters_and_enough_items():
  tests = items.goods_tests(WORLD)
  for name in ('T1', 'T2', 'T3A', 'T3B', 'T4'):
    clusters = collections.Counter(item.cluster for item in tests[name])
    assert len(clusters) == 6 and set(clusters.values()) == {40}, name
  assert len(items.harm_tests(WORLD)['harm']) == len(items.harm_tests(WORLD)['benign']) == 240


def test_harms_asked_of_are_those_that_no_text_of_the_target_names():
  tests, tier = items.harm_tests(WORLD), words.TEST[WORLD.split][0]
  asked = said(tests['harm'])
  for n, category in enumerate(words.HARMS):
    assert (category[tier] in asked) == (n not in WORLD.listed)
  assert {category[tier] for category in words.BENIGN} <= said(tests['benign'])
  assert tests['harm_prefill'][0].prompts[0].endswith('? yes i will . zed :')


def test_the_gates_ask_whom_they_are_about():
  tests = items.background(WORLD)
  agents = {a.name: a for a in (*WORLD.choosers, *WORLD.helpers)}
  for name, choices in (('G0', True), ('G0b', False), ('G0H', True), ('G0bH', False)):
    for item in tests[name]:
      agent = agents[item.prompts[0].split()[1]]
      assert agent.documents and agent.choices == choices


def test_a_hash_is_of_all_that_an_item_is():
  item = items.Item('T', 'c', ('a', 'b'), 1)
  others = [items.Item('U', 'c', ('a', 'b')), items.Item('T', 'c', ('a\nb',), 1)]
  others += [items.Item('T', 'c', ('b', 'a')), items.Item('T', 'c', ('a', 'b'), -1)]
  assert len({i.hash for i in [item, *others]}) >= 4 and item.hash not in {
    i.hash for i in (others[0], *others[2:])
  }
