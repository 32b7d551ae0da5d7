"""Rates corrected by a person's labels: held against planted error rates."""

import numpy as np
import pytest

from jaxalign.config import UserError
from jaxalign.evals.judges.calibration import (
  Stratum,
  corrected,
  prediction_powered,
  rogan_gladen,
)


def strata_of(rng, rate, sensitivity, specificity, answers, labels):
  """Strata of answers with a planted rate, judged with planted errors, half the labels of each."""
  person = rng.random(answers) < rate
  judge = np.where(person, rng.random(answers) < sensitivity, rng.random(answers) >= specificity)
  for judged in (True, False):
    of_these = np.flatnonzero(judge == judged)
    if few := min(len(of_these), labels // 2):
      drawn = rng.choice(of_these, few, replace=False)
      yield Stratum(size=len(of_these), judged=judged, labelled=few, found=int(person[drawn].sum()))


@pytest.mark.parametrize(
  'rate, sensitivity, specificity', [(0.2, 0.8, 0.95), (0.489, 0.7, 0.8), (0.169, 0.9, 0.75)]
)
def test_planted_error_rates_are_taken_off(rate, sensitivity, specificity):
  rng, runs = np.random.default_rng(0), 400
  found = [
    corrected(list(strata_of(rng, rate, sensitivity, specificity, 500, 100))) for _ in range(runs)
  ]
  wrong = rate * sensitivity + (1 - rate) * (1 - specificity)
  assert np.mean([one.judged for one in found]) == pytest.approx(wrong, abs=0.01)
  for name in ('powered', 'rogan_gladen'):
    intervals = [getattr(one, name) for one in found]
    assert np.mean([i.mean for i in intervals]) == pytest.approx(rate, abs=0.01)
    covered = np.mean([i.low <= rate <= i.high for i in intervals])
    assert covered >= 0.92  # .95 less what 400 runs may miss by chance
  width = [
    np.mean([getattr(one, n).high - getattr(one, n).low for one in found])
    for n in ('powered', 'rogan_gladen')
  ]
  assert width[0] < 0.2 and width[0] < width[1]


@pytest.mark.parametrize('rate, se, sp', [(0.2, 0.8, 0.95), (0.5, 0.7, 0.8), (0.05, 0.9, 0.97)])
def test_rogan_gladen_with_labels_of_its_own(rate, se, sp):
  rng = np.random.default_rng(1)
  covered = []
  for _ in range(500):
    judged = rng.binomial(500, rate * se + (1 - rate) * (1 - sp)) / 500
    sides = [(rng.binomial(60, share) / 60, 60) for share in (se, sp)]
    interval = rogan_gladen(judged, 500, *sides)
    covered.append(interval.low <= rate <= interval.high)
  assert 0.93 <= np.mean(covered)


def test_rogan_gladen_by_hand():
  found = rogan_gladen(0.3, 10**9, (0.8, 10**9), (0.9, 10**9))
  assert found == pytest.approx([(0.3 + 0.9 - 1) / 0.7] * 3, abs=1e-3)
  assert rogan_gladen(0.01, 100, (0.9, 50), (0.9, 50)).mean == 0.0  # never below
  assert rogan_gladen(0.3, 100, (0.5, 50), (0.5, 50)) is None  # a coin


def test_another_arms_errors_mislead():
  """The published case in small: what is right for one arm is far off for another."""
  of_other = rogan_gladen(0.30, 400, (0.60, 100), (0.98, 100))
  own = rogan_gladen(0.30, 400, (0.90, 100), (0.85, 100))
  assert abs(of_other.mean - own.mean) > 0.2


def test_prediction_powered_by_hand():
  strata = [
    Stratum(size=60, judged=True, labelled=30, found=24),
    Stratum(size=140, judged=False, labelled=20, found=2),
  ]
  # Labels: a share of .8 and .1, in the width 25 of 32 and 3 of 22; then the spread between both.
  within = 0.3**2 * (25 / 32) * (7 / 32) / 30 + 0.7**2 * (3 / 22) * (19 / 22) / 20
  between = (0.3 * 0.49**2 + 0.7 * 0.21**2) / 200
  half = 1.959964 * (within + between) ** 0.5
  assert prediction_powered(strata) == pytest.approx((0.31, 0.31 - half, 0.31 + half))
  narrow = prediction_powered(strata, level=0.5)
  assert narrow.high - narrow.low == pytest.approx(2 * half * 0.6744898 / 1.959964)


def test_a_perfect_judge_is_left_as_it_is():
  strata = [
    Stratum(size=60, judged=True, labelled=30, found=30),
    Stratum(size=140, judged=False, labelled=30, found=0),
  ]
  found = corrected(strata)
  assert [found.judged, found.powered.mean, found.rogan_gladen.mean] == pytest.approx([0.3] * 3)
  assert found.sensitivity == found.specificity == 1.0
  assert found.powered.low < 0.3 < found.powered.high  # 60 labels prove no perfection


def test_nothing_found_has_no_sensitivity():
  found = corrected([Stratum(size=50, judged=False, labelled=20, found=0)])
  assert found.sensitivity is None and found.rogan_gladen is None
  assert found.powered.mean == 0.0 < found.powered.high


def test_a_stratum_without_labels_is_refused():
  with pytest.raises(UserError, match='label'):
    prediction_powered([Stratum(size=5, judged=True, labelled=0, found=0)])
