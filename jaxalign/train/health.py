"""What a run must be to go on, to be saved and to be called done: finite, and learning."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import jax
import numpy as np
import optax

from jaxalign.config import UserError
from jaxalign.train.metrics import Metrics
from jaxalign.train.optim import taken

PATIENCE = 5  # steps in a row that are not finite, or that have nothing to learn from
_WEIGHTS = 2  # the fault of a tensor whose gradient is finite, and what it would become is not


class Health:
  """What the steps of a run said so far. names: of the tensors, as the step tells their faults."""

  def __init__(self, names: Sequence[str], start: int, steps: int):
    self.names, self.start, self.steps = names, start, steps
    self.learned = start > 0  # whether any step had something to learn from
    self.bad_L: np.ndarray | tuple[int, ...] = ()  # the faults of the newest step

  def see(
    self, end: int, metrics: Metrics, faults: tuple[np.ndarray, np.ndarray], opt: optax.OptState
  ) -> None:
    """Takes the stacked steps up to `end`; refuses a run that learns nothing or is never finite."""
    bad_NL, skipped_N = faults
    self.bad_L = bad_NL[-1]
    self.learned |= bool((metrics['loss'][1] > 0).any())
    if not self.learned and end >= min(self.start + PATIENCE, self.steps):
      raise UserError(
        f'nothing was learned: in the {end} steps so far no token of a row was to be predicted; '
        'look at the corpora, the format and the length of rows'
      )
    if skipped_N.max() >= PATIENCE:
      at = int((skipped_N >= PATIENCE).argmax())
      self.bad_L = bad_NL[at]
      self.refuse(end - len(skipped_N) + at + 1, PATIENCE, opt)

  def refuse(self, step: int, count: int, opt: optax.OptState) -> NoReturn:
    """Names the tensor that went bad first in the last `count` steps, and what may be the cause."""
    what = f'{count} steps in a row up to step {step} were' if count > 1 else f'step {step} was'
    found = [(name, int(fault)) for name, fault in zip(self.names, self.bad_L) if fault]
    nowhere = 'the loss or the whole gradient, tensor by tensor fine', 0
    name, fault = found[0] if found else nowhere
    if fault == _WEIGHTS:
      why = (
        'its gradient is finite and what the step would make of it is not: lower the learning rate '
        "or the weight decay, or raise the optimizer's eps to what the weights' type can hold"
      )
    elif jax.device_get(taken(opt)) == 0:
      why = (
        'no step before was finite either, so the learning rate has no part in it: look at the '
        "weights that the run starts from, at the model's own numbers (theta, eps, dtype) and at "
        'the batches'
      )
    else:
      why = 'lower the learning rate, or look at the batches of these steps'
    raise UserError(f'{what} not finite, first in {name}; {why}')


def refuse_scores(step: int, scores: Mapping[str, Any]) -> None:
  """An evaluation is of finite numbers. A cost alone may be infinite: then it is never the best."""
  for name, x in scores.items():
    if isinstance(x, float) and not math.isfinite(x) and not name.endswith('_cost'):
      raise UserError(
        f'step {step}: {name} is {x}, though its steps were finite: look at what is held out, at '
        "the model's own numbers (theta, eps, dtype) and at the learning rate; nothing was saved"
      )
