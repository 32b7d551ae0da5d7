"""The arithmetic decoders share. Pure functions; no weights live here.

Matrices lie as Hugging Face lays them, outputs first ([F, D], not [D, F]): an import is a copy and
an export its reverse, no transpose anywhere, and XLA multiplies either way round equally fast.
"""

import functools
import math
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.ad_checkpoint import checkpoint_name
from jax.experimental.layout import Layout, with_layout_constraint

from jaxalign.models.adapters import Adapted, sides
from jaxalign.sharding.collectives import own_rows
from jaxalign.sharding.layout import pin
from jaxalign.sharding.meshes import platform

ROWS = 256  # of a matrix that a CPU multiplies at once
LANES = 128  # of a TPU: its vectors, and the positions in a tile of its attention
LARGE = 2**16  # a weight from which that pays: smaller ones are in the cache either way
_HUGE = 2**19  # a weight from which it does not: cutting costs more than the product gains


class Turned(flax.struct.PyTreeNode):
  """A matrix that lies inputs first and flat, in a weight's place: a CPU multiplies a few rows with
  it a fifth faster. Only for decoding, which changes no weight."""

  w_io: jax.Array
  outputs: tuple[int, ...] = flax.struct.field(pytree_node=False)


def exact(x: jax.Array) -> str | None:
  """The precision of a product of x: float32 is not rounded to bfloat16 on its way into it. Named
  where a gradient is written out, which no `default_matmul_precision` around the model reaches."""
  return 'highest' if x.dtype == jnp.float32 else None


def dot(equation: str, x: jax.Array, w: Any) -> jax.Array:
  """einsum(equation, x, w) for a weight w that may carry a low-rank adapter beside it."""
  given, out = equation.split('->')
  of_x, of_w = given.split(',')
  inputs = ''.join(letter for letter in of_w if letter not in out)
  outputs = ''.join(letter for letter in of_w if letter in out)
  rows = ''.join(letter for letter in out if letter in of_x)
  base = w.base if isinstance(w, Adapted) else w
  if not isinstance(base, Turned):
    base = base[...]
  single = 'T' in of_x and x.shape[of_x.index('T')] == 1  # a token at a time: x is what should move
  if platform() == 'tpu':  # which writes heads in the order that attention reads
    form, order = of_x, out
    if single:  # the weight stays where it is, heads and all: laid flat, it would be copied
      y = jnp.einsum(equation, x, base, precision=exact(x))
    else:
      y = _own_dot(x, base, equation, of_w)
  else:
    form, order = rows + inputs, rows + outputs
    x = jnp.einsum(f'{of_x}->{form}', x)
    x_i = x.reshape(*x.shape[: len(rows)], -1)
    if isinstance(base, Turned):
      y = jnp.einsum(f'{rows}i,io->{rows}o', x_i, base.w_io, precision=exact(x))
    elif single:
      y = _as_matrices(x_i, _flat(base, len(inputs)))
    else:
      same = f'{rows}i,oi->{rows}o'
      y = _own_dot(x_i, _flat(base, len(inputs)), same, of_w[0] + inputs[0])
    y = y.reshape(*y.shape[:-1], *_outputs(base, outputs))
  if isinstance(w, Adapted):
    low, high = w.pair()
    thin = w.scale * jnp.einsum(f'{form},R{inputs}->{rows}R', x, low)
    if platform() == 'cpu':
      y_no = _of_thin(_flat(thin, 1), _flat(high, 1))
      y += y_no.reshape(*thin.shape[:-1], *high.shape[:-1])
    else:
      y += jnp.einsum(f'{rows}R,{outputs}R->{order}', thin, high)
  y = checkpoint_name(y, 'dot')
  return jnp.einsum(f'{order}->{out}', y)


def _outputs(base, letters):
  return base.outputs if isinstance(base, Turned) else base.shape[: len(letters)]


def turned(name: str, w: Any) -> Any:
  """A block's weight, Turned if it is a large matrix of that name; an adapter over it stays."""
  if isinstance(w, Adapted):
    return w.replace(base=turned(name, w.base))
  if not isinstance(w, nnx.Param) or w.ndim < 2 or w.size < LARGE or '_bias_' in name:
    return w
  outputs, inputs = sides(name)
  return Turned(_flat(w[...], len(inputs)).T, w.shape[: len(outputs)])


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _own_dot(x, w, equation, letters):
  """einsum of each device's own rows, for which w is gathered, also in the backward pass."""
  product = _as_it_lies if platform() == 'tpu' else _as_matrices
  return own_rows(lambda x, w: (product(x, w, equation), None), x, w)[0]


def _own_dot_forward(x, w, equation, letters):
  return _own_dot(x, w, equation, letters), (x, w)


def _own_dot_backward(equation, letters, saved, dy):
  given, out = equation.split('->')
  of_x, of_w = given.split(',')

  def pull(rows, w):
    x, dy = rows
    if platform() != 'tpu':
      dy_no = _flat(dy, 1)
      return _by_rows('no,oi->ni', dy_no, w).reshape(x.shape), of_weight(dy_no, _flat(x, 1))
    # Both products would each make dy again, of SwiGLU's gradient, slower than they multiply.
    dy = jax.lax.optimization_barrier(dy)
    dx = _as_it_lies(dy, w, f'{out},{of_w}->{of_x}')
    return dx, jnp.einsum(f'{out},{of_x}->{of_w}', dy, x, precision=exact(x))

  x, w = saved
  return own_rows(pull, (x, dy), w, letters)


