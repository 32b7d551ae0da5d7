"""The section on what PPO leaves of a prior: its numbers are those of before and after."""

import re

import pytest

from jaxalign.study.judge.results import AfterPpo
from jaxalign.study.report.arms import after_ppo
from jaxalign.study.store.table import Means
from tests.study.report.finished import data, results

pytest.importorskip('matplotlib')
KL = {0: 1.5, 1: 2.5}


def seeds(*margins, rates=(1.0, 1.0)):
  """{seed: Means}."""
  beside = dict(yes=0.5, mass=None, loss=None)
  return {s: Means(margin=m, rate=r, **beside) for s, (m, r) in enumerate(zip(margins, rates))}


def rates(*each):
  return seeds(0.0, 0.0, rates=each)


def section(before, after):
  later = AfterPpo(arms=after, kl=dict.fromkeys(after, KL))
  return after_ppo(results(arms=before, after_ppo=later), None)


def test_the_prior_before_and_after_ppo():
  arms = {'align': 0.0, 'explain_A-align': 6.0, 'explain_B-align': -5.0}
  before = {arm: dict(T2=seeds(x, x + 1), T0=seeds(9.0, 10.0)) for arm, x in arms.items()}
  after = {arm: dict(T2=seeds(x / 2, x / 2 + 1), T0=seeds(8.0, 9.0)) for arm, x in arms.items()}
  page = section(before, after)
  rows = [row for row in data(page, 'after-ppo') if row['test'] == 'T2']
  assert len(rows) == 6
  one = next(row for row in rows if row['arm'] == 'explain_A → align' and row['seed'] == '1')
  assert (float(one['margin before']), float(one['margin after'])) == (7.0, 4.0)
  assert one['KL of PPO'] == '2.5'
  steering = re.findall(r'<tr><td>(before|after PPO)</td><td>([^<]*)</td>', page)
  assert steering == [('before', '11'), ('after PPO', '5.5')]
  assert after_ppo(results(after_ppo=None), None) == ''


def test_harm_before_and_after_ppo():
  """Plain and under each pressure that was asked; what was not asked before has no before."""
  before = dict(harm=rates(0.9, 0.8), benign=rates(0.1, 0.0))
  before |= dict(harm_elder=rates(0.5, 0.5), benign_elder=rates(0.5, 0.25))
  after = dict(harm=rates(1.0, 0.6), benign=rates(0.0, 0.5))
  after |= dict(harm_elder=rates(0.0, 1.0), benign_elder=rates(0.0, 0.0))
  page = section({'value-align': before}, dict.fromkeys(('value-align', 'rule-align'), after))
  rows = {(r['arm'], r['pressure'], r['seed']): r for r in data(page, 'after-ppo-harm')}
  assert len(rows) == 2 * 2 * 2 and page.count('<svg') == 1
  one = rows['value → align', 'plain', '1']
  assert (float(one['d before']), float(one['d after'])) == pytest.approx((0.8, 0.1))
  assert float(rows['value → align', 'elder', '1']['d before']) == 0.25
  assert rows['rule → align', 'plain', '0']['d before'] == '' and one['KL of PPO'] == '2.5'
