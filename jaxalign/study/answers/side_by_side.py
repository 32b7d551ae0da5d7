"""Answers as a page holds them: a bounded number, those on which models disagree first."""

import collections
import dataclasses
import itertools
import json
from collections.abc import Iterator, Sequence
from typing import Any

from jaxalign.evals.evaluated import Answer, Evaluated
from jaxalign.evals.item import Item
from jaxalign.page import kit

_BYTES = 4_000_000  # of all answers
_LONGEST = 6_000  # characters of a text
_CUT = ' … (cut)'
_Entry = dict[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _KeptAnswers:
  """What the page shows, and how much of all there is."""

  entries: tuple[_Entry, ...]
  there: int
  left_out: int
  alone: int  # items that not every run answered
  cut: int  # texts

  def json(self, arms: Sequence[str]) -> str:
    """JSON of the answers to models of these names, as it may stand in a script element."""
    return kit.embedded(dict(arms=list(arms), items=self.entries))


def kept(runs: Sequence[Evaluated], most: int = _BYTES) -> _KeptAnswers:
  """The first run's items to which all runs have an answer, as many as there is room for."""
  by_run = [_by_item(run) for run in runs]
  shared = [key for key in by_run[0] if all(key in answers for answers in by_run)]
  entries = [_entry(runs[0].items.get(key[1]), key, by_run) for key in shared]
  ordered = [*_in_turns([e for e in entries if e['apart']])]
  ordered += _in_turns([e for e in entries if not e['apart']])
  room, chosen = most, []
  for entry in ordered:
    text = json.dumps(entry)
    room -= len(text) + 6 * sum(map(text.count, '<>&'))
    if room < 0:
      break
    chosen.append(entry)
  return _KeptAnswers(
    entries=tuple(chosen),
    there=len(chosen),
    left_out=len(ordered) - len(chosen),
    alone=len({key for answers in by_run for key in answers}) - len(shared),
    cut=sum(one['text'].endswith(_CUT) for e in chosen for one in itertools.chain(*e['said'])),
  )


def _by_item(run: Evaluated) -> dict[tuple[str, str], list[Answer]]:
  found: dict[tuple[str, str], list[Answer]] = collections.defaultdict(list)
  for answer in run.answers:
    found[answer.suite, answer.item].append(answer)
  return {key: sorted(many, key=lambda one: one.draw) for key, many in found.items()}


def _entry(item, key, by_run):
  said = [[_said(answer) for answer in answers[key]] for answers in by_run]
  labels = [[one['labels'] for one in draws] for draws in said]
  judged = any(one for draws in labels for one in draws)
  told = labels if judged else [[one['text'] for one in draws] for draws in said]
  question = _question(item) if item else ''
  return dict(
    suite=key[0],
    question=_short(question),
    wants=_short(item.wants) if item and item.wants and item.wants not in question else '',
    right=_short('; '.join(item.right)) if item else '',
    parts=[f'{name}: {part}' for name, part in item.slices if part] if item else [],
    said=said,
    apart=any(one != told[0] for one in told[1:]),
  )


def _question(item: Item) -> str:
  """All that was asked, in the words of the prompt."""
  turns = [f'{turn.role}: {turn.text}' for turn in item.turns]
  if len(turns) == 1:
    turns = [item.turns[0].text]
  asked = '\n\n'.join(turns) or item.text
  return f'{asked}\n\n[begins] {item.prefill}' if item.prefill else asked


def _said(answer: Answer) -> _Entry:
  labels = sorted((str(judge), str(label)) for judge, label in answer.labels.items())
  read = _short(answer.read)
  return dict(text=_short(answer.text), labels=labels, read=read, error=_short(answer.error))


def _short(text: str) -> str:
  return text if len(text) <= _LONGEST else text[:_LONGEST] + _CUT


def _in_turns(entries: Sequence[_Entry]) -> Iterator[_Entry]:
  """One of each suite in turn, so that a large one leaves room to the others."""
  by_suite = collections.defaultdict(list)
  for entry in entries:
    by_suite[entry['suite']].append(entry)
  for row in itertools.zip_longest(*by_suite.values()):
    yield from (entry for entry in row if entry is not None)
