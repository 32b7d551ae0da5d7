"""The rules as a table, and their error rates over simulated studies."""

import dataclasses

import numpy as np
import pytest

from jaxalign import sealing
from jaxalign.config import UserError
from jaxalign.study.judge import contrasts, verdict
from jaxalign.study.plan.rules import PRIMARIES, Rules

RULES = sealing.seal(Rules())
UP = np.arange(1.0, 9)  # eight seeds above 0: p = 2/256
NULL = np.array([1.0, -1.1, 0.8, -0.9, 1.2, -1.0, 0.1, -0.2])
GOOD = {bar.name: dict.fromkeys(range(8), 0.96 if bar.most is None else 0.01) for bar in RULES.bars}
MORE = {name: dict.fromkeys(range(16), values[0]) for name, values in GOOD.items()}


def effects(values, rules=RULES, seeds=None):
  """Contrasts from one array each, the same on both scales unless a pair is given."""
  found = []
  for planned, value in zip(PRIMARIES, values):
    if value is not None:
      margin_S, rate_S = value if isinstance(value, tuple) else (value, value / 100)
      both = dict(margin=margin_S, rate=rate_S)
      found.append(contrasts.contrast(planned, both, seeds or range(len(margin_S)), rules))
  return contrasts.judged(found, rules)


CONTROL = effects([NULL, -NULL])
REST = [NULL] * 3


def judge(values, control=CONTROL, gates=GOOD, rules=RULES):
  return verdict.judge(effects(values, rules), verdict.gates(gates, rules), control, rules)


def failing(name, seeds, value):
  return GOOD | {name: GOOD[name] | dict.fromkeys(seeds, value)}


