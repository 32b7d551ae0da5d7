"""A study of seconds through the real stages: what is done once, gone on with, and refused."""

import dataclasses
import json
import shutil
import sys

import pytest

from jaxalign.config import UserError
from jaxalign.files import read_json
from jaxalign.models import phi2
from jaxalign.sharding.meshes import make_mesh
from jaxalign.stages import bon, ppo, training
from jaxalign.study.plan.arms import Arm
from jaxalign.study.run import pieces, runner
from jaxalign.study.store import clock
from jaxalign.valueworld import words
from tests.study import tiny, watched
from tests.study.tiny import results, rows, stored
from tests.train import running

RUNS = [  # of a seed; the base and explain_A are shared
  'base', 'align-demonstrations', 'align-demonstrations.tail', 'explain-explain_A',
  'explain-explain_A.align-demonstrations', 'explain-explain_A.align-demonstrations.tail',
  'explain-explain_A.tail',
]  # fmt: skip


def study(cfg, workdir, mesh=tiny.one_device, seen=None):
  """What its runs were fed, added to what was seen before."""
  seen = seen or watched.Seen()
  with pytest.MonkeyPatch.context() as patch, watched.watching(seen):
    for module in (training, ppo, bon):
      patch.setattr(module, 'make_mesh', mesh)
    runner.run(cfg, workdir)
  return seen


@pytest.fixture(scope='module')
def one_seed(tmp_path_factory):
  """(workdir, what was seen, what was measured): of the first of the smoke's two seeds."""
  workdir = tmp_path_factory.mktemp('whole')
  seen = study(tiny.sealed(seeds=(0,)), workdir)
  return workdir, seen, stored(workdir)


@pytest.fixture(scope='module')
def whole(one_seed):
  """(workdir, what was seen): all of the smoke, and none of it may be changed."""
  workdir, seen, _ = one_seed
  return workdir, study(tiny.sealed(), workdir, seen=seen)


@pytest.fixture
def copy(whole, tmp_path):
  """One that may be changed."""
  shutil.copytree(whole[0], tmp_path / 'copy')
  return tmp_path / 'copy'


def outcomes(workdir):
  return stored(workdir) | stored(workdir, 'outcomes.jsonl')


def test_one_seed_is_a_study(one_seed):
  measured = set(one_seed[2])
  assert {f'seed-0/outcomes/{arm.name}.jsonl' for arm in tiny.plan().arms} < measured
  assert not [name for name in measured if name.startswith('seed-1')]


def test_a_second_seed_leaves_the_first_as_it_is(one_seed, whole):
  before, now = one_seed[2], stored(whole[0])
  assert {name: now[name] for name in before} == before and len(now) == 2 * len(before)


def test_slices_share_a_study_and_the_last_makes_the_page(whole, copy, capfd):
  (copy / 'results.json').unlink()
  for ending in ('json', 'jsonl'):
    (copy / f'seed-1/outcomes/align.{ending}').unlink()
  slices = [tiny.sealed(slices=2, slice=n) for n in (0, 1)]
  study(slices[0], copy)
  assert 'slice 0 of 2 is done; not done: 1 slice (1)' in capfd.readouterr().err
  assert not (copy / 'results.json').exists() and not (copy / 'seed-1/outcomes/align.json').exists()
  study(slices[1], copy)
  assert results(copy) == results(whole[0]) and outcomes(copy) == outcomes(whole[0])
  (copy / 'results.json').unlink()
  study(tiny.sealed(), copy)
  assert results(copy) == results(whole[0])


def test_what_arms_share_is_trained_once(whole):
  workdir, seen = whole
  assert sorted(seen.runs) == sorted(f'seed-{s}/runs/{name}' for s in (0, 1) for name in RUNS)
  found = results(workdir)
  assert found['verdict'] == 'UNINFORMATIVE'
  assert set(found['arms']) == {'base', 'align', 'explain_A-align', 'explain_A'}
  assert found['seeds'] == [0, 1] and {'contrasts', 'gates'} <= set(found)
  there = rows(workdir)
  assert {row['seed'] for row in there} == {0, 1}
  assert {'T0', 'T2', 'G1'} <= {row['test'] for row in there}


def test_what_probes_need_is_kept_and_judged(whole):
  workdir, _ = whole
  arms = {'base', 'align', 'explain_A-align', 'explain_A'}
  for seed in (0, 1):
    kept = (workdir / f'seed-{seed}/outcomes').glob('*.probes.safetensors')
    assert {path.name.split('.')[0] for path in kept} == arms
  found = results(workdir)['probes']
  assert set(found['arms']) == arms and found['similarity']
  assert set(found['arms']['explain_A']['leans']['seeds']) == {'0', '1'}


