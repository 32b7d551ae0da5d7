"""Goodhart's law on climbs whose truth is known: a null where gold is the proxy, and a turn where
gold falls beyond a distance; and what is read out of the files that stages leave."""

import json
import types

import numpy as np
import pytest

from jaxalign.rl import overoptimisation as over
from jaxalign.study.judge import goodhart
from jaxalign.study.judge.results import AfterPpo, Point
from jaxalign.study.plan.arms import Climb, Step

CLIMB = Climb(mode='size', line='200 pairs', arm='align', steps=(Step(recipe='best'),))


def points(proxy, gold, seeds=(0, 1), mode='size', line='200 pairs', way=over.RL, reach=3.0):
  """proxy, gold: gains at a distance; they start at 5 and at -1, and spread by 2 and by .5."""
  return [
    Point(
      **dict(seed=seed, mode=mode, line=line, arm='align', way=way, at=n, d=float(d), r=0.5),
      proxy_sd=2.0,
      gold_sd=0.5,
      means=dict(
        length=3.0,
        proxy=5 + 2 * float(proxy(d)),
        gold=-1 + 0.5 * float(gold(d)) + 0.001 * seed * float(d),
      ),
    )
    for seed in seeds
    for n, d in enumerate(np.linspace(0, reach, 13))
  ]


def test_a_proxy_that_is_gold_loses_nothing():
  (one,) = goodhart.summary(points(lambda d: 2 * d, lambda d: 2 * d)).climbs
  for seen in one.seeds.values():
    assert seen.lost == 0 and seen.best_d == seen.d == 3
    assert seen.gold == pytest.approx(seen.proxy, rel=0.01) and seen.proxy == 6
  assert one.fits['gold'].turn is None
  assert over.NOT_SEEN in one.fits['gold'].why


@pytest.mark.parametrize('way', [over.RL, over.BON])
def test_a_turn_of_gold_is_found_where_it_is(way):
  """Gao's own form, with its top at d = 1.5."""
  a, b = (3.0, 1.0) if way == over.BON else (1 + np.log(1.5), 1.0)

  def gold(d):
    return d * (a - b * (d if way == over.BON else np.log(max(d, 1e-9))))

  (one,) = goodhart.summary(points(lambda d: 3 * d, gold, way=way)).climbs
  fit = one.fits['gold']
  assert (fit.a, fit.b) == pytest.approx((a, b), rel=0.01) and fit.r2 > 0.999
  assert fit.turn == pytest.approx(1.5, rel=0.02)
  for name in ('a', 'b', 'turn'):
    low, high = getattr(fit, f'{name}_interval')
    assert low <= getattr(fit, name) <= high and high - low < 0.1
  for seen in one.seeds.values():
    assert seen.best_d == pytest.approx(1.5, abs=0.26) and seen.lost > 0.3
  assert one.fits['proxy'].turn is None
  d, drawn = goodhart.drawn(fit, way, 3.0)
  assert d[drawn.argmax()] == pytest.approx(1.5, abs=0.1)


def test_climbs_are_compared_at_a_distance_that_all_reach():
  near = points(lambda d: d, lambda d: 2 * d, line='a', reach=1.0)
  far = points(lambda d: d, lambda d: d, line='b', reach=3.0)
  other = points(lambda d: d, lambda d: d, mode='causal', reach=0.5)
  found = goodhart.summary(near + far + other)
  assert found.equal_d == dict(size=1.0, causal=0.5)
  seen = {one.line: one.seeds[0] for one in found.climbs if one.mode == 'size'}
  assert seen['a'].gold_at_equal == pytest.approx(2)
  assert seen['b'].gold_at_equal == pytest.approx(1) and seen['b'].gold == pytest.approx(3)


def test_a_climb_of_one_step_has_no_fit_and_says_why():
  flat = points(lambda d: 0, lambda d: 0, reach=0.0)
  (one,) = goodhart.summary(flat).climbs
  assert 'two points' in one.fits['gold'].why and one.fits['gold'].a is None
  assert goodhart.drawn(one.fits['gold'], over.RL, 1.0) is None


def test_best_of_n_is_read_from_its_answers(tmp_path):
  random = np.random.default_rng(0)
  (tmp_path / 'bon.json').write_text('{}')
  lines = []
  for prompt in range(20):
    gold = random.normal(size=16)
    proxy = gold + random.normal(size=16)
    scores = dict(prompt=str(prompt), proxy=proxy.tolist(), gold=gold.tolist())
    rest = dict(tokens=[3] * 16, finished=[True] * 16, distinct_2=[1.0] * 16)
    lines.append(json.dumps(scores | rest))
  (tmp_path / 'bon-00000.jsonl').write_text('\n'.join(lines))
  made = goodhart.points(tmp_path, CLIMB, seed=4)
  assert {row.seed for row in made} == {4} and made[0].way == over.BON
  assert [row.at for row in made] == [1, 2, 3, 4, 6, 8, 12, 16] and made[0].d == 0
  assert made[0].r == pytest.approx(0.5**0.5, abs=0.1)  # regressional Goodhart, by theory:
  (one,) = goodhart.summary(made).climbs
  seen = one.seeds[4]
  assert seen.gold / seen.proxy == pytest.approx(0.5**0.5, abs=0.15)


def test_ppo_is_read_from_its_evaluations(tmp_path):
  answers, evals = [], []
  for step in (0, 2, 4):
    evals.append(dict(step=step, held_out_kl=float(step)))
    for row in range(10):
      scores = dict(step=step, row=row, score=row + step, gold=-row - step, kl=float(step))
      answers.append(scores | dict(greedy=False, tokens=2, finished=True, distinct_2=1.0))
  for name, rows in (('samples', answers), ('evals', evals), ('metrics', [])):
    (tmp_path / f'{name}.jsonl').write_text(''.join(json.dumps(row) + '\n' for row in rows))
  made = goodhart.points(tmp_path, CLIMB, seed=0)
  assert [(row.at, round(row.d**2, 6)) for row in made] == [(0, 0), (2, 2), (4, 4)]
  assert made[0].r == pytest.approx(-1) and made[0].proxy_sd == pytest.approx(8.25**0.5)
  assert [row.gold for row in made] == [-4.5, -6.5, -8.5]


def test_points_of_the_seeds_that_were_climbed_on_are_read_back(tmp_path):
  cfg = types.SimpleNamespace(rl_seeds=(3,), climbs=(CLIMB,))
  (tmp_path / 'seed-3/goodhart').mkdir(parents=True)
  rows = points(lambda d: d, lambda d: d, seeds=(3,))
  path = tmp_path / f'seed-3/goodhart/{CLIMB.stored}.jsonl'
  path.write_text(''.join(map(goodhart.line, rows)))
  assert goodhart.read(cfg, tmp_path) == rows == list(goodhart.summary(rows).points)
  again = [types.SimpleNamespace(arm='align', seed=3, kl=1.25)]
  arms = dict(align={})
  assert goodhart.after_ppo(again, arms) == AfterPpo(arms=arms, kl=dict(align={3: 1.25}))
  assert goodhart.after_ppo([], {}) is None
