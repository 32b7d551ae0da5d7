"""What must hold of every decoder: caches, padding, causality, precision, memory policies."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxalign.models import decoder, layers, llama2, phi2
from jaxalign.models.adapters import Lora, attach, make_adapter
from jaxalign.sharding.meshes import make_mesh
from tests.golden import cases
from tests.golden.cases import SEGMENT_BT, TOLERANCE, apart

NAMES = ('llama_grouped', 'phi2')
TOKENS = np.random.RandomState(0).randint(0, 64, (4, 12)).astype(np.int32)


@functools.cache
def model(name):
  return cases.model(name)


@jax.jit
def logits_of(model, tokens_BT, segment_BT, position_BT=None):
  return model.unembed(model(tokens_BT, segment_BT, position_BT))


@functools.partial(jax.jit, static_argnames='slots')
def prefill(model, tokens_BP, segment_BP, slots=16):
  x_BPD, cache = model.prefill(tokens_BP, segment_BP, slots)
  return model.unembed(x_BPD), cache


@jax.jit
def extend(model, tokens_BT, cache):
  x_BTD, cache = model.extend(tokens_BT, cache)
  return model.unembed(x_BTD), cache


grow = jax.jit(lambda model, cache: model.grow(cache, 16))


# ---- caches


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('split', [False, True], ids=['stacked', 'apart'])
def test_cached_decoding_is_the_full_forward(name, split, monkeypatch):
  """Prompts of 6, 3, 5 and 1 tokens, padded on the left; then one token, one more, and three, for
  which the cache has to grow. A small model keeps each layer's cache apart, a large one not."""
  monkeypatch.setattr(decoder, 'SMALL', 2**26 if split else 0)
  prefill.clear_cache()
  lengths, P = np.array([6, 3, 5, 1]), 6
  segment_BT = (np.arange(11) >= P - lengths[:, None]).astype(np.int32)
  tokens_BT = TOKENS[:, :11]
  full = logits_of(model(name), tokens_BT, segment_BT)

  logits, cache = prefill(model(name), tokens_BT[:, :P], segment_BT[:, :P], slots=8)
  assert isinstance(cache.k_NBGSK, tuple) == split
  assert apart(logits, full[:, :P], segment_BT[:, :P]) < TOLERANCE
  np.testing.assert_array_equal(cache.position_B, lengths)
  for start, stop in [(6, 7), (7, 8), (8, 11)]:
    if stop == 11:
      cache = grow(model(name), cache)
    logits, cache = extend(model(name), tokens_BT[:, start:stop], cache)
    np.testing.assert_allclose(logits, full[:, start:stop], atol=TOLERANCE)
  np.testing.assert_array_equal(cache.position_B, lengths + 5)
  assert int(cache.filled) == 11
  np.testing.assert_array_equal(cache.segment_BS[:, :11], segment_BT)
  assert not cache.segment_BS[:, 11:].any()


def at_hand(model, rows, monkeypatch):
  """The model as a larger one is made ready."""
  monkeypatch.setattr(decoder, 'SMALL', sum(w.nbytes for w in jax.tree.leaves(model.blocks)) - 1)
  monkeypatch.setattr(layers, 'LARGE', 1)
  return model.at_hand(rows)


@pytest.mark.parametrize('name, rows', [('llama_grouped', 4), ('llama_grouped', 1), ('phi2', 4)])
@pytest.mark.parametrize('adapted', [False, True], ids=['', 'adapted'])
def test_a_model_at_hand_decodes_as_the_full_forward(name, rows, adapted, monkeypatch):
  plain = model(name)
  if adapted:
    lora = Lora(rank=2, alpha=1.0, weights=('?_*', 'down_*'))
    adapter = make_adapter(plain, lora, jax.random.key(0))
    plain = attach(plain, jax.tree.map(lambda w: w + 0.1, adapter), lora)
  hand = at_hand(plain, rows, monkeypatch)
  assert len(hand.apart) == plain.cfg.depth and hand.at_hand(rows) is hand
  lying = hand.apart[0].down_DF
  assert isinstance(lying.base if adapted else lying, layers.Turned) == (rows > 1)
  full = logits_of(plain, TOKENS, np.ones_like(TOKENS))
  logits, cache = prefill(hand, TOKENS[:, :6], np.ones((4, 6), np.int32))
  np.testing.assert_allclose(logits, full[:, :6], atol=TOLERANCE)
  for start, stop in [(6, 7), (7, 10), (10, 11)]:
    logits, cache = extend(hand, TOKENS[:, start:stop], cache)
    np.testing.assert_allclose(logits, full[:, start:stop], atol=TOLERANCE)


def test_only_a_model_of_middle_size_on_one_cpu_is_made_ready(monkeypatch):
  plain = model('llama')
  assert plain.at_hand(4) is plain  # small: its programs stay as they were
  with jax.set_mesh(make_mesh(2, 2, 2)):
    assert at_hand(plain, 4, monkeypatch) is plain
  monkeypatch.setattr(decoder, 'SMALL', 1)
  assert plain.at_hand(4) is plain  # a second copy would be too much


