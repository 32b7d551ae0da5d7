"""A study's way through reward, PPO and best-of-n: once, killed on it, and as another model."""

import dataclasses
import json

import pytest

from configs import study_valueworld
from jaxalign import main, sealing
from jaxalign.config import UserError
from jaxalign.sharding.meshes import make_mesh
from jaxalign.study.judge import goodhart, results_file
from tests.study import tiny
from tests.study.run.runner_test import results, study

pytestmark = pytest.mark.campaign
SPEC = f'{tiny.PATH}_rl'
CLIMBS = ('misspecified.bag-of-words.align.climb_bag', 'size.2-000-pairs.align.best',
          'size.2-000-pairs.align.climb')  # fmt: skip


def plan(model=None):
  """One seed, one arm that is not climbed from."""
  cfg = dataclasses.replace(main.load(SPEC), seeds=(0,))
  cfg = dataclasses.replace(cfg, arms=tuple(a for a in cfg.arms if a.name != 'explain_A-align'))
  return sealing.seal(study_valueworld.with_model(cfg, model) if model else cfg)


def stored(workdir):
  found = tiny.stored(workdir, 'seed-0/*/*.json*')
  return {name: content for name, content in found.items() if '/corpora/' not in name}


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
  workdir = tmp_path_factory.mktemp('rl')
  return workdir, study(plan(), workdir)


def test_arms_go_on_and_are_tested_again(whole):
  workdir, seen = whole
  shared = 'seed-0/runs/align-demonstrations.tail'
  assert seen.runs.count(shared) == 1 and f'{shared}.reward-pairs_A_2000_20' in seen.runs
  rows = [json.loads(line) for line in (workdir / 'outcomes.jsonl').read_text().splitlines()]
  asked = {}
  for row in rows:
    if row['arm'] == 'align':
      asked.setdefault(row['after'], []).append((row['test'], row['item'], row['prompt']))
  assert sorted(asked['ppo']) == sorted(asked['sft']) and len(asked['ppo']) > 1000
  margins = {after: [r['margin'] for r in rows if (r['arm'], r['after']) == ('align', after)]
             for after in ('sft', 'ppo')}  # fmt: skip
  assert margins['sft'] != margins['ppo']  # which PPO moved
  found = results(workdir)
  later = found['after_ppo']
  assert set(later['arms']) == {'align', 'align_H'} == set(later['kl'])
  assert found['arms']['align']['T2'] != later['arms']['align']['T2']


def test_climbs_are_points_by_which_all_can_be_drawn_again(whole):
  workdir, seen = whole
  files = sorted(path.stem for path in (workdir / 'seed-0/goodhart').glob('*.jsonl'))
  assert tuple(files) == CLIMBS
  found = results(workdir)['goodhart']
  again = results_file.as_json(goodhart.summary(goodhart.read(plan(), workdir)))
  assert len(found['climbs']) == 3 and found == again
  ways = {(one['mode'], one['way']) for one in found['climbs']}
  assert ways == {('misspecified', 'RL'), ('size', 'RL'), ('size', 'best-of-n')}
  page = (workdir / 'report.html').read_text()
  assert 'After PPO' in page and 'Misspecified' in page and 'Harm sensitivity' in page


def test_a_second_call_trains_nothing_and_a_changed_proxy_is_refused(whole):
  workdir = whole[0]
  before = stored(workdir)
  assert study(plan(), workdir).runs == [] and stored(workdir) == before
  cfg = dataclasses.replace(main.load(SPEC), seeds=(0,), arms=plan().arms)
  changed = sealing.seal(dataclasses.replace(cfg, recipes=tiny.with_recipe(cfg, 'reward', steps=9)))
  with pytest.raises(UserError, match='measured on another base, other corpora, steps or items'):
    study(changed, workdir)


@pytest.mark.parametrize('at', ['*.obey@tail', '*.climb@advise'])
def test_a_study_that_is_killed_amid_rl_goes_on_to_the_same_bytes(whole, tmp_path, cache, at):
  """The command has one arm more, which changes nothing of the others."""
  tiny.killed(SPEC, tmp_path, cache, f'seed-0/runs/{at}/metrics.jsonl', seeds='0,')
  ours, theirs = stored(tmp_path), stored(whole[0])
  assert theirs and {name: ours[name] for name in theirs} == theirs


def test_eight_devices_are_fed_and_ask_the_same_as_one(whole, tmp_path):
  """Prompts, pairs and seeds bit by bit; answers to rounding, or a little more where a sampled word
  differs by it."""
  seen = study(plan(), tmp_path, mesh=make_mesh)
  assert seen == whole[1]
  assert seen.rows['seed-0/runs/align-demonstrations.tail.reward-pairs_A_2000_20.obey@tail']
  ours, theirs = tiny.rows(tmp_path), tiny.rows(whole[0])
  asked = lambda rows: [(row['arm'], row['after'], row['prompt']) for row in rows]
  assert asked(ours) == asked(theirs)
  assert max(abs(a['margin'] - b['margin']) for a, b in zip(ours, theirs, strict=True)) < 0.05
  names = 'mode', 'line', 'arm', 'way'
  climbs = lambda at: [[one[x] for x in names] for one in results(at)['goodhart']['climbs']]
  assert climbs(tmp_path) == climbs(whole[0]) != []


def test_phi_goes_the_whole_way_by_one_line_of_the_config(tmp_path):
  small = dict(width=16, depth=1, heads=2, kv_heads=2, mlp=32, unroll=1)
  study(plan(dataclasses.replace(study_valueworld.phi(), **small)), tmp_path)
  found = results(tmp_path)
  assert len(found['goodhart']['climbs']) == 3 and 'T2' in found['after_ppo']['arms']['align']
  cfg = main.load(tiny.PATH.replace(':smoke', ':phi'))
  assert {type(r.stage.model).__module__ for r in cfg.recipes} == {'jaxalign.models.phi2'}
