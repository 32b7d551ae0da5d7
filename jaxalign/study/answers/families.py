"""What is corrected for together: measures that were declared before the run, each by one judge.

Whoever has ten judges and forty guards finds something in one of them. Holm's family, and that of
the slices, is what was declared, under the first judge that the config names; other judges show how
far it hangs on the judge, and guards are shown, but no claim is made of either.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from jaxalign.evals.evaluated import About
from jaxalign.study.answers.pairs import Pairing

_Key = tuple[str, str]  # (measure, judge)
_BESIDE = ('unasked', 'abstain', 'length', 'degenerate', 'off_topic')  # told of every suite


@dataclasses.dataclass(frozen=True, kw_only=True)
class Family:
  """Keys of measures, by their part in a comparison."""

  primaries: tuple[_Key, ...]  # declared, under the first judge
  sensitivity: tuple[_Key, ...]  # declared, under another
  others: tuple[_Key, ...]  # all that is under another than the first, declared or not
  tested: tuple[_Key, ...]  # the primaries; where none is declared all that is no guard


def of(pairing: Pairing, about: About) -> Family:
  """The Family of what all models have, in the order in which it was declared."""
  judges: dict[str, list[str]] = {}
  for rows in pairing.rows:
    judges.setdefault(rows.measure.name, []).append(rows.judge)
  first = {name: _first(known, about.judges) for name, known in judges.items()}
  declared = [name for name in dict.fromkeys(about.primaries) if name in judges]
  primaries = tuple((name, first[name]) for name in declared)
  others = [(name, judge) for name in judges for judge in judges[name] if judge != first[name]]
  sensitivity = tuple(key for name in declared for key in others if key[0] == name)
  tested = primaries
  if not about.primaries:
    every = tuple(first.items())
    tested = tuple(key for key in every if not _is_beside(key[0])) or every
  return Family(primaries=primaries, sensitivity=sensitivity, others=tuple(others), tested=tested)


def _first(known: Sequence[str], order: Mapping[str, str]) -> str:
  """The judge that the config names before the others."""
  places = {judge: n for n, judge in enumerate(order)}
  return min(known, key=lambda judge: (places.get(judge, len(places)), known.index(judge)))


def _is_beside(measure: str) -> bool:
  """Whether a measure is told beside others, as how many answers are degenerate."""
  return measure.rpartition('/')[2] in _BESIDE
