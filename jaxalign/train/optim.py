"""Optimizers from their configs: the schedule in closed form, decay and freezing by name."""

import fnmatch
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from jaxalign.config import Adafactor, AdamW, Muon, Optimizer, UserError
from jaxalign.sharding.alphabet import axes, weight_name


@functools.lru_cache(maxsize=32)
def learning_rate(optim: Optimizer, steps: int) -> Callable[[ArrayLike], jax.Array]:
  """count -> rate. `count` is of optimizer steps taken; the rate ends at `end` x the peak."""
  s = optim.schedule
  if s.warmup >= steps:
    raise UserError(f'schedule.warmup={s.warmup} must be less than the {steps} steps of the run')

  def rate(count):
    count = jnp.asarray(count, jnp.float32)
    up = jnp.minimum(1.0, (count + 1) / max(1, s.warmup))
    if s.shape == 'cosine':
      part = jnp.clip((count - s.warmup) / (steps - s.warmup), 0, 1)
      down = s.end + (1 - s.end) * 0.5 * (1 + jnp.cos(jnp.pi * part))
    elif s.shape == 'wsd':
      length = max(1.0, s.decay * steps)
      down = 1 - (1 - s.end) * jnp.clip((count - (steps - length)) / length, 0, 1)
    else:
      down = 1.0
    return optim.lr * up * down

  return rate


@functools.lru_cache(maxsize=32)
def make_optimizer(optim: Optimizer, steps: int) -> optax.GradientTransformation:
  """The optax chain: clip, optimizer, decay on matrices; one object for equal configs."""
  rate = learning_rate(optim, steps)
  match optim:
    case AdamW():
      how = dict(b1=optim.b1, b2=optim.b2, eps=optim.eps, weight_decay=optim.weight_decay)
      tx = optax.adamw(rate, **how, mask=lambda tree: matching(tree, optim.decayed))
    case Muon():
      tx = optax.chain(
        _orthogonal(optim),
        optax.add_decayed_weights(optim.weight_decay, lambda t: matching(t, optim.decayed)),
        optax.scale_by_learning_rate(rate),
      )
    case Adafactor():
      # Not optax.adafactor: there weight decay is no part of the update that the rate scales.
      tx = optax.chain(
        optax.scale_by_factored_rms(decay_rate=optim.decay),
        optax.ema(optim.momentum, debias=False) if optim.momentum else optax.identity(),
        optax.add_decayed_weights(optim.weight_decay, lambda t: matching(t, optim.decayed)),
        optax.scale_by_learning_rate(rate),
      )
  if not isinstance(optim, Adafactor) and optim.factors:
    tx = optax.chain(tx, _scaled(optim.factors))
  if optim.clip is not None:
    tx = optax.chain(optax.clip_by_global_norm(optim.clip), tx)
  if optim.frozen:

    def labels(tree):
      return jax.tree.map(lambda x: 'frozen' if x else 'free', matching(tree, optim.frozen))

    tx = optax.partition({'free': tx, 'frozen': optax.set_to_zero()}, labels)
  return tx


def taken(opt: optax.OptState) -> jax.Array:
  """The optimizer steps that brought this state about; those that were skipped do not count."""
  return optax.tree.get_all_with_path(opt, 'count')[0][1]


def _orthogonal(optim):
  """Muon on matrices and Adam on the rest, before decay and rate."""

  def labels(tree):
    by_adam = matching(tree, optim.adam)
    sides = jax.tree.map_with_path(lambda path, x: _sides(path, x) is not None, tree)
    return jax.tree.map(lambda a, b: 'matrix' if b and not a else 'rest', by_adam, sides)

  def as_large_as_adams(updates, params=None):
    del params

    def one(path, x):
      sides = _sides(path, x)
      longer = max(math.prod(x.shape[axis] for axis in side) for side in sides)
      return x * (optim.rms * math.sqrt(longer))

    return jax.tree.map_with_path(one, updates)

  muon = optax.contrib.scale_by_muon(
    beta=optim.momentum,
    weight_dimension_numbers=lambda tree: jax.tree.map_with_path(_sides, tree),
  )
  adam = optax.scale_by_adam(b1=optim.b1, b2=optim.b2, eps=optim.eps)
  matrix = optax.chain(muon, optax.stateless(as_large_as_adams))
  return optax.partition({'matrix': matrix, 'rest': adam}, labels)


def _sides(path, x):
  """The axes over which a weight sums and those that it gives, as its name spells them: of q_HKD
  (D) and (H, K). Axes before these, such as layers, count matrices. None of what is no matrix."""
  letters = axes(weight_name(path))
  heads = [n for n, letter in enumerate(letters) if letter in 'GHKQ']
  others = [[n] for n in range(len(letters)) if n not in heads]
  sides = sorted([heads, *others] if heads else others)
  before = x.ndim - len(letters)
  if len(sides) != 2 or before < 0:
    return None
  given, summed = (tuple(n + before for n in side) for side in sides)
  return optax.contrib.MuonDimensionNumbers(reduction_axis=summed, output_axis=given)


def _scaled(factors):
  """Each update times the factors whose pattern its name fits."""

  def scale(updates, params):
    del params
    for pattern, factor in factors:
      fits = matching(updates, (pattern,))
      updates = jax.tree.map(lambda u, fit, by=factor: u * by if fit else u, updates, fits)
    return updates

  return optax.stateless(scale)


def matching(tree: Any, patterns: Sequence[str]) -> Any:
  """A tree of booleans: whose name fits one of the shell patterns; '!' in front excludes."""

  def one(path, _):
    name = weight_name(path)
    names = name, name.split('.')[-1]
    fits = [any(fnmatch.fnmatchcase(n, p.removeprefix('!')) for n in names) for p in patterns]
    refused = any(fit for fit, p in zip(fits, patterns) if p.startswith('!'))
    return not refused and any(fit for fit, p in zip(fits, patterns) if not p.startswith('!'))

  return jax.tree.map_with_path(one, tree)


def refuse_unmatched(tree: Any, optim: Optimizer) -> None:
  """A pattern that names no weight is a mistake: what it was to freeze would be trained."""
  listed = [('frozen', pattern) for pattern in optim.frozen]
  listed += [('decayed', p) for p in optim.decayed if not p.startswith('!')]  # may spare no weight
  if not isinstance(optim, Adafactor):
    listed += [('factors', pattern) for pattern, _ in optim.factors]
  for field, pattern in listed:
    if not any(jax.tree.leaves(matching(tree, (pattern.removeprefix('!'),)))):
      names = ', '.join(weight_name(path) for path, _ in jax.tree.leaves_with_path(tree))
      raise UserError(f'optim.{field}: {pattern!r} names none of {names}')
  if all(jax.tree.leaves(matching(tree, optim.frozen))):
    raise UserError('optim.frozen names every weight: nothing would be learned')
