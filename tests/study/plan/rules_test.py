"""Families and claims as data: what they mean, what cannot be meant, and that old plans are as they
were."""

import dataclasses

import pytest

from jaxalign import main, sealing
from jaxalign.config import UserError
from jaxalign.study.plan.rules import PRIMARIES, Claim, Interaction, Rules
from tests.study import tiny
from tests.study.judge.made_claims import RULES


def test_a_plan_of_before_is_sealed_as_before():
  """No new name stands in plan.json or results.json where no new thing is used."""
  tree = sealing.tree(sealing.seal(Rules()))
  assert [*tree] == [
    'class', 'scale', 'level', 'alpha', 'sesoi', 'sesoi_margin', 'least_seeds', 'null_seeds',
    'needed_share', 'draws', 'contrasts', 'deciding', 'bars', 'control',
  ]  # fmt: skip
  assert [*tree['contrasts'][0]] == ['class', 'name', 'what', 'arms', 'tests', 'unequal']
  assert 'controls' not in sealing.tree(sealing.seal(main.load(tiny.PATH)))
  told = sealing.tree(RULES)
  assert {'family', 'secondary', 'claim'} < told.keys() and told['contrasts'][0]['scale'] == 'share'


def test_by_default_holm_is_over_all():
  names = tuple(one.name for one in PRIMARIES)
  rules = sealing.seal(Rules())
  assert rules.families == (names,) and rules.decisive == ('C1', 'C2')
  assert rules.compared == PRIMARIES
  assert [rules.scale_of(one) for one in PRIMARIES] == ['margin'] * 5


def test_what_is_not_secondary_is_what_gates_look_at():
  assert RULES.families == (('P1', 'P2', 'P3'), ('S1', 'S2'))
  assert [one.name for one in RULES.compared] == ['P1', 'P2', 'P3']
  assert RULES.decisive == ('P1', 'P2') and RULES.family_of('S2') == ('S1', 'S2')
  assert RULES.sesoi_of('share') == 0.2 and RULES.sesoi_of('relative') is None
  open_ = dataclasses.replace(RULES, family=())
  assert sealing.seal(open_).families == RULES.families


@pytest.mark.parametrize(
  'changes, says',
  [
    (dict(family=('P1', 'P9', 'P2', 'P3')), 'rules.family names P9: the contrasts are P1'),
    (dict(secondary=('S1',)), 'S2 is in no family'),
    (dict(family=('P1', 'P2', 'P3', 'S1')), 'S1 is in two families'),
    (dict(claim=Claim(any_of=('P1', 'S1'))), 'S1 is not in the family that Holm runs over'),
    (dict(claim=Claim(any_of=('P7',))), 'rules.claim.any_of names P7'),
    (dict(claim=Claim(all_of=('P1',))), 'P1 is in two families'),
    (dict(claim=Claim()), 'it names contrasts, and then deciding is'),
    (dict(deciding=('P1',)), 'it names contrasts, and then deciding is'),
    (
      dict(claim=Claim(any_of=('P1',), interactions=(Interaction(contrast='P8', control='rho'),))),
      'rules.claim.interactions names P8',
    ),
  ],
)
def test_rules_that_cannot_be_meant(changes, says):
  with pytest.raises(UserError, match=says) as error:
    sealing.seal(dataclasses.replace(RULES, **changes))
  assert '\n' not in str(error.value)
