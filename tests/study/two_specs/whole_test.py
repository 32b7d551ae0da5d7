"""The smoke of a study of two specs, to its end: what is asked, judged, shown, not done again."""

import json

import pytest

from jaxalign import compile_cache, main, sealing
from jaxalign.evals import ask
from jaxalign.stages import evaluate, training
from jaxalign.study.run import runner
from jaxalign.study.store import clock
from jaxalign.study.texts import on_model
from tests.study import tiny
from tests.study.tiny import rows
from tests.train import running

PATH = f'{tiny.ROOT}/configs/study_smollm2.py:smoke'
ARMS = {'align+', 'why_A-align', 'spec_A'}


def study(workdir):
  with pytest.MonkeyPatch.context() as patch:
    for stage in (training, evaluate, on_model):
      patch.setattr(stage, 'make_mesh', tiny.one_device)
    runner.run(sealing.seal(main.load(PATH)), workdir)


@pytest.fixture(scope='module')
def whole(tmp_path_factory, cache):
  workdir = tmp_path_factory.mktemp('two') / 'run'
  with compile_cache.used(cache):
    study(workdir)
  return workdir


def test_every_arm_is_asked_the_same_in_nats(whole):
  asked = {}
  for row in rows(whole):
    asked.setdefault((row['test'], row['arm'], row['seed']), []).append(row)
  assert {arm for _, arm, _ in asked} == ARMS | {'base'}
  for seed in (0, 1):
    prompts = [row['prompt'] for row in asked['T2', 'base', seed]]
    for arm in ARMS:
      found = asked['T2', arm, seed]
      assert [row['prompt'] for row in found] == prompts  # of a spec in the prompt too
      assert {row['unit'] for row in found} == {'nats'} and len(found) == 4
      assert all(row['margin'] == row['raw'] and row['right'] == (row['margin'] > 0)
                 for row in found)  # fmt: skip
  shown = [row['margin'] for row in asked['T2', 'spec_A', 0]]
  assert shown != [row['margin'] for row in asked['T2', 'base', 0]]


def test_what_is_written_is_read_by_two_judges_with_what_they_left_open(whole):
  arms = json.loads((whole / 'results.json').read_text())['arms']
  for measure in ('adviser/a', 'adviser/b', 'adviser/near_b', 'adviser/abstain/choice'):
    assert measure in arms['why_A-align'] and measure not in arms['align+']


def test_seeds_of_one_training_seed_differ_in_documents_alone(whole):
  sums = [json.loads((whole / f'seed-{seed}/corpora/sums.json').read_text()) for seed in (0, 1)]
  assert sums[0] == sums[1]
  of = lambda draw: json.loads((whole / f'all/draws/{draw}/corpora/sums.json').read_text())
  assert of(0)['why_A'] != of(1)['why_A']
  same = {row['seed']: row['margin'] for row in rows(whole)
          if (row['arm'], row['test'], row['item']) == ('align+', 'T2', 0)}  # fmt: skip
  assert same[0] == same[1]  # it read no documents


def test_results_say_of_each_contrast_what_decides(whole):
  (one,) = json.loads((whole / 'results.json').read_text())['contrasts']
  about = one['factors']
  assert one['name'] == 'Q4' and one['scale'] == 'share' and len(one['seeds']) == 2
  assert (about['training'], about['draws'], about['crossed']) == (1, 2, False)
  assert about['how'].startswith('over draws of one training seed')


def test_the_page_shows_both_factors(whole):
  pytest.importorskip('matplotlib', reason='the page is an extra: jaxalign[report]')
  page = (whole / 'report.html').read_text()
  assert 'Training seeds and draws of documents' in page and 'Two specs' in page


def test_a_second_call_makes_nothing(whole, monkeypatch):
  monkeypatch.setattr(ask, 'answers', None)  # nobody is asked
  files = [path for path in whole.glob('*/**/*') if path.is_file() and path.name != clock.FILE]
  times = {path: path.stat().st_mtime_ns for path in files}
  study(whole)
  assert {path: path.stat().st_mtime_ns for path in times} == times


@pytest.mark.campaign
def test_after_a_kill_the_same_command_makes_the_same_study(tmp_path, cache):
  """Killed while documents are written, a base is trained, an arm is trained, and one writes."""
  places = (
    'all/draws/*/what_A/journal.jsonl',
    'all/runs/base/metrics.jsonl',
    'seed-0/runs/explain-why_A/metrics.jsonl',
    'seed-0/answers/why_A-align/answers/*.jsonl',
  )
  broken, whole = tmp_path / 'broken', tmp_path / 'whole'
  tiny.killed(PATH, broken, cache, *places, seeds='0,')
  running.run(running.command(whole, PATH, seeds='0,'), cache, devices=1)
  for files in ('*/outcomes/*', '*/corpora/*', 'all/draws/*/corpora/*', 'outcomes.jsonl'):
    assert tiny.stored(broken, files) == tiny.stored(whole, files) != {}
  assert tiny.results(broken) == tiny.results(whole)
