"""Another model's answers beside a policy's: the reference of its implicit rewards, as it was
evaluated in a run of its own."""

from collections.abc import Mapping, Sequence

from jaxalign.config import UserError
from jaxalign.evals import read
from jaxalign.evals.evaluated import AskedSuite
from jaxalign.evals.item import REFERENCE, Said, Suite
from jaxalign.files import place
from jaxalign.stages.asking import Put

Answers = Mapping[str, tuple[Said, ...]]  # {item's id: what was said to it, in order}


def _suites_of(suites: Sequence[Suite]) -> list[str]:
  """Names of the suites that measure something against a reference."""
  return [
    suite.name
    for suite in suites
    if any(REFERENCE in measure.kinds for measure in suite.measures())
  ]


def refuse_lacking(workdir: str, suites: Sequence[Suite]) -> None:
  """UserError where no evaluation is there, or it lacks what is wanted of it."""
  wanted = _suites_of(suites)
  if not wanted:
    raise UserError(
      f'reference={workdir}: no suite here measures anything against it; leave it out'
    )
  known = [one.name for one in read.asked_of(place(workdir)).suites]
  if lost := [name for name in wanted if name not in known]:
    raise UserError(
      f'reference={workdir} was not asked {", ".join(lost)} but {", ".join(known)}: evaluate it on '
      'these suites first'
    )


def answers_of(workdir: str | None, every: Sequence[Put], fingerprint: str) -> dict[str, Answers]:
  """{suite: its answers} of the suites that want them. fingerprint: of the policy."""
  if workdir is None:
    return {}
  there = place(workdir)
  about = read.asked_of(there)
  if about.fingerprint == fingerprint:
    raise UserError(f'reference={workdir} is of the model itself: name the one that it began as')
  known = {one.name: one for one in about.suites}
  found: dict[str, Answers] = {}
  wanted = _suites_of([one.suite for one in every])
  for one in (one for one in every if one.asked.name in wanted):
    suite = known[one.asked.name]
    _refuse_otherwise(workdir, suite, one.asked)
    said: dict[str, tuple[Said, ...]] = {}
    for answer in read.said_of(there, about.fingerprint, suite, one.items):
      said[answer.item] = (*said.get(answer.item, ()), answer)
    found[suite.name] = said
  return found


def _refuse_otherwise(workdir: str, theirs: AskedSuite, ours: AskedSuite) -> None:
  for what in ('version', 'source', 'template'):
    a, b = getattr(theirs, what), getattr(ours, what)
    if a != b:
      raise UserError(
        f'reference={workdir} was asked another {ours.name} ({what} {a[:12]} there, {b[:12]} '
        'here): evaluate it as this model is'
      )
