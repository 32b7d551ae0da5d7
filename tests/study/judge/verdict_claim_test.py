"""The rule with a claim: as a table, and its error rates and power over simulated studies."""

import dataclasses

import numpy as np
import pytest

from jaxalign import sealing
from jaxalign.study.judge import power, verdict
from jaxalign.study.plan.rules import Claim, Rules
from tests.study.judge.made_claims import OVER, RULES, effects, judge

UP = np.arange(1.0, 9) / 10  # eight seeds above 0: p = 2/256
NULL = np.array([1.0, -1.1, 0.8, -0.9, 1.2, -1.0, 0.1, -0.2]) / 10
NONE = dict(P1=NULL, P2=NULL, P3=NULL)
SPENT = dict(rho=dict(P2=NULL), kappa=dict(P2=NULL))

TABLE = [
  # contrasts, controls, the word, a part of the sentence
  (NONE | dict(P2=UP), SPENT, 'SUPPORTED', 'why carries further than what (P2 +0.45 of V [0.245,'),
  (NONE | dict(P2=UP), SPENT, 'SUPPORTED', 'P2 is more than with kappa = 0 (by +0.451 of V'),
  (NONE | dict(P2=UP), SPENT, 'SUPPORTED', 'one-sided p = 0.0078, 8 seeds)'),
  (NONE | dict(P2=UP), SPENT, 'SUPPORTED', '. Apart from the claim: not shown: that order matters'),
  (NONE | dict(P1=UP, P2=UP), SPENT, 'SUPPORTED', 'why steers more than what (P1'),
  (NONE, SPENT, 'NOT SUPPORTED', 'not shown: that why carries further than what'),
  (NONE | dict(P3=UP), SPENT, 'NOT SUPPORTED', 'Apart from the claim: order matters (P3 +0.45'),
  (NONE | dict(P2=-UP), SPENT, 'NOT SUPPORTED', 'the effect is the other way'),
  # an interaction is of its own contrast, and both are needed
  (NONE | dict(P1=UP), SPENT, 'PARTIAL', 'not shown: that P2 is more than with rho = 0'),
  (NONE | dict(P2=UP), SPENT | dict(kappa=dict(P2=UP)), 'PARTIAL', 'that P2 is more than with kap'),
  (NONE | dict(P2=UP), dict(rho=dict(P2=NULL)), 'PARTIAL', 'no such worlds were run'),
  (NONE | dict(P2=UP), SPENT | dict(kappa=dict(P2=NULL[:5])), 'PARTIAL', '5 seeds in common of'),
  # what shows in a control alone is no alarm: that is what the interaction is for
  (NONE | dict(P2=3 * UP), SPENT | dict(kappa=dict(P2=UP)), 'SUPPORTED', ''),
  # Holm is over the three: 3 of 7 seeds' least p is .047; secondary contrasts count apart
  (dict(P1=NULL[:7], P2=UP[:7], P3=NULL[:7]), SPENT, 'SUPPORTED', '(Holm 0.047), 7 seeds'),
  (dict(P1=NULL[:6], P2=UP[:6], P3=NULL[:6]), SPENT, 'NOT SUPPORTED', 'survive Holm over 3: 6'),
  (NONE | dict(S1=UP, S2=UP), SPENT, 'NOT SUPPORTED', ''),
  (NONE | dict(P2=UP, S1=NULL), SPENT, 'SUPPORTED', '(Holm 0.023)'),
  # nulls: within the smallest effect of interest, or not told apart from none within so much
  (NONE, SPENT, 'NOT SUPPORTED', 'it is within 0.2 of none (8 of the 16 seeds'),
  (NONE | dict(P1=5 * NULL), SPENT, 'NOT SUPPORTED', 'not told apart from none within 0.32 of V,'),
  (NONE, SPENT, 'NOT SUPPORTED', "in 4 studies of 5 at the first of Holm's 3 steps"),
  # what cannot tell
  (dict(P1=UP, P3=NULL), SPENT, 'UNINFORMATIVE', 'P2 was not measured'),
  (dict(P1=UP[:5], P2=UP, P3=NULL), SPENT, 'UNINFORMATIVE', 'P1 has 5 of the 6 seeds'),
  (dict(P1=UP, P2=UP), SPENT, 'SUPPORTED', 'Apart from the claim: P3 was not measured.'),
]  # fmt: skip


