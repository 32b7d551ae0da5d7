"""DPO begins at exactly log 2, follows its formula, and measures from where it began."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxalign
from jaxalign.config import AdamW, Mesh, UserError
from jaxalign.data import batches
from jaxalign.models import adapters
from jaxalign.models.adapters import Lora
from jaxalign.models.export import export
from jaxalign.sharding.meshes import make_mesh
from jaxalign.stages import dpo, training
from jaxalign.train import optim, saving
from tests.stages import pair_runs

pytestmark = pytest.mark.usefixtures('one_device')


@pytest.fixture(scope='module')
def batch(tmp_path_factory):
  place = tmp_path_factory.mktemp('pairs')
  cfg = pair_runs.small(dpo, place)
  tokenizer = training.open_tokenizer(cfg)
  ready = training.open_data(cfg, training.corpora_of(cfg.train), 'train', tokenizer, place)
  return batches.Pairs(ready, cfg.length, 5, None).rows(4, range(5))


@pytest.fixture(scope='module')
def models():
  build = jax.jit(pair_runs.MODEL.build)
  return build(jax.random.key(1)), build(jax.random.key(2))


def total(cfg, models, batch):
  read = dpo.reader(cfg, lambda model, reference: (model, reference))
  return jax.jit(dpo.loss_of(cfg, read))(models[0], batch, None, models[1])


def oracle(models, batch, cfg):
  """(implicit rewards, the sum of k2 over answers' tokens), by a loop over the texts, one at a time
  and without padding."""
  reward, moved = np.zeros((5, 2)), 0.0
  for i in range(5):
    for side, name in enumerate(('chosen', 'rejected')):
      n = int((batch[f'{name}_segment_BT'][i] != 0).sum())
      if n == 0:
        continue
      tokens = batch[f'{name}_BT'][i : i + 1, :n]
      answer = np.flatnonzero(batch[f'{name}_weight_BT'][i, :n])
      both = []
      for model in models:
        logp = np.asarray(jax.nn.log_softmax(model.logits(tokens)), np.float64)[0]
        both.append(np.array([logp[t - 1, tokens[0, t]] for t in answer]))
      gap = both[0] - both[1]
      moved += (gap**2 / 2).sum()
      reward[i, side] = cfg.beta * gap.sum() / (len(answer) if cfg.per_token else 1)
  return reward, moved


@pytest.mark.parametrize('how', [{}, dict(smoothing=0.2), dict(per_token=True, beta=0.5)])
def test_the_loss_is_the_plain_formula(models, batch, tmp_path, how):
  cfg = pair_runs.small(dpo, tmp_path, **how)
  got = total(cfg, models, batch)
  live = batch['weight_B'] > 0
  assert 0 < live.sum() < 5
  rewards, moved = oracle(models, batch, cfg)
  r = rewards[live]
  gap = r[:, 0] - r[:, 1]
  right, wrong = np.log1p(np.exp(-gap)), np.log1p(np.exp(gap))
  expected = (1 - cfg.smoothing) * right + cfg.smoothing * wrong
  np.testing.assert_allclose(got['loss'][0], expected.sum(), rtol=1e-4)
  assert got['loss'][1] == live.sum()
  np.testing.assert_allclose(got['margin'][0], gap.sum(), rtol=1e-3, atol=1e-4)
  np.testing.assert_allclose(got['kl'][0], moved, rtol=1e-3)


@pytest.fixture(scope='module')
def base(tmp_path_factory):
  place = tmp_path_factory.mktemp('base')
  export(jax.jit(pair_runs.MODEL.build)(jax.random.key(9)), place)
  return str(place)


def test_a_run_begins_at_log_2_and_learns(tmp_path, base):
  how = dict(steps=12, eval_every=12, optim=AdamW(lr=3e-3), reference='float32')
  cfg = pair_runs.small(dpo, tmp_path, init=base, **how)
  pair_runs.run(dpo, cfg, tmp_path / 'run')
  rows = pair_runs.lines(tmp_path / 'run')
  assert rows[0]['loss'] == np.float32(math.log(2)) and rows[0]['kl'] < 1e-12
  assert rows[-1]['loss'] < 0.6 and rows[-1]['kl'] > 0 and rows[-1]['accuracy'] > 0.9
  model = jaxalign.load(tmp_path / 'run')
  assert model.embed_VD.shape == (1024, 32) and (tmp_path / 'run/card.json').exists()


def test_an_adapter_is_measured_from_its_base(models, batch, tmp_path):
  """Whatever it learned: the reference has none of it."""
  cfg = pair_runs.small(dpo, tmp_path, init='base', lora=Lora(rank=4))
  build, _, rewards = dpo.learner(cfg)
  born, base = build(jax.random.key(3)), models[0]
  rewards = jax.jit(rewards)
  assert (rewards(born, batch, base) == 0).all()
  moved = jax.tree.map(lambda w: w + 0.02, born)
  laid = jax.jit(lambda base, moved: adapters.merge(base, moved, cfg.lora))(base, moved)
  expected, _ = oracle((laid, base), batch, cfg)
  assert np.abs(expected).max() > 1e-3
  np.testing.assert_allclose(rewards(moved, batch, base), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.campaign
def test_an_adapter_s_reference_is_its_base(tmp_path, base):
  how = dict(init=base, lora=Lora(rank=4), optim=AdamW(lr=2e-2))
  pair_runs.run(dpo, pair_runs.small(dpo, tmp_path, **how), tmp_path / 'run')
  rows = pair_runs.lines(tmp_path / 'run')
  assert rows[0]['loss'] == np.float32(math.log(2)) and rows[-1]['loss'] < 0.69
  folded = jaxalign.load(tmp_path / 'run')
  assert (folded.embed_VD == jaxalign.load(base).embed_VD).all()


def test_the_reference_may_be_half_as_large_and_stays_where_it_was(tmp_path, base):
  """Resumed, it is still init and not where the policy stands."""
  cfg = pair_runs.small(dpo, tmp_path, init=base, reference='bfloat16')
  mesh, tx = training.make_mesh(), optim.make_optimizer(cfg.optim, cfg.steps)
  with jax.set_mesh(mesh), saving.Saves(tmp_path / 'run', cfg.saving) as saves:
    state, reference, _, _ = dpo.start(cfg, tx, mesh, saves)
    moved = state.replace(step=state.step + 1, model=jax.tree.map(lambda w: w + 1, state.model))
    saves.save(moved)
    saves.wait()
    again, still, _, _ = dpo.start(cfg, tx, mesh, saves)
  assert reference.embed_VD.dtype == jnp.bfloat16 and int(again.step) == 1
  assert jnp.abs(again.model.embed_VD[...] - 1).max() < 0.5
  assert (still.embed_VD[...] == reference.embed_VD[...]).all()


def test_a_reference_that_is_another_by_now_is_refused(tmp_path):
  """The files that init names were written anew: a run that goes on would measure from there."""
  build = jax.jit(pair_runs.MODEL.build)
  export(build(jax.random.key(9)), tmp_path / 'base')
  cfg = pair_runs.small(dpo, tmp_path, init=str(tmp_path / 'base'))
  mesh, tx = training.make_mesh(), optim.make_optimizer(cfg.optim, cfg.steps)

  def begin():
    return dpo.start(cfg, tx, mesh, saves)[0]

  with jax.set_mesh(mesh), saving.Saves(tmp_path / 'run', cfg.saving) as saves:
    saves.save(begin().replace(step=jnp.int32(1)))
    saves.wait()
    assert int(begin().step) == 1
    export(build(jax.random.key(8)), tmp_path / 'base', overwrite=True)
    with pytest.raises(UserError, match='trained with another frozen_weights than this run has'):
      begin()


def test_eight_devices_do_what_one_does(tmp_path, base, monkeypatch):
  how = dict(init=base, steps=2, held_out=())
  pair_runs.run(dpo, pair_runs.small(dpo, tmp_path, **how), tmp_path / 'one')
  monkeypatch.setattr(training, 'make_mesh', make_mesh)
  cfg = pair_runs.small(dpo, tmp_path, mesh=Mesh(data=8, fsdp=1), **how)
  pair_runs.run(dpo, cfg, tmp_path / 'eight')
  one, eight = (pair_runs.lines(tmp_path / name) for name in ('one', 'eight'))
  for name in ('loss', 'margin', 'kl', 'grad_norm'):
    np.testing.assert_allclose(*([row[name] for row in rows] for rows in (one, eight)), atol=1e-5)


def test_no_entropy_is_computed_that_nobody_reads(models, batch, monkeypatch):
  asked = []
  ours = dpo.head.token_logprobs_from_hidden

  def spy(*args, **how):
    asked.append(how.get('entropy', True))
    return ours(*args, **how)

  monkeypatch.setattr(dpo.head, 'token_logprobs_from_hidden', spy)
  jax.eval_shape(dpo.logprobs, models[0], batch)
  assert asked == [False]


@pytest.mark.parametrize(
  'change, says',
  [
    (dict(beta=0.0), 'beta=0.0'),
    (dict(smoothing=0.5), 'smoothing=0.5'),
    (dict(lora=Lora(), init='x', reference='bfloat16'), 'the reference is the base itself'),
  ],
)
def test_bad_config_is_one_line(change, says, tmp_path):
  with pytest.raises(UserError, match=says):
    pair_runs.run(dpo, pair_runs.small(dpo, tmp_path, **change), tmp_path / 'run')
