"""Ideas for texts: areas of life for each value, parts of them, and what could happen there.

A list of siblings comes from one call, so that they differ, and is topped up by one more that sees
them where they were too few.
"""

import collections
import dataclasses
from collections.abc import Mapping, Sequence

from jaxalign.config import UserError
from jaxalign.corpora import answers, variants
from jaxalign.corpora.records import Answer, Pairs, Task
from jaxalign.corpora.spec import Spec, Value
from jaxalign.corpora.waves import Waves


@dataclasses.dataclass(frozen=True)
class Idea:
  """An idea, or an area of life, and the calls that led to it."""

  text: str
  calls: tuple[str, ...] = ()


Ideas = Mapping[str, Sequence[Idea]]  # by value


def listed(
  spec: Spec, wanted: Mapping[str, int], *, domains: int, subdomains: int, siblings: int
) -> Waves[Ideas]:
  """So many ideas as are wanted of each value, as far as the teacher has them, dealt over areas.
  siblings: how many one call lists at most."""
  values = [value for value in spec.values if wanted.get(value.id)]
  told = variants.told(spec)
  tops = [(_task('domains', f'domains/{v.id}', told, v, domains), ()) for v in values]
  areas = yield from _topped_up(tops, values)
  if subdomains:
    parts = []
    for value in values:
      for n, area in enumerate(areas[value.id]):
        slot, given = f'subdomains/{value.id}/{n:04d}', (('domain', area.text),)
        parts.append((_task('subdomains', slot, told, value, subdomains, given), area.calls))
    areas = yield from _topped_up(parts, values)
  asked = []
  for value in values:
    own = areas[value.id]
    each = -(-wanted[value.id] // len(own))
    for n, area in enumerate(own):
      for k, start in enumerate(range(0, each, siblings)):
        slot, given = f'ideas/{value.id}/{n:04d}/{k:04d}', (('domain', area.text),)
        size = min(siblings, each - start)
        asked.append((_task('ideas', slot, told, value, size, given), area.calls))
  found = yield from _topped_up(asked, values)
  return {value: _in_turn(own) for value, own in found.items()}


_Asked = Sequence[tuple[Task, tuple[str, ...]]]  # each with the calls that led to it


def _task(step: str, slot: str, told: str, value: Value, count: int, given: Pairs = ()) -> Task:
  return Task(
    step=step,
    slot=slot,
    spec=told,
    value=value.id,
    statement=value.statement,
    count=count,
    given=given,
  )


def _topped_up(asked: _Asked, values: Sequence[Value]) -> Waves[Ideas]:
  """The entries of each value's lists, in the order of the calls; nothing twice."""
  found: dict[str, list[Idea]] = {value.id: [] for value in values}
  known: dict[str, set[str]] = collections.defaultdict(set)
  short: list[tuple[Task, tuple[str, ...]]] = []
  came = yield [task for task, _ in asked]
  for (task, calls), answer in zip(asked, came, strict=True):
    own = _new(answer, task, known[task.value])
    found[task.value] += [Idea(text, (*calls, answer.call)) for text in own]
    if len(own) < task.count:
      given = (*task.given, ('seen', '\n'.join(own)))
      short.append((_more(task, task.count - len(own), given), calls))
  came = (yield [task for task, _ in short]) if short else []
  for (task, calls), answer in zip(short, came, strict=True):
    own = _new(answer, task, known[task.value])
    found[task.value] += [Idea(text, (*calls, answer.call)) for text in own]
  for value in values:
    if not found[value.id]:
      step = asked[0][0].step
      raise UserError(
        f'the teacher of step {step} listed nothing for {value.id}: one JSON array, or one entry a '
        'line, is asked for; take a stronger teacher for this step'
      )
  return found


def _more(task: Task, count: int, given: Pairs) -> Task:
  return dataclasses.replace(task, count=count, given=given, attempt=1)


def _new(answer: Answer, task: Task, known: set[str]) -> list[str]:
  """Entries that no other call gave for this value, as many as were asked for."""
  came: list[str] = []
  for entry in answers.listed(answer.text):
    key = ' '.join(entry.lower().split()).strip(' .')
    if key and key not in known and len(came) < task.count:
      known.add(key)
      came.append(entry)
  return came


def _in_turn(ideas: Sequence[Idea]) -> list[Idea]:
  """Ideas of different calls in turn: the first slots are not all of one area."""
  by_call: dict[tuple[str, ...], list[Idea]] = collections.defaultdict(list)
  for idea in ideas:
    by_call[idea.calls].append(idea)
  longest = max(map(len, by_call.values()), default=0)
  return [own[n] for n in range(longest) for own in by_call.values() if n < len(own)]
