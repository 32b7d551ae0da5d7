"""The arithmetic decoders share. Pure functions; no weights live here.

Matrices lie as Hugging Face lays them, outputs first ([F, D], not [D, F]): an import is a copy and
an export its reverse, no transpose anywhere, and XLA multiplies either way round equally fast.
"""

import functools
import math

import jax
import jax.numpy as jnp

from jaxalign.models.adapters import Adapted


def dot(equation, x, w):
  """einsum(equation, x, w) for a weight w that may carry a low-rank adapter beside it."""
  given, out = equation.split('->')
  of_x, of_w = given.split(',')
  inputs = ''.join(letter for letter in of_w if letter not in out)
  outputs = ''.join(letter for letter in of_w if letter in out)
  rows = ''.join(letter for letter in out if letter in of_x)
  x = jnp.einsum(f'{of_x}->{rows}{inputs}', x)
  base = w.base if isinstance(w, Adapted) else w
  y = _flat_dot(x, base[...], len(inputs))
  if isinstance(w, Adapted):
    low, high = w.pair()
    thin = jnp.einsum(f'{rows}{inputs},R{inputs}->{rows}R', x, low)
    y += w.scale * jnp.einsum(f'{rows}R,{outputs}R->{rows}{outputs}', thin, high)
  return jnp.einsum(f'{rows}{outputs}->{out}', y)


def _flat_dot(x, w, inputs):
  """x times w over the last `inputs` axes of both, as one product of two matrices.

  XLA does the same inside, but not so well on a CPU: what it must transpose for the gradient of w
  it writes five times slower from three axes than from two.
  """
  rows, outputs = x.shape[: x.ndim - inputs], w.shape[: w.ndim - inputs]
  width = math.prod(x.shape[x.ndim - inputs :])
  y = jnp.einsum('ni,oi->no', x.reshape(-1, width), w.reshape(-1, width))
  return y.reshape(*rows, *outputs)


# Elementwise work is cheaper to repeat in the backward pass than to keep in memory and read again.
_again = functools.partial(jax.checkpoint, prevent_cse=False)


@_again
def swiglu(gate_BTF, up_BTF):
  return jax.nn.silu(gate_BTF) * up_BTF


@functools.partial(_again, static_argnums=2)
def rms_norm(x_BTD, scale_D, eps):
  x32_BTD = x_BTD.astype(jnp.float32)
  x32_BTD *= jax.lax.rsqrt(jnp.mean(x32_BTD**2, -1, keepdims=True) + eps)
  return x32_BTD.astype(x_BTD.dtype) * scale_D


def layer_norm(x_BTD, scale_D, bias_D, eps):
  x32_BTD = x_BTD.astype(jnp.float32)
  x32_BTD -= x32_BTD.mean(-1, keepdims=True)
  x32_BTD *= jax.lax.rsqrt(jnp.mean(x32_BTD**2, -1, keepdims=True) + eps)
  return x32_BTD.astype(x_BTD.dtype) * scale_D + bias_D


def rope(x_BHTK, angle_BTK):
  """Rotates the first 2 x angle_BTK.shape[-1] of each head, as two halves (as Hugging Face)."""
  half = angle_BTK.shape[-1]
  x32_BHTK = x_BHTK.astype(jnp.float32)
  a, b, rest = jnp.split(x32_BHTK, [half, 2 * half], axis=-1)
  cos, sin = jnp.cos(angle_BTK)[:, None], jnp.sin(angle_BTK)[:, None]
  ones = jnp.ones((*cos.shape[:-1], rest.shape[-1]), cos.dtype)
  cos = jnp.concatenate([cos, cos, ones], -1)
  sin = jnp.concatenate([-sin, sin, ones], -1)
  # Two products and a sum over whole heads: halves apart would be joined again, slowly on a CPU.
  other_BHTK = jnp.concatenate([b, a, jnp.zeros_like(rest)], -1)
  return (x32_BHTK * cos + other_BHTK * sin).astype(x_BHTK.dtype)


def rope_angle(position_BT, theta, turns):
  """The angle of every position, once for all layers; `turns` entries of each head will rotate."""
  freq = theta ** (-jnp.arange(0, turns, 2, dtype=jnp.float32) / turns)
  return position_BT[..., None].astype(jnp.float32) * freq


def position_in_segment(segment_BT):
  """Counts from 0 within each run of equal segment ids: packed documents, left padding."""
  T = segment_BT.shape[1]
  index_T = jnp.arange(T, dtype=jnp.int32)
  new_BT = jnp.diff(segment_BT, axis=1, prepend=segment_BT[:, :1] - 1) != 0
  start_BT = jax.lax.cummax(jnp.where(new_BT, index_T, 0), axis=1)
  return index_T - start_BT
