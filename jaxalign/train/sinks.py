"""Where scalars go besides metrics.jsonl: event files, Weights & Biases; both are extras."""

import hashlib
import importlib.util
from collections.abc import Mapping
from typing import Any, Protocol

from etils import epath

from jaxalign.config import Logging, UserError


class _Sink(Protocol):
  def write(self, step: int, values: Mapping[str, Any]) -> None: ...
  def close(self) -> None: ...


def refuse_missing(logging: Logging) -> None:
  """Before anything is spent."""
  wanted = (logging.tensorboard, 'tensorboard', 'tensorboardX'), (logging.wandb, 'wandb', 'wandb')
  for asked, extra, package in wanted:
    if asked and importlib.util.find_spec(package) is None:
      raise UserError(f"logging.{extra} needs: pip install 'jaxalign[{extra}]'")


def open_sinks(workdir: epath.Path, logging: Logging, start: int) -> list[_Sink]:
  refuse_missing(logging)
  sinks: list[_Sink] = []
  if logging.tensorboard:
    sinks.append(_TensorBoard(workdir, start))
  if logging.wandb:
    sinks.append(_Wandb(workdir, logging.wandb))
  return sinks


class _TensorBoard:
  def __init__(self, workdir, start):
    import tensorboardX

    again = start + 1 if start else None  # hides what a killed run said of the steps to come
    self._writer = tensorboardX.SummaryWriter(str(workdir / 'tensorboard'), purge_step=again)

  def write(self, step, values):
    for name, value in values.items():
      if isinstance(value, (int, float)):
        self._writer.add_scalar(name, value, step)

  def close(self):
    self._writer.close()


class _Wandb:
  """Credentials come from the environment (WANDB_API_KEY) and are never written."""

  def __init__(self, workdir, project):
    import wandb

    name = workdir.name  # another workdir may have it too
    run_id = hashlib.sha256(str(workdir).encode()).hexdigest()[:16]
    try:
      self._run = wandb.init(project=project, name=name, id=run_id, resume='allow')
    except wandb.Error as error:
      remedy = 'export WANDB_API_KEY=..., or WANDB_MODE=offline, or leave the flag out'
      raise UserError(f'logging.wandb={project}: {error} ({remedy})') from error

  def write(self, step, values):
    self._run.log(values, step=step)

  def close(self):
    self._run.finish()
