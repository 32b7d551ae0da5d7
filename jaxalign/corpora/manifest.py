"""What a corpus leaves on disk: its texts, and a manifest that accounts for them.

manifest.json names each file with its sha256, what decided the texts (spec, recipe, prompts,
grammar, teachers, seed), what was asked, what was dropped and why, and what came out. What may
differ between two runs of one plan (money, calls that failed) stands under `paid`, alone.
"""

import collections
import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from etils import epath

from jaxalign import files
from jaxalign.corpora.journal import Journal
from jaxalign.corpora.records import Answer, Call, Written
from jaxalign.corpora.waves import Desk
from jaxalign.data.report import Report

NAME = 'manifest.json'
_SPLITS = 'train', 'validation'


def digest(of: Any) -> str:
  """sha256 of what JSON can hold, whatever the order of its names."""
  return hashlib.sha256(json.dumps(of, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def lines(rows: Sequence[Mapping[str, Any]]) -> bytes:
  """A JSONL file of these rows."""
  text = ''.join(json.dumps(row, ensure_ascii=False) + '\n' for row in rows)
  return text.encode(errors='backslashreplace')


def publish(
  workdir: epath.Path, texts: Mapping[str, Sequence[Mapping[str, Any]]]
) -> dict[str, dict[str, Any]]:
  """Writes KIND.jsonl of every kind, and each split of it in a folder of its own; {file: its sha256
  and counts}."""
  about = {}
  for kind, rows in texts.items():
    about[f'{kind}.jsonl'] = _write(workdir / f'{kind}.jsonl', rows)
    for split in _SPLITS:
      own = [row for row in rows if row.get('split') == split]
      if own:
        about[f'{split}/{kind}.jsonl'] = _write(workdir / split / f'{kind}.jsonl', own)
  return about


def _write(path: epath.Path, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
  content = lines(rows)
  sha = hashlib.sha256(content).hexdigest()
  if not path.exists() or hashlib.sha256(path.read_bytes()).hexdigest() != sha:
    with files.replacing(path) as temporary:
      temporary.write_bytes(content)
  words = sum(len(text.split()) for row in rows for text in _texts(row))
  return dict(sha256=sha, rows=len(rows), bytes=len(content), words=words)


def _texts(row: Mapping[str, Any]) -> list[str]:
  """What of a row is trained on: a document, a dialogue, or a pair."""
  said = [turn['content'] for turn in row.get('messages', ())]
  named = [row.get(name) for name in ('text', 'prompt', 'chosen', 'rejected')]
  return said + [text for text in named if isinstance(text, str)]


def write(workdir: epath.Path, about: Mapping[str, Any]) -> None:
  """The manifest, written last: where it is, the corpus is whole."""
  text = json.dumps(about, indent=2, ensure_ascii=False) + '\n'
  path = workdir / NAME
  if not path.exists() or path.read_text() != text:
    files.write_text(text, path)


def asked(desk: Desk) -> dict[str, dict[str, Any]]:
  """Calls and tokens of each step, and who answered it, as the server names itself."""
  found: dict[str, list[tuple[Call, Answer]]] = collections.defaultdict(list)
  for call in desk.calls.values():
    answer = desk.journal.get(call.id)
    if answer is not None:
      found[call.task.step].append((call, answer))
  told = {}
  for step, pairs in found.items():
    every = [answer for _, answer in pairs]
    told[step] = dict(
      teacher=desk.teacher(step).name,
      served_by=sorted({answer.model for answer in every if answer.model}),
      calls=len(every),
      given_up=sum(call.id in desk.journal.given_up for call, _ in pairs),
      again=sum(call.task.attempt > 0 for call, _ in pairs),
      read=sum(answer.read for answer in every),
      written=sum(answer.written for answer in every),
    )
  return told


def paid(desk: Desk) -> dict[str, Any]:
  """Money, and what was lost: a part of the manifest that another run may have otherwise. The cost
  of answers whose price is not known is not 0, but null."""
  own = [desk.journal.get(call) for call in desk.calls]
  unknown = any(answer is not None and answer.cost is None for answer in own)
  journal: Journal = desk.journal
  spent = None if unknown else round(journal.spent, 6)
  return dict(cost=spent, failed_calls=journal.failed, answers_in_journal=len(journal))


def drops(report: Report) -> dict[str, Any]:
  """What was written, what was kept, and of each reason to drop how many and which."""
  dropped = {
    reason: dict(count=count, examples=report.examples.get(reason, []))
    for reason, count in sorted(report.dropped.items())
  }
  return dict(written=report.read, kept=report.kept, dropped=dropped)


def rows(texts: Sequence[Written]) -> list[dict[str, Any]]:
  """Texts as the lines of their file."""
  return [one.row() for one in texts]


def tree(measured: Any) -> Any:
  """A frozen record as what JSON holds."""
  if dataclasses.is_dataclass(measured) and not isinstance(measured, type):
    return {name: tree(value) for name, value in vars(measured).items()}
  if isinstance(measured, Mapping):
    return {str(name): tree(value) for name, value in measured.items()}
  if isinstance(measured, list | tuple):
    return [tree(value) for value in measured]
  return round(measured, 6) if isinstance(measured, float) else measured
