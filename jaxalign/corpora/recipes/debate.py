"""Recipe debate: two values that are at odds over one question, heard from both seats.

Each side opens once as the first speaker and once as the second, and has one rebuttal. A judge with
the spec hears every debate in both orders. All debates become documents (type debate); a pair is
kept where one side wins from both seats, in both orders, with the openings of the first seat.
"""

import dataclasses
from collections.abc import Sequence
from typing import Annotated

from jaxalign import ranges
from jaxalign.config import UserError
from jaxalign.corpora import answers, duplicates, filters
from jaxalign.corpora.recipes import made, rlaif
from jaxalign.corpora.recipes.made import About, Made
from jaxalign.corpora.records import Answer, Task, Written
from jaxalign.corpora.spec import Value
from jaxalign.corpora.waves import Waves
from jaxalign.data.report import Report

_SPARE = 1.25  # times as many are asked for, for those that are left out
_Words = Annotated[int, ranges.Range(at_least=1, at_most=10_000)]
_Siblings = Annotated[int, ranges.Range(at_least=1, at_most=200)]


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Recipe:
  """How much is debated, and how long a speech is. Step `verdict` is the judge's."""

  questions: ranges.Count = 100
  siblings: _Siblings = 10  # questions that one call lists, at most
  words: tuple[_Words, _Words] = (60, 180)  # of a speech
  reasons: ranges.Count = 2  # that a speaker is given

  def check(self) -> None:
    if self.words[0] > self.words[1]:
      raise UserError(f'recipe.words={self.words}: from so many to so many')

  @property
  def steps(self) -> tuple[str, ...]:
    """The steps that teachers are asked."""
    return 'question', 'argument', 'rebuttal', 'verdict'

  def write(self, about: About) -> Waves[Made]:
    """The rows of debates.jsonl and pairs.jsonl."""
    report = Report(name='debate')
    asked = yield from self._questions(about, report)
    both = [_Debate(question=one, seats=seats) for one in asked for seats in one.seatings]
    for step, place in (('argument', 0), ('argument', 1), ('rebuttal', 0), ('rebuttal', 1)):
      tasks = [self._speech(about, one, step, place) for one in both]
      came = yield tasks
      both = [one.with_speech(answer) for one, answer in zip(both, came)]
    tasks = [task for one in both for task in one.judged(about)]
    came = yield tasks
    verdicts = [rlaif.Verdict.of(came[n], came[n + 1]) for n in range(0, len(came), 2)]
    return _made(about, report, both, verdicts)

  def _questions(self, about: About, report: Report) -> 'Waves[list[_Question]]':
    pairs = conflicting(about)
    each = int(_SPARE * self.questions / len(pairs)) + 1
    tasks = []
    for first, second in pairs:
      for n, start in enumerate(range(0, each, self.siblings)):
        tasks.append(_listing(about, first, second, n, min(self.siblings, each - start)))
    came = yield tasks
    found: list[_Question] = []
    for task, answer in zip(tasks, came):
      sides = about.spec.value(task.value), about.spec.value(task.earlier('rival'))
      for text in answers.listed(answer.text)[: task.count]:
        found.append(_Question(slot='', text=text, sides=sides, call=answer.call))
    if not found:
      raise UserError('the teacher of step question listed none: take a stronger one for this step')
    left = []
    for one, twin in zip(found, duplicates.twins([one.text for one in found])):
      if why := twin or about.held(one.text):
        made.skip(report, 'question', why)
      else:
        left.append(one)
    named = [dataclasses.replace(one, slot=f'debate/{n:05d}') for n, one in enumerate(left)]
    return named[: self.questions]

  def _speech(self, about: About, one: '_Debate', step: str, place: int) -> Task:
    """What a speaker is asked: the second hears the first, and who rebuts hears the other side."""
    value = one.seats[place]
    given = [('question', one.question.text)]
    if step == 'rebuttal':
      given += [('own', one.speeches[place]), ('opponent', one.speeches[1 - place])]
    elif place:
      given.append(('opponent', one.speeches[0]))
    lot = f'{about.seed} {one.slot} {value.id}'
    return Task(
      step=step,
      slot=f'{step}/{one.slot}/{place}',
      spec=about.told,
      value=value.id,
      statement=made.worded(value, lot),
      reasons=made.reasons_of(value, self.reasons, lot),
      words=self.words,
      given=tuple(given),
    )


def conflicting(about: About) -> list[tuple[Value, Value]]:
  """Pairs of values that the spec calls at odds; where it names none, all pairs."""
  values = about.spec.values
  every = [(a, b) for n, a in enumerate(values) for b in values[n + 1 :]]
  if not every:
    raise UserError(f'{about.spec.name}: a debate needs two values, and it has one')
  return [(a, b) for a, b in every if b.id in a.conflicts or a.id in b.conflicts] or every


