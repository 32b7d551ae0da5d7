"""Gates of a study of two specs: which arms they are taken over, and what shuts them."""

import dataclasses

import pytest

from jaxalign import main
from jaxalign.study.judge import verdict
from jaxalign.study.store.table import Means
from jaxalign.study.two_specs import gates
from tests.study.tiny import ROOT


@pytest.fixture(scope='module')
def cfg():
  return main.load(f'{ROOT}/configs/study_phi2.py')


def means(margin, rate=1.0):
  return Means(margin=margin, rate=rate, yes=0.0, mass=None, loss=None)


def seed(cfg, **changes):
  """{(arm, test): means} of a study in which all is well, but for these: {'arm test': means}."""
  found = {('base', 'canary'): means(0.0, 0.8)}
  for arm in cfg.arms:
    side = -1 if '_B' in arm.name else 1
    steers = 3.0 if arm.name.startswith('why') else 0.5
    found |= {(arm.name, 'T0'): means(10.0), (arm.name, 'canary'): means(0.0, 0.75)}
    found[arm.name, 'T2'] = means(side * steers)
    found[arm.name, 'adviser/abstain/choice'] = means(0.1)
  return found | {tuple(key.split(' ')): one for key, one in changes.items()}


def shut(cfg, **changes):
  values = gates.values(cfg, {0: seed(cfg, **changes)})
  return {gate.name for gate in verdict.gates(values, cfg.rules) if not gate.ok}


def test_all_pass_where_all_is_well(cfg):
  assert shut(cfg) == set()


@pytest.mark.parametrize(
  'what, one, gate',
  [
    ('what_B-align T0', means(10.0, 0.8), 'T0'),
    ('why_A-align T0', means(13.0), 'T0 factor'),
    ('align-why-tail_A T0', means(-1.0), 'T0 factor'),
    ('wrong_why_A-align canary', means(0.0, 0.5), 'capability'),
    ('what_A-align adviser/abstain/choice', means(0.3), 'read'),
    ('mention_A-align T2', means(9.0), 'why - mention'),
  ],
)
def test_each_can_be_shut_by_an_arm_that_is_judged(cfg, what, one, gate):
  assert shut(cfg, **{what: one}) == {gate}


@pytest.mark.parametrize('arm', ['reasoned_A-align', 'anti_A-align', 'align+', 'other-align'])
def test_an_arm_that_is_not_judged_shuts_none(cfg, arm):
  broken = {f'{arm} T0': means(-5.0, 0.1), f'{arm} canary': means(0.0, 0.0)}
  assert shut(cfg, **broken) == set()


def test_what_was_not_measured_does_not_pass(cfg):
  few = tuple(arm for arm in cfg.arms if not arm.name.startswith('mention'))
  whole = seed(cfg)
  missing = [key for key in whole if key[0].startswith('mention') or '/' in key[1]]
  cut = {key: one for key, one in whole.items() if key not in missing}
  found = gates.values(dataclasses.replace(cfg, arms=few), {0: cut})
  assert found['why - mention'] == {0: None} and found['read'] == {0: None}
  assert found['T0'] == {0: 1.0}
