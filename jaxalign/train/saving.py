"""Checkpoints of a run: written in the background, complete or absent, checked when read.

Each holds the weights, the rest of the state, a fingerprint of every array, by which a reader
knows that it got back what was saved, and what the run says about itself (JSON).
"""

import contextlib
import errno
import functools
import itertools
import json
import logging as standard_logging
import math
import os
import sys
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from absl import logging
from etils import epath
from jax.experimental import multihost_utils
from orbax.checkpoint.checkpoint_managers import preservation_policy as keeping

from jaxalign import pod
from jaxalign.config import Saving, UserError
from jaxalign.files import place
from jaxalign.train.fingerprint import (
  flat,
  flaws,
  read_record,
  record_of,
  refuse_foreign,
  unflat,
  weights_digest,
)

DIRECTORY = 'checkpoints'


class Saves:
  def __init__(
    self, workdir: epath.PathLike, saving: Saving, about: Mapping[str, Any] | None = None
  ):
    """about: a small dict that is written with each checkpoint, for `about(workdir)` to read."""
    self.saving, self.about = saving, about
    self.path = epath.Path(workdir) / DIRECTORY
    self._manager = _manager(self.path, saving)

  def __enter__(self):
    return self

  def __exit__(self, kind, *_):
    if kind is None or jax.process_count() == 1:  # another host's death would be waited for
      with _blame(self.path):
        self._manager.close()  # waits for what is being written

  def save(self, state: Any, scores: Mapping[str, Any] | None = None) -> None:
    """Copies the state to host memory and returns; the writing goes on behind the next steps."""
    step, best = int(state.step), self.saving.best
    if step in self._manager.all_steps():
      return
    if best and scores is not None and best not in scores:
      raise UserError(f'saving.best={best}: evaluation gives {", ".join(scores)}')
    items = ocp.args.Composite(
      model=ocp.args.StandardSave(flat(state.model)),
      rest=ocp.args.StandardSave(flat(state.replace(model=None))),
      fingerprint=ocp.args.JsonSave(record_of(state)),
      about=ocp.args.JsonSave(self.about or {}),
    )
    with _blame(self.path):
      self._manager.save(step, args=items, metrics=scores, force=True)

  def wait(self) -> None:
    with _blame(self.path):
      self._manager.wait_until_finished()

  def best(self) -> int | None:
    """The step of the checkpoint that is kept for its score, or None."""
    self.wait()
    step = self._manager.best_step() if self.saving.best else None
    score = self._manager.metrics(step) if step is not None else None
    return step if score and math.isfinite(score[self.saving.best]) else None

  def restore(self, twin: Any) -> Any:
    """The newest state that is whole, laid out as `twin`; None where there is none at all."""
    steps = sorted(self._manager.all_steps(), reverse=True)
    for step in steps:
      state, why = self._read(step, twin)
      if state is not None:
        return state
      logging.error(
        'checkpoint %d is damaged (%s): set aside, going back to the one before', step, why
      )
      self._set_aside(step)
    if list(self.path.glob('damaged-*')):  # now or before
      raise UserError(
        f'{self.path}: every checkpoint is damaged; take a new workdir to start again'
      )
    return None

  def _read(self, step, twin):
    state, why, rest = None, '', twin.replace(model=None)
    try:
      record = read_record(self.path / str(step))
      refuse_foreign(self.path / str(step), record, twin)
      self._refuse_changed(step)
      wanted = ocp.args.Composite(
        model=ocp.args.StandardRestore(flat(twin.model)),
        rest=ocp.args.StandardRestore(flat(rest)),
      )
      got = self._manager.restore(step, args=wanted)
      state = unflat(rest, got.rest).replace(model=unflat(twin.model, got.model))
      wrong = flaws(state, record)
      if wrong:
        state, why = None, wrong[0]
    except UserError:
      raise
    except Exception as e:  # whatever a damaged file makes a library raise
      if _passing(e):
        raise
      why = f'{type(e).__name__}: {str(e).splitlines()[0] if str(e) else ""}'[:200]
    if jax.process_count() > 1:  # one host's damage is everyone's
      whole = multihost_utils.process_allgather(np.array(state is not None)).all()
      state, why = (state, why) if whole else (None, why or 'damaged on another host')
    return state, why

  def _refuse_changed(self, step):
    """The config may be the same, and a file that it names another."""
    said, now = _about(self.path / str(step)), self.about or {}
    changed = [name for name in said if name in now and said[name] != now[name]]
    if changed:
      raise UserError(
        f'{self.path / str(step)} was trained with another {" and ".join(changed)} than this run '
        'has: put back what it was trained with, or take a new workdir'
      )

  def _set_aside(self, step):
    if pod.writes():
      names = (f'damaged-{step}' + f'-{n}' * (n > 1) for n in itertools.count(1))
      free = next(name for name in names if not (self.path / name).exists())
      (self.path / str(step)).rename(self.path / free)
    if jax.process_count() > 1:
      multihost_utils.sync_global_devices('set aside')
    self._manager.reload()


def _manager(path, saving):
  policies, score = [keeping.LatestN(saving.keep)], None
  if saving.milestone:
    policies.append(keeping.EveryNSteps(saving.milestone))
  if saving.best:
    _forget_torn_scores(path)
    score = functools.partial(_worth, saving.best)
    best = keeping.BestN(get_metric_fn=score, n=1, keep_checkpoints_without_metrics=False)
    policies.append(best)
  options = ocp.CheckpointManagerOptions(
    preservation_policy=keeping.AnyPreservationPolicy(policies),
    best_fn=score,  # without it the scores are not written, and a resumed run knows no best
    cleanup_tmp_directories=True,
    enable_async_checkpointing=True,
  )
  for logger in (logging.get_absl_logger(), standard_logging.getLogger('asyncio')):
    logger.addFilter(_said_once)
  if getattr(sys.unraisablehook, 'func', None) is not _said_aloud:
    sys.unraisablehook = functools.partial(_said_aloud, sys.unraisablehook)
  return ocp.CheckpointManager(path, options=options)


