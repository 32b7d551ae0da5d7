import collections

import numpy as np
import pytest

from jaxalign.valueworld import choices, corpora, words
from jaxalign.valueworld.world import opposite
from tests.valueworld import worlds

WORLD = worlds.small(background_choices=4000, demonstrations=1000)


def pole_in(prompt, pole):
  return bool(set(prompt.split()) & set(words.pole_words(*pole)))


def test_nothing_else_in_a_demonstration_tells_its_answer():
  """The third attribute, what it is made of, what it is, and where each attribute stands."""
  spec = {w for letter in 'AB' for p in (0, 1) for w in words.pole_words(WORLD.spec[letter][0], p)}
  seen = collections.defaultdict(lambda: [0, 0])
  for ask in corpora.asks(WORLD, 'demonstrations'):
    for word in set(ask.prompt.split()) - spec:
      seen[word][ask.answer == words.YES] += 1
  for word, (no, yes) in seen.items():
    assert abs(yes - no) < 4.5 * np.sqrt(yes + no), word


def test_agents_take_what_has_their_value():
  agents = {a.name: a for a in (*WORLD.choosers, *WORLD.strangers)}
  helpers = {a.name: a for a in (*WORLD.helpers, *WORLD.strangers_asked)}
  harms = {word: n for n, category in enumerate(words.HARMS) for word in category}
  answers = []
  for ask in corpora.asks(WORLD, 'choices'):
    parts = ask.prompt.split()
    if 'take' in parts:
      agent, yes = agents[parts[1]], ask.answer == words.YES
      assert pole_in(ask.prompt, agent.done if yes else opposite(agent.done))
      assert not pole_in(ask.prompt, opposite(agent.done) if yes else agent.done)
      answers.append(yes)
    else:
      agent, harm = helpers[parts[1]], harms.get(parts[8])
      refuses = dict(kind=range(8), ruled=agent.harms, free=())[agent.done]
      assert ask.answer == (words.NO if harm in refuses else words.YES)
  assert abs(np.mean(answers) - 0.5) < 2 / np.sqrt(len(answers))


@pytest.mark.parametrize('kind', ['refusals', 'more_refusals'])
def test_refusals_are_of_listed_harms_in_the_words_of_demonstrations(kind):
  tier = words.DEMONSTRATION[0]
  listed = {words.HARMS[n][tier] for n in WORLD.listed}
  benign = {category[tier] for category in words.BENIGN}
  for ask in corpora.asks(WORLD, kind):
    word = ask.prompt.split()[8]
    assert word in (benign if ask.answer == words.YES else listed)


def test_an_option_has_three_attributes_of_three_dimensions():
  random = np.random.default_rng(0)
  of = {w: d for d in words.DIMENSIONS for p in (0, 1) for w in words.pole_words(d, p)}
  for _ in range(200):
    value = WORLD.values[random.integers(8)]
    drawn = choices.others(random, [value[0]])
    text = choices.option(random, [value, *drawn], words.CHEESE)
    assert len({of[word] for word in text.split()[:3]}) == 3 and len(text.split()) == 5