@pytest.mark.parametrize('values, controls, word, says', TABLE)
def test_the_verdict(values, controls, word, says):
  found, *_ = judge(values, controls)
  assert found.word == word, found.sentence
  assert says in found.sentence, found.sentence
  assert found.sentence.startswith(f'{word}: ') and '\n' not in found.sentence
  assert all(reason in found.sentence for reason in found.reasons)
  assert found.sentence.endswith('.') and '..' not in found.sentence


def test_a_gate_shuts_a_claim_too():
  found, *_ = judge(NONE | dict(P2=UP), SPENT, gate=0.5)
  assert found.word == 'UNINFORMATIVE' and 'gate G0' in found.sentence
  assert 'P2 +0.45 of V' in found.sentence  # for the record


def test_a_secondary_contrast_has_its_own_family():
  ps = {one.name: one for one in effects(NONE | dict(S1=UP, S2=-UP))}
  assert ps['S1'].p_holm == pytest.approx(2 * 2 / 256) and ps['S1'].holds
  assert ps['P1'].p_holm == pytest.approx(min(1, 3 * ps['P1'].primary.p))
  alone = {one.name: one for one in effects(dict(S1=UP))}
  assert alone['S1'].p_holm == pytest.approx(2 * 2 / 256)  # S2 counts though it was not measured


def test_what_must_hold_together_is_not_corrected():
  """Six seeds have a least p of .031: enough for each of two, and for none in a family of two."""
  rules = dataclasses.replace(
    RULES, family=(), secondary=('S1', 'S2'), claim=Claim(all_of=('P1', 'P2'))
  )
  rules = sealing.seal(rules)
  assert rules.families == (('P3',), ('S1', 'S2'), ('P1',), ('P2',))
  six = dict(P1=UP[:6], P2=UP[:6], P3=NULL[:6])
  found, contrasts, _ = judge(six, {}, rules)
  assert found.word == 'SUPPORTED' and [one.p_holm for one in contrasts[:2]] == [2 / 64] * 2
  found, *_ = judge(six | dict(P2=NULL[:6]), {}, rules)
  assert found.word == 'PARTIAL'
  none_left = dataclasses.replace(rules, claim=Claim(all_of=('P1', 'P2', 'P3')))
  found, *_ = judge(six | dict(P3=UP[:6], S1=UP[:6]), {}, sealing.seal(none_left))
  assert found.word == 'SUPPORTED' and 'Apart' not in found.sentence  # secondary ones are no part
  both = dataclasses.replace(
    rules, claim=Claim(all_of=('P1',), any_of=('P3',)), family=('P2', 'P3')
  )
  found, *_ = judge(dict(P1=UP, P2=NULL, P3=UP), {}, sealing.seal(both))
  assert found.word == 'SUPPORTED'
  found, *_ = judge(dict(P1=UP, P2=UP, P3=NULL), {}, both)
  assert found.word == 'PARTIAL'


def test_foretold_knows_the_family_and_the_controls():
  assert verdict.foretold(5, RULES).startswith('5 seeds of the 6 that a verdict needs')
  assert 'the least p after Holm is 0.094' in verdict.foretold(6, RULES)  # .031 x 3
  assert verdict.foretold(7, RULES) == verdict.foretold(7, RULES, ('rho', 'kappa')) == ''
  doubt = verdict.foretold(16, RULES, ('rho',))
  assert doubt == 'without worlds of the control kappa it can be PARTIAL at the most'
  together = dataclasses.replace(RULES, family=('P3',), claim=Claim(all_of=('P1', 'P2')))
  assert verdict.foretold(6, sealing.seal(together)) == ''
  assert 'is 0.078' in verdict.foretold(7, sealing.seal(Rules()))  # study 1's five, as before


