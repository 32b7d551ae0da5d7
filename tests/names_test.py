"""One alphabet: every weight's name says its axes, its home and its place in a checkpoint."""

import ast
import math
import pathlib
import re

import jax
import jax.numpy as jnp
import optax
import pytest

import jaxalign.models
from jaxalign.models import decoder, llama2, phi2
from jaxalign.models.heads import Critic
from jaxalign.sharding import alphabet
from jaxalign.sharding.alphabet import axes, weight_name
from jaxalign.sharding.layout import layout
from jaxalign.sharding.meshes import make_mesh

# In the docstring's list a letter is followed by what it means.
ALPHABET = set(re.findall(r'  ([A-Z]) [a-z]', alphabet.__doc__))
# No two axes are of one size, so that a wrong letter is a wrong shape.
DISTINCT = dict(depth=2, heads=12, kv_heads=6, mlp=28, vocab=70)
TINY = {
  'llama2 grouped': (llama2, llama2.Llama2, llama2.tiny(**DISTINCT, width=48, head_dim=10)),
  'llama2 tied': (llama2, llama2.Llama2, llama2.tiny(**DISTINCT, width=48, head_dim=10, tied=True)),
  'phi2': (phi2, phi2.Phi2, phi2.tiny(**DISTINCT, width=120, rotary=0.4)),
  'phi2 tied': (phi2, phi2.Phi2, phi2.tiny(**DISTINCT, width=120, rotary=0.4, tied=True)),
}
each_model = pytest.mark.parametrize('module, cls, cfg', TINY.values(), ids=TINY)


def abstract(cls, cfg):
  return jax.eval_shape(lambda: cls(cfg, jax.random.key(0)))


def weights(tree):
  return {weight_name(path): leaf for path, leaf in jax.tree.leaves_with_path(tree)}


def test_the_alphabet_is_listed_once():
  assert set('BTSNDFVHGQKRPCM') == ALPHABET
  listed = re.findall(r'  ([A-Z]) [a-z]', alphabet.__doc__)
  assert len(listed) == len(set(listed))
  assert set(alphabet.HOME) <= ALPHABET
  assert set(alphabet.AXES) == {'data', 'fsdp', 'tensor'}


@each_model
def test_a_suffix_is_a_shape(module, cls, cfg):
  sizes = cfg.sizes
  assert len(set(sizes.values())) == len(sizes)
  for name, leaf in weights(abstract(cls, cfg)).items():
    letters = axes(name)
    assert letters and set(letters) <= ALPHABET, name
    depth = (cfg.depth,) if name.startswith('blocks.') else ()
    assert leaf.shape == depth + tuple(sizes[letter] for letter in letters), name


@each_model
def test_each_weight_has_one_hugging_face_tensor(module, cls, cfg):
  table = module.HUGGING_FACE.tensors
  names = set(weights(abstract(cls, cfg)))
  assert names == set(table) - set(cfg.absent)
  assert len(set(table.values())) == len(table)
  for ours, theirs in table.items():
    assert ('{n}' in theirs) == ours.startswith('blocks.'), ours
    assert theirs.endswith('.bias') == ('bias' in ours), ours


@each_model
def test_each_matrix_is_at_home_on_the_mesh(module, cls, cfg):
  mesh = make_mesh(2, 2, 2)
  for name, home in weights(layout(abstract(cls, cfg), mesh)).items():
    letters = axes(name)
    lead = (None,) if name.startswith('blocks.') else ()
    at_home = lead + tuple(alphabet.HOME.get(letter) for letter in letters)
    assert tuple(home.spec) == (at_home if len(letters) > 1 else ()), name


@each_model
def test_gradients_and_moments_live_where_the_weight_lives(module, cls, cfg):
  mesh = make_mesh(2, 2, 2)
  model = abstract(cls, cfg)
  homes = weights(layout(model, mesh))
  tokens_BT = jnp.zeros((2, 3), jnp.int32)
  gradient = jax.eval_shape(jax.grad(lambda model: model.unembed(model(tokens_BT)).sum()), model)
  assert weights(layout(gradient, mesh)) == homes

  state = jax.eval_shape(optax.adamw(1e-3).init, model)
  laid = layout(state, mesh)
  adam, adam_homes = state[0], laid[0]
  for moments, moment_homes in [(adam.mu, adam_homes.mu), (adam.nu, adam_homes.nu)]:
    assert weights(moment_homes) == homes
    assert jax.tree.map(jnp.shape, weights(moments)) == jax.tree.map(jnp.shape, weights(model))
  assert tuple(adam_homes.count.spec) == ()


