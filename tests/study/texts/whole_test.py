"""The smoke of a study on real texts, to its end: what is shared, gone on with, refused, a pod."""

import dataclasses
import json
import shutil
import weakref

import jax
import pytest
from etils import epath

from jaxalign import compile_cache, main, pod, sealing
from jaxalign.evals import ask, read, summary
from jaxalign.evals.judges import refusal
from jaxalign.stages import evaluate, loading, training
from jaxalign.study.judge import compare, contrasts
from jaxalign.study.plan.rules import Planned, Rules
from jaxalign.study.run import conclusion, runner
from jaxalign.study.store import clock
from jaxalign.study.store import rows as store
from jaxalign.study.texts import answering, on_model, real_text
from tests.study import tiny
from tests.study.tiny import rows
from tests.train import running

PATH = f'{tiny.ROOT}/configs/study_explanations.py:smoke'
TESTS = {'T0', 'D0', 'preferred', 'truthful', 'truthful_all', 'safe', 'unsafe', 'harmful',
         'jailbreak'}  # fmt: skip
LOADED = []  # a weak reference to each model that was measured
ALIVE = []  # how many of them there were, each time that a judge was asked


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Alone(refusal.Words):
  """A judge that looks for models beside it."""

  def verdicts(self, said):
    ALIVE.append(sum(one() is not None for one in LOADED))
    return super().verdicts(said)


def plan(writes=True, **changes):
  """The smoke with two of its arms, less their last step, of a smaller model, on shorter rows.
  writes: whether arms are asked to, by half of the suites."""
  cfg = main.load(PATH)
  small = dataclasses.replace(cfg.base.model, width=16, depth=1, heads=2, kv_heads=2, mlp=32)
  short = lambda stage: dataclasses.replace(stage, model=small, length=96, batch=2)
  arms = tuple(dataclasses.replace(arm, steps=arm.steps[:2]) for arm in cfg.arms[:2])
  recipes = tuple(dataclasses.replace(r, stage=short(r.stage)) for r in cfg.recipes)
  suites = tuple(one for one in cfg.world.suites if one.name in ('xstest', 'canary'))
  asked = dict(suites=suites, judges=(Alone(),)) if writes else dict(suites=(), judges=())
  world = dataclasses.replace(cfg.world, length=320, **asked)
  fewer = dict(arms=arms, world=world, base=short(cfg.base), recipes=recipes, workers=0)
  return sealing.seal(dataclasses.replace(cfg, **fewer | changes))


@pytest.fixture(scope='module', autouse=True)
def programs(cache):
  """Recipes differ in rates, not in all programs: as in a run, what one compiled the next loads."""
  with compile_cache.used(cache):
    yield


def study(cfg, workdir):
  def remembered(load):
    def call(*given, **how):
      LOADED.append(weakref.ref(made := load(*given, **how)))
      return made

    return call

  with pytest.MonkeyPatch.context() as patch:
    for stage in (training, evaluate, on_model):
      patch.setattr(stage, 'make_mesh', tiny.one_device)
    patch.setattr(real_text.Texts, 'load', remembered(real_text.Texts.load))
    patch.setattr(loading, 'load', remembered(loading.load))
    runner.run(cfg, workdir)


@pytest.fixture(scope='module')
def one_seed(tmp_path_factory, programs):
  """(workdir, what was measured): of the first of the two seeds, in which no arm wrote."""
  workdir = tmp_path_factory.mktemp('real')
  study(plan(seeds=(0,), writes=False), workdir)
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
  asked = {row['test'] for row in rows(whole) if row['seed'] == 0}
  assert TESTS < asked and 'xstest/J' in asked  # of arms that were done before they were asked to


def test_it_ends_as_any_study_does(whole):
  found = json.loads((whole / 'results.json').read_text())
  assert found['verdict'] == 'UNINFORMATIVE' and '2 of the 6 seeds' in found['sentence']
  assert set(found['arms']) == {'base', 'explain-align', 'neutral-align'}
  assert [one['name'] for one in found['contrasts']] == ['R1']
  tests = {row['test'] for row in rows(whole)}
  assert TESTS < tests and all(test in TESTS or '/' in test for test in tests)
  assert (whole / 'report.html').exists()
  base = [row['margin'] for row in rows(whole) if row['arm'] == 'base' and row['test'] == 'safe']
  assert base[:12] == base[12:]  # of both seeds: one base
  assert len(list(whole.glob('*/runs/base'))) == len(list(whole.glob('*/answers/base'))) == 1
  about = json.loads((whole / 'about.json').read_text())
  assert len(set(about['base'].values())) == 1
  prompts = {row['prompt'] for row in rows(whole) if row['test'] == 'xstest/J'}
  how = answering.said(whole / 'seed-0/answers/explain-align').how['xstest/J']
  assert about['items']['xstest/J']['0'] == store.digest([*sorted(prompts), how])


def test_what_arms_write_is_judged_and_joins_their_results(whole):
  found = json.loads((whole / 'results.json').read_text())
  for seed in (0, 1):
    for arm in ('explain-align', 'neutral-align'):
      done = read.evaluated(whole / f'seed-{seed}/answers/{arm}')
      means = summary.means(done.about.measures, done.rows)
      assert {'xstest/J', 'xstest/refusal_safe', 'canary/nats'} <= {name for name, _ in means}
      for (measure, _), mean in means.items():
        shown = found['arms'][arm][measure][str(seed)]['margin']
        assert shown == pytest.approx(mean, abs=1e-12), (arm, measure)
  one, two = (found['arms']['base']['canary/nats'][seed]['margin'] for seed in '01')
  assert one == two > 0  # of both seeds: one base


