"""What --doctor looks at for stage corpus."""

from typing import Any

from jaxalign.stages import corpus_refusals
from jaxalign.stages.doctors import doctor
from jaxalign.stages.doctors.doctor import Check, Machine


def examine(cfg: Any, workdir: Any, machine: Machine) -> list[Check]:
  """The checks of a config of corpus."""
  visit = doctor.Visit()
  visit.ask(corpus_refusals.CORPUS, cfg, machine)
  return visit.checks
