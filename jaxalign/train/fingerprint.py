"""What a checkpoint says of the arrays in it, so that a reader knows it got what was saved."""

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from etils import epath

from jaxalign.config import UserError

_Record = Mapping[str, Sequence[Any]]  # array -> (type and shape, checksum)


def _kinds(tree):
  return {name: f'{x.dtype}{list(x.shape)}' for name, x in flat(tree).items()}


def record_of(state: Any) -> dict[str, Any]:
  """What a checkpoint says of itself: each array's kind and checksum; refused if not finite."""
  sums = _fingerprint(state)
  lost = [name for name, (_, finite) in sums.items() if not finite and name.startswith('model.')]
  if lost:
    raise UserError(
      f'step {int(state.step)}: {lost[0].removeprefix("model.")} is not finite, though the steps '
      'up to here were: it is not saved; look at the weights that the run starts from'
    )
  return sealed({name: [kind, sums[name][0]] for name, kind in _kinds(state).items()})


def sealed(arrays: _Record) -> dict[str, Any]:
  return dict(arrays=arrays, crc=_crc(arrays))


def _crc(arrays):
  return zlib.crc32(json.dumps(arrays, sort_keys=True).encode())


def read_record(path: epath.Path) -> _Record:
  record = json.loads((path / 'fingerprint' / 'metadata').read_text())
  if _crc(record['arrays']) != record['crc']:
    raise ValueError('its fingerprint is not what was saved')
  return record['arrays']


def weights_digest(arrays: _Record) -> str:
  """sha256 over what a record says of the weights, and of nothing else: the same on every mesh."""
  weights = {name: said for name, said in arrays.items() if name.startswith('model.')}
  return hashlib.sha256(json.dumps(weights, sort_keys=True).encode()).hexdigest()


def digest_of(model: Any) -> str:
  """The weights_digest of weights that were loaded from wherever: that of a checkpoint which holds
  the same bits under the same names."""
  sums, kinds = _fingerprint(model), _kinds(model)
  return weights_digest({f'model.{name}': [kinds[name], sums[name][0]] for name in kinds})


def refuse_foreign(path: epath.Path, record: _Record, twin: Any) -> None:
  """Whole, but of something else: to call it damaged would set a good checkpoint aside."""
  theirs, ours = {name: kind for name, (kind, _) in record.items()}, _kinds(twin)
  for name in sorted(theirs.keys() | ours.keys()):
    there, here = theirs.get(name, 'absent'), ours.get(name, 'absent')
    if there != here:
      raise UserError(
        f'{path} is of another model or optimizer: {name} is {there} there and {here} here'
      )


def flaws(tree: Any, record: _Record, weights: str = 'model.') -> list[str]:
  """What is wrong with a tree that was read: an array that changed, or a weight not finite."""
  sums = _fingerprint(tree)
  changed = [name for name, (s, _) in sums.items() if record[name][1] != s]
  lost = [name for name, (_, finite) in sums.items() if not finite and name.startswith(weights)]
  wrong = [f'{name} is not what was saved' for name in changed]
  return wrong + [f'{name} has values that are not finite' for name in lost]


def _fingerprint(tree):
  """{name: (checksum of an array's bits, whether all of it is finite)}, computed where it lies.

  A program for each shape: weights and their moments share it, and one program of all arrays takes
  seconds to compile. One after the other: on a CPU's few threads sums over several devices would
  wait for one another for ever.
  """
  looked = ((name, _looked_at(x)) for name, x in flat(tree).items())
  return {name: (int(s), bool(finite)) for name, (s, finite) in looked}


@jax.jit
def checksum(tree: Any) -> jax.Array:
  """One number for the bits and names of a whole tree, where it lies; the same on every mesh."""
  salted = (_checksum(x) * jnp.uint32(zlib.crc32(n.encode()) | 1) for n, x in flat(tree).items())
  return sum(salted, jnp.uint32(0))


@jax.jit
def _looked_at(x):
  return _checksum(x), _finite(x)


def _finite(x):
  return jnp.isfinite(x).all() if jnp.issubdtype(x.dtype, jnp.inexact) else True


def _checksum(x):
  """The position-weighted sum of an array's bits, modulo 2^32: the same on every mesh."""
  kind = {1: jnp.uint8, 2: jnp.uint16, 4: jnp.uint32}[x.dtype.itemsize]
  bits = jax.lax.bitcast_convert_type(x, kind).astype(jnp.uint32)
  place = jnp.uint32(0)  # of each element in the whole array; odd weights lose no bit
  for axis, n in enumerate(x.shape):
    along = jax.lax.broadcasted_iota(jnp.uint32, x.shape, axis)
    place = place * jnp.uint32(n) + along
  return (bits * (2 * place + 1)).sum(dtype=jnp.uint32)


def flat(tree: Any) -> dict[str, jax.Array]:
  """{name: array}; random keys as the numbers they are."""
  return {_name(path): _raw(x) for path, x in jax.tree.leaves_with_path(tree)}


def _name(path):
  return jax.tree_util.keystr(path, simple=True, separator='.')


def _is_key(x):
  return jnp.issubdtype(x.dtype, jax.dtypes.prng_key)


def _raw(x):
  if not _is_key(x):
    return x
  if isinstance(x, jax.ShapeDtypeStruct):
    data = jax.eval_shape(jax.random.key_data, x)
    return jax.ShapeDtypeStruct(data.shape, data.dtype, sharding=x.sharding)
  return jax.random.key_data(x)


def unflat(twin: Any, flat: Mapping[str, jax.Array]) -> Any:
  names = (_name(path) for path, _ in jax.tree.leaves_with_path(twin))
  got = [
    jax.random.wrap_key_data(flat[name]) if _is_key(leaf) else flat[name]
    for name, leaf in zip(names, jax.tree.leaves(twin))
  ]
  return jax.tree.unflatten(jax.tree.structure(twin), got)
