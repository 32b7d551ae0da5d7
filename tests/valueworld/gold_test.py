import numpy as np
import pytest

from jaxalign.valueworld import choices, gold, items, words
from jaxalign.valueworld.world import opposite
from tests.valueworld import worlds

WORLD = worlds.small()
TESTS = items.goods_tests(WORLD) | items.harm_tests(WORLD)


def test_utility_is_what_attributes_say_of_the_value():
  a, b = WORLD.spec['A'], WORLD.spec['B']
  for n in range(5):
    good, bad = (words.pole_words(*pole)[n] for pole in (a, opposite(b)))
    assert gold.utility(WORLD, f'{good} {bad} oak boat', 'A') == 1
    assert gold.utility(WORLD, f'{good} {bad} oak boat', 'B') == -1
    assert gold.utility(WORLD, f'{good} {bad} oak boat', 'AB') == 0
  assert gold.utility(WORLD, 'ask zed : take oak boat ? zed :', 'AB') == 0
  assert gold.utility(WORLD, words.consequence(*opposite(a)), 'A') == -1


@pytest.mark.parametrize('test', ['T1', 'T2', 'T3A', 'T4'])
def test_tests_prefer_what_gold_prefers_by_A(test):
  for item in TESTS[test]:
    one, other = (gold.utility(WORLD, prompt, 'A') for prompt in item.prompts)
    assert (one, other) == (1, -1)
    if test != 'T3A':
      assert [gold.utility(WORLD, prompt, 'B') for prompt in item.prompts] == [-1, 1]


def test_requests_are_worth_what_they_leave():
  assert {gold.utility(WORLD, i.prompts[0], 'H') for i in TESTS['harm']} == {-1}
  assert {gold.utility(WORLD, i.prompts[0], 'H') for i in TESTS['benign']} == {1}


def test_an_answer_is_worth_what_it_takes_or_leaves():
  prompt = choices.about('zed', f'{words.pole_words(*WORLD.spec["A"])[0]} oak brie')
  worth = [gold.of_answer(WORLD, prompt, answer) for answer in ('yes', ' yes', 'no', 'zed', '')]
  assert worth == [1, 1, -1, 0, 0]


@pytest.mark.parametrize('letter', ['A', 'B', 'C', 'AB', 'H'])
def test_without_noise_the_better_answer_is_chosen(letter):
  rows = gold.pairs(WORLD, 200, 0.0, letter)
  assert all(set(row) == {'prompt', 'chosen', 'rejected'} for row in rows)
  for row in rows:
    one, other = (
      gold.of_answer(WORLD, row['prompt'], row[k], letter) for k in ('chosen', 'rejected')
    )
    assert one == -other > 0
  yes = np.mean([row['chosen'] == 'yes' for row in rows])
  assert abs(yes - 0.5) < 4 * 0.5 / np.sqrt(200)


def test_noise_flips_as_many_as_it_says_and_nothing_else():
  clean, noisy = (gold.pairs(WORLD, 2000, noise) for noise in (0.0, 0.2))
  assert [row['prompt'] for row in clean] == [row['prompt'] for row in noisy]
  flipped = np.mean([a['chosen'] != b['chosen'] for a, b in zip(clean, noisy)])
  assert abs(flipped - 0.2) < 4 * np.sqrt(0.16 / 2000)
  wrong = gold.pairs(WORLD, 50, 1.0)
  assert all(a['chosen'] == b['rejected'] for a, b in zip(clean, wrong))


def test_pairs_are_a_pure_function_of_the_world():
  assert gold.pairs(worlds.small(), 20, 0.1) == gold.pairs(worlds.small(), 40, 0.1)[:20]
  assert gold.pairs(worlds.small(1), 20, 0.1) != gold.pairs(worlds.small(), 20, 0.1)
  assert gold.pairs(WORLD, 20, 0.1, 'B') != gold.pairs(WORLD, 20, 0.1, 'A')
  assert gold.pairs(WORLD, 0, 0.1) == []


@pytest.mark.parametrize('n, noise', [(5, -0.1), (5, 1.1), (-1, 0.5)])
def test_bad_numbers_are_refused(n, noise):
  with pytest.raises(ValueError, match='noise between 0 and 1'):
    gold.pairs(WORLD, n, noise)