_own_dot.defvjp(_own_dot_forward, _own_dot_backward)


def _as_it_lies(x, w, equation):
  """einsum with a gathered weight. One of heads, [H,K,D], is taken as [H,D,K], if K fills a TPU's
  lanes: so the gather can leave it, and the product give heads in order; else one is copied."""
  if w.ndim == 3 and equation.split(',')[1][1] == 'K' and w.shape[1] % LANES == 0:
    w = with_layout_constraint(w, Layout((0, 2, 1)))
  return jnp.einsum(equation, x, w, precision=exact(x))


def _as_matrices(x, w_oi, equation=None):
  """x times w over the last axis of x, as one product of two matrices: a CPU transposes those
  five times faster than arrays of three axes, for the gradient of w."""
  return _by_rows('ni,oi->no', _flat(x, 1), w_oi).reshape(*x.shape[:-1], -1)


def _flat(a, inputs):
  return a.reshape(-1, math.prod(a.shape[a.ndim - inputs :]))


def of_weight(dy_no: jax.Array, x_ni: jax.Array, **how: Any) -> jax.Array:
  """A weight's gradient; on a CPU the wider factor stands to the right, for the other is copied."""
  how = dict(precision=exact(x_ni), **how)
  inputs, outputs = x_ni.shape[1], dy_no.shape[1]
  if platform() == 'cpu' and outputs > inputs and outputs * inputs >= LARGE:
    return jax.lax.optimization_barrier(jnp.einsum('ni,no->io', x_ni, dy_no, **how)).T
  return jnp.einsum('no,ni->oi', dy_no, x_ni, **how)


@jax.custom_vjp
def _of_thin(x_ni, w_oi):
  """An adapter's second product, whose inputs are few. Its gradient is written out for CPUs: by
  itself XLA computes the wide dy a second time, transposed, which took a fifth of a LoRA step;
  here the thin factor is what is transposed."""
  return jnp.einsum('ni,oi->no', x_ni, w_oi, precision=exact(x_ni))


def _of_thin_forward(x_ni, w_oi):
  return _of_thin(x_ni, w_oi), (x_ni, w_oi)


def _of_thin_backward(saved, dy_no):
  x_ni, w_oi = saved
  how = dict(precision=exact(x_ni))
  turned = jax.lax.optimization_barrier(jnp.einsum('ni,no->io', x_ni, dy_no, **how))
  return jnp.einsum('no,oi->ni', dy_no, w_oi, **how), turned.T


_of_thin.defvjp(_of_thin_forward, _of_thin_backward)