def test_arms_are_paired_by_their_items(whole):
  """The same prompts in every arm of a seed, and others in another seed."""
  prompts = {}
  for row in rows(whole[0]):
    if row['test'] == 'T2':
      prompts.setdefault((row['seed'], row['arm']), []).append(row['prompt'])
  ours = {tuple(prompts[0, arm]) for arm in ('align', 'explain_A-align', 'explain_A')}
  assert len(ours) == 1 and ours != {tuple(prompts[1, 'align'])}


def test_a_second_call_does_nothing_and_says_the_same(whole):
  workdir = whole[0]
  before, said = outcomes(workdir), results(workdir)
  files = [f for f in workdir.glob('seed-*/**/*') if f.is_file() and f.name != clock.FILE]
  times = {f: f.stat().st_mtime_ns for f in files}
  assert study(tiny.sealed(), workdir).runs == []
  assert {f: f.stat().st_mtime_ns for f in times} == times
  assert outcomes(workdir) == before and results(workdir) == said


def test_what_is_lost_is_made_again_to_the_same_bytes(whole, copy):
  """A step and what was measured after it; all that is there is left as it is."""
  shutil.rmtree(copy / 'seed-0/runs/explain-explain_A.tail')
  for lost in (copy / 'seed-0/outcomes').glob('explain_A.*'):
    lost.unlink()
  assert study(tiny.sealed(), copy).runs == ['seed-0/runs/explain-explain_A.tail']
  assert outcomes(copy) == outcomes(whole[0]) and results(copy) == results(whole[0])


def test_what_is_left_is_what_is_then_done(whole, copy):
  """Pieces of work as the forecast counts them are the laps that a world tells."""
  cfg, lost = tiny.sealed(), 'runs/explain-explain_A.tail'
  empty = {piece.name for piece in pieces.left_of(cfg, copy / 'none', 0, '')}
  assert [piece.name for piece in pieces.left_of(cfg, copy, 0, '')] == ['corpora and tests']
  shutil.rmtree(copy / 'seed-0' / lost)
  for path in (copy / 'seed-0/outcomes').glob('explain_A.*'):
    path.unlink()
  left = {piece.name for piece in pieces.left_of(cfg, copy, 0, '')}
  assert left == {'corpora and tests', lost, 'outcomes/explain_A', 'probes/explain_A'}
  told = []
  runner.work((0, ''), cfg, copy, told.append)
  ended = [one.name for one in told if isinstance(one, clock.Lap) and not one.begins]
  assert left <= {*ended} <= empty and len({*ended}) == len(ended)
  assert [one for one in told if isinstance(one, str)] == ['base', *(arm.name for arm in cfg.arms)]
  assert [piece.name for piece in pieces.left_of(cfg, copy, 0, '')] == ['corpora and tests']


def test_an_arm_with_a_document_in_the_prompt_trains_nothing(copy):
  arm = Arm(name='context_A', steps=(), tests='goods', context='explain_A')
  assert study(tiny.sealed(arms=(*tiny.plan().arms, arm)), copy).runs == []
  there = rows(copy)
  ours, theirs = (
    [row['prompt'] for row in there if (row['arm'], row['test']) == (name, 'T2')]
    for name in ('context_A', 'align')
  )
  assert ours == theirs != []
  other = dataclasses.replace(arm, context='lore')
  with pytest.raises(UserError, match='context_A.jsonl was measured on another base'):
    study(tiny.sealed(arms=(*tiny.plan().arms, other)), copy)


def test_steps_of_one_depth_read_replay_in_one_order(whole):
  """Arms differ in what they read, not in when: the tail of all arms is the same batches."""
  rows = whole[1].rows
  one, other = (
    rows[f'seed-0/runs/{name}'] for name in ('align-demonstrations.tail', 'explain-explain_A.tail')
  )
  assert one == other and len(one) == 4 * 8
  assert one != rows['seed-1/runs/explain-explain_A.tail']


def of_world(**changes):
  return lambda copy: tiny.sealed(world=dataclasses.replace(tiny.plan().world, **changes))


def changed_grammar(copy):
  """As if the corpora had been made by a grammar that has changed since."""
  path = copy / 'seed-0/corpora/sums.json'
  sums = json.loads(path.read_text())
  path.write_text(json.dumps(sums | dict(background='0' * 64)))
  return tiny.sealed()


def changed_items(copy):
  """As if items were asked otherwise now: they are part of an arm's key."""
  path = copy / 'seed-0/outcomes/align.json'
  path.write_text(json.dumps(dict(key='of other items')))
  return tiny.sealed()


def changed_base(copy):
  """As if the base had been trained anew, with other weights."""
  for arm in ('base', 'align'):
    shutil.copy(copy / f'seed-1/outcomes/{arm}.json', copy / f'seed-0/outcomes/{arm}.json')
  return tiny.sealed()


def changed_rate(copy):
  """Of the base, which is done and would not be trained again."""
  base = tiny.plan().base
  return tiny.sealed(base=dataclasses.replace(base, optim=dataclasses.replace(base.optim, lr=1e-4)))


