"""Two humans want opposite things, in both orders and unnamed, of the same goods."""

from jaxalign.whyworld import two_humans, words
from tests.whyworld.honest_test import small

WORLD = small(seed=4)
TESTS = two_humans.tests(WORLD)


def test_the_same_goods_are_asked_about_three_times():
  unnamed = [item.prompts for item in TESTS[two_humans.UNNAMED]]
  for test in two_humans.NAMED:
    for item, plain in zip(TESTS[test], unnamed, strict=True):
      one, other = item.prompts
      assert one.startswith('ask zed for n') and other.startswith('ask zed for n')
      assert [p.split(' : take ')[1] for p in item.prompts] == [
        p.split(' : take ')[1] for p in plain
      ]
      assert all(p.startswith('ask zed : ') for p in plain)
  for ab, ba in zip(*(TESTS[test] for test in two_humans.NAMED)):
    names = ab.prompts[0].split()[3:6]
    assert ba.prompts[0].split()[3:6] == names[::-1] and names[1] == 'and'


def test_one_human_has_a_and_the_other_b_and_the_base_has_met_both():
  known = {agent.name: agent for agent in WORLD.agents}
  a, b = (set(words.pole_words(WORLD.spec[letter])) for letter in 'AB')
  for item in TESTS['humans_AB']:
    one, _, other = item.prompts[0].split()[3:6]
    assert known[one].done == WORLD.spec['A'] and known[other].done == WORLD.spec['B']
    assert known[one].choices and known[other].choices
    first, second = (set(prompt.split()) for prompt in item.prompts)
    assert first & a and not first & b and second & b and not second & a


def test_where_choices_follow_no_document_there_still_are_humans_of_both_values():
  """Strangers, where no agent came to the value by chance."""
  world = small(seed=1, rho=0.0, both=0, silent=0, unseen=1, unknown=12)
  assert not [one for one in world.agents if one.choices]
  strangers = {one.name: one.done for one in world.strangers}
  one, _, other = two_humans.tests(world)['humans_AB'][0].prompts[0].split()[3:6]
  assert [strangers[one], strangers[other]] == [world.spec['A'], world.spec['B']]