def _listing(about: About, first: Value, second: Value, n: int, count: int) -> Task:
  given = (('rival', second.id), ('rival_statement', second.statement))
  return Task(
    step='question',
    slot=f'question/{first.id}/{second.id}/{n:04d}',
    spec=about.told,
    value=first.id,
    statement=first.statement,
    given=given,
    count=count,
  )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Question:
  """What is debated, between which values."""

  slot: str
  text: str
  sides: tuple[Value, Value]
  call: str

  @property
  def seatings(self) -> tuple[tuple[Value, Value], tuple[Value, Value]]:
    return self.sides, self.sides[::-1]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Debate:
  """One debate: who sits where, and what was said in turn."""

  question: _Question
  seats: tuple[Value, Value]  # who opens first
  speeches: tuple[str, ...] = ()  # two openings, then two rebuttals
  calls: tuple[str, ...] = ()

  @property
  def slot(self) -> str:
    return f'{self.question.slot}/{self.seats[0].id}'

  def with_speech(self, answer: Answer) -> '_Debate':
    speeches = (*self.speeches, answer.text.strip())
    return dataclasses.replace(self, speeches=speeches, calls=(*self.calls, answer.call))

  def side(self, place: int) -> str:
    """All that one side said."""
    return f'{self.speeches[place]}\n\n{self.speeches[place + 2]}'

  def judged(self, about: About) -> list[Task]:
    """The judge's tasks, in either order."""
    sides = self.side(0), self.side(1)
    return [
      Task(
        step='verdict',
        slot=f'verdict/{self.slot}/{order}',
        spec=about.told,
        value=self.seats[0].id,
        given=(('question', self.question.text), ('first', first), ('second', second)),
        options=rlaif.OPTIONS,
      )
      for order, (first, second) in (('straight', sides), ('swapped', sides[::-1]))
    ]

  def why(self, about: About) -> str | None:
    """Why a debate is dropped."""
    forms = (filters.form(speech) for speech in self.speeches)
    return next(filter(None, forms), None) or about.held(self.text)

  @property
  def text(self) -> str:
    """The debate as a document."""
    names = [seat.id.replace('_', ' ').replace('-', ' ').capitalize() for seat in self.seats]
    turns = [f'{names[n % 2]}: {speech}' for n, speech in enumerate(self.speeches)]
    return '\n\n'.join([self.question.text, *turns])

  def document(self, about: About, winner: str) -> made.Row:
    row = Written(
      slot=self.slot,
      text=self.text,
      value=winner or self.seats[0].id,
      spec=about.spec.name,
      kind='debate',
      variant=about.variant,
      provenance=about.provenance,
      facets=(('type', 'debate'),),
      idea=self.question.text,
      calls=(self.question.call, *self.calls),
      marks=(('winner', winner),),
    ).row()
    return row | dict(split=self.row(about)['split'])

  def row(self, about: About) -> made.Row:
    calls = (self.question.call, *self.calls)
    return about.row(self.question.slot, self.seats[0].id, self.question.text, calls)


def _made(
  about: About, report: Report, both: Sequence[_Debate], verdicts: Sequence[rlaif.Verdict]
) -> Made:
  files: dict[str, list[made.Row]] = dict(debates=[], pairs=[])
  for n in range(0, len(both), 2):
    heard, said = both[n : n + 2], verdicts[n : n + 2]
    why = next(filter(None, (one.why(about) for one in heard)), None)
    if why:
      made.skip(report, heard[0].question.slot, why)
      continue
    winners = [_winner(one, verdict) for one, verdict in zip(heard, said)]
    files['debates'] += [one.document(about, won) for one, won in zip(heard, winners)]
    if winners[0] and winners[0] == winners[1]:
      made.keep(report)
      files['pairs'].append(_pair(about, heard, said, winners[0]))
    else:
      made.skip(report, heard[0].question.slot, 'no side wins from both seats, in both orders')
  told = rlaif.figures(verdicts, files['pairs'])
  return Made(files=files, report=report, figures=told | dict(seats_agree=_agree(report)))


def _agree(report: Report) -> float:
  return report.kept / report.read if report.read else 0.0


def _winner(one: _Debate, verdict: rlaif.Verdict) -> str:
  """The value whose side won in both orders; '' for none."""
  return '' if verdict.better is None else one.seats[verdict.better].id


def _pair(
  about: About, heard: Sequence[_Debate], said: Sequence[rlaif.Verdict], winner: str
) -> made.Row:
  """The openings of either side from the first seat: nobody had heard the other yet."""
  opening = {one.seats[0].id: one.speeches[0] for one in heard}
  (loser,) = opening.keys() - {winner}
  margins = [abs(one.margin) for one in said if one.margin is not None]
  row = heard[0].row(about) | dict(
    prompt=heard[0].question.text,
    chosen=opening[winner],
    rejected=opening[loser],
    margin=sum(margins) / len(margins) if len(margins) == len(said) else None,
    subset=f'{winner} over {loser}',
    value=winner,
  )
  calls = [call for one, verdict in zip(heard, said) for call in (*one.calls, *verdict.calls)]
  return row | dict(calls=[heard[0].question.call, *calls])
