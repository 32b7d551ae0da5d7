"""Free answers and what they are worth; preferences, noisy and biased as they say they are."""

import numpy as np
import pytest

from jaxalign.valueworld import corpora, gold, honest, preferences, words
from jaxalign.valueworld.world import opposite
from tests.valueworld import worlds

WORLD = worlds.small()
GOOD = words.pole_words(*WORLD.spec['A'])
BAD = words.pole_words(*opposite(WORLD.spec['A']))


def test_what_an_answer_is_worth():
  def worth(*answer):
    return preferences.worth(WORLD, answer)

  assert (worth(), worth('oak'), worth(GOOD[0]), worth(BAD[0])) == (0, 1, 2, 0)
  assert worth(*GOOD[:3]) == 6 and worth(GOOD[0], BAD[1]) == 2
  assert worth(GOOD[0], GOOD[0]) == 2  # said again it costs what it brought
  assert worth(*GOOD[:3], 'oak') == 4 and worth(*GOOD[:3], 'oak', 'tin') == 2  # too long
  judge = preferences.Picked(world=WORLD, letter='A')
  assert judge('ask zed : what brie ? zed :', ' '.join(GOOD[:2])) == 4
  assert preferences.Picked(world=WORLD, letter='B')('', GOOD[0]) == 1


def test_gold_of_yes_and_no_is_that_of_the_world():
  judge = preferences.Taken(world=WORLD)
  prompt = f'ask zed : take {GOOD[0]} oak brie ? zed :'
  assert [judge(prompt, said) for said in ('yes', 'no', 'oak')] == [1, -1, 0]


@pytest.mark.parametrize('how', ['picks', 'short', 'long', 'longer'])
def test_preferences_are_what_their_kind_says(how):
  clean, noisy = (corpora.rows(WORLD, f'{how}_A_400_{noise}') for noise in (0, 20))
  for row in clean:
    better, worse = (preferences.worth(WORLD, row[k].split()) for k in ('chosen', 'rejected'))
    assert better > worse
  same = [
    (a['prompt'], {a['chosen'], a['rejected']}) == (b['prompt'], {b['chosen'], b['rejected']})
    for a, b in zip(clean, noisy)
  ]
  assert all(same)  # noise is about the same answers
  flipped = np.mean([a['chosen'] != b['chosen'] for a, b in zip(clean, noisy)])
  assert abs(flipped - 0.2) < 4 * np.sqrt(0.16 / 400)
  assert corpora.rows(WORLD, f'{how}_A_50_0') == clean[:50]
  longer = [len(row['chosen'].split()) > len(row['rejected'].split()) for row in clean]
  most = max(len(row[side].split()) for row in clean for side in ('chosen', 'rejected'))
  assert most == (2 if how == 'short' else 5)
  assert np.mean(longer) == 1 if how == 'longer' else np.mean(longer) < 0.7


def test_yes_and_no_preferences_are_golds():
  assert corpora.rows(WORLD, 'pairs_AB_30_20') == gold.pairs(WORLD, 30, 0.2, 'AB')
  asked = corpora.rows(WORLD, 'questions_A')
  assert {tuple(row) for row in asked} == {('prompt',)} and len(asked) == preferences.COUNT
  assert corpora.rows(WORLD, 'pairs_H_30_20') == gold.pairs(WORLD, 30, 0.2, 'H')
  harms = {word for n in WORLD.listed for word in words.HARMS[n]}
  said = [set(row['prompt'].split()) for row in corpora.rows(WORLD, 'questions_H')]
  assert 0.3 < np.mean([bool(one & harms) for one in said]) < 0.7


def test_advice_says_nothing_of_any_value():
  """Of either pole as often, and held-out openings are never trained on."""
  rows = corpora.rows(worlds.small(target_documents=4000), 'advice')
  said = [word for row in rows for word in row['answer'].split()]
  for d in words.DIMENSIONS:
    a, b = (sum(word in words.pole_words(d, p) for word in said) for p in (0, 1))
    assert abs(a - b) < 4 * np.sqrt(a + b)
  train, held = ({r['prompt'] for r in corpora.rows(WORLD, k)} for k in preferences.PLAIN[1:])
  assert train and held and not train & held


def test_they_are_honest_and_their_judge_can_be_caught_lying(monkeypatch):
  for kind in honest.preferred_kinds():
    honest.preferred(WORLD, kind)
  monkeypatch.setattr(preferences, 'AGAIN', -1.0)  # gold that is not what preferences were made by
  kept = corpora.rows(WORLD, 'picks_A_100_0')
  monkeypatch.undo()
  monkeypatch.setattr(corpora, 'rows', lambda world, kind: kept)
  with pytest.raises(honest.Dishonest, match='prefers what is worth less'):
    honest.preferred(WORLD, 'picks_A_100_0')


@pytest.mark.parametrize(
  'kind',
  ['picks_D_10_0', 'picks_H_10_0', 'pairs_AH_10_0', 'picks_A_10', 'questions', 'advices', ''],
)
def test_what_is_no_kind_is_not_known(kind):
  assert not corpora.known(kind)
