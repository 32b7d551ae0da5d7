"""Homes by name, and that a mesh changes where arrays live but not what comes out."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractMesh, AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxalign.config import UserError
from jaxalign.models import layers, llama2, phi2
from jaxalign.sharding import alphabet, collectives
from jaxalign.sharding.alphabet import axes, spec, weight_name
from jaxalign.sharding.collectives import own_rows
from jaxalign.sharding.layout import born, layout, leaf_spec, mesh_of, on_mesh, pin
from jaxalign.sharding.meshes import make_mesh
from tests.golden.cases import TOLERANCE

MESHES = [(8, 1, 1), (1, 8, 1), (2, 2, 2), (1, 1, 8)]


# ---- meshes


def test_one_size_takes_what_is_left():
  for sizes in [dict(), dict(data=2, fsdp=-1, tensor=2), dict(data=-1, fsdp=4), dict(fsdp=8)]:
    mesh = make_mesh(**sizes)
    assert mesh.size == 8
    assert mesh.axis_names == ('data', 'fsdp', 'tensor')
    assert all(mesh.shape[k] == n for k, n in sizes.items() if n != -1)
  assert set(make_mesh().axis_types) == {AxisType.Auto}
  assert make_mesh(devices=jax.devices()[:2]).shape == dict(data=1, fsdp=2, tensor=1)


@pytest.mark.parametrize('sizes', [(3, -1, 1), (-1, -1, 1), (2, 2, 1), (0, -1, 1), (-2, 1, 1)])
def test_sizes_that_do_not_fit_are_named(sizes):
  with pytest.raises(UserError, match=re.escape(str(sizes)) + '.* 8 devices'):
    make_mesh(*sizes)


# ---- names to homes


def test_axes_are_the_suffix():
  given = ['q_HKD', 'blocks.q_bias_HK', 'norm1_D', 'filled', 'v_row', 'x', 'low_RD']
  assert [axes(name) for name in given] == ['HKD', 'HK', 'D', '', '', '', 'RD']


def test_spec_gives_each_letter_its_home():
  assert spec('HKD') == P('tensor', None, 'fsdp')
  assert spec('VD') == P('tensor', 'fsdp')
  assert spec('BT') == P(('data', 'fsdp'), None)
  assert spec('NBGSK') == P(None, ('data', 'fsdp'), 'tensor', None, None)


def test_an_axis_that_its_home_does_not_divide_stays_whole():
  mesh = make_mesh(2, 2, 2)
  assert spec('GKD', (3, 16, 64), mesh) == P(None, None, 'fsdp')
  assert spec('VD', (513, 64), mesh) == P(None, 'fsdp')
  assert spec('BT', (6, 4), mesh) == P(None, None)  # 6 rows over data x fsdp = 4
  assert spec('BT', (4, 4), mesh) == P(('data', 'fsdp'), None)


def test_layers_are_stacked_in_front_and_vectors_are_whole():
  wanted = {
    'blocks.q_HKD': ((2, 4, 8, 16), P(None, 'tensor', None, 'fsdp')),
    'blocks.norm_D': ((2, 16), P()),
    'embed_VD': ((32, 16), P('tensor', 'fsdp')),
    'scalar': ((), P()),
    'adapter.q_HKD.low_RD': ((2, 4, 16), P(None, None, 'fsdp')),
    'adapter.q_HKD.high_HKR': ((2, 4, 8, 4), P(None, 'tensor', None, None)),
  }
  for name, (shape, home) in wanted.items():
    path = [jax.tree_util.DictKey(part) for part in name.split('.')]
    leaf = jax.ShapeDtypeStruct(shape, jnp.float32)
    assert leaf_spec(path, leaf, make_mesh(2, 2, 2)) == home, name


def test_pin_does_nothing_without_a_mesh_and_lays_out_with_one():
  x_BTD = jnp.ones((8, 4, 16))
  assert pin(x_BTD, 'B') is x_BTD
  mesh = make_mesh(2, 2, 2)
  with jax.set_mesh(mesh):
    pinned = jax.jit(lambda x: pin(x, 'B'))(x_BTD)
  assert {shard.data.shape for shard in pinned.addressable_shards} == {(2, 4, 16)}


def test_mesh_of_finds_the_mesh():
  mesh = make_mesh(2, 2, 2)
  tree = dict(embed_VD=jnp.ones((32, 16)))
  assert mesh_of(tree) is None
  assert mesh_of({}) is None
  assert mesh_of(jax.device_put(tree, layout(tree, mesh))) == mesh
  assert jax.jit(lambda tree: jnp.float32(mesh_of(tree) is None))(tree) == 1
  with on_mesh(None):
    assert jax.sharding.get_abstract_mesh().empty
  with on_mesh(mesh):
    assert jax.sharding.get_abstract_mesh().shape == mesh.shape


# ---- birth


SIZES = dict(depth=2, width=32, heads=8, vocab=64, remat='full', attention='xla')
MODELS = {
  'llama': (llama2.Llama2, llama2.tiny(**SIZES, kv_heads=2, mlp=48)),
  'phi': (phi2.Phi2, phi2.tiny(**SIZES, kv_heads=8, mlp=64)),
}


def vivid(cls, cfg):
  """Weights five times as large, so that attention is sharp and a slip would be seen."""

  def build(key):
    return jax.tree.map(lambda w: w * 5 if w.ndim > 2 else w, cls(cfg, key))

  return lambda mesh: born(build, mesh, jax.random.key(0))


@functools.cache
def whole(name):
  return vivid(*MODELS[name])(None)


@pytest.mark.parametrize('name', MODELS)
def test_a_sharded_model_is_never_whole_on_a_device(name):
  mesh = make_mesh(1, 4, 2)
  cls, cfg = MODELS[name]
  ours = vivid(cls, cfg)(mesh)
  assert mesh_of(ours) == mesh
  for (path, w), expected in zip(jax.tree.leaves_with_path(ours), jax.tree.leaves(whole(name))):
    np.testing.assert_allclose(w, expected, rtol=1e-6, err_msg=weight_name(path))
    letters = axes(weight_name(path))
    parts = dict(D=4, H=2, G=2, F=2, V=2)  # a matrix's axes, over fsdp 4 and tensor 2
    lead = [1] * (w.ndim - len(letters))
    cut = [*lead, *(parts.get(letter, 1) for letter in letters)] if len(letters) > 1 else [1] * 9
    shape = tuple(n // k for n, k in zip(w.shape, cut))
    assert {shard.data.shape for shard in w.addressable_shards} == {shape}, weight_name(path)


def test_no_step_of_the_init_holds_a_sharded_weight_whole():
  """Read in the program each device runs: the whole shape of a matrix occurs nowhere."""
  cfg = llama2.tiny(width=48, vocab=96, mlp=80)
  mesh, key = make_mesh(2, 2, 2), jax.random.key(0)
  shapes = jax.eval_shape(cfg.build, key)
  with jax.set_mesh(mesh):
    text = jax.jit(cfg.build, out_shardings=layout(shapes, mesh)).lower(key).compile().as_text()
  assert 'f32[48,24]' in text  # the embedding's part
  for path, leaf in jax.tree.leaves_with_path(shapes):
    if len(axes(weight_name(path))) > 1:
      whole = ','.join(map(str, leaf.shape))
      assert f'f32[{whole}]' not in text, weight_name(path)


# ---- meshes agree


@jax.jit
def graded(model, tokens_BT, segment_BT):
  def loss(model):
    logits_BTV = model.unembed(model(tokens_BT, segment_BT))
    logp_BTV = jax.nn.log_softmax(logits_BTV[:, :-1])
    picked = jnp.take_along_axis(logp_BTV, tokens_BT[:, 1:, None], -1)
    return -picked.sum() / tokens_BT.shape[0], logits_BTV

  return jax.grad(loss, has_aux=True)(model)


RANDOM = np.random.default_rng(0)
TOKENS = RANDOM.integers(0, 64, (8, 10)).astype(np.int32)
SEGMENTS = np.sort(RANDOM.integers(0, 3, (8, 10)).astype(np.int32), axis=1)


@functools.cache
def expected(name):
  return jax.device_get(graded(whole(name), TOKENS, SEGMENTS))


SLOW = pytest.param('phi', marks=pytest.mark.campaign)  # the same again, for the other model


@pytest.mark.parametrize('name', ['llama', SLOW])
@pytest.mark.parametrize('sizes', MESHES, ids=str)
def test_meshes_agree_with_one_device(name, sizes):
  agrees(name, sizes, graded)


@pytest.mark.parametrize('name', ['llama', SLOW])
def test_the_way_a_tpu_multiplies_agrees_too(name, monkeypatch):
  monkeypatch.setattr(layers, 'platform', lambda: 'tpu')
  monkeypatch.setattr(layers, 'LANES', 1)  # and lays the weights of heads, which are small here
  agrees(name, (2, 2, 2), jax.jit(graded.__wrapped__))


def agrees(name, sizes, graded):
  mesh = make_mesh(*sizes)
  model = jax.device_put(whole(name), layout(whole(name), mesh))
  rows = jax.sharding.NamedSharding(mesh, spec('BT'))
  with jax.set_mesh(mesh):
    gradient, logits = graded(model, *(jax.device_put(x, rows) for x in (TOKENS, SEGMENTS)))
  expected_gradient, expected_logits = expected(name)
  assert np.abs(expected_logits).max() > 0.1
  np.testing.assert_allclose(logits, expected_logits, atol=TOLERANCE)
  pairs = zip(jax.tree.leaves_with_path(gradient), jax.tree.leaves(expected_gradient))
  for (path, ours), theirs in pairs:
    np.testing.assert_allclose(ours, theirs, atol=TOLERANCE, err_msg=weight_name(path))
  assert max(np.abs(g).max() for g in jax.tree.leaves(expected_gradient)) > 0.1


@pytest.mark.parametrize('rows', [8, 3], ids=['divided', 'not'])
def test_logits_finds_the_mesh_of_the_weights_whatever_it_divides(rows):
  model = jax.device_put(whole('llama'), layout(whole('llama'), make_mesh(2, 2, 2)))
  logits = model.logits(TOKENS[:rows], SEGMENTS[:rows])
  assert len(logits.sharding.device_set) == 8
  np.testing.assert_allclose(logits, expected('llama')[1][:rows], atol=TOLERANCE)


@pytest.mark.parametrize('sizes', [(1, 8, 1), (2, 4, 1), (2, 2, 2)], ids=str)
@pytest.mark.parametrize('as_on', ['tpu', 'cpu'])
def test_sums_over_own_rows_reach_their_homes(sizes, as_on, monkeypatch):
  stages = collectives._stages
  monkeypatch.setattr(collectives, '_stages', lambda ways, _: stages(ways, as_on))
  mesh = make_mesh(*sizes)
  x_BD = jax.random.normal(jax.random.key(0), (16, 32))
  w_FD = jax.random.normal(jax.random.key(1), (6, 32))

  def f(x_BD, w_FD):
    y_BF = x_BD @ w_FD.T
    return y_BF, dict(w_FD=y_BF.T @ x_BD, loss=y_BF.sum())

  with jax.set_mesh(mesh):
    run = jax.jit(lambda x, w: own_rows(f, x, w, dict(w_FD='FD', loss='')))
    homes = [NamedSharding(mesh, spec(letters)) for letters in ('B-', 'FD')]
    rows, sums = run(*jax.device_put([x_BD, w_FD], homes))
  wanted, total = f(x_BD, w_FD)
  np.testing.assert_allclose(rows, wanted, rtol=1e-5, atol=1e-5)
  np.testing.assert_allclose(sums['w_FD'], total['w_FD'], rtol=1e-4, atol=1e-4)
  np.testing.assert_allclose(sums['loss'], total['loss'], rtol=1e-4, atol=1e-4)
  assert sums['w_FD'].sharding.shard_shape((6, 32))[1] == 32 // sizes[1]


def test_sums_of_bf16_are_made_on_a_cpu_too():
  """Its compiler aborts the process where it is asked for one."""
  mesh, x_BD = make_mesh(2, 2, 2), jnp.ones((8, 16), jnp.bfloat16)

  def f(x_BD, _):
    return None, dict(w_FD=x_BD.T @ x_BD)

  with jax.set_mesh(mesh):
    sums = jax.jit(lambda x: own_rows(f, x, (), dict(w_FD='FD')))(x_BD)[1]
  assert sums['w_FD'].dtype == jnp.bfloat16 and bool((sums['w_FD'] == 8).all())


@pytest.mark.parametrize('ways', [8, 16, 64, 128, 256])
def test_two_stages_give_every_device_its_own_part(ways):
  """By hand: part n of the sum ends on device n."""
  parts = {n: list(range(ways)) for n in range(ways)}
  for groups in collectives._stages(ways, 'tpu'):
    for group in groups:
      size = len(parts[group[0]]) // len(group)
      for place, n in enumerate(group):
        parts[n] = parts[n][place * size : (place + 1) * size]
  assert parts == {n: [n] for n in range(ways)}


GROUPS = {
  (1, 256, 1): (32, 1, 8),
  (2, 256, 1): (64, 1, 8),  # two slices: a group lies in one
  (1, 4, 1): (1, 1, 4),
  (1, 6, 1): (3, 1, 2),
  (2, 4, 2): (2, 1, 8),
  (1, 2, 16): (2, 1, 16),  # a mesh of larger groups keeps them
  (8, 1, 1): (8, 1, 1),
}


@pytest.mark.parametrize('sizes, groups', GROUPS.items(), ids=str)
def test_groups_to_sample_in(sizes, groups):
  mesh = AbstractMesh(sizes, alphabet.AXES)
  assert collectives.sampling_mesh(mesh, kv_heads=8).axis_sizes == groups


def test_sixteen_share_heads_that_go_evenly_onto_them():
  mesh = AbstractMesh((1, 256, 1), alphabet.AXES)
  for heads, groups in ((32, (16, 1, 16)), (40, (32, 1, 8)), (2, (32, 1, 8))):
    assert collectives.sampling_mesh(mesh, heads).axis_sizes == groups
