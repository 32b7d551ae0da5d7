"""The area under a probe's curve on wordings that it never saw, beside the control task."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from jaxalign.config import UserError
from jaxalign.probes import auroc as module
from jaxalign.probes.auroc import auroc

TEMPLATES, ACTS = 6, 20


def made(rng, width=8, common=2.0, own=0.0):
  """States of acts in templates: along one axis by their label, along one of the template's own."""
  template_N, act_N = (x.ravel() for x in np.meshgrid(range(TEMPLATES), range(ACTS)))
  label_N = act_N % 2
  x_ND = rng.standard_normal((len(label_N), width))
  x_ND[:, 0] += common * (2 * label_N - 1)
  axes_TD = np.linalg.qr(rng.standard_normal((width, width)))[0][:TEMPLATES]
  x_ND += own * (2 * label_N - 1)[:, None] * axes_TD[template_N]
  return x_ND[None], label_N, template_N, act_N


def test_what_holds_in_every_wording_is_found_and_what_is_of_each_is_not():
  rng = np.random.default_rng(0)
  found = auroc(*made(rng), draws=50)
  assert found.auroc_L[0] > 0.95 and found.p_L[0] <= 2 / 51 and found.templates == TEMPLATES
  assert abs(found.control_L[0] - 0.5) < 0.1
  assert found.selectivity_L[0] == found.auroc_L[0] - found.control_L[0]
  x_LND, label_N, template_N, act_N = made(rng, width=12, common=0.0, own=4.0)
  assert auroc(x_LND, label_N, template_N, act_N, draws=20).auroc_L[0] < 0.7
  by_row = auroc(x_LND, label_N, act_N // 2, act_N, draws=20)  # split by acts, wordings are seen
  assert by_row.auroc_L[0] > 0.9


def test_a_probe_that_learns_acts_by_heart_is_shown_by_its_control():
  template_N, act_N = (x.ravel() for x in np.meshgrid(range(TEMPLATES), range(ACTS)))
  rng = np.random.default_rng(1)
  x_LND = (np.eye(ACTS)[act_N] * 5 + 0.1 * rng.standard_normal((len(act_N), ACTS)))[None]
  found = auroc(x_LND, act_N % 2, template_N, act_N, draws=20)
  assert found.auroc_L[0] > 0.95 and found.control_L[0] > 0.95 and found.p_L[0] > 0.5


def test_areas_are_those_of_mann_and_whitney():
  rng = np.random.default_rng(2)
  score_N, label_N = rng.integers(0, 6, 40).astype(float), rng.integers(0, 2, 40)
  one, zero = score_N[label_N == 1], score_N[label_N == 0]
  wanted = mannwhitneyu(one, zero).statistic / (len(one) * len(zero))
  found = module._of_scores(score_N[:, None], label_N[:, None])[0]
  assert found == pytest.approx(wanted)


def test_nothing_is_half_and_bad_input_is_one_line():
  x_LND, label_N, template_N, act_N = made(np.random.default_rng(3), common=0.0)
  nothing = auroc(x_LND, label_N, template_N, act_N, draws=50)
  assert abs(nothing.auroc_L[0] - 0.5) < 0.15 and nothing.p_L[0] > 0.05
  flat = auroc(np.ones_like(x_LND), label_N, template_N, act_N, draws=5)
  assert flat.auroc_L[0] == 0.5
  with pytest.raises(UserError, match='do not fit states'):
    auroc(x_LND, label_N[1:], template_N, act_N)
  with pytest.raises(UserError, match='labels are 0 and 1'):
    auroc(x_LND, label_N * 2, template_N, act_N)
  with pytest.raises(UserError, match='one template'):
    auroc(x_LND, label_N, template_N * 0, act_N)
  with pytest.raises(UserError, match='one label alone'):
    auroc(x_LND, label_N, label_N, act_N, draws=2)
