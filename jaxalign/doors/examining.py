"""--doctor: a config is checked before its machines are paid for, and nothing is run."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from absl import flags, logging

from jaxalign import files, sealing
from jaxalign.config import UserError
from jaxalign.stages.doctors import doctor
from jaxalign.workdir import refuse_other_run

_Doctor = Callable[..., Iterable[doctor.Check]]


def examine(found: _Doctor, cfg: Any, workdir: str, slice_name: str | None) -> int:
  """Prints a line for each check; 1 if one fails. found: what the config's stage checks."""
  logging.use_absl_handler()
  logging.set_verbosity(logging.WARNING)
  flags.FLAGS.mark_as_parsed()
  if slice_name == '':
    raise UserError('--slice is empty: KIND-COUNT, as v5e-64, or leave it out')
  place, visit = files.place(workdir, '--workdir'), doctor.Visit()
  machine = doctor.Machine.of(slice_name) if slice_name else doctor.Machine.of_this_process()

  def sealed():
    sealing.seal(cfg)
    sealing.to_json(cfg)
    return f'{type(cfg).__module__}, every field fits', cfg

  def same_run():
    said = doctor.writable(place)  # first: it knows what else may be wrong with a place
    refuse_other_run(cfg, place)
    return said

  good = visit.check('config', sealed)
  visit.check('workdir', same_run)
  checks = visit.checks
  if good is cfg:
    with quickly_compiled():
      checks = checks + list(found(cfg, place, machine))
  for line in doctor.table(checks):
    print(line, flush=True)
  return 0 if all(check.ok for check in checks) else 1


@contextlib.contextmanager
def quickly_compiled() -> Iterator[None]:
  """Of what runs once and is tiny, most of the time is the compiler's care."""
  import jax

  name = 'jax_disable_most_optimizations'
  before = jax.config.read(name)
  jax.config.update(name, True)
  try:
    yield
  finally:
    jax.config.update(name, before)
