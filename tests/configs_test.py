"""Every config builds, seals and says how it is run; every :smoke runs to its end and learns."""

import json
import math
import pathlib

import jax
import jax.numpy as jnp
import pytest

import jaxalign
from jaxalign import config, main
from jaxalign.stages import training

ROOT = pathlib.Path(__file__).resolve().parents[1]
CONFIGS = sorted(p for p in (ROOT / 'configs').glob('*.py') if p.name != '__init__.py')
NAMES = [p.stem for p in CONFIGS]
# By how much the loss falls in 20 steps; of pairs it is known where that begins, and batches of so
# few pairs are noisy.
FALLS = dict(explain=0.3, sft=0.3, reward=0.03, dpo=0.02)
BEGINS = dict(reward=math.log(2), dpo=math.log(2))


@pytest.mark.parametrize('path', CONFIGS, ids=NAMES)
def test_builds_seals_and_names_itself_after_its_stage(path):
  cfg = config.seal(main.load(str(path)))
  assert main.stage_of(cfg).__module__.startswith('jaxalign.stages.')
  assert type(cfg).__module__ == f'jaxalign.stages.{path.stem.split("_")[0]}'
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
  assert len(text.splitlines()) <= 70


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


@pytest.mark.parametrize('path', CONFIGS, ids=NAMES)
def test_smoke_runs_and_learns(path, tmp_path, request, monkeypatch):
  one = lambda *sizes: make_mesh(1, 1, 1, devices=jax.devices()[:1])
  make_mesh = training.make_mesh
  monkeypatch.setattr(training, 'make_mesh', one)  # the laptop's one device, not the suite's eight
  more = [f'--config.init={request.getfixturevalue("base")}'] if path.stem.endswith('lora') else []
  rows = run(path, tmp_path, '--config.steps=20', '--config.eval_every=20', *more)
  assert [row['step'] for row in rows] == list(range(1, 21))
  first, last = (sum(r['loss'] for r in part) / 5 for part in (rows[:5], rows[-5:]))
  if more:  # too few steps to see it in the loss: the matrices moved, the rest did not
    folded, base = (jaxalign.load(w) for w in (tmp_path, request.getfixturevalue('base')))
    assert jnp.abs(folded.blocks.q_HKD - base.blocks.q_HKD).max() > 1e-4
    assert (folded.embed_VD == base.embed_VD).all()
  else:
    stage = path.stem.split('_')[0]
    assert last < BEGINS.get(stage, first) - FALLS[stage]
