import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractMesh

from jaxalign import config
from jaxalign.sharding.alphabet import AXES
from jaxalign.sharding.meshes import make_mesh
from jaxalign.train import optim, state
from jaxalign.train.feed import Feed
from tests.train import problem

TOLERANCE = 1e-6  # of sums taken in another order
MESHES = [(8, 1, 1), (1, 8, 1), (2, 2, 2)]


def trained(stop=6, **how):
  mesh, _, fresh, step, feed = problem.begin(**how)
  return problem.advance(mesh, fresh, step, feed, 0, stop)


@functools.cache
def reference():
  return trained()


def ratio(metrics, name):
  totals, weights = metrics[name]
  return totals / weights


@pytest.mark.parametrize('microbatches', [2, 4, 8])
def test_accumulation_is_the_whole_batch(microbatches):
  """Also where microbatches carry uneven weight: the mean is over the step, not of means."""
  got, said = trained(microbatches=microbatches)
  problem.assert_close(got.model, reference()[0].model, TOLERANCE)
  np.testing.assert_allclose(ratio(said, 'loss'), ratio(reference()[1], 'loss'), atol=TOLERANCE)


@pytest.mark.parametrize('mesh', MESHES)
def test_meshes_agree(mesh):
  got, said = trained(sizes=mesh)
  one, alone = trained(sizes=(1, 1, 1))
  problem.assert_close(got.model, one.model, 1e-5)
  np.testing.assert_allclose(ratio(said, 'loss'), ratio(alone, 'loss'), atol=1e-5)


@pytest.mark.parametrize('calls', [4, 6, 16])
def test_several_steps_in_a_call_are_the_same_steps(calls):
  """6 steps: a tail of 2 after a call of 4, one call, and less than one call."""
  got, said = trained(calls=calls)
  problem.assert_close(got.model, reference()[0].model, TOLERANCE)
  for name in said:
    np.testing.assert_allclose(said[name], reference()[1][name], atol=TOLERANCE)
  assert int(got.step) == 6 and len(said['loss'][0]) == 6


def test_one_step_against_numpy():
  """AdamW with clipping and decay on matrices alone, from numerical first principles."""
  how = problem.adamw(lr=0.01, weight_decay=0.5, clip=0.1, b1=0.8, b2=0.9, eps=1e-6)
  mesh, _, fresh, step, feed = problem.begin(how=how)
  before = problem.whole(fresh.model)
  after, said = problem.advance(mesh, fresh, step, feed, 0, 1)
  batch = {k: v.astype(np.float64) for k, v in problem.rows(0, range(problem.B)).items()}
  grads = gradient_of(before, batch)
  norm = np.sqrt(sum((g**2).sum() for g in grads.values()))
  assert ratio(said, 'grad_norm')[0] == pytest.approx(norm, rel=1e-5) and norm > 0.1
  for name, g in grads.items():
    g = g * 0.1 / norm
    update = g / (np.sqrt(g * g) + 1e-6)  # both moments are corrected to g and g^2 at once
    decay = 0.5 if name in ('in_DF', 'out_FD') else 0.0
    w = getattr(before, name)
    expected = w - 0.01 * (update + decay * w)
    np.testing.assert_allclose(getattr(problem.whole(after.model), name), expected, atol=2e-6)


def gradient_of(net, batch):
  x, w = batch['x_BD'], batch['weight_B'][:, None] / batch['weight_B'].sum()
  h = np.tanh(x @ net.in_DF)
  d_out = 2 * w * (h * net.norm_F @ net.out_FD + net.bias_D - batch['y_BD'])
  d_scaled = d_out @ net.out_FD.T
  d_h = d_scaled * net.norm_F * (1 - h * h)
  return dict(
    in_DF=x.T @ d_h,
    norm_F=(d_scaled * h).sum(0),
    out_FD=(h * net.norm_F).T @ d_out,
    bias_D=d_out.sum(0),
  )


