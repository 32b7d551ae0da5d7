"""A reward model learns its pairs, in one forward pass, and its card says what it is worth."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxalign.config import AdamW, Saving, UserError
from jaxalign.data import batches
from jaxalign.models.adapters import Lora
from jaxalign.models.export import export
from jaxalign.sharding.meshes import make_mesh
from jaxalign.stages import pairs, reward, trained, training
from jaxalign.train import optim, saving
from tests.stages import pair_runs

pytestmark = pytest.mark.usefixtures('one_device')


@pytest.fixture(scope='module')
def done(tmp_path_factory, one_device):
  """(config, workdir) of a run that learned."""
  place = tmp_path_factory.mktemp('reward')
  cfg = pair_runs.small(reward, place, steps=24, eval_every=24, saving=Saving(every=24))
  pair_runs.run(reward, cfg, place / 'run')
  return cfg, place / 'run'


@pytest.fixture(scope='module')
def batch(done):
  """One of held-out pairs, the last rows of which are padding."""
  cfg, workdir = done
  tokenizer = training.open_tokenizer(cfg)
  ready = training.open_data(cfg, training.corpora_of(cfg.held_out), 'held_out', tokenizer, workdir)
  data = batches.Pairs(ready, cfg.length, 5, None)
  return data.rows(data.order.steps - 1, range(5))


def test_it_learns_and_says_so(done):
  cfg, workdir = done
  rows = pair_runs.lines(workdir)
  assert rows[0]['loss'] > 0.6 and rows[-1]['loss'] < 0.35
  assert {'loss', 'accuracy', 'margin', 'chosen', 'rejected', 'grad_norm'} <= rows[0].keys()
  (scores,) = pair_runs.lines(workdir, 'evals')
  assert scores['held_out_accuracy'] == 1 and scores['held_out_accuracy_even'] == 1


def test_the_card_is_of_these_weights(done):
  _, workdir = done
  card = json.loads((workdir / 'card.json').read_text())
  assert card['pairs'] == 24 and card['subsets'].keys() == {'even', 'odd'}
  assert card['origin']['weights'] == trained.fingerprint_of(workdir)
  scorer, tokenizer, form = trained.scorer_of(workdir)
  assert (card['origin']['tokenizer'], card['origin']['template']) == (tokenizer.hash, form.hash)
  page = (workdir / 'card.html').read_text()
  assert '<svg' in page and card['origin']['weights'] in page
  assert 'src=' not in page and '<script' not in page and '<link' not in page


def test_both_sides_in_one_forward_are_the_sides_alone(done, batch):
  scorer, _, _ = trained.scorer_of(done[1])
  both = jax.jit(reward.rewards)(scorer, batch)
  alone = jax.jit(lambda s, tokens_BT, segment_BT: s(tokens_BT, segment_BT))
  for side, name in enumerate(('chosen', 'rejected')):
    expected = alone(scorer, batch[f'{name}_BT'], batch[f'{name}_segment_BT'])
    np.testing.assert_allclose(both[:, side], expected, atol=1e-5)


def test_the_loss_is_the_plain_formula(done, batch):
  """Margins, centering, and no weight on padding; and its gradient is finite there too."""
  scorer, _, _ = trained.scorer_of(done[1])
  loss = reward.loss_of(reward.rewards, 0.02)
  live = batch['weight_B'] > 0
  assert 0 < live.sum() < 5 and batch['margin_B'].max() > 0

  def total(scorer):
    got = loss(scorer, batch)['loss']
    return got[0], got[1]

  (value, weight), grad = jax.jit(jax.value_and_grad(total, has_aux=True))(scorer)
  r = np.asarray(jax.jit(reward.rewards)(scorer, batch), np.float64)[live]
  gap = r[:, 0] - r[:, 1] - batch['margin_B'][live]
  expected = np.log1p(np.exp(-gap)) + 0.02 * (r[:, 0] + r[:, 1]) ** 2
  assert weight == live.sum()
  np.testing.assert_allclose(value, expected.sum(), rtol=1e-5)
  assert all(jnp.isfinite(g).all() for g in jax.tree.leaves(grad))


def begun(cfg, mesh, workdir):
  tx = optim.make_optimizer(cfg.optim, cfg.steps)
  with jax.set_mesh(mesh), saving.Saves(workdir, cfg.saving) as saves:
    return reward.start(cfg, tx, mesh, saves)


def test_it_starts_from_init_and_an_adapter_trains_nothing_else(tmp_path):
  base = jax.jit(pair_runs.MODEL.build)(jax.random.key(9))
  export(base, tmp_path / 'base')
  mesh = training.make_mesh()
  changes = dict(init=str(tmp_path / 'base'), optim=AdamW(lr=3e-2))
  whole = pair_runs.small(reward, tmp_path, **changes)
  state, given, _, _ = begun(whole, mesh, tmp_path / 'unused')
  assert given is None and (state.model.decoder.embed_VD[...] == base.embed_VD[...]).all()
  assert jnp.abs(state.model.score_D[...]).max() > 0
  thin = pair_runs.small(reward, tmp_path, lora=Lora(rank=4), **changes)
  pair_runs.run(reward, thin, tmp_path / 'thin')
  scorer, _, _ = trained.scorer_of(tmp_path / 'thin')
  assert (scorer.decoder.embed_VD[...] == base.embed_VD[...]).all()
  assert jnp.abs(scorer.decoder.blocks.q_HKD[...] - base.blocks.q_HKD[...]).max() > 1e-5
  card = json.loads((tmp_path / 'thin/card.json').read_text())
  assert card['origin']['weights'] == trained.fingerprint_of(tmp_path / 'thin')


@pytest.mark.campaign
def test_a_mesh_changes_nothing(done, tmp_path, monkeypatch):
  """The same losses on eight devices and on one."""
  monkeypatch.setattr(training, 'make_mesh', make_mesh)
  cfg = pair_runs.small(reward, tmp_path, steps=2, held_out=())
  pair_runs.run(reward, cfg, tmp_path / 'eight')
  losses = [[row['loss'] for row in pair_runs.lines(w)[:2]] for w in (tmp_path / 'eight', done[1])]
  np.testing.assert_allclose(*losses, atol=1e-4)


@pytest.mark.parametrize(
  'change, says',
  [
    (dict(center=-1.0), 'center=-1.0'),
    (dict(lora=Lora()), 'lora adapts weights that exist'),
    (dict(batch=32), 'batch=32: at least 1, and at most the 24 pairs'),
    (dict(saving=Saving(best='held_out_accuracy')), 'evaluation gives held_out_loss'),
  ],
)
def test_bad_config_is_one_line(change, says, tmp_path):
  with pytest.raises(UserError, match=says):
    pair_runs.run(reward, pair_runs.small(reward, tmp_path, **change), tmp_path / 'run')
  assert not (tmp_path / 'run/metrics.jsonl').exists()


def test_its_work_is_a_decoder_s_without_the_unembedding(tmp_path):
  """6 a weight of every matrix that is multiplied with, and causal attention."""
  cfg = pair_runs.small(reward, tmp_path)
  model = jax.eval_shape(cfg.model.build, jax.random.key(0))
  matrices = sum(w.size for w in jax.tree.leaves(model.blocks) if w.ndim > 2)
  attention = 6 * cfg.model.depth * cfg.model.width * 20
  assert reward.flops(cfg, 20) == 6 * matrices + attention


def test_rows_stay_beside_their_partner():
  batch = {
    f'{s}_BT': np.arange(8).reshape(4, 2) + 100 * n for n, s in enumerate(('chosen', 'rejected'))
  }
  assert pairs.both(batch, '_BT')[:4, 0].tolist() == [0, 100, 2, 102]
