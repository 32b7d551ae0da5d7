"""Recipe deliberative: thought with the spec in context, learned without it.

A teacher who sees the spec thinks and answers. A judge sees spec and answer, not the thoughts, so
that no thought talks an answer good. What it leaves becomes twins without the spec: `thoughts` with
what was thought, `answers` without, row by row.
"""

import dataclasses
import re
from collections.abc import Sequence
from typing import Annotated

from jaxalign import ranges
from jaxalign.config import UserError
from jaxalign.corpora import answers
from jaxalign.corpora.recipes import made
from jaxalign.corpora.recipes.made import About, Made
from jaxalign.corpora.recipes.queries import Asked, Query
from jaxalign.corpora.records import Answer, Task
from jaxalign.corpora.waves import Waves
from jaxalign.data.report import Report

_FORM = re.compile(r'\A\s*<thoughts>(.*?)</thoughts>\s*<answer>(.*?)</answer>\s*\Z', re.DOTALL)
_TOLD = re.compile(r'\b(?:the|this|my|our) (?:spec|specification|instructions|guidelines)\b', re.I)
_Words = Annotated[int, ranges.Range(at_least=1, at_most=10_000)]
_Tries = Annotated[int, ranges.Range(at_least=1, at_most=20)]


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Recipe:
  """What is asked, and how it is thought about."""

  queries: Asked = dataclasses.field(default_factory=Asked)
  words: tuple[_Words, _Words] = (40, 200)  # of the thoughts, as they are asked for
  tries: _Tries = 3  # of a query

  def check(self) -> None:
    if self.words[0] > self.words[1]:
      raise UserError(f'recipe.words={self.words}: from so many to so many')

  @property
  def steps(self) -> tuple[str, ...]:
    """The steps that teachers are asked."""
    return *self.queries.steps, 'deliberation', 'compliance'

  def write(self, about: About) -> Waves[Made]:
    """The rows of thoughts.jsonl and answers.jsonl."""
    report = Report(name='deliberative')
    asked = yield from self.queries.found(about, report)
    left, found = list(asked), dict[str, _Said]()
    for attempt in range(self.tries):
      tasks = [self._task(about, query, attempt) for query in left]
      came = (yield tasks) if tasks else []
      said = [_read(about, q, answer) for q, answer in zip(left, came)]
      kept = [one.answer for one in found.values() if not one.why]
      said = _untwinned(kept, said)
      judged = [one for one in said if not one.why]
      tasks = [_judge(about, one, attempt) for one in judged]
      came = (yield tasks) if tasks else []
      found.update((one.query.slot, one) for one in said)
      for one, answer in zip(judged, came):
        calls, why = (*one.calls, answer.call), _verdict(answer.text)
        found[one.query.slot] = dataclasses.replace(one, calls=calls, why=why)
      left = [query for query in left if found[query.slot].why]
    return _made(about, report, [found[query.slot] for query in asked])

  def _task(self, about: About, query: Query, attempt: int) -> Task:
    value = about.spec.value(query.value)
    lot = f'{about.seed} {query.slot}'
    return Task(
      step='deliberation',
      slot=f'deliberation/{query.slot}',
      spec=about.told,
      value=value.id,
      statement=made.worded(value, lot),
      reasons=made.reasons_of(value, len(value.reasons), lot),
      words=self.words,
      given=(('query', query.text),),
      attempt=attempt,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Said:
  """What was thought and said, and why it does not serve; '': it does."""

  query: Query
  thoughts: str
  answer: str
  calls: tuple[str, ...]
  why: str


def _read(about: About, query: Query, said: Answer) -> _Said:
  form = _FORM.match(said.text)
  thoughts, answer = (form[1].strip(), form[2].strip()) if form else ('', '')
  why: str | None = None if form else 'thoughts and answer are not in their marks'
  if why is None and not thoughts:
    why = 'nothing was thought'
  if why is None and _TOLD.search(f'{thoughts} {answer}'):
    why = 'it speaks of the spec, which a reader will not see'
  why = why or about.why(answer, query.value, query.text)
  why = why or about.why(thoughts, query.value, query.text)
  calls = (*query.calls, said.call)
  return _Said(query=query, thoughts=thoughts, answer=answer, calls=calls, why=why or '')


def _untwinned(kept: Sequence[str], said: Sequence[_Said]) -> list[_Said]:
  """The same, with whose answer is the twin of one that stays."""
  left = [one for one in said if not one.why]
  whys = made.twins(kept, [one.answer for one in left])
  twins = {one.query.slot: why for one, why in zip(left, whys) if why}
  return [dataclasses.replace(one, why=one.why or twins.get(one.query.slot, '')) for one in said]


def _judge(about: About, one: _Said, attempt: int) -> Task:
  """What the judge sees: the spec, the query and the answer."""
  value = about.spec.value(one.query.value)
  return Task(
    step='compliance',
    slot=f'compliance/{one.query.slot}',
    spec=about.told,
    value=value.id,
    statement=value.statement,
    given=(('query', one.query.text), ('answer', one.answer)),
    attempt=attempt,
  )


def _verdict(text: str) -> str:
  """Why the judge drops an answer; '' where it agrees. Prose is no verdict."""
  said = answers.found(text)
  if said is None or not isinstance(said.get('agrees'), bool):
    return 'the judge gave no verdict'
  return '' if said['agrees'] else 'the judge finds that it does not agree with the spec'


def _made(about: About, report: Report, every: list[_Said]) -> Made:
  files: dict[str, list[made.Row]] = dict(thoughts=[], answers=[])
  for one in every:
    if one.why:
      made.skip(report, one.query.slot, one.why)
      continue
    made.keep(report)
    thought = f'<think>\n{one.thoughts}\n</think>\n\n{one.answer}'
    for name, text in (('thoughts', thought), ('answers', one.answer)):
      slot = f'{name}/{one.query.slot}'
      messages = made.user_and_assistant(one.query.text, text)
      about_it = dict(messages=messages, type=one.query.kind, query=one.query.slot)
      row = about.row(slot, one.query.value, one.query.text, one.calls, **about_it)
      files[name].append(row)
  return Made(files=files, report=report)
