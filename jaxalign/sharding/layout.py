"""Layouts: the sharding of every leaf of a tree, from the names on the way to it."""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxalign.sharding.alphabet import AnyMesh, axes, spec


def leaf_spec(
  path: Sequence[Any], leaf: jax.Array | jax.ShapeDtypeStruct, mesh: AnyMesh
) -> PartitionSpec:
  """The layout of one leaf of a model, its gradient, its optimizer state or its cache, by its name.

  Vectors are whole everywhere, and so is what has fewer axes than its name says: the factored
  moments of Adafactor, whose remaining axes cannot be told from the name.
  """
  names = [str(getattr(k, 'name', getattr(k, 'key', ''))) for k in path]
  letters = next((axes(name) for name in reversed(names) if axes(name)), '')
  letters = letters.removeprefix('N')  # of a cache, whose layers may lie apart
  if len(letters) < 2 or leaf.ndim < len(letters) + ('blocks' in names):
    return PartitionSpec()
  letters = '-' * (leaf.ndim - len(letters)) + letters  # stacked layers lead
  return spec(letters, leaf.shape, mesh)


def layout(tree: Any, mesh: Mesh) -> Any:
  """The sharding of every leaf of a tree, from the names on the way to it."""
  return jax.tree.map_with_path(lambda p, x: NamedSharding(mesh, leaf_spec(p, x, mesh)), tree)


def pin(x: jax.Array, letters: str) -> jax.Array:
  """Fixes an activation's layout: pin(x_BTD, 'B') spreads its first axis over the data axes."""
  mesh = jax.sharding.get_abstract_mesh()
  if mesh.empty:
    return x
  return jax.lax.with_sharding_constraint(x, spec(letters, x.shape, mesh))


def pin_weights(tree: Any) -> Any:
  """Keeps weights, or a whole state, on their homes: a cast happens before the gather and not after
  it, and what a step leaves lies as what it was given, so that the next runs the same program."""
  mesh = jax.sharding.get_abstract_mesh()
  if mesh.empty:
    return tree
  pinned = jax.lax.with_sharding_constraint
  return jax.tree.map_with_path(lambda path, x: pinned(x, leaf_spec(path, x, mesh)), tree)


def mesh_of(tree: Any) -> Mesh | None:
  """The mesh a tree's concrete arrays lie on; None for one device, or under tracing."""
  for leaf in jax.tree.leaves(tree):
    if isinstance(leaf, jax.core.Tracer) or not isinstance(leaf, jax.Array):
      return None
    if isinstance(leaf.sharding, NamedSharding) and isinstance(leaf.sharding.mesh, Mesh):
      return leaf.sharding.mesh
  return None


def on_mesh(mesh: Mesh | None) -> contextlib.AbstractContextManager:
  """`with on_mesh(mesh):` is jax.set_mesh, and nothing where there is no mesh."""
  return jax.set_mesh(mesh) if mesh is not None else contextlib.nullcontext()


def born(init: Callable[..., Any], mesh: Mesh | None, *args: Any) -> Any:
  """Runs init(*args) so that no array of its result is ever whole on one device."""
  if mesh is None:
    return jax.jit(init)(*args)
  with jax.set_mesh(mesh):
    return jax.jit(init, out_shardings=layout(jax.eval_shape(init, *args), mesh))(*args)
