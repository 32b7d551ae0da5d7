"""A study on several processes: all do the same, the first one writes, and its eyes count."""

import jax
import numpy as np
from jax.experimental import multihost_utils


def writes():
  return jax.process_index() == 0


def several():
  return jax.process_count() > 1


def meet(what):
  """What the first process wrote before is there for all of them after."""
  if several():
    multihost_utils.sync_global_devices(what)


def agreed(seen):
  """What the first process saw: a file that it writes appears to the others a moment later."""
  if not several():
    return seen
  return bool(multihost_utils.broadcast_one_to_all(np.int32(seen)))
