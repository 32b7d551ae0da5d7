"""The sections on RL: every number of the store is on the page, every seed is drawn."""

import collections
import re

import numpy as np
import pytest

from jaxalign import main
from jaxalign.rl import overoptimisation as over
from jaxalign.study.judge import goodhart
from jaxalign.study.report import lessons, report_after, report_goodhart
from jaxalign.study.world.page import CONTENTS
from tests.study.judge.goodhart_test import points
from tests.study.report.report_test import data
from tests.study.tiny import PATH

pytest.importorskip('matplotlib')
NOTHING = lessons.Beside(contents=CONTENTS, plan={}, about={}, sums={}, curves={})
UP, TURN = (lambda d: 2 * d), (lambda d: d * (3 - d))


def found():
  every = []
  for mode, lines in dict(size=('200 pairs', '2,000 pairs'), causal=('any', 'longer')).items():
    for line in lines:
      every += points(UP, TURN, mode=mode, line=line)
  every += points(UP, UP, way=over.BON)
  margin = lambda x: dict(margin=x, rate=float(x > 0))
  seeds = lambda x: {str(s): margin(x + s) for s in (0, 1)}
  arms = dict(align=0.0, **{'explain_A-align': 6.0, 'explain_B-align': -5.0})
  return dict(
    goodhart=goodhart.summary(every), seeds=[0, 1, 2],
    arms={arm: dict(T2=seeds(x), T0=seeds(9.0)) for arm, x in arms.items()},
    after_ppo=dict(
      arms={arm: dict(T2=seeds(x / 2), T0=seeds(8.0)) for arm, x in arms.items()},
      kl={arm: {'0': 1.5, '1': 2.5} for arm in arms},
    ),
  )  # fmt: skip


def test_every_point_and_climb_is_on_the_page():
  seen = found()
  page = report_goodhart.climbs(seen, NOTHING)
  rows = data(page, 'goodhart')
  assert len(rows) == len(seen['goodhart']['points'])
  assert [float(row['gold']) for row in rows] == [p['gold'] for p in seen['goodhart']['points']]
  for mode in ('size', 'causal'):
    climbs = [one for one in seen['goodhart']['climbs'] if one['mode'] == mode]
    table = data(page, f'goodhart-{mode}')
    assert len(table) == 2 * len(climbs)
    values = [one['lost'] for climb in climbs for one in climb['seeds'].values()]
    assert [float(row['lost since']) for row in table] == values
    fits = data(page, f'goodhart-{mode}-fits')
    assert len(fits) == 2 * len(climbs)
    for row, fit in zip(fits, (fit for one in climbs for fit in one['fits'].values())):
      assert (float(row['a']), float(row['R²'])) == (fit['a'], fit['r2'])
      low, high = map(float, row['b, 95 %'].split(' to '))
      assert (
        low <= fit['b'] + 1e-3 and fit['b'] - 1e-3 <= high and row['what is said'] == fit['why']
      )
  assert len(re.findall('<svg', page)) == 3  # sizes by both ways up, causal by PPO
  assert 'Causal: length goes with quality' in page and '://' not in page


def test_every_seed_is_a_line_and_every_fit_is_drawn():
  seen = found()['goodhart']
  climbs = [one for one in seen['climbs'] if one['mode'] == 'causal']
  curves = goodhart.curves(seen['points'])
  lines = [
    (one['line'], {s: goodhart.gains(p) for s, p in
                   curves[tuple(one[x] for x in goodhart.NAMES)].items()}, one)
    for one in climbs
  ]  # fmt: skip
  made = report_goodhart.figure(lines, over.RL)
  for ax, side in zip(made.axes, (1, 2)):
    there = [np.asarray(line.get_xdata()) for line in ax.lines]
    for _, by_seed, _ in lines:
      for gained in by_seed.values():
        assert any(np.array_equal(x, gained[0]) for x in there), side
    assert sum(len(x) == 50 for x in there) == len(lines)  # the fits
  colors = {(line.get_color(), line.get_linestyle()) for line in made.axes[0].lines}
  assert len(colors) == 3  # of two climbs, each with a dash of its own, and the line at zero


def test_no_two_lines_of_a_picture_look_alike():
  """In the largest study there is."""
  cfg = main.load(PATH.replace(':smoke', ':full'))
  pictures = collections.Counter((climb.mode, climb.steps[-1].recipe) for climb in cfg.climbs)
  assert max(pictures.values()) == 6 <= len(set(report_goodhart.LOOK))
  assert len({color for color, *_ in report_goodhart.LOOK}) == len(report_goodhart.LOOK)


def test_the_prior_before_and_after_ppo():
  page = report_after.after_ppo(found(), NOTHING)
  rows = [row for row in data(page, 'after-ppo') if row['test'] == 'T2']
  assert len(rows) == 6
  one = next(row for row in rows if row['arm'] == 'explain_A → align' and row['seed'] == '1')
  assert (float(one['margin before']), float(one['margin after'])) == (7.0, 4.0)
  assert one['KL of PPO'] == '2.5'
  steering = re.findall(r'<tr><td>(before|after PPO)</td><td>([^<]*)</td>', page)
  assert steering == [('before', '11'), ('after PPO', '5.5')]


def test_harm_before_and_after_ppo():
  """Plain and under each pressure that was asked; what was not asked before has no before."""
  rates = lambda *each: {str(s): dict(rate=x, margin=0.0) for s, x in enumerate(each)}
  before = dict(harm=rates(0.9, 0.8), benign=rates(0.1, 0.0), harm_elder=rates(0.5, 0.5),
                benign_elder=rates(0.5, 0.25))  # fmt: skip
  after = dict(harm=rates(1.0, 0.6), benign=rates(0.0, 0.5), harm_elder=rates(0.0, 1.0),
               benign_elder=rates(0.0, 0.0))  # fmt: skip
  kl = {'0': 1.5, '1': 2.5}
  later = dict(
    arms={'value-align': after, 'rule-align': after},
    kl=dict.fromkeys(('value-align', 'rule-align'), kl),
  )
  page = report_after.after_ppo(dict(arms={'value-align': before}, after_ppo=later), NOTHING)
  rows = {(r['arm'], r['pressure'], r['seed']): r for r in data(page, 'after-ppo-harm')}
  assert len(rows) == 2 * 2 * 2 and page.count('<svg') == 1
  one = rows['value → align', 'plain', '1']
  assert (float(one['d before']), float(one['d after'])) == pytest.approx((0.8, 0.1))
  assert float(rows['value → align', 'elder', '1']['d before']) == 0.25
  assert rows['rule → align', 'plain', '0']['d before'] == '' and one['KL of PPO'] == '2.5'


def test_without_rl_there_are_no_such_sections():
  for empty in ({}, dict(goodhart=None, after_ppo=None)):
    assert report_goodhart.climbs(empty, NOTHING) == ''
    assert report_after.after_ppo(dict(arms={}) | empty, NOTHING) == ''
