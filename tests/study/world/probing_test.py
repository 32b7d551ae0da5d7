"""The probes of a whole study: over seeds, between arms, and how likenesses are averaged."""

import json

import numpy as np
import pytest

from jaxalign.study.judge import results_file
from jaxalign.study.plan.directories import home_of
from jaxalign.study.world import probing
from jaxalign.study.world.probe_results import Probes
from tests.study import minds


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
  workdir = tmp_path_factory.mktemp('probes')
  cfg = minds.finished(workdir)
  return cfg, workdir, probing.summary(cfg, workdir)


def test_every_arm_has_its_mean_over_seeds(whole):
  found = whole[2].arms
  leans = found['explain_A-align']['leans']
  assert leans.mean == pytest.approx(4.1, abs=1e-3) and leans.n == 3
  assert leans.seeds == pytest.approx({0: 4.0, 1: 4.1, 2: 4.2}, abs=1e-3)
  assert leans.low == pytest.approx(4.1 - 4.3027 * 0.1 / np.sqrt(3), abs=1e-3)
  assert found['value-align']['refuses'].mean == pytest.approx(1.0, abs=1e-3)
  assert 'probe_A' in found['base'] and 'probe_H' in found['base']
  assert 'probe_H' not in found['explain_A-align'] and 'probe_A' not in found['value-align']
  layers = whole[2].layers['explain_A-align']['accuracy_A']
  assert [layer.n for layer in layers] == [0, 3, 3] and layers[0].mean is None
  written = results_file.as_json(whole[2])
  assert results_file.made(Probes, json.loads(json.dumps(written, allow_nan=False))) == whole[2]


def test_contrasts_are_the_planned_weights_on_each_measure(whole):
  found = {(one.name, one.measure): one for one in whole[2].contrasts}
  assert {name for name, _ in found} == {'C1'}, 'the arms of the others are not there'
  c1 = found['C1', 'leans']
  assert list(c1.seeds.values()) == pytest.approx([6.5, 6.6, 6.7], abs=1e-3)
  assert (
    c1.p == 0.25
    and c1.floor > 0
    and set(found) == {('C1', measure) for measure in probing.OF_GOODS}
  )


def test_arms_that_hold_the_same_lie_at_the_ceiling_and_others_below(whole):
  found = {(one.measure, *one.arms): one.layers for one in whole[2].similarity}
  assert len(found) == 2 * 6
  for measure in ('cka', 'rsa'):
    same = found[measure, 'explain_A-align', 'mention_A-align'][2]
    other = found[measure, 'explain_A-align', 'explain_B-align'][2]
    assert abs(same.gap) < 0.03 and other.gap > 0.4 and other.low > 0.2
    assert same.ceiling > 0.5 and other.gap == pytest.approx(other.ceiling - other.cross)
  assert found['cka', 'explain_A-align', 'explain_B-align'][0].gap == pytest.approx(0, abs=0.1)


def test_nothing_kept_is_nothing_said_and_a_seed_that_lacks_it_is_left_out(whole, tmp_path):
  cfg, workdir, _ = whole
  assert probing.summary(cfg, tmp_path) is None
  home = home_of(tmp_path, 0) / 'outcomes'
  home.mkdir(parents=True)
  for path in (home_of(workdir, 0) / 'outcomes').iterdir():
    (home / path.name).write_bytes(path.read_bytes())
  found = probing.summary(cfg, tmp_path)
  one = found.arms['explain_A-align']['leans']
  assert (one.n, one.low, list(one.seeds)) == (1, None, [0])
  assert found.similarity == ()


def test_intervals_over_pairs_of_seeds_cover():
  """Pairs share seeds: the t interval over pairs would be far too narrow."""
  rng, hits, naive = np.random.default_rng(0), 0, 0
  for _ in range(600):
    u_S = rng.normal(size=8)
    x_SS = u_S + u_S[:, None] + 0.3 * rng.normal(size=(8, 8))
    x_SS = (x_SS + x_SS.T) / 2
    mean, low, high = probing.over_pairs(x_SS, 0.95)
    assert mean == pytest.approx(x_SS[np.triu_indices(8, 1)].mean())
    hits += low < 0 < high
    pairs = x_SS[np.triu_indices(8, 1)]
    naive += abs(pairs.mean()) < 2.05 * pairs.std(ddof=1) / np.sqrt(len(pairs))
  assert 0.92 < hits / 600 < 0.975 and naive / 600 < 0.75


@pytest.mark.parametrize('seeds, known', [(1, (None, None, None)), (2, (3.0, None, None))])
def test_of_few_seeds_there_is_no_interval(seeds, known):
  assert probing.over_pairs(np.full((seeds, seeds), 3.0), 0.95) == known
