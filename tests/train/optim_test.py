import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxalign.config import Adafactor, AdamW, Muon, Schedule, UserError
from jaxalign.models import llama2, phi2
from jaxalign.sealing import seal
from jaxalign.sharding.alphabet import weight_name
from jaxalign.train import optim
from tests.train import problem

STEPS = 50


def closed_form(n, shape, warmup, decay, end):
  """The n-th update's fraction of the peak, in plain words."""
  up = min(1.0, (n + 1) / max(warmup, 1))
  if shape == 'cosine' and n >= warmup:
    done = (n - warmup) / (STEPS - warmup)
    return end + (1 - end) * (1 + math.cos(math.pi * done)) / 2
  if shape == 'wsd':
    falling = decay * STEPS
    into = max(0.0, n - (STEPS - falling))
    return up * (1 - (1 - end) * min(1.0, into / falling))
  return up


@pytest.mark.parametrize('kind', [AdamW, Adafactor, Muon])
@pytest.mark.parametrize('warmup', [0, 1, 7])
@pytest.mark.parametrize('shape', ['constant', 'cosine', 'wsd'])
def test_the_rate_in_closed_form(shape, warmup, kind):
  schedule = Schedule(shape=shape, warmup=warmup, decay=0.3, end=0.25)
  rate = optim.learning_rate(kind(lr=3e-4, schedule=schedule), STEPS)
  got = [float(rate(n)) for n in range(STEPS + 5)]
  want = [3e-4 * closed_form(min(n, STEPS), shape, warmup, 0.3, 0.25) for n in range(STEPS + 5)]
  np.testing.assert_allclose(got, want, rtol=2e-5)
  assert got[max(0, warmup - 1)] == pytest.approx(3e-4)  # the warm-up reaches the peak


def test_a_warm_up_as_long_as_the_run_is_refused():
  with pytest.raises(UserError, match='schedule.warmup=50 .* 50 steps'):
    optim.learning_rate(AdamW(schedule=Schedule(warmup=50)), STEPS)


