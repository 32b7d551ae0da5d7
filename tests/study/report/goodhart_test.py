"""The section on Goodhart's law: every number of the store is on the page, every seed is drawn."""

import collections
import re

import numpy as np
import pytest

from jaxalign import main
from jaxalign.rl import overoptimisation as over
from jaxalign.study.judge import goodhart
from jaxalign.study.report import goodhart as section
from tests.study.judge.goodhart_test import points
from tests.study.report.finished import data, results
from tests.study.tiny import PATH

pytest.importorskip('matplotlib')


def up(d):
  return 2 * d


def turning(d):
  return d * (3 - d)


@pytest.fixture(scope='module')
def climbed():
  every = []
  for mode, lines in dict(size=('200 pairs', '2,000 pairs'), causal=('any', 'longer')).items():
    for line in lines:
      every += points(up, turning, mode=mode, line=line)
  return goodhart.summary(every + points(up, up, way=over.BON))


def test_every_point_and_climb_is_on_the_page(climbed):
  page = section.climbs(results(goodhart=climbed), None)
  rows = data(page, 'goodhart')
  assert [float(row['gold']) for row in rows] == [point.gold for point in climbed.points]
  for mode in ('size', 'causal'):
    climbs = [one for one in climbed.climbs if one.mode == mode]
    table = data(page, f'goodhart-{mode}')
    values = [one.lost for climb in climbs for one in climb.seeds.values()]
    assert [float(row['lost since']) for row in table] == values
    fits = data(page, f'goodhart-{mode}-fits')
    for row, fit in zip(fits, (x for one in climbs for x in one.fits.values()), strict=True):
      assert (float(row['a']), float(row['R²'])) == (fit.a, fit.r2)
      low, high = map(float, row['b, 95 %'].split(' to '))
      assert low - 1e-3 <= fit.b <= high + 1e-3 and row['what is said'] == fit.why
  assert len(re.findall('<svg', page)) == 3  # sizes by both ways up, causal by PPO
  assert 'Causal: length goes with quality' in page and '://' not in page
  assert section.climbs(results(goodhart=None), None) == ''


def test_every_seed_is_a_line_and_every_fit_is_drawn(climbed):
  curves, lines = goodhart.curves(climbed.points), []
  for one in (one for one in climbed.climbs if one.mode == 'causal'):
    by_seed = curves[one.mode, one.line, one.arm, one.way]
    gains = {seed: goodhart.gains(curve) for seed, curve in by_seed.items()}
    lines.append(section.Line(one.line, gains, one))
  made = section.figure(lines, over.RL, '', '')
  for ax in made.axes:
    there = [np.asarray(line.get_xdata()) for line in ax.lines]
    for gained in (gained for line in lines for gained in line.gains.values()):
      assert any(np.array_equal(x, gained[0]) for x in there)
    assert sum(len(x) == 50 for x in there) == len(lines)  # the fits
  colors = {(line.get_color(), line.get_linestyle()) for line in made.axes[0].lines}
  assert len(colors) == 3  # of two climbs, each with a dash of its own, and the line at zero


def test_no_two_lines_of_a_picture_look_alike():
  """In the largest study there is."""
  cfg = main.load(PATH.replace(':smoke', ':full'))
  pictures = collections.Counter((climb.mode, climb.steps[-1].recipe) for climb in cfg.climbs)
  assert max(pictures.values()) == 6 <= len(set(section.LOOK))
  assert len({color for color, *_ in section.LOOK}) == len(section.LOOK)
