"""Adapters: nothing at first, the merged model afterwards, and only they are trained."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from jaxalign.config import UserError
from jaxalign.models.adapters import Lora, attach, make_adapter, merge
from jaxalign.sharding.alphabet import weight_name
from jaxalign.sharding.layout import layout
from jaxalign.sharding.meshes import make_mesh
from tests.golden import cases
from tests.golden.cases import TOLERANCE

TOKENS = np.random.RandomState(0).randint(0, 64, (4, 9)).astype(np.int32)
SEGMENTS = np.array([[1] * 9, [0] * 3 + [1] * 6, [1] * 4 + [2] * 5, [0] * 5 + [1] * 4], np.int32)
ALL = {
  'llama_grouped': Lora(rank=4, alpha=8.0, weights=('?_*', 'gate_*', 'up_*', 'down_*')),
  'phi_grouped': Lora(rank=4, alpha=8.0, weights=('?_*', 'up_*', 'down_*')),
}
MATRICES = {
  'llama_grouped': {'q_HKD', 'k_GKD', 'v_GKD', 'o_DHK', 'gate_FD', 'up_FD', 'down_DF'},
  'phi_grouped': {'q_HKD', 'k_GKD', 'v_GKD', 'o_DHK', 'up_FD', 'down_DF'},
}


@functools.cache
def base(name):
  return cases.model(name, remat='full')


@functools.cache
def fresh(name):
  make = jax.jit(lambda model, key: make_adapter(model, ALL[name], key))
  return make(base(name), jax.random.key(0))


@functools.cache
def trained(name):
  """An adapter that does something: what training would have made of the zeros."""
  draw = np.random.RandomState(2).standard_normal
  return jax.tree.map(lambda w: jnp.array(0.2 * draw(w.shape), w.dtype), fresh(name))


@jax.jit
def logits_of(model):
  return model.unembed(model(TOKENS, jnp.array(SEGMENTS)))


@pytest.mark.parametrize('name', ALL)
def test_a_fresh_adapter_changes_nothing(name):
  adapter = fresh(name)
  assert set(adapter) == MATRICES[name]
  for factors in adapter.values():
    (low,) = (w for k, w in factors.items() if k.startswith('low_'))
    (high,) = (w for k, w in factors.items() if k.startswith('high_'))
    assert low.any() and not high.any()
  attached = logits_of(attach(base(name), adapter, ALL[name]))
  np.testing.assert_array_equal(attached, logits_of(base(name)))


@pytest.mark.parametrize('name', ALL)
def test_attached_is_merged(name):
  plain = logits_of(base(name))
  attached = logits_of(attach(base(name), trained(name), ALL[name]))
  merged = merge(base(name), trained(name), ALL[name])
  assert jax.tree.structure(merged) == jax.tree.structure(base(name))
  np.testing.assert_allclose(attached, logits_of(merged), atol=TOLERANCE)
  assert np.abs(attached - plain).max() > 0.1
  np.testing.assert_array_equal(plain, logits_of(base(name)))  # the base itself is as it was


def test_merging_is_the_formula():
  """W + alpha / rank x high @ low, in float64, matrix by matrix."""
  name = 'llama_grouped'
  merged = merge(base(name), trained(name), ALL[name])
  D, heads, size = 32, 4, 8
  factors = trained(name)['o_DHK']
  for n in range(2):
    high, low = factors['high_DR'][n], factors['low_RHK'][n].reshape(4, heads * size)
    delta = 8.0 / 4 * np.asarray(high, np.float64) @ np.asarray(low, np.float64)
    expected = np.asarray(base(name).blocks.o_DHK[...][n], np.float64).reshape(D, -1) + delta
    np.testing.assert_allclose(merged.blocks.o_DHK[...][n].reshape(D, -1), expected, atol=1e-5)


def test_only_the_chosen_matrices_are_touched():
  lora = Lora(rank=2, weights=('q_*', 'down_*'))
  make = functools.partial(make_adapter, base('llama_grouped'), lora)
  adapter = jax.eval_shape(make, jax.random.key(0))
  assert set(adapter) == {'q_HKD', 'down_DF'}
  assert jax.tree.map(jnp.shape, adapter) == {
    'q_HKD': dict(low_RD=(2, 2, 32), high_HKR=(2, 4, 8, 2)),
    'down_DF': dict(low_RF=(2, 2, 56), high_DR=(2, 32, 2)),
  }
  ones = jax.tree.map(lambda w: jnp.ones(w.shape, w.dtype), adapter)
  merged = merge(base('llama_grouped'), ones, lora)
  both = zip(jax.tree.leaves_with_path(merged), jax.tree.leaves(base('llama_grouped')))
  changed = {weight_name(path) for (path, w), was in both if not jnp.array_equal(w, was)}
  assert changed == {'blocks.q_HKD', 'blocks.down_DF'}


def test_the_default_is_the_four_of_attention():
  """And none of their biases, which have two axes too: 'q_*' matches q_bias_HK."""
  for name in ALL:
    make = functools.partial(make_adapter, base(name), Lora())
    adapter = jax.eval_shape(make, jax.random.key(0))
    assert set(adapter) == {'q_HKD', 'k_GKD', 'v_GKD', 'o_DHK'}


@pytest.mark.parametrize('weights', [('q_proj',), (), ('norm*',), ('q_*', 'gate_proj')], ids=str)
def test_a_pattern_that_matches_nothing_is_named(weights):
  with pytest.raises(UserError, match='lora.weights.*down_DF, gate_FD'):
    make_adapter(base('llama_grouped'), Lora(weights=weights), jax.random.key(0))


@functools.partial(jax.jit, static_argnames='lora')
def slopes(adapter, model, lora):
  def loss(adapter):
    logits_BTV = logits_of.__wrapped__(attach(model, adapter, lora))
    return (jax.nn.log_softmax(logits_BTV)[..., 0] * SEGMENTS).sum()

  return jax.grad(loss)(adapter)


def gradient(name, adapter, model=None):
  return jax.device_get(slopes(adapter, base(name) if model is None else model, ALL[name]))


@pytest.mark.parametrize('name', ALL)
def test_gradients_reach_every_factor(name):
  """Under jit, scan and remat."""
  for factors in gradient(name, trained(name)).values():
    assert all(np.abs(g).max() > 1e-3 for g in factors.values())
  for factors in gradient(name, fresh(name)).values():  # high is zero: low does not move yet
    moves = {k.split('_')[0]: bool(np.abs(g).max() > 1e-3) for k, g in factors.items()}
    assert moves == dict(low=False, high=True)


def test_the_gradient_is_that_of_the_merged_model():
  name, letters = 'llama_grouped', 'nHKR,nRD->nHKD'

  def loss(w):
    model = jax.tree.map(lambda w: w, base(name))
    model.blocks.q_HKD = model.blocks.q_HKD.replace(w)
    return (jax.nn.log_softmax(logits_of.__wrapped__(model))[..., 0] * SEGMENTS).sum()

  lora = ALL[name]
  only = {'q_HKD': trained(name)['q_HKD']}
  high, low = only['q_HKD']['high_HKR'], only['q_HKD']['low_RD']
  merged = base(name).blocks.q_HKD[...] + lora.scale * jnp.einsum(letters, high, low)
  slope = jax.jit(jax.grad(loss))(merged)
  expected = lora.scale * jnp.einsum('nHKD,nRD->nHKR', slope, low)
  ours = gradient(name, only)['q_HKD']['high_HKR']
  np.testing.assert_allclose(ours, expected, atol=1e-5 * float(jnp.abs(expected).max()) + 1e-5)


@pytest.mark.parametrize('name', ALL)
def test_a_mesh_changes_nothing(name):
  """Values, gradients and the merged model; where factors lie is in sharding_test.py."""
  mesh = make_mesh(2, 2, 2)
  model, adapter = (jax.device_put(x, layout(x, mesh)) for x in (base(name), trained(name)))
  with jax.set_mesh(mesh):
    merged = merge(model, adapter, ALL[name])
    logits = logits_of(attach(model, adapter, ALL[name]))
    slope = gradient(name, adapter, model)
  assert merged.blocks.q_HKD[...].sharding.spec == P(None, 'tensor', None, 'fsdp')
  expected = logits_of(attach(base(name), trained(name), ALL[name]))
  np.testing.assert_allclose(logits, expected, atol=TOLERANCE)
  for a, b in zip(jax.tree.leaves(slope), jax.tree.leaves(gradient(name, trained(name)))):
    np.testing.assert_allclose(a, b, atol=1e-5 * max(1, float(np.abs(b).max())))


def test_a_cache_works_with_an_adapter():
  name = 'llama_grouped'
  attached = attach(base(name), trained(name), ALL[name])

  @jax.jit
  def decode(model):
    _, cache = model.prefill(TOKENS[:, :6], jnp.ones((4, 6), jnp.int32), 12)
    return model.unembed(model.extend(TOKENS[:, 6:], cache)[0])

  full = jax.jit(lambda model: model.unembed(model(TOKENS)))(attached)
  np.testing.assert_allclose(decode(attached), full[:, 6:], atol=TOLERANCE)


def test_bfloat16_weights_keep_their_type():
  name = 'llama_grouped'
  coarse = cases.model(name, dtype='bfloat16')
  coarse = jax.tree.map(lambda w: w.astype(jnp.bfloat16), coarse)
  attached = logits_of(attach(coarse, trained(name), ALL[name]))
  merged = merge(coarse, trained(name), ALL[name])
  assert {w.dtype for w in jax.tree.leaves(merged)} == {jnp.dtype('bfloat16')}
  exact = np.asarray(logits_of(merge(base(name), trained(name), ALL[name])))
  assert np.abs(attached - exact).max() < 0.05 * np.abs(exact).max()
  assert np.abs(logits_of(merged) - exact).max() < 0.05 * np.abs(exact).max()
