import collections

import numpy as np

from jaxalign.valueworld import corpora, words
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
