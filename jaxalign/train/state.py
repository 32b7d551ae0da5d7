"""The state of a run, and the pure step that moves it. Knows pytrees, not models."""

import functools
from collections.abc import Callable
from typing import Any

import flax
import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from jax.typing import ArrayLike

from jaxalign.sharding.alphabet import weight_name
from jaxalign.sharding.layout import layout, pin, pin_weights
from jaxalign.sharding.meshes import training_options
from jaxalign.train.optim import matching, taken

_PROGRAMS = 32  # kept for a process that runs many stages, as a study does: equal ones compile once


class _TrainState(flax.struct.PyTreeNode):
  step: jax.Array  # int32: batches consumed
  model: object  # any pytree of weights: what is trained
  opt: optax.OptState
  key: jax.Array
  skipped: jax.Array  # int32: steps skipped in a row, for something that was not finite
  extra: object = None  # any pytree that a stage carries along: in ppo, beta and what goes with it


def make_state(
  build: Callable[[jax.Array], Any],
  tx: optax.GradientTransformation,
  seed: int,
  mesh: Mesh,
  extra: Callable[[], Any] = lambda: None,
) -> tuple[_TrainState, Callable[..., _TrainState]]:
  """The abstract twin of a state of build(key)'s weights, and the function that makes it."""
  twin, fresh, around = _makers(build, tx, mesh, extra)
  key = jax.random.key(seed)

  def make(model=None):
    """The state at step 0: of fresh weights, or around loaded ones (which it takes over)."""
    with jax.set_mesh(mesh):
      return fresh(key) if model is None else around(key, model)

  return twin, make


@functools.lru_cache(maxsize=_PROGRAMS)
def _makers(build, tx, mesh, extra):
  def init(key, model=None):
    mine, model_key = jax.random.split(key)
    model = build(model_key) if model is None else model
    return _TrainState(jnp.int32(0), model, tx.init(model), mine, jnp.int32(0), extra())

  key = jax.eval_shape(lambda: jax.random.key(0))  # the mesh's devices may be far: nothing runs
  with jax.set_mesh(mesh):
    shapes = jax.eval_shape(init, key)
    homes = layout(shapes, mesh)
    twin = jax.tree.map(
      lambda s, home: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=home), shapes, homes
    )
  fresh = jax.jit(init, out_shardings=homes)
  return twin, fresh, jax.jit(init, out_shardings=homes, donate_argnums=1)


def _gradient_of(loss):
  def gradient(model, batch, key, given):
    def total(model):
      metrics = loss(model, batch, key, given)
      return metrics['loss'][0], metrics

    grads, metrics = jax.grad(total, has_aux=True)(model)
    return pin_weights(grads), metrics

  return gradient


def make_step(
  loss: Callable[..., dict[str, Any]],
  tx: optax.GradientTransformation,
  *,
  microbatches: int = 1,
  frozen: tuple[str, ...] = (),
  rate: Callable[[ArrayLike], jax.Array] | None = None,
) -> Callable[[_TrainState, Any, Any], tuple[_TrainState, Any]]:
  """loss(model, batch, key, given) -> {'loss': (total, weight), ...} becomes a compiled
  (state, batches, given) -> (state, (metrics, faults)): a step for each batch that is stacked in
  `batches`, in one program; what they say comes back stacked too.

  `given` is whatever the loss needs and nobody trains: a frozen base, a reference. `rate`:
  optimizer steps taken -> learning rate, to be told.
  """
  return _make_step(loss, tx, microbatches, frozen, rate, training_options())


@functools.lru_cache(maxsize=_PROGRAMS)
def _make_step(loss, tx, microbatches, frozen, rate, options):
  gradient = _gradient_of(loss)

  def step(state, batch, given):
    key = jax.random.fold_in(state.key, state.step)
    grads, metrics = accumulated(gradient, microbatches, state.model, batch, key, given)
    weight = metrics['loss'][1]
    grads = jax.tree.map(lambda g: g / jnp.maximum(weight, 1e-30).astype(g.dtype), grads)
    grads = jax.tree.map(lambda g, x: jnp.zeros_like(g) if x else g, grads, matching(grads, frozen))
    updates, opt = tx.update(grads, state.opt, state.model)
    model = optax.apply_updates(state.model, updates)
    bad_L = faults(grads, model)
    norm = optax.tree.norm(grads)
    ok = ~bad_L.any() & jnp.isfinite(metrics['loss'][0] + norm)
    old, new = (state.model, state.opt), (model, opt)
    model, opt = jax.tree.map(lambda old, new: jnp.where(ok, new, old), old, new)
    one = jnp.float32(1)
    metrics |= dict(grad_norm=(norm, one), skipped=(1.0 - ok, one))
    if rate is not None:
      metrics |= dict(lr=(rate(taken(state.opt)), one))
    state = state.replace(
      step=state.step + 1,
      model=model,
      opt=opt,
      skipped=jnp.where(ok, 0, state.skipped + 1),
    )
    return state, (metrics, (bad_L, state.skipped))

  def many(state, batches, given):
    state, said = jax.lax.scan(lambda s, b: step(s, b, given), state, batches)
    return pin_weights(state), said

  return jax.jit(many, donate_argnums=0, compiler_options=dict(options))


def faults(grads: Any, model: Any) -> jax.Array:
  """A code of each tensor: 1 if its gradient is not finite, 2 if its new weights alone are not."""

  def fault(grad, weight):
    worse = jnp.where(jnp.isfinite(weight).all(), 0, 2)
    return jnp.where(jnp.isfinite(grad).all(), worse, 1).astype(jnp.int8)

  return jnp.stack(jax.tree.leaves(jax.tree.map(fault, grads, model)))


def accumulated(
  gradient: Callable, microbatches: int, model: Any, batch: Any, key: jax.Array, given: Any
) -> Any:
  """Sums of gradients and metrics over a split of the batch: the same for any split.

  Row r goes to microbatch r mod n, so that each of them lies on all devices as the whole did.
  """
  if microbatches == 1:
    return gradient(model, batch, key, given)

  def part(x):
    rows = x.shape[0] // microbatches
    x = x.reshape(rows, microbatches, *x.shape[1:]).swapaxes(0, 1)
    return pin(x, 'NB')

  parts = jax.tree.map(part, batch)
  shapes = jax.eval_shape(gradient, model, jax.tree.map(lambda x: x[0], parts), key, given)
  zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)

  def add(sums, part):
    return jax.tree.map(jnp.add, sums, gradient(model, part, key, given)), None

  return jax.lax.scan(add, zeros, parts)[0]


def tensor_names(tree: Any) -> list[str]:
  """The weights' names in the order of the gradient's leaves."""
  return [weight_name(path) for path, _ in jax.tree.leaves_with_path(tree)]
