"""Rows of HH-RLHF as pairs of answers to one prompt, and what rules that read no prompt make of
them."""

import dataclasses
from collections.abc import Callable, Sequence

from jaxalign.config import UserError
from jaxalign.data import turns
from jaxalign.data.records import Turn
from jaxalign.data.report import Counts, Fault
from jaxalign.evals.judges import strings
from jaxalign.evals.suites import measuring, tables

HUMAN = '\n\nHuman:'
_ASSISTANT = '\n\nAssistant:'


@dataclasses.dataclass(frozen=True)
class Pair:
  before: str  # the transcript up to both answers
  chosen: str
  rejected: str

  def prompt(self) -> tuple[Turn, ...]:
    """The dialogue that waits for an answer, or a Fault."""
    for answer in (self.chosen, self.rejected):
      turns.as_text(answer, 'an answer')
      if HUMAN in answer:
        raise Fault('an answer goes on as the user')
    found = turns.settle(turns.from_transcript(self.before, 'the prompt'), Counts())
    if found[-1].role != 'user':
      raise Fault('the prompt does not end in a user turn')
    return found

  @property
  def cluster(self) -> str:
    return tables.hashed(self.before)


def pairs_of(rows: Sequence[tables.Row], name: str) -> tuple[list[Pair], int]:
  """(pairs of one prompt, how many rows have two); transcripts are compared as they stand."""
  found = []
  for number, row in enumerate(rows, 1):
    (before, chosen), (other, rejected) = (
      _cut(row[side], f'{name}: row {number}: {side}') for side in ('chosen', 'rejected')
    )
    if before == other:
      found.append(Pair(before, chosen, rejected))
  return found, len(rows) - len(found)


def _cut(transcript: object, name: str) -> tuple[str, str]:
  """(what stands before the last answer, the answer)."""
  before, mark, answer = str(transcript).rpartition(_ASSISTANT)
  if not mark:
    raise UserError(f'{name} has no answer after "Assistant:"; fetch the file again')
  return before, answer.strip()


def baseline(pairs: Sequence[Pair], score: Callable[[str], float]) -> float:
  return measuring.mean(
    [measuring.compared(score(pair.chosen), score(pair.rejected)) for pair in pairs]
  )


def refusal_wins(pairs: Sequence[Pair]) -> float | None:
  """How often the refusal is the chosen one, of the pairs in which one of the two refuses."""
  judge = strings.Strings()
  both = [[bool(judge.phrase_of(text)) for text in (p.chosen, p.rejected)] for p in pairs]
  won = [float(chosen) for chosen, rejected in both if chosen != rejected]
  return measuring.mean(won) if won else None
