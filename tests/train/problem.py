"""The smallest thing the engine can train: two matrices, a norm and a bias, on synthetic rows.

`poison` is added to the gradient of norm_F alone, so that a test can make one tensor go bad.
"""

import functools

import flax
import jax
import jax.numpy as jnp
import numpy as np

from jaxalign import config
from jaxalign.sharding.meshes import make_mesh
from jaxalign.train import optim
from jaxalign.train.feed import Feed
from jaxalign.train.state import make_state, make_step

B, D, F = 16, 8, 16


@flax.struct.dataclass
class Net:
  in_DF: jax.Array
  norm_F: jax.Array
  out_FD: jax.Array
  bias_D: jax.Array

  def __call__(self, x_BD):
    return jnp.tanh(x_BD @ self.in_DF) * self.norm_F @ self.out_FD + self.bias_D


def build(key):
  first, second = jax.random.split(key)
  in_DF, out_FD = 0.3 * jax.random.normal(first, (D, F)), 0.3 * jax.random.normal(second, (F, D))
  return Net(in_DF, jnp.ones(F), out_FD, jnp.zeros(D))


@jax.custom_vjp
def spoiled(w, poison):
  return w


spoiled.defvjp(lambda w, poison: (w, poison), lambda poison, g: (g + poison, None))


def loss(net, batch, key=None, given=None):
  """Rows of uneven weight, 0 among them."""
  del key, given
  net = net.replace(norm_F=spoiled(net.norm_F, batch['poison_B'].sum()))
  error_B = ((net(batch['x_BD']) - batch['y_BD']) ** 2).sum(-1)
  return dict(loss=((batch['weight_B'] * error_B).sum(), batch['weight_B'].sum()))


def rows(step, indices, poisoned=(), poison=np.inf):
  """A row is made from (step, index) alone."""
  rngs = [np.random.default_rng((step, int(i))) for i in indices]
  x_BD = np.stack([rng.standard_normal(D) for rng in rngs]).astype(np.float32)
  bad = poison if step in poisoned else 0.0
  return dict(
    x_BD=x_BD,
    y_BD=np.sin(3 * x_BD)[:, ::-1].copy(),
    weight_B=np.array([i % 4 for i in indices], np.float32),
    poison_B=np.array([bad if i == 0 else 0.0 for i in indices], np.float32),
  )


def adamw(**changes):
  settings = dict(lr=0.05, weight_decay=0.1, schedule=config.Schedule(shape='constant'))
  return config.AdamW(**settings | changes)


@functools.cache
def prepared(sizes, how, microbatches, loss):
  """(mesh, twin, make, step): compiled once for all tests of a file."""
  mesh = make_mesh(*sizes, devices=jax.devices()[: sizes[0] * sizes[1] * sizes[2]])
  tx = optim.make_optimizer(how, 100)
  twin, make = make_state(build, tx, 0, mesh)
  told = dict(frozen=how.frozen, rate=optim.learning_rate(how, 100))
  return mesh, twin, make, make_step(loss, tx, microbatches=microbatches, **told)


def begin(sizes=(1, 8, 1), how=None, microbatches=1, calls=1, rows=rows, loss=loss):
  """(mesh, twin, fresh state, step, feed) of a run."""
  mesh, twin, make, step = prepared(sizes, adamw() if how is None else how, microbatches, loss)
  return mesh, twin, make(), step, Feed(rows, B, mesh, calls)


def advance(mesh, state, step, feed, start, stop, given=None):
  """(state, {metric: (totals, weights)} of all steps): the loop without its surroundings."""
  said = []
  with jax.set_mesh(mesh):
    for batches, _ in feed.ahead(start, stop):
      state, (metrics, _) = step(state, batches, given)
      said.append(jax.device_get(metrics))
  return state, jax.tree.map(lambda *parts: np.concatenate(parts), *said)


def whole(tree):
  """Every leaf as numpy, random keys as their numbers."""
  return jax.tree.map(lambda x: np.asarray(jax.random.key_data(x) if is_key(x) else x), tree)


def is_key(x):
  return jnp.issubdtype(x.dtype, jax.dtypes.prng_key)


def assert_same_bits(one, other):
  one, other = jax.tree.leaves_with_path(whole(one)), jax.tree.leaves(whole(other))
  assert len(one) == len(other)
  for (path, a), b in zip(one, other):
    assert a.dtype == b.dtype and a.tobytes() == b.tobytes(), jax.tree_util.keystr(path)


def assert_close(one, other, atol):
  for (path, a), b in zip(jax.tree.leaves_with_path(whole(one)), jax.tree.leaves(whole(other))):
    np.testing.assert_allclose(a, b, atol=atol, rtol=0, err_msg=jax.tree_util.keystr(path))
