"""The smoke of a study on real texts, to its end: what is shared, gone on with, refused, a pod."""

import dataclasses
import json
import shutil

import pytest

from jaxalign import compile_cache, main, sealing
from jaxalign.stages import training
from jaxalign.study.run import runner
from jaxalign.study.store import clock
from jaxalign.study.texts import real_text
from tests.study import tiny
from tests.study.tiny import rows
from tests.train import running

PATH = f'{tiny.ROOT}/configs/study_phi2.py:smoke'
TESTS = {'T0', 'D0', 'preferred', 'truthful', 'truthful_all', 'safe', 'unsafe', 'harmful',
         'jailbreak'}  # fmt: skip


def plan(**changes):
  """The smoke with two of its arms, less their last step, of a smaller model, on shorter rows."""
  cfg = main.load(PATH)
  small = dataclasses.replace(cfg.base.model, width=16, depth=1, heads=2, kv_heads=2, mlp=32)
  short = lambda stage: dataclasses.replace(stage, model=small, length=96, batch=2)
  arms = tuple(dataclasses.replace(arm, steps=arm.steps[:2]) for arm in cfg.arms[:2])
  recipes = tuple(dataclasses.replace(r, stage=short(r.stage)) for r in cfg.recipes)
  world = dataclasses.replace(cfg.world, length=320)
  fewer = dict(arms=arms, world=world, base=short(cfg.base), recipes=recipes, workers=0)
  return sealing.seal(dataclasses.replace(cfg, **fewer | changes))


@pytest.fixture(scope='module', autouse=True)
def programs(cache):
  """Recipes differ in rates, not in all programs: as in a run, what one compiled the next loads."""
  with compile_cache.used(cache):
    yield


def study(cfg, workdir):
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(training, 'make_mesh', tiny.one_device)
    patch.setattr(real_text, 'make_mesh', tiny.one_device)
    runner.run(cfg, workdir)


@pytest.fixture(scope='module')
def one_seed(tmp_path_factory, programs):
  """(workdir, what was measured): of the first of the two seeds."""
  workdir = tmp_path_factory.mktemp('real')
  study(plan(seeds=(0,)), workdir)
  return workdir, tiny.stored(workdir)


@pytest.fixture(scope='module')
def whole(one_seed):
  workdir = one_seed[0]
  study(plan(), workdir)
  return workdir


@pytest.fixture
def copy(whole, tmp_path):
  shutil.copytree(whole, tmp_path / 'copy')
  return tmp_path / 'copy'


def test_a_second_seed_leaves_the_first_as_it_is(one_seed, whole):
  before, now = one_seed[1], tiny.stored(whole)
  assert {name: now[name] for name in before} == before and len(now) == 2 * len(before)


def test_it_ends_as_any_study_does(whole):
  found = json.loads((whole / 'results.json').read_text())
  assert found['verdict'] == 'UNINFORMATIVE' and '2 of the 6 seeds' in found['sentence']
  assert set(found['arms']) == {'base', 'explain-align', 'neutral-align'}
  assert [one['name'] for one in found['contrasts']] == ['R1']
  assert {row['test'] for row in rows(whole)} == TESTS
  assert (whole / 'report.html').exists()
  base = [row['margin'] for row in rows(whole) if row['arm'] == 'base' and row['test'] == 'safe']
  assert base[:12] == base[12:]  # of both seeds: one base
  assert len(list(whole.glob('*/runs/base'))) == 1
  about = json.loads((whole / 'about.json').read_text())
  assert len(set(about['base'].values())) == 1


def test_arms_of_a_seed_are_asked_the_same(whole):
  prompts = {}
  for row in rows(whole):
    prompts.setdefault((row['seed'], row['test'], row['arm']), []).append(row['prompt'])
  arms = [arm.name for arm in plan().arms]
  for (seed, test, arm), asked in prompts.items():
    assert asked == prompts[seed, test, arms[0]], (seed, test, arm)
  t0 = [prompts[seed, 'T0', 'base'] for seed in (0, 1)]
  assert t0[0] != t0[1] and prompts[0, 'safe', 'base'] == prompts[1, 'safe', 'base']


def test_a_second_call_makes_nothing(whole):
  files = [f for f in whole.glob('*/**/*') if f.is_file()]
  times = {f: f.stat().st_mtime_ns for f in files if f.name != clock.FILE}
  before = (whole / 'outcomes.jsonl').read_bytes()
  study(plan(), whole)
  assert {f: f.stat().st_mtime_ns for f in times} == times
  assert {f for f in whole.glob('*/**/*') if f.is_file()} == set(files)
  assert (whole / 'outcomes.jsonl').read_bytes() == before


def changed_source(copy):
  path = copy / 'all/corpora/sums.json'
  path.write_text(json.dumps(json.loads(path.read_text()) | dict(explain='0' * 64)))
  return plan()


def changed_items(copy):
  """As if the base had been asked other items than the arms would be."""
  path = copy / 'seed-0/outcomes/base.json'
  path.write_text(json.dumps(json.loads(path.read_text()) | dict(items={})))
  return plan()


CHANGES = {
  changed_items: 'base.jsonl was measured on another base, other corpora, steps or items',
  changed_source: 'explain.* or of a source that has changed',
}


@pytest.mark.parametrize('change', CHANGES, ids=lambda change: change.__name__)
def test_a_store_of_another_study_is_one_line(copy, change):
  tiny.refused(study, change, CHANGES[change], copy)


@pytest.mark.campaign
def test_two_processes_do_what_one_does(tmp_path, cache):
  """The same corpora, items and order; margins to rounding, for so little was learned."""
  one, two = tmp_path / 'one', tmp_path / 'two'
  command = lambda workdir: running.command(workdir, PATH, seeds='0,', workers=0)
  running.run(command(one), cache, devices=1)
  said = running.run(running.pod(command(two), 2, 1), cache, devices=1)
  assert '[1] step' not in said and (two / 'results.json').exists()
  ours, theirs = rows(two), rows(one)
  assert [(r['arm'], r['prompt']) for r in ours] == [(r['arm'], r['prompt']) for r in theirs]
  assert max(abs(a['margin'] - b['margin']) for a, b in zip(ours, theirs, strict=True)) < 2e-2
  assert not list(two.glob('**/*.tmp'))


@pytest.mark.campaign
def test_one_that_is_killed_goes_on_to_the_same_bytes(tmp_path, cache):
  """While the base is trained, and in the midst of an arm; beside one that is let alone."""
  places = 'all/runs/base/metrics.jsonl', 'seed-0/runs/explain-neutral/metrics.jsonl'
  broken, whole = tmp_path / 'broken', tmp_path / 'whole'
  tiny.killed(PATH, broken, cache, *places, seeds='0,', workers=0)
  running.run(running.command(whole, PATH, seeds='0,', workers=0), cache, devices=1)
  for files in ('*/outcomes/*', '*/corpora/*', 'outcomes.jsonl'):
    assert tiny.stored(broken, files) == tiny.stored(whole, files) != {}
  assert tiny.results(broken) == tiny.results(whole)
