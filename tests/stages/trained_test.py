"""A reward model comes back out of its workdir as it was, with the text side it was trained on."""

import dataclasses
import json
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxalign import config, sealing
from jaxalign.config import UserError
from jaxalign.data import chat
from jaxalign.data.text import shipped
from jaxalign.models import adapters, families, heads, llama2
from jaxalign.models.export import export
from jaxalign.sharding.meshes import make_mesh
from jaxalign.stages import contract, refusals, trained
from jaxalign.train import saving
from jaxalign.train.state import make_state

CFG = llama2.tiny(depth=1, width=32, heads=4, kv_heads=2, mlp=64, vocab=1024, length=64)
LORA = adapters.Lora(rank=2)
TOKENS = np.random.RandomState(0).randint(3, 1000, (3, 8)).astype(np.int32)
run = jax.jit(lambda scorer, tokens_BT: scorer(tokens_BT))


def store(workdir, seed=0, lora=None, init=None, cfg=CFG):
  """A workdir as the stage leaves it, and the weights in it, the head larger than by chance."""
  mesh = make_mesh(1, 1, 1, devices=jax.devices()[:1])
  build = heads.fresh(cfg) if lora is None else heads.fresh_thin(cfg, lora)
  state = make_state(build, optax.sgd(0.1), seed, mesh)[1]()
  state = state.replace(model=jax.tree.map(lambda w: w * 3 + 0.01, state.model))
  about = trained.text_side(shipped(), chat.TRANSCRIPT)
  with jax.set_mesh(mesh), saving.Saves(workdir, config.Saving(), about) as saves:
    saves.save(state)
  raw = {'class': trained.REWARD, 'model': sealing.tree(cfg), 'tokenizer': 'shipped', 'init': init}
  raw |= dict(lora=lora and sealing.tree(lora), format=sealing.tree(chat.TRANSCRIPT))
  (workdir / 'config.json').write_text(json.dumps(raw))
  return state.model


def test_a_reward_model_comes_back(tmp_path):
  model = store(tmp_path)
  scorer, tokenizer, form = trained.scorer_of(tmp_path)
  assert jax.tree.structure(scorer) == jax.tree.structure(model)
  for ours, theirs in zip(jax.tree.leaves(scorer), jax.tree.leaves(model)):
    np.testing.assert_array_equal(ours, theirs)
  assert tokenizer.hash == shipped().hash and form == chat.TRANSCRIPT
  half, _, _ = trained.scorer_of(tmp_path, dtype='bfloat16')
  assert half.decoder.embed_VD.dtype == jnp.bfloat16 and half.score_D.dtype == jnp.float32
  np.testing.assert_allclose(run(half, TOKENS), run(model, TOKENS), rtol=0.1, atol=0.5)


@pytest.mark.parametrize('family', ['llama3', 'mistral', 'qwen2', 'qwen3'])
def test_a_model_of_every_family_comes_back(family, tmp_path):
  cfg = families.MODELS[family].tiny(depth=1, width=32, mlp=64, vocab=1024, length=64)
  assert sealing.fits(cfg, contract.ModelConfig)
  model = store(tmp_path, cfg=cfg)
  scorer, _, _ = trained.scorer_of(tmp_path)
  assert (type(scorer.decoder.cfg), scorer.decoder.cfg) == (type(cfg), cfg)
  np.testing.assert_array_equal(run(scorer, TOKENS), run(model, TOKENS))


def test_what_a_family_adds_to_the_arithmetic_must_be_that_of_the_start():
  cfg = families.MODELS['mistral'].tiny()
  stage = types.SimpleNamespace(model=cfg, init='there')
  refusals.refuse_other_model(stage, dataclasses.replace(cfg))
  with pytest.raises(UserError, match=r'window=5 \(init has None\)'):
    refusals.refuse_other_model(stage, dataclasses.replace(cfg, window=None))
  with pytest.raises(UserError, match='another family'):
    refusals.refuse_other_model(stage, llama2.tiny())


def test_one_checkpoint_is_named_by_its_directory(tmp_path):
  """The best of a run is seldom its newest."""
  first = store(tmp_path)
  head_D = np.asarray(first.score_D)
  later = jax.tree.map(lambda w: w + 1, first)
  mesh = make_mesh(1, 1, 1, devices=jax.devices()[:1])
  state = make_state(heads.fresh(CFG), optax.sgd(0.1), 0, mesh)[1](later)
  about = trained.text_side(shipped(), chat.TRANSCRIPT)
  with jax.set_mesh(mesh), saving.Saves(tmp_path, config.Saving(), about) as saves:
    saves.save(state.replace(step=jnp.int32(5)))
  marks = {}
  for place, added in (('checkpoints/0', 0), ('checkpoints/5', 1), ('.', 1)):
    scorer, _, _ = trained.scorer_of(str(tmp_path / place))
    np.testing.assert_array_equal(scorer.score_D, head_D + added)
    marks[place] = trained.fingerprint_of(tmp_path / place)
  assert marks['checkpoints/0'] != marks['checkpoints/5'] == marks['.']
  assert trained.is_workdir(f'{tmp_path}/checkpoints/0/')
  with pytest.raises(UserError, match='checkpoints/3: no checkpoint is there'):
    trained.scorer_of(tmp_path / 'checkpoints/3')


def test_an_adapter_comes_back_folded_in(tmp_path):
  base = jax.jit(CFG.build)(jax.random.key(7))
  export(base, tmp_path / 'base')
  thin = store(tmp_path / 'run', lora=LORA, init=str(tmp_path / 'base'))
  scorer, _, _ = trained.scorer_of(tmp_path / 'run')
  expected = run(heads.laid(base, thin, LORA), TOKENS)
  np.testing.assert_allclose(run(scorer, TOKENS), expected, rtol=1e-4, atol=1e-4)
  assert np.abs(expected - run(heads.Scorer(base, score_D=thin['score_D']), TOKENS)).max() > 0.1


def test_what_a_workdir_is_not_is_said(tmp_path):
  store(tmp_path)
  with pytest.raises(UserError, match='holds a reward model, which writes no text'):
    trained.load(tmp_path)
  raw = trained.raw_of(tmp_path)
  other = sealing.tree(dataclasses.replace(chat.TRANSCRIPT, answer='{answer}'))
  for change, says in (
    (dict(format=other), 'was trained with template .*: put back the one'),
    ({'class': 'jaxalign.stages.sft:Config'}, 'holds no reward model'),
  ):
    (tmp_path / 'config.json').write_text(json.dumps(raw | change))
    with pytest.raises(UserError, match=says):
      trained.scorer_of(tmp_path)


@pytest.mark.parametrize('field, lora', [('seed', None), ('init', LORA)])
def test_a_fingerprint_is_of_the_weights_and_of_what_an_adapter_lies_on(tmp_path, field, lora):
  for name, value in dict(a=0, b=0, c=1).items():
    store(tmp_path / name, lora=lora, **{field: value if field == 'seed' else f'x/{value}'})
  a, b, c = (trained.fingerprint_of(tmp_path / name) for name in 'abc')
  assert a == b != c and len(a) == 64
  assert saving.about(tmp_path / 'a')['template'] == chat.TRANSCRIPT.hash