# ---- padding, positions, segments


def test_no_segments_is_one_segment():
  ones = np.ones_like(TOKENS)
  alone = model('phi2').logits(TOKENS)
  np.testing.assert_allclose(alone, model('phi2').logits(TOKENS, ones), atol=TOLERANCE)


def test_positions_may_be_given_and_only_distances_count():
  position_BT = np.broadcast_to(np.arange(12, dtype=np.int32), TOKENS.shape)
  run = functools.partial(logits_of, model('llama_grouped'), TOKENS, np.ones_like(TOKENS))
  default, shifted, stretched = run(), run(position_BT + 9), run(2 * position_BT)
  np.testing.assert_allclose(run(position_BT), default, atol=TOLERANCE)
  np.testing.assert_allclose(shifted, default, atol=3 * TOLERANCE)  # larger angles round more
  assert np.abs(stretched - default).max() > 0.01


# ---- causality, by gradient

DOCUMENTS = np.array([[0, 0, 1, 1, 1, 2, 2, 2, 2, 3]], np.int32)


def influence(model):
  """[T,S]: how much the logits at t depend on the embedding of the token at s."""
  T = DOCUMENTS.shape[1]
  tokens_1T = jnp.arange(T)[None]  # so that row s of the embedding is the token at s
  direction_V = jnp.sin(jnp.arange(model.cfg.vocab))

  def read(embed_VD):
    changed = jax.tree.map_with_path(
      lambda path, w: embed_VD if path[0].name == 'embed_VD' else w, model
    )
    return changed.unembed(changed(tokens_1T, jnp.array(DOCUMENTS)))[0] @ direction_V

  slope_TVD = jax.jit(jax.jacrev(read))(model.embed_VD[...])
  return np.abs(slope_TVD[:, :T]).max(-1)


def may_see():
  (segment_T,) = DOCUMENTS
  return np.tril(segment_T[:, None] == segment_T[None])


@pytest.mark.parametrize('name', NAMES)
def test_nothing_flows_from_the_future_or_another_document(name):
  slope_TS = influence(model(name))
  assert (slope_TS[~may_see()] == 0).all()
  assert (slope_TS[may_see()] > 1e-4).all()


# ---- tap, compilation, birth


def test_a_tap_that_is_absent_costs_nothing():
  """The scan over the layers then stacks nothing: no result of it is as long as the layers are."""

  def stacked(**tap):
    jaxpr = jax.make_jaxpr(functools.partial(model('llama'), **tap))(TOKENS).jaxpr
    (scan,) = (e for e in jaxpr.eqns if e.primitive.name == 'scan')
    return [v.aval.shape for v in scan.outvars if v.aval.shape[:1] == (2,)]

  assert stacked() == []
  assert stacked(tap=lambda x_BTD: x_BTD[:, -1]) == [(2, 4, 32)]  # what it returned, of each layer


def test_logits_are_compiled_once_a_shape():
  other = jax.tree.map(lambda w: w * 1.1, model('llama'))
  before = decoder._logits._cache_size()
  for one in (model('llama'), other):
    one.logits(TOKENS[:3, :9])
    one.logits(TOKENS[:3, :9].tolist())
  assert decoder._logits._cache_size() == before + 1
  other.logits(TOKENS[:3, :9], SEGMENT_BT[:3, :9])
  assert decoder._logits._cache_size() == before + 2


@pytest.mark.parametrize('module', [llama2, phi2])
def test_every_weight_starts_as_its_kind_says(module):
  fresh = jax.device_get(jax.jit(module.tiny(vocab=128).build)(jax.random.key(0)))
  drawn = []
  for path, w in jax.tree.leaves_with_path(fresh):
    name = path[-2].name if path[-1].name == 'value' else path[-1].name
    if 'bias' in name:
      assert not w.any()
    elif 'norm' in name:
      assert (w == 1).all()
    else:
      assert abs(float(w.std()) - 0.02) < 0.001
      drawn += [w] if w.shape[0] != 2 else [w[0], w[1]]  # no two layers start alike
  starts = {float(w.ravel()[0]) for w in drawn}
  assert len(starts) == len(drawn)


def test_the_key_decides_the_weights():
  build = jax.jit(lambda key: llama2.tiny().build(key).embed_VD[...])
  one, same, other = (build(jax.random.key(n)) for n in (0, 0, 1))
  np.testing.assert_array_equal(one, same)
  assert (one != other).mean() > 0.9


def test_weights_are_stored_as_the_config_says():
  for weights in ('float32', 'bfloat16'):
    cfg = llama2.tiny(weights=weights)
    leaves = jax.tree.leaves(jax.eval_shape(cfg.build, jax.random.key(0)))
    assert {leaf.dtype.name for leaf in leaves} == {weights}