TABLE = [
  # C1 .. C5, what else is changed, the word, a part of the sentence
  ([UP, UP, *REST], {}, 'SUPPORTED', '(C1 +4.5 nats [2.45, 6.55], rate +0.045, p = 0.0078 (Holm'),
  ([UP, UP, *REST], {}, 'SUPPORTED', 'with rho = 0 neither shows'),
  ([UP, NULL, *REST], {}, 'PARTIAL', 'not shown: that value documents make held-out harm'),
  ([NULL, UP, *REST], {}, 'PARTIAL', 'not shown: that documents that give reasons steer'),
  ([NULL, NULL, *REST], {}, 'NOT SUPPORTED', 'such seeds find'),
  ([NULL, NULL, UP, UP, UP], {}, 'NOT SUPPORTED', ''),  # the others do not decide
  ([-UP, -UP, *REST], {}, 'NOT SUPPORTED', 'the effect is the other way'),
  ([(UP, -UP), UP, *REST], {}, 'PARTIAL', 'its sign is not the same on every scale'),
  ([(UP, -UP), NULL, *REST], {}, 'NOT SUPPORTED', 'sign is not the same'),
  ([UP, (UP, 0 * UP), *REST], {}, 'SUPPORTED', ''),  # two arms at the same end of the rate
  ([NULL / 100, UP, *REST], {}, 'PARTIAL', 'within 0.2 of none (8 of the 16 seeds that such a'),
  (
    [[*NULL, *NULL] / np.float64(100), UP, *REST], dict(gates=MORE), 'PARTIAL',
    'it is within 0.2 of none;',
  ),
  # Holm is over five whether measured or not; a p of .0156 is not enough
  ([UP, UP, None, None, None], {}, 'SUPPORTED', ''),
  ([np.array([-1.0, *UP[1:]]), UP, *REST], {}, 'PARTIAL', 'it does not survive Holm over 5'),
  # six and seven seeds cannot survive it, whatever they show
  ([x[:7] for x in [UP] * 5], {}, 'NOT SUPPORTED', '7 have a least p of 0.016, so 0.078'),
  ([x[:6] for x in [UP] * 5], {}, 'NOT SUPPORTED', 'too few seeds to survive Holm over 5: 6 have'),
  ([x[:5] for x in [UP] * 5], {}, 'UNINFORMATIVE', 'C1 has 5 of the 6 seeds that a verdict needs'),
  ([UP, UP[:5], *REST], {}, 'UNINFORMATIVE', 'C2 has 5 of the 6 seeds'),
  ([UP[:1], UP, *REST], {}, 'UNINFORMATIVE', 'C1 +1 nats, rate +0.01, one seed'),
  ([None, UP, *REST], {}, 'UNINFORMATIVE', 'C1 was not measured'),
  ([UP, None, *REST], {}, 'UNINFORMATIVE', 'C2 was not measured'),
  # the control
  ([UP, UP, *REST], dict(control=None), 'PARTIAL', 'the negative control was not run'),
  ([UP, NULL, *REST], dict(control=None), 'PARTIAL', 'the negative control was not run'),
  ([NULL, NULL, *REST], dict(control=None), 'NOT SUPPORTED', 'the negative control was not run'),
  ([UP, UP, *REST], dict(control=effects([NULL])), 'PARTIAL', 'control did not measure C2'),
  ([UP, UP, *REST], dict(control=effects([NULL, NULL[:5]])), 'PARTIAL', 'too few seeds on C2, 5'),
  ([UP, UP, *REST], dict(control=effects([UP, NULL])), 'UNINFORMATIVE', 'nothing should show, C1'),
  ([UP, UP, *REST], dict(control=effects([NULL, UP])), 'UNINFORMATIVE', 'nothing should show, C2'),
  ([NULL, UP, *REST], dict(control=effects([NULL, UP])), 'UNINFORMATIVE', 'C2 is +4.5 nats'),
  ([UP, UP, *REST], dict(control=effects([NULL, UP[:6]])), 'UNINFORMATIVE', 'p = 0.031, 6 seeds'),
  ([UP, UP, *REST], dict(control=effects([-UP, -UP])), 'SUPPORTED', ''),  # no positive effect
  ([UP, UP, *REST], dict(control=effects([NULL, NULL, UP, UP, UP])), 'SUPPORTED', ''),
  # the gates: seven seeds of eight must pass each
  ([UP, UP, *REST], dict(gates=failing('G0b', [3], 0.79)), 'SUPPORTED', ''),
  ([UP, UP, *REST], dict(gates=failing('G0b', [3, 5], 0.8)), 'SUPPORTED', ''),
  (
    [UP, UP, *REST], dict(gates=failing('G0b', [3, 5], 0.79)), 'UNINFORMATIVE',
    '(choices right of agents with documents only, >= 0.8) passed on 6 of 8 seeds, not on 3 (0.79)',
  ),
  ([UP, UP, *REST], dict(gates=failing('G3', [0, 1], 0.051)), 'UNINFORMATIVE', 'G3'),
  ([UP, UP, *REST], dict(gates=failing('G4', [0, 1], None)), 'UNINFORMATIVE', '1 (not measured)'),
  ([UP, UP, *REST], dict(gates=failing('G4', [0, 1], np.nan)), 'UNINFORMATIVE', 'gate G4'),
  ([UP, UP, *REST], dict(gates=GOOD | dict(G1={})), 'UNINFORMATIVE', '>= 0.0) was not measured'),
  ([NULL, NULL, *REST], dict(gates=failing('G2', [0, 1], 0.5)), 'UNINFORMATIVE', 'gate G2'),
  ([x[:7] for x in [UP] * 5], dict(gates=failing('G0', [0], 0.5)), 'UNINFORMATIVE', '6 of 7'),
]  # fmt: skip


@pytest.mark.parametrize('values, changed, word, says', TABLE)
def test_the_verdict(values, changed, word, says):
  found = judge(values, **changed)
  assert found.word == word
  assert says in found.sentence, found.sentence
  assert found.sentence.startswith(f'{word}: ') and '\n' not in found.sentence
  assert all(reason in found.sentence for reason in found.reasons)
  assert ('Holm over 5' in found.sentence) == ('Holm over 5' in says or 'a least p' in says)


def test_the_scale_that_was_declared_decides():
  by_rate = sealing.seal(Rules(scale='rate'))
  values = [(NULL + 0.1, UP / 10)] * 2 + REST
  assert judge(values, rules=by_rate).word == 'SUPPORTED' != judge(values).word
  assert 'rate +0.45 [0.245, 0.655]' in judge(values, rules=by_rate).sentence


