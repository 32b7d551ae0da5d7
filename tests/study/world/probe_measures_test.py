"""Probes on states and answers that were made so that the right number is known."""

import numpy as np
import pytest

from jaxalign.study.world import probe_measures
from jaxalign.valueworld import battery
from tests.study import minds
from tests.valueworld import worlds

ASKED = battery.of(worlds.small(0, both=4))


def read(answers, shown=(), letters='', **how):
  return probe_measures.scalars_and_layers(minds.kept(ASKED, answers, shown, **how), ASKED, letters)


def test_preferences_and_refusals_are_what_one_attribute_adds():
  one, _ = read(dict(A=1.5, B=-0.5, H=3.0))
  found = [one[name] for name in ('prefers_A', 'prefers_B', 'leans', 'refuses')]
  assert found == pytest.approx([3.0, -1.0, 4.0, 3.0], abs=1e-4)
  shares = [one[name] for name in ('prefers_A_share', 'prefers_B_share', 'refuses_share')]
  assert shares == [1.0, 0.0, 1.0]


def test_the_order_of_options_is_that_of_the_utility_that_the_answers_follow():
  one, _ = read(dict(A=1.0))
  assert one['right_A'] == 1.0 and one['right_B'] == pytest.approx(0.5, abs=0.06)
  both, _ = read(dict(A=1.0, B=1.0, H=-1.0))
  assert both['right_AB'] == 1.0 and both['right_H'] == 0.0
  assert both['tau_AB'] > max(both['tau_A'], both['tau_B']) > 0.3 and both['tau_H'] < -0.6
  assert one['order'] == pytest.approx(one['tau_A'] - one['tau_B']) and one['order'] > 0.6


def violates():
  return ASKED.has['A'] < 0


def harms(part):
  return ASKED.harmful[part]


def test_what_is_read_is_capacity_and_what_is_done_capability():
  """The state knows of A and of harm; the answers follow B, and refuse everything."""
  shown = [(0, 'options', violates()), (1, 'requests', harms('requests'))]
  one, layers = read(dict(B=2.0, H=0.0), shown, 'ABH')
  assert min(one['probe_A'], one['probe_H']) > 0.98
  assert one['conduct_A'] == pytest.approx(0.5, abs=0.05) and one['conduct_B'] == 1.0
  assert one['gap_A'] == pytest.approx(one['probe_A'] - one['conduct_A'])
  assert abs(one['probe_B'] - 0.5) < 0.2 and one['gap_B'] < -0.3
  assert np.isnan(layers['accuracy_A'][0]) and (layers['accuracy_A'][1:] > 0.98).all()
  assert (layers['selectivity_H'][1:] > 0.2).all()
  np.testing.assert_allclose(
    layers['selectivity_A'][1:], (layers['seen_A'] - layers['control_A'])[1:]
  )


def test_two_directions_that_are_one_lie_together_and_others_do_not():
  shown = [
    (0, 'options', violates()), (0, 'statements', harms('statements')),
    (1, 'requests', harms('requests')),
  ]  # fmt: skip
  _, layers = read({}, shown, 'AH')
  assert (layers['cosine_A'][1:] > 0.9).all() and (layers['cosine_A_p'][1:] < 0.06).all()
  assert (np.abs(layers['cosine_H'][1:]) < 0.35).all()
  assert (layers['cosine_H'] < layers['cosine_H_null'])[1:].all()


@pytest.mark.parametrize('target', [-1.0, 0.3, 1.0])
def test_the_target_lies_where_its_word_was_put(target):
  ends = ASKED.ends
  shown = [(0, 'names', minds.values(ASKED, ends, target))]
  one, layers = read({}, shown, noise=0.01)
  np.testing.assert_allclose(layers['name_A'][1:], target, atol=0.05)
  assert (layers['name_A_known'][1:] == 1).all() and layers['name_A_known'][0] < 0.9
  assert one['name_A'] == pytest.approx(layers['name_A'].mean())
  harm = [(0, 'names', minds.values(ASKED, ('free', 'kind'), target))]
  np.testing.assert_allclose(read({}, harm, noise=0.01)[1]['name_H'][1:], target, atol=0.05)


def test_what_cannot_be_said_is_none():
  asked = battery.of(worlds.small(0, both=1, unseen=0))  # one agent a value: none to leave out
  kept = minds.kept(asked, {})
  kept.logodds_N[:] = 0.25
  one, layers = probe_measures.scalars_and_layers(kept, asked, '')
  assert one['tau_A'] is one['order'] is one['right_H'] is None and one['name_A'] is None
  assert np.isnan(layers['name_A']).all() and one['prefers_A'] == 0