@each_model
def test_factored_moments_have_a_layout(module, cls, cfg):
  """Adafactor drops an axis, and which one the name cannot say: such moments are whole."""
  mesh = make_mesh(2, 2, 2)
  model = abstract(cls, cfg)
  optimizer = optax.adafactor(1e-3, min_dim_size_to_factor=8, momentum=0.9)
  state = jax.eval_shape(optimizer.init, model)
  size = {name: leaf.size for name, leaf in weights(model).items()}
  homes = layout(state, mesh)
  factored = 0
  for (path, leaf), home in zip(jax.tree.leaves_with_path(state), jax.tree.leaves(homes)):
    home.shard_shape(leaf.shape)  # raises where the spec does not fit
    name = next((n for n in size if jax.tree_util.keystr(path).endswith(f'.{n}.value')), None)
    if name and 1 < leaf.size < size[name]:
      factored += 1
      assert tuple(home.spec) == (), jax.tree_util.keystr(path)
  assert factored > 8


@each_model
@pytest.mark.parametrize('apart', [False, True], ids=['stacked', 'apart'])
def test_a_cache_is_split_by_rows_and_key_heads(module, cls, cfg, apart, monkeypatch):
  monkeypatch.setattr(decoder, 'SMALL', 2**26 if apart else 0)
  mesh = make_mesh(2, 2, 2)
  given = jnp.zeros((8, 5), jnp.int32)
  _, cache = jax.eval_shape(lambda model: model.prefill(given, given, 9), abstract(cls, cfg))
  homes = layout(cache, mesh)
  one = (8, cfg.kv_heads, 9, cfg.head_size)
  lead = () if apart else (None,)
  for kv, home in [(cache.k_NBGSK, homes.k_NBGSK), (cache.v_NBGSK, homes.v_NBGSK)]:
    assert jax.tree.map(jnp.shape, kv) == ((one,) * cfg.depth if apart else (cfg.depth, *one))
    for laid in jax.tree.leaves(home):
      assert tuple(laid.spec) == (*lead, ('data', 'fsdp'), 'tensor', None, None)
  assert tuple(homes.segment_BS.spec) == (('data', 'fsdp'), None)
  assert tuple(homes.filled.spec) == ()
  assert all(set(axes(name)) <= ALPHABET for name in vars(cache))


def test_a_head_keeps_the_names_of_its_decoder():
  module, cls, cfg = TINY['phi2']
  critic = jax.eval_shape(lambda: Critic(cls(cfg, jax.random.key(0)), jax.random.key(1)))
  names = set(weights(critic))
  assert names == {f'decoder.{name}' for name in module.HUGGING_FACE.tensors} | {'score_D'}
  home = weights(layout(critic, make_mesh(2, 2, 2)))['decoder.blocks.q_HKD']
  assert tuple(home.spec) == (None, 'tensor', None, 'fsdp')


def test_every_suffix_in_the_code_is_spelled_with_the_alphabet():
  for path in sorted(pathlib.Path(jaxalign.models.__file__).parent.glob('*.py')):
    for node in ast.walk(ast.parse(path.read_text())):
      name = getattr(node, 'id', getattr(node, 'arg', None))
      found = re.fullmatch(r'[a-z].*_([A-Z]+)', name or '')
      assert not found or set(found[1]) <= ALPHABET, f'{path.name}: {name}'


def test_the_walk_sees_every_number_of_a_model():
  """A weight that is not declared would be static under tracing, and missing from this count."""
  cfg = TINY['phi2'][2]
  D, F, V, Q, KV = 120, 28, 70, 12 * 10, 6 * 10
  block = 2 * D + Q * D + Q + 2 * (KV * D + KV) + D * Q + D + F * D + F + D * F + D
  count = sum(math.prod(leaf.shape) for leaf in weights(abstract(phi2.Phi2, cfg)).values())
  assert count == 2 * block + 2 * V * D + V + 2 * D