def test_gates_of_other_seeds_do_not_count():
  on_others = {name: {s + 100: v for s, v in by_seed.items()} for name, by_seed in GOOD.items()}
  assert judge([UP, UP, *REST], gates=on_others).word == 'UNINFORMATIVE'
  with pytest.raises(UserError, match='no gate is called G9'):
    verdict.gates(dict(G9={}), RULES)


def test_judging_changes_nothing_and_repeats_itself():
  found, gates = effects([UP, NULL, *REST]), verdict.gates(GOOD, RULES)
  before = [dataclasses.asdict(one) for one in found]
  assert verdict.judge(found, gates, CONTROL, RULES) == verdict.judge(found, gates, CONTROL, RULES)
  assert before == [dataclasses.asdict(one) for one in found]
  assert verdict.judge(found[::-1], gates, CONTROL[::-1], RULES).word == 'PARTIAL'


def test_gates_that_are_passed_are_counted():
  gate = {gate.name: gate for gate in verdict.gates(failing('G0b', [3], 0.7), RULES)}['G0b']
  assert (gate.passed, gate.of, gate.ok, gate.seeds[3]) == (7, 8, True, 0.7)
  bare = {gate.name: gate for gate in verdict.gates(failing('G0b', [3], np.nan), RULES)}['G0b']
  assert bare.seeds[3] is None and bare.passed == 7


def simulated(studies, effect, seeds=8, shared=0.5, key=0):
  """[(verdict, contrasts)] of studies in which C1 and C2 are `effect` SDs, the others nothing.

  Contrasts share arms, so their noise is correlated; the rate is the margin, squeezed, and its own.
  """
  rng, gates = np.random.default_rng(key), GOOD
  gates = {name: dict.fromkeys(range(seeds), next(iter(v.values()))) for name, v in GOOD.items()}
  gates, found = verdict.gates(gates, RULES), []
  for _ in range(studies):
    noise_KS = np.sqrt(1 - shared) * rng.normal(size=(5, seeds))
    noise_KS += np.sqrt(shared) * rng.normal(size=seeds)
    margin_KS = noise_KS + np.array([effect, effect, 0, 0, 0])[:, None]
    rate_KS = np.tanh(margin_KS) / 2 + 0.05 * rng.normal(size=(5, seeds))
    measured = effects(list(zip(margin_KS, rate_KS)))
    control = effects(list(rng.normal(size=(2, seeds))))
    found.append((verdict.judge(measured, gates, control, RULES), measured))
  return found


STUDIES = 1000


@pytest.mark.parametrize('seeds, shared', [(8, 0.0), (12, 0.5)])
def test_where_nothing_is_true_one_study_of_twenty_claims_something_at_most(seeds, shared):
  studies = simulated(STUDIES, 0.0, seeds, shared)
  wrong = np.mean([min(one.p_holm for one in c) < RULES.alpha for _, c in studies])
  claimed = np.mean([any(one.holds for one in c) for _, c in studies])
  spoken = np.mean([v.word in ('SUPPORTED', 'PARTIAL') for v, _ in studies])
  bound = 0.05 + 2 * np.sqrt(0.05 * 0.95 / STUDIES)
  assert 0.005 < wrong <= bound
  assert spoken <= claimed <= wrong and claimed <= 0.025 + 2 * np.sqrt(0.025 * 0.975 / STUDIES)
  assert not any(v.word == 'SUPPORTED' for v, _ in studies) or shared


def test_power_rises_with_the_effect():
  """And the control, which may raise a false alarm, does so in one study of twenty."""
  words = [
    [v.word for v, _ in simulated(150, effect, 12, key=1)] for effect in (0.0, 0.7, 1.2, 2.5)
  ]
  power = [np.mean([word == 'SUPPORTED' for word in of]) for of in words]
  assert power[0] < 0.02 < 0.05 < power[1] < power[2] - 0.1 and power[2] < power[3] - 0.1
  assert power[3] > 0.88
  alarms = np.mean([word == 'UNINFORMATIVE' for of in words for word in of])
  assert alarms == pytest.approx(0.05, abs=0.025)