def other_file(copy):
  """A corpus that somebody edited is not read by a step yet to be done."""
  path = copy / 'seed-0/corpora/background.jsonl'
  path.write_text(path.read_text().replace('tale', 'sign', 1))
  shutil.rmtree(copy / 'seed-0/tokens')
  shutil.rmtree(copy / 'seed-0/runs/explain-explain_A.tail')
  (copy / 'seed-0/outcomes/explain_A.json').unlink()
  return tiny.sealed()


CHANGES = dict(
  corpus=(of_world(background_choices=201), r'\(200 there, 201 here\); take a new --workdir'),
  grammar=(changed_grammar, 'made by another version or another world'),
  recipe=(
    lambda copy: tiny.sealed(recipes=tiny.with_recipe(tiny.plan(), 'align', steps=6)),
    'steps .4 there, 6 here.|measured on another base, other corpora, steps',
  ),
  split=(of_world(split='dev'), r'split \(record there, dev here\)'),
  items=(changed_items, 'measured on another base, other corpora, steps or items'),
  base=(changed_base, 'measured on another base'),
  rate=(changed_rate, r'runs/base was trained with optim.lr=[\d.e-]+, and the plan has 0.0001'),
  file=(other_file, 'background.jsonl is not what it was: its sha256 is'),
)


@pytest.mark.parametrize('name', CHANGES)
def test_a_store_of_another_study_is_one_line(copy, name):
  tiny.refused(study, *CHANGES[name], copy)


def corpora(workdir, seeds):
  return [(workdir / f'seed-{seed}/corpora/sums.json').read_bytes() for seed in seeds]


def assert_like(ours, theirs):
  """The same questions, and the same answers to rounding, while so little was learnt."""
  fields = 'seed', 'arm', 'test', 'prompt'
  asked = [[[row[name] for name in fields] for row in rows] for rows in (ours, theirs)]
  assert asked[0] == asked[1] != []
  assert max(abs(a['margin'] - b['margin']) for a, b in zip(ours, theirs, strict=True)) < 1e-2


@pytest.mark.campaign
def test_eight_devices_see_the_same_as_one(whole, tmp_path):
  """Corpora, prompts, seeds and batches bit by bit."""
  seen = study(tiny.sealed(), tmp_path, mesh=make_mesh)
  assert seen == whole[1]
  assert corpora(tmp_path, (0, 1)) == corpora(whole[0], (0, 1))
  assert_like(rows(tmp_path), rows(whole[0]))


@pytest.mark.campaign
def test_two_processes_see_the_same_as_one(whole, tmp_path, cache):
  """Each of them its own half of every batch."""
  command = [sys.executable, '-m', 'tests.study.watched', f'--config={tiny.PATH}']
  command += [f'--workdir={tmp_path}', '--config.seeds=0,']
  said = running.run(running.pod(command, 2, 1), cache, devices=1)
  assert '[1] step' not in said
  seen = watched.read(tmp_path, 0).beside(watched.read(tmp_path, 1))
  for ours, theirs in ((seen.rows, whole[1].rows), (seen.seeds, whole[1].seeds)):
    assert ours == {run: x for run, x in theirs.items() if run.startswith('seed-0/')}
  assert corpora(tmp_path, (0,)) == corpora(whole[0], (0,))
  assert_like(rows(tmp_path), [row for row in rows(whole[0]) if row['seed'] == 0])
  assert not list(tmp_path.glob('**/*.tmp'))


@pytest.mark.campaign
def test_another_architecture_is_another_line_of_the_config(tmp_path):
  small = dict(width=16, depth=1, heads=2, kv_heads=2, mlp=32, length=64, remat='none')
  known = len(words.vocabulary())
  model = phi2.tiny(**small, vocab=known + 2, eos=(known,))
  cfg = tiny.plan(seeds=(0,))
  recipes = tuple(
    dataclasses.replace(r, stage=dataclasses.replace(r.stage, model=model)) for r in cfg.recipes
  )
  base = dataclasses.replace(cfg.base, model=model)
  study(tiny.sealed(seeds=(0,), base=base, recipes=recipes), tmp_path)
  assert set(results(tmp_path)['arms']) == {'base', 'align', 'explain_A-align', 'explain_A'}


@pytest.mark.campaign
@pytest.mark.parametrize('workers', [0, 2])
def test_a_study_that_is_killed_goes_on_to_the_same_bytes(whole, tmp_path, workers, cache):
  """Killed in the middle of an arm; workers end with who started them."""
  tiny.killed(tiny.PATH, tmp_path, cache, 'seed-*/runs/*.tail', workers=workers)
  assert outcomes(tmp_path) == outcomes(whole[0])
  assert results(tmp_path) == results(whole[0])
  assert read_json(tmp_path / 'config.json')['workers'] == workers
