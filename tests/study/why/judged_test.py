"""Study 3 from outcomes on disk to its verdict: worlds of two controls, no model trained."""

import dataclasses
import json

import numpy as np
import pytest

from configs import study_why
from jaxalign import sealing
from jaxalign.study.judge import results_file
from jaxalign.study.plan.directories import arms_of, home_of, worlds_of
from jaxalign.study.run import conclusion
from jaxalign.study.store.rows import line
from tests.study.made_up import row

SEEDS = range(7)
GATES = 'G0', 'G0b_why', 'G0b_what', 'G6_why', 'G6_what'
TESTS = 'T0', 'T2', 'T3A', 'T3B', 'T6A', 'T6B'


def margin(arm, test, control):
  """In nats: reasons carry to the sister where kappa and rho are 1, else nowhere; what is named
  steers alike with and without."""
  if arm == 'base' or test == 'T0':
    return 1.0 if test == 'G6_what' else 5.0
  side = next((letter for letter in 'AB' if f'_{letter}' in arm), '')
  told = side and arm.startswith(('why', 'what', 'align-why')) and control != 'rho'
  if test in ('T6A', 'T6B'):
    return 3.0 * (bool(told) and 'why' in arm and control != 'kappa' and test[-1] == side)
  sign = dict(A=1, B=-1).get(side, 0)
  return 2.0 * bool(told) * (sign if test == 'T2' else test[-1] == side)


def write(cfg, workdir):
  for seed, control in worlds_of(cfg):
    store = home_of(workdir, seed, control) / 'outcomes'
    store.mkdir(parents=True)
    asked = dict(base=GATES) | {arm.name: TESTS for arm in arms_of(cfg, control)}
    for arm, tests in asked.items():
      random = np.random.default_rng([*f'{arm}{seed}{control}'.encode()])
      rows = [
        row(
          margin(arm, test, control) + 0.5 * random.normal(),
          **dict(seed=seed, arm=arm, test=test, item=n, prompt=f'{test}{n}', mass=0.99),
          cluster=str(n % 2),
        )
        for test in tests
        for n in range(6)
      ]
      (store / f'{arm}.jsonl').write_text(''.join(map(line, rows)))
      (store / f'{arm}.json').write_text(json.dumps(dict(key=f'{arm} of {seed}')))


@pytest.fixture(scope='module')
def concluded(tmp_path_factory):
  workdir = tmp_path_factory.mktemp('why')
  cfg = dataclasses.replace(
    study_why.get_config(),
    seeds=tuple(SEEDS),
    control_seeds=tuple(SEEDS),
    controls=('rho', 'kappa'),
    rules=dataclasses.replace(study_why.RULES, draws=1000),
  )
  cfg = sealing.seal(cfg)
  write(cfg, workdir)
  return cfg, workdir, conclusion.conclude(cfg, workdir, 60.0)


def test_the_verdict_is_of_v_and_of_both_interactions(concluded):
  _, _, found = concluded
  assert found.verdict == 'SUPPORTED', found.sentence
  by_name = {one.name: one for one in found.contrasts}
  assert by_name['P2'].holds and not by_name['P1'].holds and by_name['P2'].scale == 'share'
  assert 1 < by_name['P2'].primary.mean <= 4  # of [-4, 4]
  assert [(one.contrast, one.control, one.holds) for one in found.interactions] == [
    ('P2', 'rho', True), ('P2', 'kappa', True),
  ]  # fmt: skip
  assert 'P2 is more than with kappa = 0' in found.sentence
  assert 'Apart from the claim: not shown: that reasons steer more before' in found.sentence


def test_results_hold_every_control_and_come_back(concluded):
  _, workdir, found = concluded
  assert [*found.controls] == ['rho', 'kappa']
  assert {one.name for one in found.controls['kappa']} == {'P1', 'P2'}
  assert results_file.read(workdir / 'results.json') == found
  written = json.loads((workdir / 'results.json').read_text())
  assert [*written['more_controls']] == ['kappa'] and len(written['interactions']) == 2
  assert written['interactions'][1]['control'] == 'kappa'


def test_its_page_shows_them(concluded):
  pytest.importorskip('jinja2')
  pytest.importorskip('matplotlib')
  _, workdir, found = concluded
  page = (workdir / 'report.html').read_text()
  for part in ('where kappa = 0', 'Less with a control', 'P2 less P2 with kappa = 0', 'of V'):
    assert part in page, part
  assert 'download="interactions.csv"' in page and 'download="control-kappa.csv"' in page
  assert 'P1, P2, P3; and apart from these over S1, S2, S3, S4.' in page
