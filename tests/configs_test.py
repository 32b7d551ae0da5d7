"""Every config builds, seals and says how it is run; every :smoke runs to its end and learns."""

import dataclasses
import json
import math
import pathlib
import re

import jax.numpy as jnp
import pytest

import jaxalign
from jaxalign import main, sealing
from jaxalign.config import UserError
from jaxalign.data import chat
from jaxalign.stages import evaluate_refusals

ROOT = pathlib.Path(__file__).resolve().parents[1]
CONFIGS = sorted(p for p in (ROOT / 'configs').glob('*.py') if p.name != '__init__.py')
NAMES = [p.stem for p in CONFIGS]
# What 20 steps move, and by how much at least. Of pairs it is known where the loss begins, and
# batches of so few pairs are noisy.
LEARNS = dict(ppo=('reward_raw', 0.1), reward=('loss', -0.03), dpo=('loss', -0.02))
BEGINS = dict(reward=math.log(2), dpo=math.log(2))
# What is enough to learn something in, of one stage and family each; the whole smokes of all
# configs are a campaign. bon trains nothing, a study is many runs: bon_test.py, runner_test.py.
SHORT = dict(
  explain_llama2_7b=dict(length=96), sft_phi2=dict(length=96),
  reward_llama2_7b=dict(length=128, batch=4),
  ppo_llama2_7b={
    'batch': 16, 'minibatch': 8, 'model.depth': 1, 'model.width': 32, 'eval_prompts': 16,
    'eval_greedy': False,
  },
  sft_llama31_8b={'length': 96, 'model.depth': 2},
  explain_qwen3_14b={'length': 96, 'model.depth': 2},
  sft_smollm2={'length': 96, 'model.depth': 2},
)  # fmt: skip
TRAIN = [p for p in CONFIGS if not p.stem.startswith(('bon_', 'corpus_', 'eval_', 'study_'))]
STAGES = dict(study='jaxalign.study.stage', eval='jaxalign.stages.evaluate')  # less plain names


@pytest.mark.parametrize('path', CONFIGS, ids=NAMES)
def test_builds_seals_and_names_itself_after_its_stage(path):
  cfg = sealing.seal(main.load(str(path)))
  stage = path.stem.split('_')[0]
  home = STAGES.get(stage, f'jaxalign.stages.{stage}')
  assert main.stage_of(cfg).__module__.startswith(('jaxalign.stages.', 'jaxalign.study.stage'))
  assert type(cfg).__module__ == home
  sealing.to_json(cfg)


@pytest.mark.parametrize('path', CONFIGS, ids=NAMES)
def test_docstring_holds_what_a_user_needs(path):
  text = path.read_text()
  doc = text.split('"""')[1]
  for word in (
    f'--config=configs/{path.name}',
    '--workdir=',
    'Slice: ',
    'Cost',
    'Expect',
    ':smoke',
  ):
    assert word in doc, word
  assert len(text.splitlines()) <= (150 if path.stem.startswith('study_') else 70)


def test_full_scale_explain_is_six_billion_tokens():
  names = ('llama2_7b', 'llama2_13b', 'phi2', 'llama31_8b', 'qwen3_14b')
  for name in (f'explain_{model}' for model in names):
    tokens = main.load(str(ROOT / f'configs/{name}.py')).tokens
    assert math.isclose(tokens, 6e9, rel_tol=1e-3), name


@pytest.mark.parametrize('stage', ['sft', 'reward', 'ppo'])
def test_an_adapter_of_smollm2_speaks_the_template_that_it_came_with(stage):
  """:lora is the same run on thin matrices."""
  path = ROOT / f'configs/{stage}_smollm2.py'
  whole, thin = (sealing.seal(main.load(f'{path}{variant}')) for variant in ('', ':lora'))
  assert whole.format == thin.format == chat.OWN
  changed = {name.split('.')[0] for name, *_ in sealing.diff(whole, thin)}
  assert changed <= {'lora', 'optim', 'critic', 'critic_optim'} and whole.lora is None


@pytest.fixture(scope='module')
def base(tmp_path_factory):
  """A workdir of explain:smoke, which the adapter's smoke continues."""
  workdir = tmp_path_factory.mktemp('base')
  run(ROOT / 'configs/explain_llama2_7b.py', workdir, '--config.steps=20', '--config.eval_every=20')
  return workdir


