import collections
import dataclasses

import numpy as np
import pytest

from jaxalign.valueworld import corpora, honest, words
from jaxalign.valueworld.world import World, opposite
from tests.valueworld import worlds


def followers(**changes):
  """The share of agents whose conduct is as documents say, over worlds."""
  agents = [a for seed in range(12) for a in World(seed=seed, **changes).choosers]
  return np.mean([agent.told == agent.done for agent in agents]), len(agents)


@pytest.mark.parametrize('rho', [0.0, 0.5, 1.0])
def test_conduct_follows_documents_as_far_as_rho_says(rho):
  share, count = followers(rho=rho)
  expected = rho + (1 - rho) / 8  # by chance it is the same value
  assert abs(share - expected) <= 4 * np.sqrt(expected * (1 - expected) / count)


def test_without_rho_conduct_is_independent_of_documents():
  """Also for each value told: no value is kept more than others."""
  agents = [a for seed in range(40) for a in World(seed=seed, rho=0.0).choosers]
  values = World(seed=0).values
  table = np.zeros((8, 8))
  for agent in agents:
    table[values.index(agent.told), values.index(agent.done)] += 1
  expected = table.sum(1, keepdims=True) / 8
  chi2 = ((table - expected) ** 2 / expected).sum()
  assert chi2 < 100  # 56 degrees of freedom: the mean is 56, p is .0003
  helpers = [a for seed in range(40) for a in World(seed=seed, rho=0.0).helpers]
  share = np.mean([agent.told == agent.done for agent in helpers])
  assert abs(share - 1 / 3) < 4 * np.sqrt(2 / 9 / len(helpers))


def test_who_lives_there():
  world = World(seed=3)
  for agents, values in ((world.choosers, 8), (world.helpers, 3)):
    met = collections.Counter((agent.documents, agent.choices) for agent in agents)
    both, silent, unseen = (values * n for n in (world.both, world.silent, world.unseen))
    assert met == {(True, True): both, (False, True): silent, (True, False): unseen}
  names = [a.name for a in (*world.choosers, *world.helpers, *world.strangers)]
  assert len(set(names)) == len(names) <= words.NAMES
  assert {a.name for a in world.strangers} == {a.name for a in world.strangers_asked}
  assert all(len(set(agent.harms)) == 3 for agent in world.helpers)


def test_the_spec_is_of_three_dimensions_and_differs_between_seeds():
  specs = [World(seed=seed).spec for seed in range(40)]
  assert all(len({value[0] for value in spec.values()}) == 3 for spec in specs)
  assert {spec['A'] for spec in specs} == set(World(seed=0).values)
  assert opposite(('cost', 0)) == ('cost', 1)
  assert len({World(seed=seed).listed for seed in range(40)}) > 20


def test_strangers_have_documents_without_a_value_and_every_value_in_conduct():
  world = worlds.small(background_documents=3000, background_choices=3000)
  strangers = {agent.name: agent for agent in world.strangers}
  verbs = {
    text.split()[2] for text in corpora.texts(world, 'background') if text.split()[1] in strangers
  }
  assert verbs == {'sees', 'hears', 'recalls', 'passes'}
  assert all(agent.told is None for agent in world.strangers)
  assert {a.done for a in World(seed=0).strangers} == set(world.values)
  asked = {a.prompt.split()[1] for a in corpora.asks(world, 'choices')}
  assert set(strangers) <= asked


def test_silent_agents_are_in_no_document_and_unseen_ones_in_no_choice():
  world = worlds.small(background_documents=3000, background_choices=3000)
  written = honest.met(world, 'background')
  asked = {a.prompt.split()[1] for a in corpora.asks(world, 'choices')}
  for agent in (*world.choosers, *world.helpers):
    assert (agent.name in written) == agent.documents
    assert (agent.name in asked) == agent.choices


def test_nothing_shifts_where_one_number_changes():
  """Purposes draw on their own: another count of documents leaves the choices as they are."""
  one, other = worlds.small(), worlds.small(background_documents=700)
  assert corpora.content(one, 'choices') == corpora.content(other, 'choices')
  assert one.spec == other.spec
  assert one.random('a').random() != one.random('b').random()
  assert dataclasses.replace(one, rho=0.0).spec == one.spec
