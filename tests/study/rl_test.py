"""A study's way through reward, PPO and best-of-n: once, killed on it, and as another model."""

import dataclasses
import json
import signal
import subprocess
import sys
import time

import pytest

from configs import study_valueworld
from jaxalign import config, main
from jaxalign.config import UserError
from jaxalign.study import goodhart
from tests.study import tiny
from tests.study.runner_test import results, study
from tests.train import running

pytestmark = pytest.mark.slow
SPEC = f'{tiny.PATH}_rl'
CLIMBS = ('misspecified.bag-of-words.align.climb_bag', 'size.2-000-pairs.align.best',
          'size.2-000-pairs.align.climb')  # fmt: skip


def plan(model=None):
  """One seed, one arm that is not climbed from."""
  cfg = dataclasses.replace(main.load(SPEC), seeds=(0,))
  cfg = dataclasses.replace(cfg, arms=tuple(a for a in cfg.arms if a.name != 'explain_A-align'))
  return config.seal(study_valueworld.with_model(cfg, model) if model else cfg)


def stored(workdir):
  files = sorted(workdir.glob('seed-0/*/*.json*'))
  return {str(f.relative_to(workdir)): f.read_bytes() for f in files if 'corpora' not in f.parts}


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
  assert set(later['arms']) == {'align'} and later['kl'].keys() == {'align'}
  assert found['arms']['align']['T2'] != later['arms']['align']['T2']


def test_climbs_are_points_by_which_all_can_be_drawn_again(whole):
  workdir, seen = whole
  files = sorted(path.stem for path in (workdir / 'seed-0/goodhart').glob('*.jsonl'))
  assert tuple(files) == CLIMBS
  found = results(workdir)['goodhart']
  assert len(found['climbs']) == 3 and found == goodhart.summary(goodhart.read(plan(), workdir))
  ways = {(one['mode'], one['way']) for one in found['climbs']}
  assert ways == {('misspecified', 'RL'), ('size', 'RL'), ('size', 'best-of-n')}
  page = (workdir / 'report.html').read_text()
  assert 'After PPO' in page and 'Misspecified' in page


def test_a_second_call_trains_nothing_and_a_changed_proxy_is_refused(whole):
  workdir = whole[0]
  before = stored(workdir)
  assert study(plan(), workdir).runs == [] and stored(workdir) == before
  cfg = dataclasses.replace(main.load(SPEC), seeds=(0,), arms=plan().arms)
  changed = config.seal(dataclasses.replace(cfg, recipes=tiny.with_recipe(cfg, 'reward', steps=9)))
  with pytest.raises(UserError, match='measured on another base, other corpora, steps or items'):
    study(changed, workdir)


@pytest.mark.parametrize('at', ['*.obey@tail', '*.climb@advise'])
def test_a_study_that_is_killed_amid_rl_goes_on_to_the_same_bytes(whole, tmp_path, cache, at):
  """The command has one arm more, which changes nothing of the others."""
  command = [sys.executable, '-m', 'jaxalign.main', f'--config={SPEC}', f'--workdir={tmp_path}']
  how = dict(env=running.environment(cache, 1), cwd=tiny.ROOT, stderr=subprocess.PIPE)
  process = subprocess.Popen([*command, '--config.seeds=0,'], **how)
  until = time.time() + 600
  while not list(tmp_path.glob(f'seed-0/runs/{at}/metrics.jsonl')) and process.poll() is None:
    assert time.time() < until
    time.sleep(0.02)
  process.send_signal(signal.SIGKILL)
  process.wait()
  assert not (tmp_path / 'results.json').exists()
  again = subprocess.run([*command, '--config.seeds=0,'], timeout=600, **how)
  assert again.returncode == 0, again.stderr
  ours, theirs = stored(tmp_path), stored(whole[0])
  assert theirs and {name: ours[name] for name in theirs} == theirs


def test_phi_goes_the_whole_way_by_one_line_of_the_config(tmp_path):
  small = dict(width=16, depth=1, heads=2, kv_heads=2, mlp=32, unroll=1)
  study(plan(dataclasses.replace(study_valueworld.phi(), **small)), tmp_path)
  found = results(tmp_path)
  assert len(found['goodhart']['climbs']) == 3 and 'T2' in found['after_ppo']['arms']['align']
  cfg = main.load(tiny.PATH.replace(':smoke', ':phi'))
  assert {type(r.stage.model).__module__ for r in cfg.recipes} == {'jaxalign.models.phi2'}
