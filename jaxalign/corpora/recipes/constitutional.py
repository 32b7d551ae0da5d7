"""Recipe constitutional: a policy's draft, a critique by one drawn principle, and a revision.

Where the critique finds nothing nothing is revised, and the draft stays in the row beside what
became of it. `sft` holds the last version of each answer, `pairs` the revision over the draft.
"""

import dataclasses
import json
from typing import Annotated

from jaxalign import ranges
from jaxalign.corpora import answers, facets, filters
from jaxalign.corpora.recipes import made
from jaxalign.corpora.recipes.made import About, Made
from jaxalign.corpora.recipes.queries import Asked, Query
from jaxalign.corpora.records import Task
from jaxalign.corpora.waves import Waves
from jaxalign.data.report import Report

_Rounds = Annotated[int, ranges.Range(at_least=1, at_most=4)]


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Recipe:
  """What is asked, and how often an answer is looked at. Step `draft` is the policy's."""

  queries: Asked = dataclasses.field(default_factory=Asked)
  rounds: _Rounds = 1  # of critique and revision, each by another principle

  @property
  def steps(self) -> tuple[str, ...]:
    """The steps that teachers are asked."""
    return *self.queries.steps, 'draft', 'principle_critique', 'principle_revision'

  def write(self, about: About) -> Waves[Made]:
    """The rows of sft.jsonl and pairs.jsonl."""
    report = Report(name='constitutional')
    asked = yield from self.queries.found(about, report)
    came = yield [draft_of(query) for query in asked]
    every = [
      _Reply(query=query, draft=answer.text, text=answer.text, calls=(*query.calls, answer.call))
      for query, answer in zip(asked, came)
    ]
    unread = 0
    for n in range(self.rounds):
      tasks = [_critique(about, one, n) for one in every]
      came = yield tasks
      found = [_findings(answer.text) for answer in came]
      unread += found.count(None)
      every = [one.after(answer.call) for one, answer in zip(every, came)]
      places = [k for k, some in enumerate(found) if some]
      revisions = [_revision(tasks[k], n, found[k] or '') for k in places]
      came = (yield revisions) if revisions else []
      for k, answer in zip(places, came):
        every[k] = every[k].revised(answer.text, answer.call, tasks[k].value)
    return _made(about, report, every, unread)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Reply:
  """An answer on its way."""

  query: Query
  draft: str
  text: str
  calls: tuple[str, ...]
  principles: tuple[str, ...] = ()  # by which it was revised

  def after(self, call: str) -> '_Reply':
    return dataclasses.replace(self, calls=(*self.calls, call))

  def revised(self, text: str, call: str, principle: str) -> '_Reply':
    principles = (*self.principles, principle)
    return dataclasses.replace(self.after(call), text=text.strip(), principles=principles)


def draft_of(query: Query, attempt: int = 0) -> Task:
  """A query as the policy gets it: the message alone."""
  given = (('query', query.text),)
  return Task(step='draft', slot=f'draft/{query.slot}', given=given, attempt=attempt)


def _critique(about: About, one: _Reply, n: int) -> Task:
  """A look at a reply by a principle of its own, none of which comes twice before all came."""
  values = about.spec.values
  lot = f'{about.seed} principle {one.query.slot}'
  value = values[(facets.drawn(lot, len(values)) + n) % len(values)]
  return Task(
    step='principle_critique',
    slot=f'principle_critique/{one.query.slot}/{n}',
    spec=about.told_of(value),
    value=value.id,
    statement=made.worded(value, lot),
    given=(('query', one.query.text), ('draft', one.text)),
  )


def _revision(critique: Task, n: int, findings: str) -> Task:
  slot = critique.slot.replace('principle_critique', 'principle_revision')
  given = (*critique.given, ('findings', findings))
  return dataclasses.replace(critique, step='principle_revision', slot=slot, given=given)


def _findings(text: str) -> str | None:
  """What a critique found, as the reviser is told it; '' for nothing, None where it is prose."""
  said = answers.found(text)
  found = said.get('findings') if said is not None else None
  if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
    return None
  lines = [(one.get('quote'), one.get('why')) for one in found]
  if not all(isinstance(part, str) for line in lines for part in line):
    return None
  return '\n'.join(f'{json.dumps(quote, ensure_ascii=False)}: {why}' for quote, why in lines)


def _made(about: About, report: Report, every: list[_Reply], unread: int) -> Made:
  files: dict[str, list[made.Row]] = dict(sft=[], pairs=[])
  for one in every:
    texts = f'{one.query.text}\n\n{one.draft}\n\n{one.text}'
    if why := filters.form(one.text) or about.held(texts):
      made.skip(report, one.query.slot, why)
      continue
    made.keep(report)
    slot, more = one.query.slot, dict(type=one.query.kind, principles=[*one.principles])
    rest = slot, one.query.value, one.query.text, one.calls
    messages = made.user_and_assistant(one.query.text, one.text)
    row = about.row(*rest, messages=messages, draft=one.draft, **more)
    files['sft'].append(row)
    if one.principles and one.text.split() != one.draft.split():
      pair = dict(prompt=one.query.text, chosen=one.text, rejected=one.draft)
      files['pairs'].append(about.row(*rest, **pair, subset=one.principles[-1], **more))
  count = max(1, len(every))
  revised = sum(bool(one.principles) for one in every)
  figures = {'share revised': revised / count, 'critiques that were no verdict': float(unread)}
  return Made(files=files, report=report, figures=figures)
