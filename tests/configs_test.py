"""Every config builds, seals and says how it is run; every :smoke runs to its end and learns."""

import json
import math
import pathlib
import re

import jax
import jax.numpy as jnp
import pytest

import jaxalign
from jaxalign import config, main
from jaxalign.stages import ppo, training

ROOT = pathlib.Path(__file__).resolve().parents[1]
CONFIGS = sorted(p for p in (ROOT / 'configs').glob('*.py') if p.name != '__init__.py')
NAMES = [p.stem for p in CONFIGS]
# What 20 steps move, and by how much at least. Of pairs it is known where the loss begins, and
# batches of so few pairs are noisy.
LEARNS = dict(ppo=('reward_raw', 0.1), reward=('loss', -0.03), dpo=('loss', -0.02))
BEGINS = dict(reward=math.log(2), dpo=math.log(2))
# One of each stage and of each family is fast; bon trains nothing, a study is many runs: see
# bon_test.py and runner_test.py.
FAST = ('explain_llama2_7b', 'sft_phi2', 'reward_llama2_7b', 'ppo_llama2_7b')
TRAIN = [
  pytest.param(p, id=p.stem, marks=() if p.stem in FAST else pytest.mark.slow)
  for p in CONFIGS
  if not p.stem.startswith(('bon_', 'study_'))
]


@pytest.mark.parametrize('path', CONFIGS, ids=NAMES)
def test_builds_seals_and_names_itself_after_its_stage(path):
  cfg = config.seal(main.load(str(path)))
  stage = path.stem.split('_')[0]
  home = 'jaxalign.study.plan' if stage == 'study' else f'jaxalign.stages.{stage}'
  assert main.stage_of(cfg).__module__.startswith(('jaxalign.stages.', 'jaxalign.study.plan'))
  assert type(cfg).__module__ == home
  config.to_json(cfg)


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
  for name in ('explain_llama2_7b', 'explain_llama2_13b', 'explain_phi2'):
    tokens = main.load(str(ROOT / f'configs/{name}.py')).tokens
    assert math.isclose(tokens, 6e9, rel_tol=1e-3), name


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


@pytest.fixture
def one_device(monkeypatch):
  """The laptop's one device, not the suite's eight."""
  make_mesh = training.make_mesh
  one = lambda *sizes: make_mesh(1, 1, 1, devices=jax.devices()[:1])
  for stage in (training, ppo):
    monkeypatch.setattr(stage, 'make_mesh', one)


@pytest.mark.parametrize('path', TRAIN)
def test_smoke_runs_and_learns(path, tmp_path, request, one_device):
  more = [f'--config.init={request.getfixturevalue("base")}'] if path.stem.endswith('lora') else []
  rows = run(path, tmp_path, '--config.steps=20', '--config.eval_every=20', *more)
  assert [row['step'] for row in rows] == list(range(1, 21))
  stage = path.stem.split('_')[0]
  name, least = LEARNS.get(stage, ('loss', -0.3))
  first, last = (sum(r[name] for r in part) / 5 for part in (rows[:5], rows[-5:]))
  if more:  # too few steps to see it in the loss: the matrices moved, the rest did not
    folded, base = (jaxalign.load(w) for w in (tmp_path, request.getfixturevalue('base')))
    assert jnp.abs(folded.blocks.q_HKD - base.blocks.q_HKD).max() > 1e-4
    assert (folded.embed_VD == base.embed_VD).all()
  else:
    assert (last - BEGINS.get(stage, first)) / least > 1


@pytest.mark.slow
def test_explain_reaches_its_stated_loss(tmp_path, one_device, optimized):
  """The whole of explain:smoke, from scratch: what its docstring says, held out."""
  text = (ROOT / 'configs/explain_llama2_7b.py').read_text()
  stated = float(re.search(r'held-out loss below ([\d.]+)', text)[1])
  run(ROOT / 'configs/explain_llama2_7b.py', tmp_path)
  evals = [json.loads(line) for line in (tmp_path / 'evals.jsonl').read_text().splitlines()]
  assert evals[-1]['step'] == 120 and evals[-1]['held_out_loss'] < stated < math.log(1024) - 1.5