@pytest.mark.parametrize('poison', [np.inf, np.nan])
def test_a_step_that_is_not_finite_changes_no_bit(poison):
  rows = functools.partial(problem.rows, poisoned=(2, 3), poison=poison)
  mesh, _, fresh, step, feed = problem.begin(rows=rows)
  good, _ = problem.advance(mesh, fresh, step, feed, 0, 2)
  before = problem.whole((good.model, good.opt))
  bad, said = problem.advance(mesh, good, step, feed, 2, 4)
  problem.assert_same_bits((bad.model, bad.opt), before)
  assert (int(bad.step), int(bad.skipped)) == (4, 2)
  assert said['skipped'][0].tolist() == [1, 1] and np.isfinite(said['loss'][0]).all()
  healed, said = problem.advance(mesh, bad, step, feed, 4, 5)
  assert int(healed.skipped) == 0 and said['skipped'][0].tolist() == [0]
  counts = {int(x) for path, x in jax.tree.leaves_with_path(healed.opt) if 'count' in str(path)}
  assert counts == {3}  # steps the optimizer took, not batches seen


@pytest.mark.parametrize('frozen', [(), ('in_*',)])
def test_the_rate_that_is_told_is_that_of_the_steps_taken(frozen):
  schedule = config.Schedule(shape='constant', warmup=10)
  rows = functools.partial(problem.rows, poisoned=(1,))
  how = problem.adamw(schedule=schedule, frozen=frozen)
  mesh, _, fresh, step, feed = problem.begin(how=how, rows=rows)
  _, said = problem.advance(mesh, fresh, step, feed, 0, 4)
  np.testing.assert_allclose(said['lr'][0], [0.005, 0.01, 0.01, 0.015], rtol=1e-6)


def test_a_loss_that_is_not_finite_is_skipped_though_its_gradient_is():
  def broken(net, batch, key=None, given=None):
    total, weight = problem.loss(net, batch | dict(poison_B=0 * batch['weight_B']))['loss']
    return dict(loss=(total + batch['poison_B'].sum(), weight))

  rows = functools.partial(problem.rows, poisoned=(0,))
  mesh, _, fresh, step, feed = problem.begin(rows=rows, loss=broken)
  before = problem.whole(fresh.model)
  after, said = problem.advance(mesh, fresh, step, feed, 0, 1)
  problem.assert_same_bits(after.model, before)
  assert said['skipped'][0].tolist() == [1] and np.isfinite(said['grad_norm'][0]).all()


def test_frozen_weights_never_move_and_have_no_moments():
  """Nor do their gradients count for the norm, or stop a step."""
  rows = functools.partial(problem.rows, poisoned=(1,))
  frozen = ('norm*', 'in_*')
  mesh, _, fresh, step, feed = problem.begin(rows=rows, how=problem.adamw(frozen=frozen))
  before = problem.whole(fresh.model)
  after, said = problem.advance(mesh, fresh, step, feed, 0, 4)
  problem.assert_same_bits([after.model.norm_F, after.model.in_DF], [before.norm_F, before.in_DF])
  assert np.abs(problem.whole(after.model).out_FD - before.out_FD).max() > 0.01
  assert said['skipped'][0].sum() == 0
  moments = [x.shape for x in jax.tree.leaves(after.opt) if x.ndim]
  assert sorted(moments) == sorted(2 * [before.out_FD.shape, before.bias_D.shape])


@pytest.mark.parametrize('mesh', [*MESHES, (1, 2, 4)])
def test_what_a_step_leaves_lies_as_what_it_was_given(mesh):
  """Else the second step is another program, compiled again, and a run that resumes takes the first
  one's sums where the unbroken run takes the second's: other bits on some processors."""
  where, twin, fresh, step, feed = problem.begin(mesh)
  after, _ = problem.advance(where, fresh, step, feed, 0, 1)
  for (path, x), home in zip(jax.tree.leaves_with_path(after), jax.tree.leaves(twin)):
    assert x.sharding.is_equivalent_to(home.sharding, x.ndim), jax.tree_util.keystr(path)


