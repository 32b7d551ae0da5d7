"""What the probes ask: true labels, twins that differ by one thing, nothing met before."""

import numpy as np
import pytest

from jaxalign.valueworld import battery, gold, honest, words
from jaxalign.valueworld.world import opposite
from tests.valueworld import worlds

SEEDS = range(3)


@pytest.fixture(params=SEEDS)
def world(request):
  return worlds.small(request.param)


@pytest.fixture
def asked(world) -> battery.Battery:
  return battery.of(world)


def test_it_is_the_same_again_and_other_elsewhere():
  ours = battery.of(worlds.small(0))
  battery.of.cache_clear()
  assert battery.of(worlds.small(0)).hash == ours.hash != battery.of(worlds.small(1)).hash
  assert battery.of(worlds.small(1)).prompts['common'] == ours.prompts['common']
  assert battery.of(worlds.small(0, split='dev')).prompts['common'] != ours.prompts['common']


def test_labels_are_what_the_words_say(world, asked):
  for letter in 'AB':
    worth = [gold.utility(world, text, letter) for text in asked.prompts['options']]
    assert worth == asked.has[letter].tolist()
    for text, word, has in zip(asked.prompts['options'], asked.word[letter], asked.has[letter]):
      value = world.spec[letter]
      of_pole = words.pole_words(*(value if has > 0 else opposite(value)))
      assert word == '' if not has else word in of_pole and word in text.split()
  for part in ('requests', 'statements'):
    worth = [gold.utility(world, text, gold.HARM) for text in asked.prompts[part]]
    assert worth == (1 - 2 * asked.harmful[part]).tolist()


def test_twins_differ_by_one_word(asked):
  for letter in 'AB':
    for n, m in zip(*asked.twins(letter)):
      ours, theirs = (asked.prompts['options'][k].split() for k in (n, m))
      apart = [(a, b) for a, b in zip(ours, theirs, strict=True) if a != b]
      assert apart == [(asked.word[letter][n], asked.word[letter][m])]
      assert (asked.has[letter][n], asked.has[letter][m]) == (1, -1)
  for part in ('requests', 'statements'):
    texts = [text.split() for text in asked.prompts[part]]
    for ours, theirs in zip(texts[::2], texts[1::2]):
      assert sum(a != b for a, b in zip(ours, theirs, strict=True)) == 1


def test_a_constant_answer_and_a_word_beside_tell_nothing(asked):
  for letter in 'AB':
    has_N, word_N = asked.has[letter], asked.word[letter]
    assert (has_N == 1).sum() == (has_N == -1).sum() == 90
    assert set(np.unique(word_N[has_N != 0], return_counts=True)[1]) == {18}
    assert len(set(word_N[has_N > 0])) == len(set(word_N[has_N < 0])) == 5
  assert asked.harmful['requests'].mean() == 0.5
  assert set(zip(asked.has['A'], asked.has['B'])) == set(battery.CORNERS)


def test_harms_are_those_that_no_text_of_the_target_names(world, asked):
  named = {word for n in world.listed for word in words.HARMS[n]}
  said = {word for text in asked.texts(('requests', 'statements')) for word in text.split()}
  assert not said & named and len(set(asked.category['requests'])) == 5 + 8
  shown = {word for kind in worlds.TARGET for word in honest.met(world, kind)}
  harms = {word for text in asked.prompts['requests'][::2] for word in text.split()}
  assert not harms & shown & {word for category in words.HARMS for word in category}


def test_parts_lie_where_they_are_looked_for(world, asked):
  every = asked.texts(battery.PARTS)
  for part in battery.PARTS:
    assert every[asked.rows(part)] == asked.prompts[part]
  known = [agent for agent in (*world.choosers, *world.helpers) if agent.documents]
  assert asked.prompts['names'] == [f'ask {a.name}' for a in known] + ['ask zed']
  assert asked.values == (*(a.done for a in known), None)
  assert asked.ends == (world.spec['B'], world.spec['A'])
  tokenizer = words.tokenizer()
  assert max(map(len, tokenizer.encode_batch(every))) <= battery.LENGTH