SEEDS = 12
EDGE = dict(bars=(), level=0.95)


def simulated(studies, means, left, spread=1.0, key=0):
  """[(word, contrasts, interactions)]. means: of P1, P2, P3 in SDs; left: of P2 in each control.

  Contrasts share arms, so their noise is correlated. spread: SD of the controls.
  """
  random, found = np.random.default_rng(key), []
  rules = sealing.seal(dataclasses.replace(RULES, **EDGE))
  for _ in range(studies):
    shared_S = random.normal(size=SEEDS)
    noise_KS = 0.6**0.5 * random.normal(size=(3, SEEDS)) + 0.4**0.5 * shared_S
    values = dict(zip(('P1', 'P2', 'P3'), np.array(means)[:, None] + noise_KS))
    controls = {
      name: dict(P2=mean + spread * random.normal(size=SEEDS)) for name, mean in left.items()
    }
    said, contrasts, over = judge(values, controls, rules)
    found.append((said.word, contrasts, over))
  return found


def supported(studies):
  return np.mean([word == 'SUPPORTED' for word, *_ in studies])


def at_most(rate, studies):
  return rate + 2 * np.sqrt(rate * (1 - rate) / studies)


def test_where_nothing_is_true_little_is_claimed():
  studies = simulated(300, (0, 0, 0), dict(rho=0.0, kappa=0.0))
  assert supported(studies) <= at_most(0.05, 300)
  wrong = np.mean([any(one.p_holm < 0.05 for one in found) for _, found, _ in studies])
  claimed = np.mean([any(one.holds for one in found) for _, found, _ in studies])
  assert 0.005 < wrong <= at_most(0.05, 300) and claimed <= wrong
  inside = [one.primary.low <= 0 <= one.primary.high for _, found, _ in studies for one in found]
  assert np.mean(inside) == pytest.approx(0.95, abs=0.03)  # coverage: thirds are alike


@pytest.mark.parametrize('stays', ['rho', 'kappa'])
def test_an_effect_that_a_control_does_not_take_away_is_supported_once_in_twenty(stays):
  """The rule's least favourable null: both contrasts hold always, and one interaction is none."""
  left = dict(rho=0.0, kappa=0.0) | {stays: 3.0}
  share = supported(simulated(400, (3, 3, 0), left, key=4))
  assert 0.01 < share <= at_most(0.05, 400)


def test_a_planted_effect_is_found_as_often_as_the_power_function_says():
  """P2 as in STUDY3.md's first line (mean 9.9, SD 10.3); the controls leave nothing of it."""
  size = 9.9 / 10.3
  studies = simulated(300, (0, size, 0), dict(rho=0.0, kappa=0.0), spread=0.05, key=5)
  known = power.power(size, 1.0, SEEDS, family=3)
  error = np.hypot(power.standard_error(known), power.standard_error(known, 300))
  # Holm's later steps find a little more than its first, by which power goes
  assert -3 * error < supported(studies) - known < 3 * error + 0.02
  assert 0.5 < known < 0.8
  inside = [found[1].primary.low <= size <= found[1].primary.high for _, found, _ in studies]
  assert np.mean(inside) == pytest.approx(0.95, abs=0.04)
  over = [one for *_, found in studies for one in found]
  assert {(one.contrast, one.control) for one in over} == {(o.contrast, o.control) for o in OVER}


def test_the_interaction_is_found_as_often_as_a_one_sided_test_of_its_spread():
  size = 1.0
  studies = simulated(300, (0, size, 0), dict(rho=0.0, kappa=0.0), key=7)
  found = np.mean([one.holds for *_, over in studies for one in over if one.control == 'kappa'])
  known = power.power(size, np.sqrt(2), SEEDS, one_sided=True)
  error = np.hypot(power.standard_error(known), power.standard_error(known, 300))
  assert found == pytest.approx(known, abs=3 * error)
