"""Contrasts over training seeds and draws of documents: which interval decides, and what it is."""

import itertools
import json

import numpy as np
import pytest
from scipy import stats

from jaxalign import statistics
from jaxalign.config import UserError
from jaxalign.study.judge import contrasts, factors, results_file, sentences
from jaxalign.study.judge.results import Contrast
from jaxalign.study.two_specs import rules

RULES = rules.rules(draws=1000)
CROSSED = dict(enumerate(itertools.product(range(4), range(3))))


def contrast(values, pairs):
  scales = {name: np.array(values) for name in ('share', 'margin', 'rate', 'relative')}
  one = contrasts.contrast(RULES.planned('P1'), scales, range(len(values)), RULES)
  return one, factors.over_both([one], pairs, RULES)[0]


def of_draws(*offsets, noise=0.01):
  """Values in which draws differ, and training seeds hardly."""
  return [offsets[draw] + noise * training for training, draw in CROSSED.values()]


def width(found):
  return found.high - found.low


def test_a_spread_of_draws_decides_though_training_seeds_agree():
  """Three draws of 4 training seeds each: over seeds alone they would be 12 observations."""
  alone, both = contrast(of_draws(0.1, 0.4, 0.7), CROSSED)
  seen = both.primary
  assert (both.factors.training, both.factors.draws, both.factors.crossed) == (4, 3, True)
  assert seen.mean == alone.primary.mean and seen.differences == alone.primary.differences
  assert width(seen) > 2 * width(alone.primary)  # t of 2 degrees of freedom
  assert alone.primary.p < 0.01 and seen.p > 0.05
  assert both.factors.p_over_seeds == alone.primary.p
  judged = [contrasts.judged([one], RULES)[0] for one in (alone, both)]
  assert [one.holds for one in judged] == [True, False]
  assert seen.floor > alone.primary.floor and 'both drawn anew' in both.factors.how


def test_by_hand_of_two_variances():
  """Of the mean: of training seeds over 4 and of draws over 3, as both drawn anew add them."""
  values = np.array(of_draws(0.1, 0.4, 0.7, noise=0.1))
  _, both = contrast(list(values), CROSSED)
  table_SD = values.reshape(4, 3)
  by_seed, by_draw = table_SD.mean(1).var(ddof=1) / 4, table_SD.mean(0).var(ddof=1) / 3
  free, error = 2, np.sqrt(by_seed + by_draw)
  assert both.primary.p == pytest.approx(2 * stats.t.sf(values.mean() / error, free))
  assert both.factors.half == pytest.approx(stats.t.ppf(0.95, free) * error)
  upper = stats.t.sf((0.2 - values.mean()) / error, free)
  assert both.primary.tost == pytest.approx(upper)


def test_where_each_seed_has_a_draw_of_its_own_the_exact_test_decides():
  alone, both = contrast([0.2, 0.4, 0.1, 0.3, 0.5, 0.2], {n: (n, n) for n in range(6)})
  assert both.scales == alone.scales and both.primary.p == 2 / 64
  assert not both.factors.crossed and 'of its own' in both.factors.how


@pytest.mark.parametrize(
  'pairs, how',
  [(((0, 0), (0, 1)), 'one training seed'), (((0, 0), (1, 0)), 'other documents')],
)
def test_one_of_a_factor_says_nothing_of_others(pairs, how):
  _, both = contrast([0.2, 0.4], dict(enumerate(pairs)))
  assert how in both.factors.how


@pytest.mark.parametrize('pairs', [((0, 0), (0, 1), (1, 0)), ((0, 0), (0, 0)), ((0, 0),) * 4])
def test_what_is_crossed_in_part_is_one_line(pairs):
  with pytest.raises(UserError, match='cross them in part: take each with each'):
    factors.shape(pairs)


def test_seeds_that_are_all_alike_keep_their_signs():
  alone, both = contrast([0.5] * 12, CROSSED)
  assert both.scales == alone.scales and both.factors.half is None


def test_other_studies_know_nothing_of_it():
  """Their results.json has no word more."""
  alone, same = contrast([0.2, 0.4], {})
  assert same is alone
  assert 'factors' not in json.dumps(results_file.as_json(alone))


def test_it_is_written_and_read_again():
  _, both = contrast(of_draws(0.1, 0.4, 0.7), CROSSED)
  text = json.dumps(results_file.as_json(both))
  assert results_file.made(Contrast, json.loads(text)) == both
  assert json.loads(text)['low'] == both.primary.low


def test_a_null_says_how_far_off_both_factors_leave_it():
  found = contrast(of_draws(-0.3, 0.0, 0.4), CROSSED)
  said = [sentences.of(contrasts.judged([one], RULES)[0], RULES) for one in found]
  far = [float(one.split('none within ')[1].split(' ')[0]) for one in said]
  assert far[1] > 1.5 * far[0]


def test_coverage_where_nothing_is():
  """Draws differ by twice as much as training seeds: over seeds alone one such study in five would
  find something, over both factors at most one in twenty."""
  random, found, studies = np.random.default_rng(0), np.zeros(2), 200
  for _ in range(studies):
    of_S, of_D = random.normal(size=4), 2 * random.normal(size=3)
    table_SD = of_S[:, None] + of_D + 0.3 * random.normal(size=(4, 3))
    spread = factors.spread_of(table_SD)
    found += statistics.sign_flip(table_SD.ravel()) < 0.05, spread.p(table_SD.mean()) < 0.05
  assert found[0] / studies > 0.2
  assert found[1] / studies <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / studies)
