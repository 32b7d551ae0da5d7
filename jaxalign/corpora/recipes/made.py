"""What every recipe is told of its corpus, and what it gives: rows by file, drops and figures."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jaxalign.corpora import duplicates, facets, filters, variants
from jaxalign.corpora.records import Answer, Pairs, Written
from jaxalign.corpora.spec import Spec, Value
from jaxalign.data.report import Report, Unwanted

Row = dict[str, Any]
Judge = Callable[[str], str | None]  # why a text is dropped, or None
_MILLION = 1_000_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class About:
  """The corpus that a recipe writes for."""

  spec: Spec  # projected: all that a teacher may see
  variant: str = ''
  seed: int = 0
  provenance: str = ''
  held: Judge = lambda text: None  # leaks.Held.why: no text of a row may hold an evaluation's item
  validation: float = 0.1  # of the queries, whose rows are not trained on

  @functools.cached_property
  def told(self) -> str:
    """The spec as a teacher reads it."""
    return variants.told(self.spec)

  def told_of(self, value: Value) -> str:
    """One value alone, as a teacher reads it."""
    return variants.told(dataclasses.replace(self.spec, values=(value,)))

  def why(self, text: str, value: str, query: str, words: tuple[int, int] = (0, 0)) -> str | None:
    """Why an answer to a query is dropped: its form, what it invents, what it gives away."""
    one = Written(slot='', text=text, value=value, spec=self.spec.name, idea=query)
    return filters.why_dropped(one, self.spec, words) or self.held(f'{query}\n\n{text}')

  def row(self, slot: str, value: str, query: str, calls: Sequence[str], /, **more: Any) -> Row:
    """A row with what all have: split by its query, so that twins of one stay together."""
    lot = facets.drawn(f'{self.seed} split {query}', _MILLION)
    return dict(
      id=slot,
      **more,
      value=value,
      spec=self.spec.name,
      variant=self.variant,
      provenance=self.provenance,
      split='validation' if lot < self.validation * _MILLION else 'train',
      calls=[*calls],
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Made:
  """What a recipe made."""

  files: Mapping[str, Sequence[Row]]  # by name: 'pairs' is pairs.jsonl
  report: Report  # what was dropped, and why
  figures: Mapping[str, float] = dataclasses.field(default_factory=dict)  # for manifest and reader

  def told(self) -> list[str]:
    """A line for each figure."""
    return [f'{name}: {value:.3f}' for name, value in self.figures.items()]


def user_and_assistant(query: str, answer: str) -> list[dict[str, str]]:
  """A row's messages, as `sft` reads conversations."""
  return [dict(role='user', content=query), dict(role='assistant', content=answer)]


def reasons_of(value: Value, count: int, lot: str) -> Pairs:
  """So many reasons of a value by lot, each in one of its wordings."""
  left, dealt = list(value.reasons), []
  for n in range(min(count, len(left))):
    reason = left.pop(facets.drawn(f'{lot} reason {n}', len(left)))
    wordings = reason.wordings
    dealt.append((reason.id, wordings[facets.drawn(f'{lot} wording {n}', len(wordings))]))
  return tuple(dealt)


def worded(value: Value, lot: str) -> str:
  """The value's statement in one of its wordings, by lot."""
  return value.wordings[facets.drawn(f'{lot} statement', len(value.wordings))]


def choice(answer: Answer, options: Sequence[str]) -> tuple[int, float | None] | None:
  """(the option that was chosen, by how much it is likelier than the other); None: no verdict.

  Where log-probabilities are given they decide; else the answer has to be the option and no more.
  """
  if len(answer.logprobs) == len(options) == 2:
    margin = answer.logprobs[0] - answer.logprobs[1]
    return (0 if margin > 0 else 1, margin) if margin else None
  said = answer.text.strip().strip('.()*"\'').strip()
  return (options.index(said), None) if said in options else None


def twins(kept: Sequence[str], new: Sequence[str]) -> list[str | None]:
  """Why each of the new texts is dropped beside those that stay, or None."""
  return duplicates.twins([*kept, *new])[len(kept) :]


def skip(report: Report, slot: str, why: str) -> None:
  """Counts a row that is dropped."""
  report.read += 1
  report.skip(slot, Unwanted(why))


def keep(report: Report) -> None:
  """Counts a row that stays."""
  report.read += 1
  report.kept += 1
