"""What --doctor looks at for stage evaluate."""

from typing import Any

from jaxalign.stages import evaluate_refusals
from jaxalign.stages.doctors import doctor


def examine(cfg: Any, workdir: Any, machine: doctor.Machine) -> list[doctor.Check]:
  """The checks of a config of evaluate."""
  del workdir
  visit = doctor.Visit()
  visit.ask(evaluate_refusals.EVALUATE, cfg, machine)
  return visit.checks