def test_no_arm_is_in_memory_while_a_judge_reads_what_it_wrote(whole):
  assert len(LOADED) > 10 and len(ALIVE) == 5 and not any(ALIVE)


def test_a_contrast_and_a_comparison_see_what_arms_wrote(whole):
  arms = ('explain-align', 1), ('neutral-align', -1)
  planned = Planned(name='W', what='they read on better', arms=arms, tests=(('canary/nats', 1),))
  rules = Rules(contrasts=(planned,), deciding=('W',), bars=(), control=False, draws=1000)
  (found,) = contrasts.measured(store.read(whole / 'outcomes.jsonl'), rules)
  seen = json.loads((whole / 'results.json').read_text())['arms']
  for seed in (0, 1):
    one, other = (seen[arm]['canary/nats'][str(seed)]['margin'] for arm, _ in arms)
    assert found.seeds[seed] == pytest.approx(one - other, abs=1e-12)
  said = compare.compare([f'{whole}:{arm}' for arm, _ in arms])
  assert 'xstest/J after sft (8 items' in said and '  nats a byte ' in said
  assert '  difference ' in said and '  log-odds ' in said


def test_the_page_shows_what_arms_write(whole):
  pytest.importorskip('matplotlib', reason='the page is an extra: jaxalign[report]')
  page = (whole / 'report.html').read_text()
  scored, written = (page.rindex(f'What each arm {what}</h2>') for what in ('does', 'writes'))
  assert scored < written and 'xstest/J' not in page[scored:written]
  assert 'xstest/J' in page[written:] and 'safe prompts refused' in page[written:]


def test_arms_of_a_seed_are_asked_the_same(whole):
  prompts = {}
  for row in rows(whole):
    prompts.setdefault((row['seed'], row['test'], row['arm']), []).append(row['prompt'])
  arms = [arm.name for arm in plan().arms]
  for (seed, test, arm), asked in prompts.items():
    assert asked == prompts[seed, test, arms[0]], (seed, test, arm)
  t0 = [prompts[seed, 'T0', 'base'] for seed in (0, 1)]
  assert t0[0] != t0[1] and prompts[0, 'safe', 'base'] == prompts[1, 'safe', 'base']


def test_a_second_call_makes_nothing(whole, monkeypatch):
  monkeypatch.setattr(ask, 'answers', None)  # nobody is asked
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


def changed_judge(copy):
  """As if another version of a judge had read what one arm wrote."""
  path = copy / 'seed-0/answers/explain-align/evaluated.json'
  path.write_text(json.dumps(json.loads(path.read_text()) | dict(judges=dict(words='another'))))
  return plan()


CHANGES = {
  changed_judge: 'xstest/.* was asked or judged otherwise there than in the arms before it',
  changed_items: 'base.jsonl was measured on another base, other corpora, steps or items',
  changed_source: 'explain.* or of a source that has changed',
}


@pytest.mark.parametrize('change', CHANGES, ids=lambda change: change.__name__)
def test_a_store_of_another_study_is_one_line(copy, change):
  tiny.refused(study, change, CHANGES[change], copy)


def test_the_first_process_of_a_pod_concludes_while_the_others_wait(copy, monkeypatch):
  """It reads what arms wrote: to share that with the others, who are elsewhere, never ended."""
  before = tiny.results(copy)
  (copy / 'results.json').unlink()
  monkeypatch.setattr(jax, 'process_count', lambda: 2)
  monkeypatch.setattr(pod.multihost_utils, 'broadcast_one_to_all', None)
  conclusion.conclude(plan(), epath.Path(copy), seconds=0)
  assert tiny.results(copy) == before


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
  scored = [(a, b) for a, b in zip(ours, theirs, strict=True) if a['test'] in TESTS]
  assert max(abs(a['margin'] - b['margin']) for a, b in scored) < 2e-2  # what is written may flip
  assert not list(two.glob('**/*.tmp'))


@pytest.mark.campaign
def test_one_that_is_killed_goes_on_to_the_same_bytes(tmp_path, cache):
  """While the base is trained, in the midst of an arm, and while one writes; beside one that is let
  alone."""
  places = 'all/runs/base/metrics.jsonl', 'seed-0/runs/explain-neutral/metrics.jsonl'
  places += ('seed-0/answers/neutral-align/answers/*.jsonl',)
  broken, whole = tmp_path / 'broken', tmp_path / 'whole'
  tiny.killed(PATH, broken, cache, *places, seeds='0,', workers=0)
  running.run(running.command(whole, PATH, seeds='0,', workers=0), cache, devices=1)
  answers = '*/answers/*/answers/*', '*/answers/*/verdicts/*', '*/answers/*/measures.jsonl'
  for files in ('*/outcomes/*', '*/corpora/*', 'outcomes.jsonl', *answers):
    assert tiny.stored(broken, files) == tiny.stored(whole, files) != {}
  assert tiny.results(broken) == tiny.results(whole)
