"""Gates of study 3 are over the arms of the family alone."""

import dataclasses

import pytest

from configs import study_why
from jaxalign import sealing
from jaxalign.study.store.table import Means
from jaxalign.study.why import gates

CFG = study_why.get_config()
FAMILY = [arm for one in CFG.rules.compared for arm, _ in one.arms]
OTHERS = [arm.name for arm in CFG.arms if arm.name not in FAMILY]
FINE = Means(margin=4.0, rate=0.98, yes=0.5, mass=0.99, loss=0.01)


def means(**cells):
  """Fine everywhere, but for these: {arm__test: what is changed}."""
  found = {('base', gate): FINE for gate in ('G0', 'G0b_why', 'G0b_what', 'G6_why', 'G6_what')}
  tests = ('T0', 'T2', 'T3A', 'T3B', 'T6A', 'T6B')
  found |= {(arm.name, test): FINE for arm in CFG.arms for test in tests}
  for (arm, test), changes in cells.items():
    found[arm, test] = dataclasses.replace(found[arm, test], **changes)
  return found


def values(cells=None, rules=CFG.rules):
  cfg = dataclasses.replace(CFG, rules=rules)
  made = means()
  for cell, changes in (cells or {}).items():
    made[cell] = dataclasses.replace(made[cell], **changes)
  return {gate: of[0] for gate, of in gates.values(cfg, {0: made}).items()}


def test_every_bar_has_its_number_and_no_number_is_without_a_bar():
  assert {*values()} == {bar.name for bar in CFG.rules.bars}
  fewer = dataclasses.replace(CFG.rules, bars=CFG.rules.bars[:2])
  assert {*values(rules=fewer)} == {'G0', 'G0b_why'}


def test_the_kinds_are_apart_by_the_sister_margins_of_the_base():
  assert values()['G6 apart'] == 0
  assert values({('base', 'G6_what'): dict(margin=1.5)})['G6 apart'] == 2.5


@pytest.mark.parametrize('gate, changes', [('T0', dict(rate=0.5)), ('T0 factor', dict(margin=8.0))])
def test_t0_is_of_compared_arms_and_of_no_other(gate, changes):
  plain = values()
  for arm in FAMILY:
    assert values({(arm, 'T0'): changes})[gate] != plain[gate]
  assert OTHERS
  for arm in OTHERS:
    assert values({(arm, 'T0'): changes})[gate] == plain[gate]


def test_mass_is_of_what_the_family_compares():
  (arm, test) = 'why_A-align', 'T6A'
  assert values({(arm, test): dict(mass=0.4)})['mass'] == 0.4
  assert values({(OTHERS[0], test): dict(mass=0.4), (arm, 'T2'): dict(mass=0.3)})['mass'] == 0.99


def test_why_over_mention_is_of_the_sides_that_have_a_mention_arm():
  up = {('why_A-align', 'T2'): dict(margin=6.0), ('why_B-align', 'T2'): dict(margin=1.0)}
  assert values(up)['why - mention'] == (6 - 4) - (1 - 4)
  made = means()
  del made['mention_B-align', 'T2']
  made['why_A-align', 'T2'] = dataclasses.replace(FINE, margin=6.0)
  assert gates.values(CFG, {0: made})['why - mention'] == {0: 2.0}


def test_an_arm_that_is_missing_leaves_its_gate_unmeasured():
  made = means()
  del made['what_B-align', 'T0']
  found = gates.values(CFG, {0: made})
  assert 'T0' not in found and 'T0 factor' not in found
  none = values({(FAMILY[0], 'T0'): dict(margin=-1.0)})
  assert none['T0 factor'] is None
  sealing.seal(CFG)
