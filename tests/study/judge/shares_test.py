"""Contrasts on V against sums written out by hand."""

import dataclasses

import numpy as np
import pytest

from jaxalign import sealing, statistics
from jaxalign.config import UserError
from jaxalign.study.judge import contrasts, shares
from jaxalign.study.plan.rules import Claim, Planned, Rules
from tests.study import made_up

S, N = 6, 12
T3 = (('T3A', 1), ('T3B', -1))
ARMS = ('why_A', 1), ('why_B', -1), ('what_A', -1), ('what_B', 1)
P1 = Planned(name='P1', what='why steers more than what', arms=ARMS, tests=T3, scale='share')
RULES = sealing.seal(
  Rules(contrasts=(P1,), deciding=(), claim=Claim(any_of=('P1',)), bars=(), draws=1000)
)


def noise(arm, test):
  shown = 5.0 if test == 'T0' else 0.0
  return shown + np.random.default_rng([*f'{arm} {test}'.encode()]).normal(size=(S, N))


def rows(margin=noise, tests=('T0', 'T3A', 'T3B')):
  return [
    made_up.row(x, seed=s, arm=arm, test=test, item=n, cluster=f'{n % 3}', prompt=f'{s} {n}')
    for arm, _ in ARMS
    for test in tests
    for s, x_N in enumerate(margin(arm, test))
    for n, x in enumerate(x_N)
  ]


def measured(margin=noise, rules=RULES):
  (one,) = contrasts.judged(contrasts.measured(rows(margin), rules), rules)
  return one


def by_hand(of_arm):
  return sum(weight * of_arm(arm) for arm, weight in ARMS)


def test_every_scale_is_the_sum_the_design_writes():
  def v(arm):
    a_S, b_S = (noise(arm, test).mean(1) for test in ('T3A', 'T3B'))
    return (a_S - b_S) / (np.abs(a_S) + np.abs(b_S))

  def nats(arm):
    return noise(arm, 'T3A').mean(1) - noise(arm, 'T3B').mean(1)

  def rate(arm):
    return (noise(arm, 'T3A') > 0).mean(1) - (noise(arm, 'T3B') > 0).mean(1)

  def relative(arm):
    return nats(arm) / (2 * noise(arm, 'T0').mean(1))

  one = measured()
  assert one.scale == 'share' and [*one.scales] == ['share', 'margin', 'rate', 'relative']
  for scale, of_arm in dict(share=v, margin=nats, rate=rate, relative=relative).items():
    assert one.scales[scale].differences == pytest.approx(tuple(by_hand(of_arm))), scale
  assert one.primary.tost == pytest.approx(statistics.tost(by_hand(v), 0.2))
  assert one.scales['relative'].tost is None
  assert tuple(one.seeds.values()) == one.primary.differences


def test_a_floor_leaves_a_whole_lean_and_takes_one_of_noise():
  rules = dataclasses.replace(RULES, share_floor=1.0)

  def v(arm):
    a_S, b_S = (noise(arm, test).mean(1) for test in ('T3A', 'T3B'))
    return (a_S - b_S) / (np.abs(a_S) + np.abs(b_S) + 1)

  one = measured(rules=rules)
  assert one.scales['share'].differences == pytest.approx(tuple(by_hand(v)))
  assert one.scales['share'].mean == pytest.approx(by_hand(v).mean())
  means = dict(T3A=np.array([0.01, 100.0]), T3B=np.array([-0.01, -100.0]))
  assert shares.share(means, T3) == pytest.approx([1, 1])
  assert shares.share(means, T3, 1.0) == pytest.approx([0.02 / 1.02, 200 / 201])


def test_v_is_of_directions_and_not_of_sizes():
  """Ten times the log-odds are ten times the nats, and the same V; with no margin it is 0."""
  louder = measured(lambda arm, test: noise(arm, test) * (10 if arm == 'why_A' else 1))
  plain = measured()
  assert louder.primary.differences == pytest.approx(plain.primary.differences)
  assert louder.scales['margin'].differences != pytest.approx(plain.scales['margin'].differences)
  means = dict(T3A=np.array([2.0, 2, 0, 0, -1]), T3B=np.array([0.0, 2, 0, -3, 1]))
  assert shares.share(means, T3).tolist() == [1, 0, 0, 1, -1]


def pushed(arm, test):
  """All scales up: told A goes to A, told B to B; what less so, and a little to both."""
  own, other = (3.0, -0.5) if arm.startswith('why') else (0.5, 0.3)
  if test == 'T0':
    return noise(arm, test)
  return 0.2 * noise(arm, test) + (own if arm[-1] == test[-1] else other)


def test_a_claim_needs_one_sign_on_all_four_scales():
  rules = dataclasses.replace(RULES, alpha=0.05)
  assert measured(pushed, rules).holds
  flat = measured(lambda a, t: np.abs(pushed(a, t)) + 0.01 if t != 'T0' else pushed(a, t), rules)
  assert flat.scales['rate'].mean == 0 and flat.primary.mean > 0 and not flat.holds

  def forgot(arm, test):
    return -pushed(arm, test) if (arm, test) == ('what_B', 'T0') else pushed(arm, test)

  lost = measured(forgot, rules)  # one arm never learnt what was shown: there is no relative
  assert 'relative' not in lost.scales and not lost.agree and not lost.holds


def test_its_interval_is_of_seeds_and_items():
  """The draws of items widen what a few seeds show, and a plain shape is the t interval's."""
  one = measured()
  low, high = one.primary.bootstrap.low, one.primary.bootstrap.high
  assert one.primary.bootstrap.mean == pytest.approx(one.primary.mean)
  assert low < one.primary.mean < high
  width = one.primary.high - one.primary.low
  assert high - low == pytest.approx(width, rel=0.25)
  tables = [contrasts.table(rows(), test, [a for a, _ in ARMS]) for test in ('T3A', 'T3B')]
  again = [shares.bootstrap(P1, tables, RULES) for _ in range(2)]
  assert again[0] == again[1] == one.primary.bootstrap
  few = [dataclasses.replace(t, seeds=t.seeds[:3], margin_ASN=t.margin_ASN[:, :3]) for t in tables]
  assert shares.bootstrap(P1, few, RULES)[1:] == (None, None)


def test_without_what_was_shown_it_is_not_measured():
  assert contrasts.measured(rows(tests=('T3A', 'T3B')), RULES) == []
  with pytest.raises(UserError, match='contrast P: a share is of two tests or more'):
    sealing.seal(Planned(name='P', what='', arms=ARMS, tests=(('T2', 1),), scale='share'))