def _by_rows(equation, x_ni, w):
  """einsum of a matrix' rows with a weight; on a CPU about ROWS of them at a time. Their part of x
  and of the result then stays in the core's cache: XLA there multiplies as fast as any library,
  and a seventh slower where it is given thousands of rows, of a weight that is not huge."""
  rows = x_ni.shape[0]
  parts = _parts(rows) if platform() == 'cpu' and LARGE <= w.size < _HUGE else 1

  def product(x):
    return jnp.einsum(equation, x, w, precision=exact(x))

  if parts == 1:
    return product(x_ni)
  return jax.lax.map(product, x_ni.reshape(parts, rows // parts, -1)).reshape(rows, -1)


def _parts(rows):
  """The fewest equal parts of at most ROWS, if they are not much smaller than that."""
  fewest = -(-rows // ROWS)
  return next((n for n in range(fewest, 2 * fewest) if rows % n == 0), 1)


# Elementwise work is cheaper to repeat in the backward pass than to keep in memory and read again.
_again = functools.partial(jax.checkpoint, prevent_cse=False)


@_again
def swiglu(gate_BTF: jax.Array, up_BTF: jax.Array) -> jax.Array:
  return _gradient_apart(jax.nn.silu(gate_BTF) * up_BTF)


@jax.custom_vjp
def _gradient_apart(x_BTF):
  """x, whose gradient is an array of its own: a TPU's product that gave it and went on to SwiGLU's,
  which reads and writes four more arrays, took twice as long."""
  return x_BTF


def _gradient_apart_forward(x_BTF):
  return x_BTF, None


def _gradient_apart_backward(_, dx_BTF):
  return (jax.lax.optimization_barrier(dx_BTF) if platform() == 'tpu' else dx_BTF,)


_gradient_apart.defvjp(_gradient_apart_forward, _gradient_apart_backward)


def apart(x_BTD: jax.Array) -> jax.Array:
  """x as an array of its own, and so its gradient: else on a TPU each product that reads x makes it
  anew, and the last that gives its gradient goes on to the norm's, half as fast."""
  alone = platform() == 'tpu' and x_BTD.shape[1] > 1  # a token at a time is not large
  return jax.lax.optimization_barrier(x_BTD) if alone else x_BTD


@functools.partial(_again, static_argnums=2)
def rms_norm(x_BTD: jax.Array, scale_D: jax.Array, eps: float) -> jax.Array:
  x32_BTD = x_BTD.astype(jnp.float32)
  inverse = jax.lax.rsqrt(jnp.mean(x32_BTD**2, -1, keepdims=True) + eps)
  x32_BTD *= checkpoint_name(inverse, 'norm')  # a number a token: all of x is read to make it again
  return x32_BTD.astype(x_BTD.dtype) * scale_D


def layer_norm(x_BTD: jax.Array, scale_D: jax.Array, bias_D: jax.Array, eps: float) -> jax.Array:
  x32_BTD = x_BTD.astype(jnp.float32)
  x32_BTD -= x32_BTD.mean(-1, keepdims=True)
  x32_BTD *= jax.lax.rsqrt(jnp.mean(x32_BTD**2, -1, keepdims=True) + eps)
  return x32_BTD.astype(x_BTD.dtype) * scale_D + bias_D


def rope(x_BHTK: jax.Array, angle_BTK: jax.Array) -> jax.Array:
  """Rotates the first 2 x angle_BTK.shape[-1] of each head, as two halves (as Hugging Face)."""
  half, rest = angle_BTK.shape[-1], x_BHTK.shape[-1] - 2 * angle_BTK.shape[-1]
  cos, sin = jnp.cos(angle_BTK)[:, None], jnp.sin(angle_BTK)[:, None]
  ones = jnp.ones((*cos.shape[:-1], rest), cos.dtype)
  cos = jnp.concatenate([cos, cos, ones], -1)
  sin = jnp.concatenate([sin, sin, ones], -1)
  other_BHTK = (_by_pieces if platform() == 'gpu' else _by_product)(x_BHTK, half)
  return (x_BHTK.astype(jnp.float32) * cos + other_BHTK * sin).astype(x_BHTK.dtype)


def _by_pieces(x_BHTK, half):
  """(a, b, rest) as (-b, a, 0). A GPU fuses it into what reads it."""
  a, b, rest = jnp.split(x_BHTK.astype(jnp.float32), (half, 2 * half), -1)
  return jnp.concatenate([-b, a, jnp.zeros_like(rest)], -1)


def _by_product(x_BHTK, half):
  """The same, exactly, by a matrix of 0, 1 and -1: halves that are cut out of a TPU's 128 lanes and
  joined again cost as much as a quarter of the projection before. A GPU writes the product out in
  float32 and reads it again: 77 ms of a step of Llama-2-7B of 1,512."""
  turn_KK = jnp.asarray(_turn(half, x_BHTK.shape[-1] - 2 * half), x_BHTK.dtype)
  how = dict(preferred_element_type=jnp.float32, precision=exact(x_BHTK))
  return jnp.einsum('BHTK,KJ->BHTJ', x_BHTK, turn_KK, **how)


def _turn(half, rest):
  """(a, b, rest) times it is (-b, a, 0)."""
  turn_KK = np.zeros((2 * half + rest,) * 2, np.float32)
  first, second = np.arange(half), np.arange(half, 2 * half)
  turn_KK[second, first], turn_KK[first, second] = -1, 1
  return turn_KK


def lookup(table_VD: jax.Array, tokens_BT: jax.Array) -> jax.Array:
  """The rows of a table, whole on every device; its gradient goes straight to where it lies."""
  if tokens_BT.shape[1] == 1:
    return pin(table_VD, 'V-')[tokens_BT]
  return _lookup(table_VD, tokens_BT)


@jax.custom_vjp
def _lookup(table_VD, tokens_BT):
  return own_rows(lambda tokens_BT, table_VD: (table_VD[tokens_BT], None), tokens_BT, table_VD)[0]


def _lookup_forward(table_VD, tokens_BT):
  return _lookup(table_VD, tokens_BT), (table_VD, tokens_BT)


def _lookup_backward(saved, dx_BTD):
  table_VD, tokens_BT = saved

  def pull(rows, _):
    tokens_BT, dx_BTD = rows
    return None, jnp.zeros(table_VD.shape, dx_BTD.dtype).at[tokens_BT].add(dx_BTD)

  return own_rows(pull, (tokens_BT, dx_BTD), (), 'VD')[1], None


_lookup.defvjp(_lookup_forward, _lookup_backward)


def rope_angle(position_BT: jax.Array, frequency_K: jax.Array) -> jax.Array:
  """The angle of every position, once for all layers: twice as many entries of a head rotate."""
  return position_BT[..., None].astype(jnp.float32) * frequency_K


def position_in_segment(segment_BT: jax.Array) -> jax.Array:
  """Counts from 0 within each run of equal segment ids: packed documents, left padding."""
  T = segment_BT.shape[1]
  index_T = jnp.arange(T, dtype=jnp.int32)
  new_BT = jnp.diff(segment_BT, axis=1, prepend=segment_BT[:, :1] - 1) != 0
  start_BT = jax.lax.cummax(jnp.where(new_BT, index_T, 0), axis=1)
  return index_T - start_BT
