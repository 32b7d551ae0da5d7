"""What alignment must not cost: how well a model reads plain text, and a few things it should know.

Both are guards against a model that broke, in every comparison; neither measures how good one is.
"""

import dataclasses
from collections.abc import Sequence

from jaxalign.config import UserError
from jaxalign.data.records import Document, Turn
from jaxalign.data.sources import Jsonl
from jaxalign.evals.item import Asked, Decode, Item, Measure, Row
from jaxalign.evals.suites import measuring, tables
from jaxalign.ranges import Count

_TEXTS = tables.SHIPPED.parent / 'general.jsonl'
_QUESTIONS = tables.SHIPPED / 'canary.csv'


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Text:
  """Nats a byte of plain documents, each read from its first token to its last: a byte is the same
  for every tokenizer, so that models with different ones can be held against each other."""

  path: str | None = None  # JSON lines with `text`; none: the texts that ship
  limit: Count | None = None  # documents, from all over; none: all
  decode: Decode = dataclasses.field(default_factory=Decode)

  @property
  def name(self) -> str:
    return 'canary'

  @property
  def version(self) -> str:
    return '2'

  @property
  def needs(self) -> tuple[str, ...]:
    return ()

  @property
  def _place(self) -> str:
    return self.path or str(_TEXTS)

  def source(self) -> str:
    return tables.fingerprint([self._place])

  def items(self) -> list[Item]:
    read = Jsonl(path=self._place, kind='document').read()
    texts = [document.text for _, document in read if isinstance(document, Document)]
    some = tables.spread(texts, self.limit)
    return tables.distinct((Item(choices=(text,)) for text in some), self.name)

  def measures(self) -> tuple[Measure, ...]:
    title, unit = 'surprise at plain text', 'nats a byte'
    return (
      Measure(name='canary/nats', title=title, better='less', unit=unit),
      measuring.unasked_measure(self.name),
    )

  def rows(self, asked: Sequence[Asked]) -> list[Row]:
    found = list(measuring.unasked(self.name, asked))
    read = [(one, of) for one in asked if (of := measuring.scores(one)) is not None]
    sums = [(one, *of[one.item.choices[0]]) for one, of in read]
    sizes = [len(one.item.choices[0].encode()) for one, *_ in sums]
    for size, (one, logprob, tokens) in zip(sizes, sums):
      if not tokens:
        raise UserError(
          f'item {one.item.id[:12]} has no token that could be predicted: leave it out'
        )
      weight = size * len(sums) / sum(sizes)  # so that the mean is all nats over all bytes
      found.append(measuring.row('canary/nats', one, -logprob / size, weight=weight))
    return found


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Choices:
  """Small sums and plain facts; the right one of four answers, by the sum of log-probabilities."""

  path: str | None = None  # CSV: question, right, wrong (';' between them), subject; none: shipped
  limit: Count | None = None  # questions, from all over; none: all
  decode: Decode = dataclasses.field(default_factory=Decode)

  @property
  def name(self) -> str:
    return 'canary_choices'

  @property
  def version(self) -> str:
    return '1'

  @property
  def needs(self) -> tuple[str, ...]:
    return ()

  @property
  def _place(self) -> str:
    return self.path or str(_QUESTIONS)

  def source(self) -> str:
    return tables.fingerprint([self._place])

  def items(self) -> list[Item]:
    rows = tables.table(self._place, 'question', 'right', 'wrong', 'subject')
    return tables.distinct(map(_item, tables.spread(rows, self.limit)), self.name)

  def measures(self) -> tuple[Measure, ...]:
    items = self.items() if tables.lie_there(self._place) else []
    chance = measuring.mean([1 / len(item.choices) for item in items]) if items else None
    title = 'right answers; a tie counts against it'
    return (
      Measure(name='canary_choices/accuracy', title=title, better='more', chance=chance),
      measuring.unasked_measure(self.name),
    )

  def rows(self, asked: Sequence[Asked]) -> list[Row]:
    found = list(measuring.unasked(self.name, asked))
    for one in asked:
      found.append(measuring.row('canary_choices/accuracy', one, _right(one)))
    return found


def _item(row: tables.Row) -> Item:
  right, wrong = row['right'].strip(), tables.listed(row['wrong'])
  if not right or not wrong or right in wrong:
    raise UserError(f'question {row["question"]!r} needs a right answer and other, wrong ones')
  return Item(
    turns=(Turn('user', row['question'].strip()),),
    choices=(right, *wrong),
    right=(right,),
    wrong=wrong,
    slices=(('subject', row['subject']),),
  )


def _right(asked: Asked) -> float:
  scores = measuring.scores(asked)
  if scores is None:
    return 0.0
  best = scores[asked.item.right[0]][0]
  return float(all(best > scores[other][0] for other in asked.item.wrong))