def _worth(name, scores):
  """The lowest score is the best; one that is not finite never is."""
  return -scores[name] if math.isfinite(scores[name]) else -math.inf


def _passing(error):
  """Trouble of the moment, not of the file: no reason to set a good checkpoint aside."""
  kinds = (MemoryError, PermissionError, ConnectionError, TimeoutError, jax.errors.JaxRuntimeError)
  signs = ('UNAVAILABLE', 'DEADLINE_EXCEEDED', 'RESOURCE_EXHAUSTED', 'PERMISSION_DENIED')
  return isinstance(error, kinds) or any(sign in str(error) for sign in signs)


def _said_once(record):
  """Drops the tracebacks of Orbax and its event loop, unless --debug: one line says it all."""
  theirs = record.name == 'asyncio' or 'orbax' in record.pathname
  return logging.get_verbosity() >= logging.INFO or not (record.exc_info and theirs)


def _said_aloud(before, report):
  """Drops what tensorstore's threads say after a save failed; no logger sees that, and its
  tracebacks would fall into the middle of the one line that names the trouble."""
  late = str(report.exc_value) == 'Event loop is closed'
  if not late or logging.get_verbosity() >= logging.INFO:
    before(report)


def _forget_torn_scores(path):
  """Orbax reads all scores when it opens a directory, and fails on one it cannot read."""
  for file in path.glob('*/metrics/metrics') if pod.writes() else ():
    try:
      json.loads(file.read_text())
    except (OSError, ValueError, RecursionError):
      logging.error('%s cannot be read: that checkpoint counts as never evaluated', file)
      file.unlink()
  if jax.process_count() > 1:
    multihost_utils.sync_global_devices('scores are read')


@contextlib.contextmanager
def _blame(path):
  """What goes wrong while a checkpoint is written is one line; those before it stay."""
  try:
    yield
  except Exception as e:
    full, said = os.strerror(errno.ENOSPC), (str(e).splitlines() or [''])[0][:300]
    why = full if full in str(e) else f'{type(e).__name__}: {said}'
    raise UserError(
      f'a checkpoint could not be written under {path} ({why}); those '
      'before it are whole: make room or mend the place, and the same command goes on from there'
    ) from e


def parted(path: epath.PathLike) -> tuple[epath.Path, int | None]:
  """(workdir, step) of WORKDIR/checkpoints/STEP; a workdir alone has step None: the newest."""
  path = place(path)
  if path.parent.name == DIRECTORY and path.name.isdigit():
    return path.parent.parent, int(path.name)
  return path, None


def newest(path: epath.PathLike) -> int | None:
  """The step of the checkpoint that is meant, or None where it is not there."""
  workdir, step = parted(path)
  steps = [int(p.name) for p in (workdir / DIRECTORY).glob('*') if p.name.isdigit()]
  return max((n for n in steps if step in (None, n)), default=None)


def newest_path(path: epath.PathLike) -> epath.Path:
  step = newest(path)
  if step is None:
    raise UserError(f'{path}: no checkpoint is there to start from')
  return parted(path)[0] / DIRECTORY / str(step)


def about(workdir: epath.PathLike) -> dict[str, Any]:
  """What the newest checkpoint says about itself; {} where it says nothing. Reads no weights."""
  path = newest_path(workdir)
  try:
    return _about(path)
  except (OSError, ValueError, RecursionError) as e:
    raise UserError(_damaged(path, type(e).__name__)) from e


def _about(path):
  file = path / 'about' / 'metadata'
  return json.loads(file.read_text()) if file.exists() else {}


def fingerprint(workdir: epath.PathLike) -> str:
  """One sha256 of the newest checkpoint's weights, from their checksums: no weights are read."""
  path = newest_path(workdir)
  try:
    return weights_digest(read_record(path))
  except (OSError, ValueError, KeyError, TypeError, RecursionError) as e:
    raise UserError(_damaged(path, f'{type(e).__name__}: {e}')) from e


def _damaged(path, why):
  return f'{path} is damaged: rename that directory, and the one before it is taken ({why})'


def read_weights(workdir: epath.PathLike, twin: Any, part: str = '') -> Any:
  """Weights of another run's newest checkpoint, checked, and laid out as `twin` is.

  part: the start of the wanted names, taken off: 'policy.' gives the policy of what PPO trained.
  """
  path = newest_path(workdir)
  with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as reader:
    try:
      lead = f'model.{part}'
      known = read_record(path).items()
      record = {n.removeprefix(lead): x for n, x in known if n.startswith(lead)}
      refuse_foreign(path, record, twin)
      wanted = {part + name: x for name, x in flat(twin).items()}
      how = ocp.checkpoint_utils.construct_restore_args(wanted)
      how = ocp.args.PyTreeRestore(item=wanted, restore_args=how, partial_restore=bool(part))
      got = reader.restore(path / 'model', args=how)
      weights = unflat(twin, {name.removeprefix(part): x for name, x in got.items()})
    except UserError:
      raise
    except Exception as e:  # whatever a damaged file makes a library raise
      raise UserError(_damaged(path, type(e).__name__)) from e
  wrong = flaws(weights, record, weights='')
  if wrong:
    raise UserError(_damaged(path, wrong[0]))
  return weights
