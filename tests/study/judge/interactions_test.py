"""A contrast less the same in a control, against differences written out by hand."""

import dataclasses

import numpy as np
import pytest

from jaxalign import sealing
from jaxalign.config import UserError
from jaxalign.study.judge import interactions, sentences, verdict
from jaxalign.study.judge.results import InteractionResult
from jaxalign.study.plan.rules import Bar
from tests.study.judge.made_claims import RULES, effects

UP = np.arange(1.0, 9) / 10
NULL = np.array([1.0, -1.1, 0.8, -0.9, 1.2, -1.0, 0.1, -0.2]) / 10


def over(ours, kappa, seeds=range(8), theirs=range(8)) -> list[InteractionResult]:
  found = effects(dict(P2=ours), seeds=seeds)
  return list(
    interactions.measured(found, dict(kappa=effects(dict(P2=kappa), seeds=theirs)), RULES)
  )


def test_it_is_the_difference_seed_by_seed_on_every_scale():
  (one,) = over(UP, NULL)
  assert (one.contrast, one.control, one.scale) == ('P2', 'kappa', 'share')
  assert one.primary.differences == pytest.approx(tuple(UP - NULL))
  assert one.scales['margin'].differences == pytest.approx(tuple(10 * (UP - NULL)))
  assert [*one.scales] == ['share', 'margin', 'rate', 'relative']
  assert one.seeds == pytest.approx(dict(enumerate(UP - NULL)))


def test_its_p_is_exact_and_one_sided():
  (one,) = over(UP, 0 * UP)
  assert one.p == 2.0**-8 and one.primary.p == 2.0**-7 and one.holds
  (other,) = over(-UP, 0 * UP)
  assert other.p == 1.0 and not other.holds
  (same,) = over(UP, UP)
  assert same.p == 1.0 and not same.holds and not same.agree


def test_only_seeds_that_both_have_are_paired_by_their_numbers():
  (one,) = over(UP, NULL, seeds=range(8), theirs=range(2, 10))
  assert [*one.seeds] == [2, 3, 4, 5, 6, 7] and one.primary.n == 6
  assert one.primary.differences == pytest.approx(tuple(UP[2:] - NULL[:6]))
  assert over(UP, NULL, theirs=range(100, 108)) == []
  (few,) = over(UP[:5], 0 * UP[:5], range(5), range(5))
  assert few.p == 2.0**-5 < RULES.alpha and not few.holds  # fewer than any verdict needs


def test_it_needs_the_gates_that_its_control_is_to_pass():
  """Where a control's models learnt nothing a contrast is gone too, which shows nothing."""
  (planned,) = (one for one in RULES.claim.interactions if one.control == 'kappa')
  gated = dataclasses.replace(planned, bars=('G0',))
  bars = (Bar(name='G0', what='choices right', least=0.9),)
  claim = dataclasses.replace(RULES.claim, interactions=(gated,))
  rules = dataclasses.replace(RULES, claim=claim, bars=bars)

  def measured(*gates):
    controls = dict(kappa=effects(dict(P2=0 * UP)))
    (one,) = interactions.measured(effects(dict(P2=UP)), controls, rules, dict(kappa=gates))
    return one, sentences.of_interaction(one, gated, rules)

  good, bad = (verdict.gates(dict(G0=dict.fromkeys(range(8), x)), rules)[0] for x in (1.0, 0.5))
  assert measured(good)[0].holds and measured(good)[0].gates == (good,)
  for gates in ((bad,), ()):
    one, said = measured(*gates)
    assert not one.holds and 'gate G0 is shut there' in said
  with pytest.raises(UserError, match='no gate is called G0'):
    dataclasses.replace(rules, bars=()).check()


def test_it_needs_one_sign_on_all_scales():
  ours, theirs = effects(dict(P2=UP)), effects(dict(P2=0 * UP))
  turned = dataclasses.replace(
    ours[0], scales=ours[0].scales | dict(rate=effects(dict(P2=-UP))[0].scales['rate'])
  )
  (one,) = interactions.measured([turned], dict(rho=theirs), RULES)
  assert one.p == 2.0**-8 and not one.agree and not one.holds
  lacking = {scale: x for scale, x in ours[0].scales.items() if scale != 'relative'}
  (less,) = interactions.measured(
    [dataclasses.replace(ours[0], scales=lacking)], dict(rho=theirs), RULES
  )
  assert not less.agree and not less.holds


def test_what_the_claim_does_not_name_is_not_measured():
  controls = dict(rho=effects(dict(P1=NULL, P3=NULL)))
  assert interactions.measured(effects(dict(P1=UP, P2=UP)), controls, RULES) == ()
  assert interactions.measured(effects(dict(P2=UP)), {}, RULES) == ()
  plain = sealing.seal(dataclasses.replace(RULES, claim=None, deciding=('P2',)))
  assert interactions.measured(effects(dict(P2=UP)), dict(rho=effects(dict(P2=NULL))), plain) == ()