def run(path, workdir, *more):
  command = ['jaxalign', f'--config={path}:smoke', f'--workdir={workdir}', *more]
  assert main.main([*command, '--config.saving.every=20', '--config.mesh.fsdp=1']) == 0
  return [json.loads(line) for line in (workdir / 'metrics.jsonl').read_text().splitlines()]


def learns(path, workdir, *more):
  """The metrics of 20 steps, in which what the stage is for got better."""
  rows = run(path, workdir, '--config.steps=20', '--config.eval_every=20', *more)
  assert [row['step'] for row in rows] == list(range(1, 21))
  stage = path.stem.split('_')[0]
  name, least = LEARNS.get(stage, ('loss', -0.3))
  first, last = (sum(r[name] for r in part) / 5 for part in (rows[:5], rows[-5:]))
  assert (last - BEGINS.get(stage, first)) / least > 1


@pytest.mark.parametrize('name', SHORT)
def test_smoke_learns(name, tmp_path, one_device):
  fields = [f'--config.{field}={value}' for field, value in SHORT[name].items()]
  learns(ROOT / f'configs/{name}.py', tmp_path, *fields)


@pytest.mark.campaign
@pytest.mark.parametrize('path', TRAIN, ids=lambda path: path.stem)
def test_whole_smoke_runs_and_learns(path, tmp_path, request, one_device):
  if not path.stem.endswith('lora'):
    return learns(path, tmp_path)
  # Too few steps to see it in the loss: the matrices moved, the rest did not.
  init = request.getfixturevalue('base')
  run(path, tmp_path, '--config.steps=20', '--config.eval_every=20', f'--config.init={init}')
  folded, base = jaxalign.load(tmp_path), jaxalign.load(init)
  assert jnp.abs(folded.blocks.q_HKD - base.blocks.q_HKD).max() > 1e-4
  assert (folded.embed_VD == base.embed_VD).all()


@pytest.mark.campaign
def test_explain_reaches_its_stated_loss(tmp_path, one_device, optimized):
  """The whole of explain:smoke, from scratch: what its docstring says, held out."""
  text = (ROOT / 'configs/explain_llama2_7b.py').read_text()
  stated = float(re.search(r'held-out loss below ([\d.]+)', text)[1])
  run(ROOT / 'configs/explain_llama2_7b.py', tmp_path)
  evals = [json.loads(line) for line in (tmp_path / 'evals.jsonl').read_text().splitlines()]
  assert evals[-1]['step'] == 120 and evals[-1]['held_out_loss'] < stated < math.log(1024) - 1.5


@pytest.mark.parametrize('name', ['eval_full', 'eval_truthful'])
def test_an_evaluation_with_judges_that_are_not_there_is_refused_and_offline_has_none(
  name, tmp_path
):
  """Before anything is asked, by a line that names the judge."""
  path = ROOT / f'configs/{name}.py'
  whole, offline = (sealing.seal(main.load(f'{path}{v}')) for v in ('', ':offline'))
  gone = [
    dataclasses.replace(judge, path=str(tmp_path / 'none')) if hasattr(judge, 'path') else judge
    for judge in whole.judges
  ]
  with pytest.raises(UserError, match='judge (harmbench|truth): .*no such file') as error:
    evaluate_refusals.JUDGING[0][1](dataclasses.replace(whole, judges=tuple(gone)), {})
  assert '\n' not in str(error.value)
  words, _ = evaluate_refusals.JUDGING[0][1](offline, {})
  assert 'words (refusal)' in words and 'rouge_l (overlap)' in words
  kinds = {judge.kind for judge in whole.judges}
  assert {'truth', 'info', 'refusal', 'overlap'} <= kinds
  assert {judge.name for judge in offline.judges} < {judge.name for judge in whole.judges}
  known = {m.name for suite in whole.suites for m in suite.measures()}
  assert {*whole.primaries} <= known and {*offline.primaries} < {*whole.primaries}


@pytest.mark.campaign
@pytest.mark.parametrize('path', [p for p in CONFIGS if p.stem.startswith('eval_')], ids=str)
def test_whole_smoke_asks_and_judges(path, tmp_path, one_device):
  flags = [f'--config={path}:smoke', f'--workdir={tmp_path}', '--config.mesh.fsdp=1']
  assert main.main(['jaxalign', *flags]) == 0
  about = json.loads((tmp_path / 'evaluated.json').read_text())
  rows = [json.loads(line) for line in (tmp_path / 'measures.jsonl').read_text().splitlines()]
  assert {row['measure'] for row in rows} >= set(about['primaries'])
