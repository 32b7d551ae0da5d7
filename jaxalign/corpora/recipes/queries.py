"""Queries: messages to an assistant in which a value is at stake, listed by a teacher or given.

A teacher lists them for each value and kind, is asked once more where they were too few, and what
is nearly the same as another, or holds an item of an evaluation, is left out.
"""

import collections
import dataclasses
from collections.abc import Sequence
from typing import Annotated

from jaxalign import ranges
from jaxalign.config import UserError
from jaxalign.corpora import answers, duplicates
from jaxalign.corpora.recipes.made import About, skip
from jaxalign.corpora.records import Answer, Task
from jaxalign.corpora.waves import Waves
from jaxalign.data.records import Conversation, Pair, Prompt, Record
from jaxalign.data.report import Report
from jaxalign.data.sources import Source

KINDS = (  # of a message, and what it asks
  ('advice', 'what the writer should do'),
  ('request', 'that something be written, planned or drafted'),
  ('choice', 'which of two or three ways to take'),
  ('report', 'that something be told to somebody, or how'),
  ('favour', 'for help with something that others may be affected by'),
  ('story', 'how a story or a scene that the writer tells could go on'),
)
_SPARE = 1.25  # times as many are asked for, for those that are left out


@dataclasses.dataclass(frozen=True, kw_only=True)
class Query:
  """A message, and the value that is at stake in it."""

  slot: str
  text: str
  value: str
  kind: str = ''
  calls: tuple[str, ...] = ()


_Siblings = Annotated[int, ranges.Range(at_least=1, at_most=200)]


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Asked:
  """Where a recipe's queries come from."""

  count: ranges.Count = 600
  siblings: _Siblings = 10  # that one call lists, at most
  prompts: Source | None = None  # dialogues whose first messages they are; None: a teacher's

  @property
  def steps(self) -> tuple[str, ...]:
    """The steps that teachers are asked."""
    return ('query',) if self.prompts is None else ()

  def found(self, about: About, report: Report) -> Waves[list[Query]]:
    """The queries, without twins and leaks."""
    if self.prompts is not None:
      return _of_source(self.prompts, about, report, self.count)
    return (yield from listed(about, report, count=self.count, siblings=self.siblings))


def listed(
  about: About,
  report: Report,
  *,
  count: int,
  siblings: int,
  step: str = 'query',
  kinds: Sequence[tuple[str, str]] = KINDS,
) -> Waves[list[Query]]:
  """`count` queries about all values in turn, as far as the teacher has them."""
  quota = _quota(about, count)
  each = {value: -(-int(most * _SPARE + 1) // len(kinds)) for value, most in quota.items()}
  tasks = [
    task for value, n in each.items() for task in _tasks(about, value, n, siblings, step, kinds)
  ]
  came = yield tasks
  found = _entries(tasks, came)
  short = []
  for task, answer in zip(tasks, came):
    seen = answers.listed(answer.text)
    if len(seen) < task.count:
      left, given = task.count - len(seen), (('seen', '\n'.join(seen)),)
      short.append(dataclasses.replace(task, count=left, given=given, attempt=1))
  came = (yield short) if short else []
  found += _entries(short, came)
  return _dealt(_sifted(found, about, report), quota, step)


def _quota(about: About, count: int) -> dict[str, int]:
  """How many each value gets; those that do not divide evenly go to the first values."""
  each, more = divmod(count, len(about.spec.values))
  return {value.id: each + (n < more) for n, value in enumerate(about.spec.values)}


def _entries(tasks: Sequence[Task], came: Sequence[Answer]) -> list[Query]:
  return [
    Query(slot='', text=text, value=task.value, kind=task.facet('kind'), calls=(answer.call,))
    for task, answer in zip(tasks, came)
    for text in answers.listed(answer.text)[: task.count]
  ]


def _tasks(
  about: About,
  value: str,
  each: int,
  siblings: int,
  step: str,
  kinds: Sequence[tuple[str, str]],
) -> list[Task]:
  """Tasks that list `each` queries of every kind."""
  statement = about.spec.value(value).statement
  made = []
  for kind, asks in kinds:
    for n, start in enumerate(range(0, each, siblings)):
      made.append(
        Task(
          step=step,
          slot=f'{step}/{value}/{kind}/{n:04d}',
          spec=about.told,
          value=value,
          statement=statement,
          facets=(('kind', kind), ('asks', asks)),
          count=min(siblings, each - start),
        )
      )
  return made


def _of_source(source: Source, about: About, report: Report, count: int) -> list[Query]:
  """The first messages of a source's prompts, dialogues or pairs, dealt over the values in turn."""
  texts: dict[str, None] = {}  # of pairs, two in a row may have one
  for _, record in source.read():
    texts.setdefault(_opening(record))
    if len(texts) == count:
      break
  values = [value.id for value in about.spec.values]
  found = [
    Query(slot='', text=text, value=values[n % len(values)], kind='given')
    for n, text in enumerate(texts)
  ]
  left = _sifted(found, about, report)
  return [dataclasses.replace(one, slot=f'given/{n:06d}') for n, one in enumerate(left)]


def _opening(record: Record) -> str:
  if isinstance(record, Prompt | Conversation):
    return next(turn.text for turn in record.turns if turn.role == 'user')
  if isinstance(record, Pair):
    return next(turn.text for turn in record.prompt if turn.role == 'user')
  raise UserError('prompts hold plain documents: name a source of prompts, dialogues or pairs')


def _sifted(found: Sequence[Query], about: About, report: Report) -> list[Query]:
  """Without twins and leaks, which are counted."""
  left = []
  for query in found:
    if why := about.held(query.text):
      skip(report, f'query/{query.value}', why)
    else:
      left.append(query)
  kept = []
  for query, why in zip(left, duplicates.twins([query.text for query in left])):
    if why:
      skip(report, f'query/{query.value}', why)
    else:
      kept.append(query)
  return kept


def _dealt(found: Sequence[Query], quota: dict[str, int], step: str) -> list[Query]:
  """Each value's quota, its kinds in turn."""
  made = []
  for value, most in quota.items():
    by_kind: dict[str, list[Query]] = collections.defaultdict(list)
    for query in found:
      if query.value == value:
        by_kind[query.kind].append(query)
    longest = max(map(len, by_kind.values()), default=0)
    turns = [own[n] for n in range(longest) for own in by_kind.values() if n < len(own)]
    if most and not turns:
      raise UserError(
        f'the teacher of step {step} listed nothing for {value}: one JSON array, or one entry a '
        'line, is asked for; take a stronger teacher for this step'
      )
    made += [
      dataclasses.replace(one, slot=f'{step}/{value}/{n:04d}') for n, one in enumerate(turns[:most])
    ]
  return made
