"""Recipe rlaif: two answers of a policy, and a judge who compares them in both orders.

A pair is kept where the judge means the same answer both times: one that always says `first` says
nothing. The margin comes from log-probabilities, where the judge gives them.
"""

import dataclasses
from collections.abc import Sequence
from typing import Literal

from jaxalign.corpora import facets, filters
from jaxalign.corpora.recipes import made
from jaxalign.corpora.recipes.constitutional import draft_of
from jaxalign.corpora.recipes.made import About, Made
from jaxalign.corpora.recipes.queries import Asked, Query
from jaxalign.corpora.records import Answer, Task
from jaxalign.corpora.spec import Value
from jaxalign.corpora.waves import Waves
from jaxalign.data.report import Report
from jaxalign.sealing import YOUNG

OPTIONS = 'A', 'B'
FLIPPED = 'the judge means the place, not the answer'


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Recipe:
  """What is asked. Step `draft` is the policy's, `preference` the judge's."""

  queries: Asked = dataclasses.field(default_factory=Asked)
  # A pair of which the judge means the place: dropped; or weighed, where it tells how likely each
  # verdict is: the place weighs the same on both sides, and what is left over is the text.
  flipped: Literal['dropped', 'weighed'] = dataclasses.field(default='dropped', metadata=YOUNG)

  @property
  def steps(self) -> tuple[str, ...]:
    """The steps that teachers are asked."""
    return *self.queries.steps, 'draft', 'preference'

  def write(self, about: About) -> Waves[Made]:
    """The rows of pairs.jsonl, with margin and subset."""
    report = Report(name='rlaif')
    asked = yield from self.queries.found(about, report)
    came = yield [draft_of(query, attempt) for query in asked for attempt in (0, 1)]
    both = [_Both(query=q, said=(came[2 * n], came[2 * n + 1])) for n, q in enumerate(asked)]
    left = []
    for one in both:
      if why := one.why(about):
        made.skip(report, one.query.slot, why)
      else:
        left.append(one)
    tasks = [task for one in left for task in one.compared(about)]
    came = (yield tasks) if tasks else []
    verdicts = [Verdict.of(came[n], came[n + 1]) for n in range(0, len(came), 2)]
    weighed = self.flipped == 'weighed'
    return _made(about, report, left, verdicts, weighed)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
  """What a judge said of two texts, shown in either order."""

  choices: tuple[int, ...]  # each time, by place; fewer where it gave no verdict
  margin: float | None  # how much likelier the first text is, over both; None: not known
  calls: tuple[str, ...]

  @classmethod
  def of(cls, straight: Answer, swapped: Answer) -> 'Verdict':
    """straight: with the first text in front; swapped: with the second."""
    said = [made.choice(answer, OPTIONS) for answer in (straight, swapped)]
    margins = [one[1] for one in said if one is not None and one[1] is not None]
    return cls(
      choices=tuple(one[0] for one in said if one is not None),
      margin=(margins[0] - margins[1]) / 2 if len(margins) == 2 else None,
      calls=(straight.call, swapped.call),
    )

  @property
  def whole(self) -> bool:
    """Whether both answers were verdicts."""
    return len(self.choices) == 2

  @property
  def flips(self) -> bool:
    """Whether it meant another text when they changed places."""
    return self.whole and self.choices[0] == self.choices[1]

  @property
  def better(self) -> int | None:
    """The text that it meant both times; None: it did not."""
    return self.choices[0] if self.whole and not self.flips else None

  @property
  def likelier(self) -> int | None:
    """The text that is likelier over both orders; None: not known."""
    return int(self.margin < 0) if self.margin else None


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Both:
  """Two answers to one query."""

  query: Query
  said: tuple[Answer, Answer]

  def why(self, about: About) -> str | None:
    """Why the two are not compared."""
    first, second = (answer.text for answer in self.said)
    if first.split() == second.split():
      return 'both answers are the same'
    return next(filter(None, (filters.form(text) for text in (first, second))), None) or about.held(
      f'{self.query.text}\n\n{first}\n\n{second}'
    )

  def principle(self, about: About) -> Value:
    """The value by which they are compared, by lot."""
    values = about.spec.values
    return values[facets.drawn(f'{about.seed} principle {self.query.slot}', len(values))]

  def compared(self, about: About) -> list[Task]:
    """The judge's tasks, in either order."""
    value = self.principle(about)
    texts = [answer.text for answer in self.said]
    return [
      Task(
        step='preference',
        slot=f'preference/{self.query.slot}/{order}',
        spec=about.told_of(value),
        value=value.id,
        statement=made.worded(value, f'{about.seed} {self.query.slot}'),
        given=(('query', self.query.text), ('first', first), ('second', second)),
        options=OPTIONS,
      )
      for order, (first, second) in (('straight', texts), ('swapped', texts[::-1]))
    ]

  def row(self, about: About, verdict: Verdict, better: int) -> made.Row:
    texts = [answer.text for answer in self.said]
    margin = None if verdict.margin is None else abs(verdict.margin)
    calls = (*self.query.calls, *(answer.call for answer in self.said), *verdict.calls)
    return about.row(
      self.query.slot,
      self.query.value,
      self.query.text,
      calls,
      prompt=self.query.text,
      chosen=texts[better],
      rejected=texts[1 - better],
      margin=margin,
      subset=self.principle(about).id,
      type=self.query.kind,
    )


def _made(
  about: About,
  report: Report,
  compared: Sequence[_Both],
  verdicts: Sequence[Verdict],
  weighed: bool,
) -> Made:
  rows = []
  for one, verdict in zip(compared, verdicts):
    better = verdict.likelier if weighed and verdict.flips else verdict.better
    if better is not None:
      made.keep(report)
      rows.append(one.row(about, verdict, better))
    else:
      made.skip(report, one.query.slot, FLIPPED if verdict.whole else 'the judge gave no verdict')
  return Made(files=dict(pairs=rows), report=report, figures=figures(verdicts, rows))


def figures(verdicts: Sequence[Verdict], rows: Sequence[made.Row]) -> dict[str, float]:
  """How often the judge meant the place, said the first, preferred the longer, or said nothing."""
  whole = [one for one in verdicts if one.whole]
  places = [choice for one in whole for choice in one.choices]
  lengths = [(len(row['chosen'].split()), len(row['rejected'].split())) for row in rows]
  unequal = [chosen > rejected for chosen, rejected in lengths if chosen != rejected]
  return {
    'flip rate': _share([one.flips for one in whole]),
    'says the first': _share([place == 0 for place in places]),
    'longer wins': _share(unequal),
    'no verdict': _share([not one.whole for one in verdicts]),
  }


def _share(said: Sequence[bool]) -> float:
  return sum(said) / len(said) if said else 0.0