def test_the_old_buffers_are_given_away():
  mesh, _, fresh, step, feed = problem.begin()
  with jax.set_mesh(mesh):
    batches, _ = next(feed.ahead(0, 1))
    after, _ = step(fresh, batches, None)
  gone = [x.is_deleted() for x in jax.tree.leaves((fresh.model, fresh.opt))]
  assert all(gone) and not any(x.is_deleted() for x in jax.tree.leaves((after, batches)))


def adapter_loss(adapter, batch, key, base):
  delta = adapter['in_DF']['low_DR'] @ adapter['in_DF']['high_RF']
  return problem.loss(base.replace(in_DF=base.in_DF + delta), batch)


def test_an_adapter_learns_over_a_base_that_is_only_given():
  mesh = make_mesh(1, 8, 1)
  tx = optim.make_optimizer(problem.adamw(), 10)

  def fresh(key):
    return {'in_DF': dict(low_DR=jax.random.normal(key, (8, 2)), high_RF=jnp.zeros((2, 16)))}

  _, make = state.make_state(fresh, tx, 0, mesh)
  step = state.make_step(adapter_loss, tx)
  base, now = problem.begin()[2].model, make()
  before = problem.whole(base)
  feed = Feed(problem.rows, problem.B, mesh)
  assert state.tensor_names(now.model) == ['in_DF.high_RF', 'in_DF.low_DR']
  now, said = problem.advance(mesh, now, step, feed, 0, 10, given=base)
  problem.assert_same_bits(base, before)  # neither moved nor given away
  assert np.abs(now.model['in_DF']['high_RF']).max() > 0.01
  assert len([x for x in jax.tree.leaves(now.opt) if x.ndim]) == 4  # two moments of two factors


def test_loaded_weights_are_taken_over():
  mesh = make_mesh(2, 2, 2)
  tx = optim.make_optimizer(problem.adamw(), 10)
  twin, make = state.make_state(problem.build, tx, 0, mesh)
  weights = problem.build(jax.random.key(9))
  expected = problem.whole(weights)
  got = make(weights)
  problem.assert_same_bits(got.model, expected)
  assert jax.tree.map(lambda x: x.sharding, got) == jax.tree.map(lambda x: x.sharding, twin)


def test_factored_moments_are_laid_out_and_work_on_every_mesh():
  """Adafactor on a stack of matrices large enough to be factored: rows and columns lie whole."""

  def stacked(key):
    return {'blocks': {'w_DF': jax.random.normal(key, (2, 128, 256))}, 'b_D': jnp.zeros(128)}

  def wide_loss(tree, batch, key=None, given=None):
    x_BD = jnp.tile(batch['x_BD'], (1, 16)) + tree['b_D']
    hidden_BNF = jnp.tanh(jnp.einsum('BD,NDF->BNF', x_BD, tree['blocks']['w_DF']))
    return dict(loss=((hidden_BNF.mean((1, 2)) ** 2).sum() * 1e3, jnp.float32(problem.B)))

  results = []
  how = config.Adafactor(lr=0.003, momentum=0.9, weight_decay=0.1)  # noise moves it by 1e-3 lr
  for shape in [(1, 1, 1), (1, 8, 1), (2, 2, 2)]:
    mesh = make_mesh(*shape, devices=jax.devices()[: int(np.prod(shape))])
    tx = optim.make_optimizer(how, 10)
    _, make = state.make_state(stacked, tx, 0, mesh)
    fresh, feed = make(), Feed(problem.rows, problem.B, mesh)
    w_DF = fresh.model['blocks']['w_DF']
    if shape == (2, 2, 2):
      assert w_DF.sharding.shard_shape(w_DF.shape) == (2, 64, 128)
    factored = [x for path, x in jax.tree.leaves_with_path(fresh.opt) if 'v_row' in str(path)]
    assert {x.shape for x in factored} == {(2, 128), (1,)}  # a vector has none: a placeholder
    assert all(x.sharding.is_fully_replicated for x in factored)
    got, _ = problem.advance(mesh, fresh, state.make_step(wide_loss, tx), feed, 0, 3)
    results.append(got.model)
  for other in results[1:]:
    problem.assert_close(results[0], other, 1e-5)


