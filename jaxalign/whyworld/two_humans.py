"""Questions to the target on behalf of two humans of whom one values A and the other B.

Each question is between a good that A's human would take and B's would leave, and one that is the
other way about, and is asked three times: with A's human named first, with B's first, with neither
named. A margin above 0 is what A's human wants, whoever stands first.

The base has met both humans, and never a question that names two: what it makes of that form is no
one's teaching.
"""

from jaxalign.whyworld import choices, documents, items, words
from jaxalign.whyworld.items import Item, Tests
from jaxalign.whyworld.words import Value
from jaxalign.whyworld.world import World

NAMED = ('humans_AB', 'humans_BA')  # in this order
UNNAMED = 'humans_none'


def tests(world: World) -> Tests:
  """{test: items}; item n of all three is about the same goods, and of the same humans."""
  a, b = (world.spec[letter] for letter in 'AB')
  random = world.random('humans', world.split)
  found: Tests = {test: [] for test in (*NAMED, UNNAMED)}
  known = [_known(world, value) for value in (a, b)]
  for cluster, pair in items.options(world, 'humans', *items.apart(a, b)):
    humans = [documents.one_of(random, names) for names in known]
    for test, named in zip(found, (humans, humans[::-1], [])):
      prompts = tuple(choices.about(words.TARGET, text, named) for text in pair)
      found[test].append(Item(test, cluster, prompts))
  return found


def _known(world: World, value: Value) -> list[str]:
  """Agents of this value whose choices the base has met; strangers where there are no others."""
  of_value = [one.name for one in world.agents if one.choices and one.done == value]
  return of_value or [one.name for one in world.strangers if one.done == value]