def test_the_rate_follows_the_steps_of_the_optimizer():
  """With gradients of one sign Adam moves by the rate itself: the schedule can be read off."""
  how = AdamW(lr=0.1, eps=0.0, schedule=Schedule(shape='wsd', warmup=3, decay=0.5, end=0.0))
  tx, rates = optim.make_optimizer(how, 10), [1 / 3, 2 / 3, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2]
  w = {'w_DF': jnp.zeros((2, 2))}
  state = tx.init(w)
  for n in range(10):
    updates, state = tx.update({'w_DF': jnp.full((2, 2), 0.3)}, state, w)
    np.testing.assert_allclose(-updates['w_DF'], 0.1 * rates[n], rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize('kind', [AdamW, Adafactor, Muon])
def test_decay_is_the_rate_times_the_weight_and_spares_vectors(kind):
  """Without a gradient nothing else moves a weight."""
  how = kind(lr=0.01, weight_decay=0.5, schedule=Schedule(shape='constant'))
  net = problem.build(jax.random.key(0)).replace(bias_D=jnp.ones(problem.D))
  tx = optim.make_optimizer(how, 10)
  updates, _ = tx.update(jax.tree.map(jnp.zeros_like, net), tx.init(net), net)
  np.testing.assert_allclose(updates.in_DF, -0.005 * net.in_DF, rtol=1e-5)
  np.testing.assert_allclose(updates.out_FD, -0.005 * net.out_FD, rtol=1e-5)
  assert not updates.norm_F.any() and not updates.bias_D.any()


@pytest.mark.parametrize('model', [llama2.tiny(), phi2.tiny()], ids=['llama2', 'phi2'])
def test_norms_and_biases_of_the_models_are_not_decayed(model):
  shapes = jax.eval_shape(model.build, jax.random.key(0))
  marked = jax.tree.leaves_with_path(optim.matching(shapes, AdamW().decayed))
  for path, decayed in marked:
    name = weight_name(path)
    letters = name.rpartition('_')[2]
    assert decayed == ('bias' not in name and 'norm' not in name), name
    assert decayed or len(letters) <= 2
  assert {decayed for _, decayed in marked} == {True, False}


def test_patterns_fit_whole_names_or_their_last_part():
  tree = {'blocks': {'q_DHK': 0, 'norm_D': 0}, 'embed_VD': 0, 'norm_D': 0}

  def marked(*patterns):
    return {p for p, hit in zip(names, jax.tree.leaves(optim.matching(tree, patterns))) if hit}

  names = [weight_name(path) for path, _ in jax.tree.leaves_with_path(tree)]
  assert marked('q_*') == {'blocks.q_DHK'}
  assert marked('blocks.*', '!*norm*') == {'blocks.q_DHK'}
  assert marked('norm_D') == {'blocks.norm_D', 'norm_D'}
  assert marked('!*', '*') == marked() == set()


def test_the_gradient_is_clipped_by_its_global_norm():
  adam = AdamW(lr=1.0, eps=1.0, b1=0.0, b2=0.0, schedule=Schedule(shape='constant'))
  tree = {'a_DF': jnp.zeros((2, 2)), 'b_D': jnp.zeros(2)}
  grads = {'a_DF': jnp.full((2, 2), 3.0), 'b_D': jnp.full(2, 4.0)}
  norm = math.sqrt(4 * 9 + 2 * 16)
  for clip, scale in [(0.5, 0.5 / norm), (100.0, 1.0), (None, 1.0)]:
    adam.clip = clip
    tx = optim.make_optimizer(adam, 10)
    updates, _ = tx.update(grads, tx.init(tree), tree)
    for name, g in grads.items():
      g = np.asarray(g) * scale
      np.testing.assert_allclose(updates[name], -g / (abs(g) + 1.0), rtol=1e-5)


@pytest.mark.parametrize('frozen', [(), ('w_DF',)])
def test_factors_scale_the_updates_of_whose_name_they_fit(frozen):
  tree = {'embed_VD': jnp.ones((4, 2)), 'w_DF': jnp.ones((2, 2)), 'b_D': jnp.ones(2)}
  grads = {name: jnp.full(w.shape, 0.1 * (n + 1)) for n, (name, w) in enumerate(tree.items())}
  factors = (('embed*', 4.0), ('b_*', 0.5), ('*_VD', 0.5))  # embed_VD fits two

  def updates(**changes):
    how = AdamW(lr=0.01, weight_decay=0.1, frozen=frozen, **changes)
    tx = optim.make_optimizer(how, 10)
    return tx.update(grads, tx.init(tree), tree)[0]

  plain, scaled = updates(), updates(factors=factors)
  for name, factor in dict(embed_VD=2.0, w_DF=1.0, b_D=0.5).items():
    np.testing.assert_allclose(scaled[name], factor * plain[name], rtol=1e-6)
    assert bool(plain[name].any()) == (name not in frozen)


@pytest.mark.parametrize('factor', [0.0, -1.0])
def test_a_factor_that_is_not_above_0_is_refused(factor):
  with pytest.raises(UserError, match=r'config.factors=.*a float at least 1e-06 and at most'):
    seal(AdamW(factors=(('embed*', factor),)))


def of_muon(tree, grads, steps=1, **fields):
  how = Muon(lr=0.01, schedule=Schedule(shape='constant'), clip=None, **fields)
  tx = optim.make_optimizer(how, 10)
  state = tx.init(tree)
  for _ in range(steps):
    updates, state = tx.update(grads, state, tree)
  return updates


MATRICES = dict(
  q_HKD=((0, 1), (2,)), k_GKD=((0, 1), (2,)), o_DHK=((0,), (1, 2)), up_FD=((0,), (1,)),
  low_RD=((0,), (1,)), low_RHK=((0,), (1, 2)),
)  # fmt: skip


@pytest.mark.parametrize('name', MATRICES)
@pytest.mark.parametrize('layers', [0, 2])
def test_muon_moves_each_matrix_by_its_gradient_made_orthogonal(name, layers):
  """Against the polar factor by SVD, to what five steps of Newton and Schulz leave of it."""
  size = dict(H=2, G=2, K=3, D=8, F=12, R=4)
  shape = [size[letter] for letter in name.rpartition('_')[2]]
  grad = np.random.default_rng(3).normal(size=[layers] * bool(layers) + shape).astype(np.float32)
  tree = {name: jnp.zeros(grad.shape)}
  got = np.asarray(of_muon(tree, {name: jnp.asarray(grad)}, rms=0.3)[name])
  sides = MATRICES[name]
  rows, columns = (math.prod(shape[n] for n in side) for side in sides)
  pairs = zip(*(x.reshape(-1, *shape) for x in (got, grad)), strict=True)
  for update, g in pairs:
    moved = -update.reshape(rows, columns) / (0.01 * 0.3 * math.sqrt(max(rows, columns)))
    left, _, right = np.linalg.svd(g.reshape(rows, columns), full_matrices=False)
    sizes = np.diag(left.T @ moved @ right.T)
    assert ((0.6 < sizes) & (sizes < 1.25)).all(), sizes
    np.testing.assert_allclose(moved, left * sizes @ right, atol=2e-4)  # the same directions


def test_muon_leaves_vectors_and_tables_to_adam():
  tree = {'blocks': {'w_DF': jnp.ones((4, 4)), 'norm_D': jnp.ones(4)}, 'embed_VD': jnp.ones((6, 4))}
  random = np.random.default_rng(0)
  grads = jax.tree.map(lambda x: jnp.asarray(random.normal(size=x.shape), jnp.float32), tree)
  fields = dict(weight_decay=0.1, factors=(('embed*', 4.0),))
  how = AdamW(lr=0.01, schedule=Schedule(shape='constant'), clip=None, **fields)
  tx = optim.make_optimizer(how, 10)
  adams, _ = tx.update(grads, tx.init(tree), tree)
  got = of_muon(tree, grads, **fields)
  np.testing.assert_allclose(got['embed_VD'], adams['embed_VD'], rtol=1e-5)
  np.testing.assert_allclose(got['blocks']['norm_D'], adams['blocks']['norm_D'], rtol=1e-5)
  assert not np.allclose(got['blocks']['w_DF'], adams['blocks']['w_DF'], rtol=0.1)
  every = of_muon(tree, grads, adam=('*',), **fields)
  np.testing.assert_allclose(every['blocks']['w_DF'], adams['blocks']['w_DF'], rtol=1e-5)


@pytest.mark.parametrize('model', [llama2.tiny(), phi2.tiny()], ids=['llama2', 'phi2'])
def test_muon_takes_every_matrix_of_the_models_blocks(model):
  shapes = jax.eval_shape(model.build, jax.random.key(0))
  state = jax.eval_shape(optim.make_optimizer(Muon(), 10).init, shapes)
  by_adam = {weight_name(path).split('.')[-1] for path, _ in jax.tree.leaves_with_path(
    optax.tree.get_all_with_path(state, 'nu')[0][1])}  # fmt: skip
  for path, x in jax.tree.leaves_with_path(shapes):
    name = weight_name(path)
    table_or_vector = name.startswith(('embed', 'head')) or 'norm' in name or 'bias' in name
    assert (name.split('.')[-1] in by_adam) == table_or_vector, (name, x.shape)


def test_muons_patterns_may_name_no_weight():
  """An adapter has no tables, and a tied model no head: what Adam is to move need not be there."""
  optim.refuse_unmatched({'w_DF': jnp.ones((2, 2))}, Muon())
  with pytest.raises(UserError, match="optim.frozen: 'w_X' names none of w_DF"):
    optim.refuse_unmatched({'w_DF': jnp.ones((2, 2))}, Muon(frozen=('w_X',)))