def test_muon_works_on_every_mesh():
  results = []
  for shape in [(1, 1, 1), (1, 8, 1), (2, 2, 2)]:
    mesh = make_mesh(*shape, devices=jax.devices()[: int(np.prod(shape))])
    tx = optim.make_optimizer(config.Muon(lr=0.003, weight_decay=0.1, adam=()), 10)
    _, make = state.make_state(problem.build, tx, 0, mesh)
    fresh, feed = make(), Feed(problem.rows, problem.B, mesh)
    momenta = [x for path, x in jax.tree.leaves_with_path(fresh.opt) if 'in_DF' in str(path)]
    assert [x.sharding for x in momenta] == [fresh.model.in_DF.sharding]  # one, and no second
    got, _ = problem.advance(mesh, fresh, state.make_step(problem.loss, tx), feed, 0, 3)
    results.append(got.model)
  for other in results[1:]:
    problem.assert_close(results[0], other, 1e-4)


def test_equal_arguments_give_the_same_programs():
  """And equal configs the same optimizer: a process of many stages compiles a program once."""
  tx = optim.make_optimizer(problem.adamw(), 10)
  assert tx is optim.make_optimizer(problem.adamw(), 10)
  assert tx is not optim.make_optimizer(problem.adamw(), 11)
  one = state.make_step(problem.loss, tx, microbatches=2)
  assert one is state.make_step(problem.loss, tx, microbatches=2)
  assert one is not state.make_step(problem.loss, tx)
  assert one is not state.make_step(problem.loss, tx, microbatches=2, frozen=('in_*',))


@pytest.mark.parametrize('kind', ['TPU v5 lite', 'TPU v5', 'TPU v6 lite', 'TPU v4'])
def test_a_chips_compiler_is_told_what_suits_it(kind):
  """The chip is not here: this CPU's compiler says what it does not know."""
  tx = optim.make_optimizer(problem.adamw(), 10)
  device = jax.sharding.AbstractDevice(kind, 1, 'tpu')
  with jax.sharding.use_abstract_mesh(AbstractMesh((1, 1, 1), AXES, abstract_device=device)):
    step = state.make_step(problem.loss, tx)
  mesh = make_mesh(1, 1, 1, devices=jax.devices()[:1])
  fresh = state.make_state(problem.build, tx, 0, mesh)[1]()
  run = lambda: problem.advance(mesh, fresh, step, Feed(problem.rows, problem.B, mesh), 0, 1)
  if kind == 'TPU v4':
    run()  # as it comes
  else:
    with pytest.raises(jax.errors.JaxRuntimeError, match='xla_tpu_scoped_vmem_limit_kib'):
      run()


def test_programs_are_shared_and_weights_and_homes_are_not():
  """Another seed through the same program is other weights; another mesh is another layout."""
  tx = optim.make_optimizer(problem.adamw(), 10)
  meshes = [make_mesh(1, 8, 1), make_mesh(2, 2, 2)]
  made = []
  for mesh in meshes:
    (twin, make), (_, other) = (state.make_state(problem.build, tx, n, mesh) for n in (0, 1))
    fresh = make()
    made.append(fresh.model)
    assert {leaf.sharding.mesh for leaf in jax.tree.leaves(twin)} == {mesh}
    assert fresh.model.in_DF.sharding == twin.model.in_DF.sharding
    assert np.abs(np.asarray(fresh.model.in_DF - other().model.in_DF)).max() > 0.1
    problem.assert_same_bits(fresh, make())  # and the same again
  problem.assert_same_bits(*made)
