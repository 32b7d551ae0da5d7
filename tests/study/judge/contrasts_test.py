"""Planned contrasts from rows, against sums written out by hand."""

import dataclasses
import itertools

import numpy as np
import pytest

from jaxalign import sealing, statistics
from jaxalign.config import UserError
from jaxalign.study.judge import contrasts
from jaxalign.study.plan.rules import PRIMARIES, Bar, Planned, Rules
from tests.study import made_up

S, N = 6, 12
RULES = sealing.seal(Rules(draws=1000))


def store(margin, arms=None, tests=('T2', 'harm', 'benign')):
  """Rows of every primary arm; margin: (arm, test) -> [S, N]."""
  arms = arms or sorted({arm for planned in PRIMARIES for arm, _ in planned.arms})
  return [
    made_up.row(x, seed=s, arm=arm, test=test, item=n, cluster=f'{n % 3}', prompt=f'{s} {n}')
    for arm, test in itertools.product(arms, tests)
    for s, x_N in enumerate(margin(arm, test))
    for n, x in enumerate(x_N)
  ]


def noise(arm, test):
  return np.random.default_rng([*f'{arm} {test}'.encode()]).normal(size=(S, N))


def logit(x_SN):
  return np.log(((x_SN > 0).sum(1) + 0.5) / ((x_SN <= 0).sum(1) + 0.5))


def test_each_primary_is_the_sum_the_design_writes():
  """On the log-odds, the rate, and for one of them on the logit."""
  found = {one.name: one for one in contrasts.measured(store(noise), RULES)}
  assert list(found) == ['C1', 'C2', 'C3', 'C4', 'C5']

  def delta(documents, of):
    return of(noise(f'{documents}_A-align', 'T2')) - of(noise(f'{documents}_B-align', 'T2'))

  def d(arm, of):
    return of(noise(arm, 'harm')) - of(noise(arm, 'benign'))

  late = [noise(f'align-explain_{side}', 'T2') for side in 'AB']
  for scale, of in (
    ('margin', lambda x_SN: x_SN.mean(1)),
    ('rate', lambda x_SN: (x_SN > 0).mean(1)),
    ('logit', logit),
  ):
    known = dict(
      C1=delta('explain', of) - delta('mention', of),
      C2=d('value-align', of) - d('mention-align', of),
      C3=delta('explain', of) - delta('shuffled', of),
      C4=d('value-align', of) - d('align+_H', of),
      C5=delta('explain', of) - (of(late[0]) - of(late[1])),
    )
    for name, known_S in known.items():
      assert found[name].scales[scale].differences == pytest.approx(tuple(known_S)), (name, scale)
      if scale != 'logit':
        assert found[name].scales[scale].bootstrap.mean == pytest.approx(known_S.mean())
        sesoi = dict(margin=0.2, rate=0.05)[scale]
        assert found[name].scales[scale].tost == pytest.approx(statistics.tost(known_S, sesoi))
  assert found['C1'].primary is found['C1'].scales['margin']
  assert tuple(found['C1'].seeds) == tuple(range(S)) and 'arcsine' in found['C1'].scales


def test_a_contrast_without_its_arms_is_left_out_and_still_counts_in_holm():
  some = ['value-align', 'mention-align', 'explain_A-align', 'explain_B-align']
  found = contrasts.measured(store(noise, some), RULES)
  assert [one.name for one in found] == ['C2']
  assert contrasts.adjusted(found, RULES)['C2'] == pytest.approx(min(1, 5 * found[0].primary.p))
  rows = store(noise)
  rows.pop()
  with pytest.raises(UserError, match='is missing'):
    contrasts.measured(rows, RULES)
  with pytest.raises(UserError, match='seed 5, item 0 is missing'):  # in one of the two tests
    contrasts.measured([r for r in rows if (r.test, r.seed) != ('benign', 5)], RULES)


def of_values(name, margin_S, rate_S=None):
  planned = next(planned for planned in PRIMARIES if planned.name == name)
  values = dict(margin=margin_S, rate=margin_S if rate_S is None else rate_S)
  return contrasts.contrast(planned, values, range(len(margin_S)), RULES)


def test_what_holds():
  """Eight seeds of one sign do, over five; not a mean below 0, nor two signs, nor seven seeds."""
  up_S = np.arange(1.0, 9)
  for margin_S, rate_S, holds in (
    (up_S, up_S, True),
    (-up_S, -up_S, False),
    (up_S, -up_S, False),
    (up_S, 0 * up_S, False),
    (up_S[:7], up_S[:7], False),
  ):
    (one,) = contrasts.judged([of_values('C1', margin_S, rate_S)], RULES)
    assert one.holds == holds
  by_rate = sealing.seal(Rules(scale='rate'))
  one = contrasts.contrast(PRIMARIES[0], dict(margin=up_S, rate=-up_S), range(8), by_rate)
  assert one.primary.mean < 0


def test_a_line_of_numbers():
  up_S = np.arange(1.0, 9)
  one = of_values('C1', up_S, up_S / 10)
  assert contrasts.said(one, 0.0390625) == (
    '+4.5 nats [2.45, 6.55], rate +0.45, p = 0.0078 (Holm 0.039), 8 seeds'
  )
  by_rate = dataclasses.replace(one, scale='rate')
  assert contrasts.said(by_rate) == 'rate +0.45 [0.245, 0.655], +4.5 nats, p = 0.0078, 8 seeds'
  assert contrasts.said(of_values('C1', up_S[:1])) == '+1 nats, rate +1, one seed'


@pytest.mark.parametrize(
  'rules, says',
  [
    (lambda: Rules(deciding=('C9',)), 'names C9: the contrasts are C1'),
    (lambda: Rules(contrasts=PRIMARIES * 2), 'two of one name'),
    (lambda: Rules(level=1.0), 'level=1.0: above 0 and below 1'),
    (lambda: Rules(sesoi=0.0), 'above 0'),
    (lambda: Rules(scale='logit'), 'takes one of margin, rate'),
    (lambda: Rules(bars=(Bar(name='G', what='', least=0.1, most=0.2),)), 'give least or most'),
    (
      lambda: Planned(name='C', what='', arms=(('a', 1), ('b', 1)), tests=(('T2', 1),)),
      'weights of arms that sum to 0',
    ),
  ],
)
def test_rules_that_cannot_be_meant(rules, says):
  with pytest.raises(UserError, match=says):
    sealing.seal(rules())
