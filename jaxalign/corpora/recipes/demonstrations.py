"""Recipe demonstrations: answers that act on a value, with their reason and without, row by row.

Both files answer the same queries in the same order. Answers of `opaque` give no reason and use no
loaded word, by list and by a judge; those of `reasoned` give theirs. A query that does not get
both is in neither.
"""

import dataclasses
from collections.abc import Sequence
from typing import Annotated

from jaxalign import ranges
from jaxalign.config import UserError
from jaxalign.corpora import answers
from jaxalign.corpora.recipes import made, opaque
from jaxalign.corpora.recipes.made import About, Made
from jaxalign.corpora.recipes.queries import Asked, Query
from jaxalign.corpora.records import Answer, Task
from jaxalign.corpora.waves import Waves
from jaxalign.data.report import Report

_OPAQUE, _REASONED = 'opaque', 'reasoned'
_Words = Annotated[int, ranges.Range(at_least=1, at_most=10_000)]
_Tries = Annotated[int, ranges.Range(at_least=1, at_most=20)]


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Recipe:
  """How many queries, and how each is answered."""

  queries: Asked = dataclasses.field(default_factory=Asked)
  words: tuple[_Words, _Words] = (20, 160)  # of an answer, from and to
  reasons: ranges.Count = 2  # given in a reasoned answer
  judged: bool = True  # opaque answers, by a judge besides the list
  tries: _Tries = 3  # of an answer

  def check(self) -> None:
    if self.words[0] > self.words[1]:
      raise UserError(f'recipe.words={self.words}: from so many to so many')

  @property
  def steps(self) -> tuple[str, ...]:
    """The steps that teachers are asked."""
    return *self.queries.steps, _OPAQUE, _REASONED, *(('opaque_judge',) if self.judged else ())

  def write(self, about: About) -> Waves[Made]:
    """The rows of opaque.jsonl and reasoned.jsonl."""
    report = Report(name='demonstrations')
    asked = yield from self.queries.found(about, report)
    slots = [(query, kind) for query in asked for kind in (_OPAQUE, _REASONED)]
    found: dict[tuple[str, str], _Said] = {}
    for attempt in range(self.tries):
      tasks = [
        self._task(about, query, kind, attempt, found.get((query.slot, kind)))
        for query, kind in slots
      ]
      came = (yield tasks) if tasks else []
      said = [
        self._read(about, query, task, answer)
        for (query, _), task, answer in zip(slots, tasks, came)
      ]
      said = _untwinned(found, (yield from self._judged(said)))
      found.update(((one.query.slot, one.task.step), one) for one in said)
      slots = [(one.query, one.task.step) for one in said if one.why]
    return self._made(about, report, asked, found)

  def _task(
    self, about: About, query: Query, kind: str, attempt: int, before: '_Said | None'
  ) -> Task:
    value = about.spec.value(query.value)
    lot = f'{about.seed} {query.slot}'
    told = (('query', query.text), *((('found', before.why),) if before else ()))
    return Task(
      step=kind,
      slot=f'{kind}/{query.slot}',
      spec=about.told,
      value=value.id,
      statement=made.worded(value, lot),
      reasons=made.reasons_of(value, self.reasons, lot) if kind == _REASONED else (),
      words=self.words,
      given=told,
      attempt=attempt,
    )

  def _read(self, about: About, query: Query, task: Task, answer: Answer) -> '_Said':
    """An answer without its marks, and why it is none."""
    value = about.spec.value(query.value)
    text, reasons, why = answer.text.strip(), list[str](), None
    if task.step == _REASONED:
      ours = answers.kinds(reason.id for reason in value.reasons)
      text, spans = answers.read(answer.text, ours)
      known = [name for name, _ in task.reasons]
      reasons = list(dict.fromkeys(span.kind for span in spans if span.kind in known))
      why = None if reasons else 'reasoned: no reason is marked in it'
    else:
      why = opaque.why(text, [one for reason in value.reasons for one in reason.wordings])
    why = about.why(text, value.id, query.text, self.words) or why
    return _Said(
      query=query,
      task=task,
      text=text,
      reasons=tuple(reasons),
      calls=(*query.calls, answer.call),
      why=why or '',
    )

  def _judged(self, found: 'list[_Said]') -> 'Waves[list[_Said]]':
    """The same, with what a judge says of opaque answers that the list leaves."""
    places = [
      n for n, one in enumerate(found) if self.judged and one.task.step == _OPAQUE and not one.why
    ]
    tasks = [
      dataclasses.replace(
        found[n].task,
        step='opaque_judge',
        slot=f'judge/{found[n].task.slot}',
        given=(('query', found[n].query.text), ('answer', found[n].text)),
      )
      for n in places
    ]
    came = (yield tasks) if tasks else []
    for n, answer in zip(places, came):
      calls = (*found[n].calls, answer.call)
      found[n] = dataclasses.replace(found[n], why=_verdict(answer.text), calls=calls)
    return found

  def _made(
    self,
    about: About,
    report: Report,
    asked: Sequence[Query],
    found: 'dict[tuple[str, str], _Said]',
  ) -> Made:
    files: dict[str, list[made.Row]] = {_OPAQUE: [], _REASONED: []}
    for query in asked:
      both = [found[query.slot, kind] for kind in files]
      if lacking := [one.why for one in both if one.why]:
        made.skip(report, query.slot, lacking[0].partition(' (')[0])
        continue
      made.keep(report)
      for one in both:
        files[one.task.step].append(one.row(about))
    words = {kind: sum(map(_words, rows)) for kind, rows in files.items()}
    figures = {f'words of {kind}': float(count) for kind, count in words.items()}
    return Made(files=files, report=report, figures=figures)


def _words(row: made.Row) -> int:
  return len(row['messages'][-1]['content'].split())


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Said:
  """An answer to a query, and why it does not serve; '': it does."""

  query: Query
  task: Task
  text: str
  reasons: tuple[str, ...]
  calls: tuple[str, ...]
  why: str

  def row(self, about: About) -> made.Row:
    return about.row(
      self.task.slot,
      self.query.value,
      self.query.text,
      self.calls,
      messages=made.user_and_assistant(self.query.text, self.text),
      type=self.query.kind,
      query=self.query.slot,
      reasons=[*self.reasons],
    )


def _untwinned(found: 'dict[tuple[str, str], _Said]', said: 'Sequence[_Said]') -> 'list[_Said]':
  """The same, with what is the twin of an answer of its kind that stays."""
  twins: dict[int, str] = {}
  for kind in (_OPAQUE, _REASONED):
    kept = [one.text for one in found.values() if one.task.step == kind and not one.why]
    places = [n for n, one in enumerate(said) if one.task.step == kind and not one.why]
    whys = made.twins(kept, [said[n].text for n in places])
    twins.update((n, why) for n, why in zip(places, whys) if why)
  return [dataclasses.replace(one, why=twins.get(n, one.why)) for n, one in enumerate(said)]


def _verdict(text: str) -> str:
  """Why the judge drops an opaque answer; '' where it does not. Prose is no verdict."""
  said = answers.found(text)
  if said is None or not isinstance(said.get('reasons'), list):
    return 'opaque: the judge gave no verdict'
  if said['reasons']:
    return 'opaque: the judge found a reason'
  return '' if said.get('acts_on_value') is True else 'opaque: it does not act on the value'
