"""Low-rank adapters (LoRA, https://arxiv.org/abs/2106.09685) as a pytree beside a frozen decoder.

An adapter is a dict: weight's name -> its two thin factors. `attach` lays it over a model for the
forward pass, `merge` folds it in for good. So one base serves a policy, a critic and, with no
adapter at all, their reference; and only the adapter is ever differentiated, optimised and saved.
"""

import dataclasses
import fnmatch
import functools
import math
from collections.abc import Callable

import flax
import jax
import jax.numpy as jnp
from flax import nnx

from jaxalign.config import UserError
from jaxalign.models.model_config import ModelConfig
from jaxalign.ranges import Factor, Size
from jaxalign.sharding.alphabet import axes
from jaxalign.sharding.layout import pin_weights

_Adapter = dict[str, dict[str, jax.Array]]  # weight -> low_R<inputs> and high_<outputs>R


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Lora:
  rank: Size = 16
  alpha: Factor = 32.0
  weights: tuple[str, ...] = ('q_*', 'k_*', 'v_*', 'o_*')  # shell patterns over a block's matrices

  @property
  def scale(self) -> float:
    return self.alpha / self.rank


class Adapted(flax.struct.PyTreeNode):
  """A matrix with its adapter, standing where the block expects a weight: base + scale high low."""

  base: nnx.Param
  factors: dict[str, jax.Array]  # as an _Adapter has them, stacked over layers like base
  scale: float = flax.struct.field(pytree_node=False)

  def pair(self) -> tuple[jax.Array, jax.Array]:
    low, high = sorted(self.factors, reverse=True)  # 'low...' sorts after 'high...'
    return self.factors[low], self.factors[high]


def sides(name: str) -> tuple[str, str]:
  """The axes (outputs, inputs) of a matrix: D is the residual stream, read (D last) or written."""
  letters = axes(name)
  return ('D', letters[1:]) if letters[0] == 'D' else (letters[:-1], 'D')


def make_adapter(model: nnx.Module, lora: Lora, key: jax.Array) -> _Adapter:
  """Fresh factors for the matching matrices of all layers: high is zero, so nothing changes."""
  matrices = [name for name in vars(model.blocks) if len(axes(name)) > 1 and '_bias_' not in name]
  chosen = set()
  for pattern in lora.weights or ('',):  # none at all is a mistake too
    found = fnmatch.filter(matrices, pattern)
    if not found:
      known = ', '.join(sorted(matrices))
      raise UserError(f'lora.weights={lora.weights}: {pattern!r} matches none of: {known}')
    chosen.update(found)
  adapter = {}
  for name in sorted(chosen):
    key, mine = jax.random.split(key)
    adapter[name] = _factors(name, getattr(model.blocks, name).shape, lora.rank, mine)
  return adapter


@functools.cache
def adapter_builder(model: ModelConfig, lora: Lora) -> Callable[[jax.Array], _Adapter]:
  """The function key -> adapter; one for equal configs, whose programs are compiled once."""
  return lambda key: make_adapter(model.build(key), lora, key)


def _factors(name, shape, rank, key):
  outputs, inputs = sides(name)
  size = dict(zip(axes(name), shape[1:]), R=rank)
  low, high = (
    (shape[0], *(size[letter] for letter in letters)) for letters in ('R' + inputs, outputs + 'R')
  )
  fan_in = math.prod(size[letter] for letter in inputs)
  drawn = jax.random.normal(key, low) * fan_in**-0.5
  return {f'low_R{inputs}': drawn, f'high_{outputs}R': jnp.zeros(high)}


def attach(model: nnx.Module, adapter: _Adapter, lora: Lora) -> nnx.Module:
  """The model with the adapter laid over it; the base is shared, not copied."""
  model = jax.tree.map(lambda w: w, model)  # new modules, the same arrays
  for name, factors in adapter.items():
    base = getattr(model.blocks, name)
    setattr(model.blocks, name, nnx.data(Adapted(base, factors, lora.scale)))
  return model


def merge(model: nnx.Module, adapter: _Adapter, lora: Lora) -> nnx.Module:
  """The plain model whose matrices hold base + scale * high @ low, at the base's own precision."""
  return folded(attach(model, adapter, lora))


def folded(model: nnx.Module) -> nnx.Module:
  """A model with whatever adapters lie over it folded in; itself where there are none."""
  laid = {name: w for name, w in vars(model.blocks).items() if isinstance(w, Adapted)}
  if not laid:
    return model
  model = jax.tree.map(lambda w: w, model)
  for name, w in laid.items():
    whole = _folded(name, w.base[...], w.factors, w.scale)
    setattr(model.blocks, name, w.base.replace(whole))
  return model


def _folded(name, base, factors, scale):
  outputs, inputs = sides(name)
  low, high = Adapted(base, factors, scale).pair()
  equation = f'n{outputs}R,nR{inputs}->n{axes(name)}'
  delta = scale * jnp.einsum(equation, high, low, precision='highest')
  return pin_weights({name: (base.astype(jnp.float32) + delta).astype(base.dtype)})[name]
