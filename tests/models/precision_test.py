"""Number formats and memory policies: what may round, and what must change nothing."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxalign.models import llama2, phi2
from tests.golden import cases
from tests.golden.cases import SEGMENT_BT, TOLERANCE

TOKENS = np.random.RandomState(0).randint(0, 64, (4, 12)).astype(np.int32)


@pytest.mark.parametrize('name', cases.WITH_HIDDEN)
@pytest.mark.parametrize('weights', ['float32', 'bfloat16'])
def test_bfloat16_is_near_float32(name, weights):
  exact = np.asarray(cases.model(name).logits(TOKENS))
  coarse = cases.model(name, dtype='bfloat16')
  coarse = jax.tree.map(lambda w: w.astype(weights), coarse)
  assert jax.eval_shape(coarse, TOKENS).dtype == jnp.bfloat16
  logits = np.asarray(coarse.logits(TOKENS))
  assert logits.dtype == jnp.float32
  assert np.abs(logits - exact).max() < 0.05 * np.abs(exact).max()
  assert np.corrcoef(logits.ravel(), exact.ravel())[0, 1] > 0.999
  assert len(np.unique(np.asarray(logits))) > 0.9 * logits.size  # logits are no rounded bfloat16


def test_unembedding_sums_in_float32():
  """A bfloat16 matmul that rounds its result loses what tells two tokens apart."""
  coarse = cases.model('llama', dtype='bfloat16')
  x_BTD = jnp.array(np.random.RandomState(1).standard_normal((1, 2, 32)), jnp.bfloat16)
  head_VD = np.asarray(coarse.head_VD[...].astype(jnp.bfloat16), np.float64)
  exact = np.asarray(x_BTD, np.float64) @ head_VD.T
  np.testing.assert_allclose(coarse.unembed(x_BTD), exact, atol=1e-4)


def loss_and_gradient(model):
  def loss(model):
    logp_BTV = jax.nn.log_softmax(model.unembed(model(TOKENS, jnp.array(SEGMENT_BT))))
    return -jnp.take_along_axis(logp_BTV[:, :-1], TOKENS[:, 1:, None], -1).mean()

  return jax.jit(jax.value_and_grad(loss))(model)


@functools.cache
def plain(name):
  return loss_and_gradient(cases.model(name))


CHANGES = [
  ('llama_grouped', dict(remat='dots')),
  ('llama_grouped', dict(remat='qkv')),
  ('llama_grouped', dict(remat='full')),
  ('llama_grouped', dict(remat='none', unroll=2)),
  pytest.param('phi_grouped', dict(remat='dots'), marks=pytest.mark.campaign),
  pytest.param('phi_grouped', dict(remat='qkv', unroll=2), marks=pytest.mark.campaign),
  pytest.param('phi_grouped', dict(remat='full'), marks=pytest.mark.campaign),
]


@pytest.mark.parametrize('name, change', CHANGES, ids=str)
def test_what_is_kept_for_the_backward_pass_changes_no_result(name, change):
  loss, gradient = loss_and_gradient(cases.model(name, **change))
  expected, expected_gradient = plain(name)
  np.testing.assert_allclose(loss, expected, atol=1e-6)
  for ours, theirs in zip(jax.tree.leaves(gradient), jax.tree.leaves(expected_gradient)):
    np.testing.assert_allclose(ours, theirs, atol=TOLERANCE)
  assert max(jnp.abs(g).max() for g in jax.tree.leaves(gradient)) > 0.01


def test_each_policy_keeps_less_than_the_one_before():
  """Counted in the residuals that the forward pass hands to the backward pass."""
  sizes = [sum(map(math.prod, kept(remat))) for remat in ('none', 'dots', 'qkv', 'full')]
  assert sizes == sorted(sizes, reverse=True)
  assert len(set(sizes)) == 4


@pytest.mark.parametrize('remat, norms', [('dots', 0), ('qkv', 2), ('full', 0)])
def test_of_each_norm_of_a_layer_one_number_a_token_is_kept(remat, norms):
  """To make it again, all that the norm reads would be read once more."""
  depth = cases.model('llama').cfg.depth
  assert kept(remat).count((depth, *TOKENS.shape, 1)) == norms


def kept(remat):
  """The shapes of what the forward pass hands to the backward pass."""
  model = cases.model('llama', remat=remat)
  _, back = jax.eval_shape(lambda model: jax.vjp(lambda m: m(TOKENS), model), model)
  return [leaf.shape for leaf in jax.tree.leaves(back)]


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
@pytest.mark.parametrize('module, cls', [(llama2, llama2.Llama2), (phi2, phi2.Phi2)])
def test_nothing_is_promoted_by_accident(module, cls, dtype):
  def everything(key):
    model = cls(module.tiny(dtype=dtype, remat='full'), key)
    _, cache = model.prefill(TOKENS, jnp.ones_like(TOKENS), 16)
    return model.unembed(model(TOKENS)), model.extend(TOKENS[:, :1], cache)

  with jax.numpy_dtype_promotion('strict'):
    jax.eval_shape(everything, jax.random.key(0))
