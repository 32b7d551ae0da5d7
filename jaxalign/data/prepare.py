"""Corpora, tokenized once, in parallel, into a directory named by all that decides its content.

A source is read first to find every bad record before any work is done, and (unless it was small)
once more to tokenize. A run that was killed goes on with the shards that are not there yet.
"""

import dataclasses
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from etils import epath

from jaxalign.config import UserError
from jaxalign.data import cutting, dialogues, mirror, shards
from jaxalign.data.prepared import PAIR, Prepared, save_array
from jaxalign.data.records import Conversation, Document, Pair, Prompt, Record, Turn
from jaxalign.data.report import Report
from jaxalign.data.shards import Item, Job, Side
from jaxalign.data.sources import Jsonl, Readable
from jaxalign.data.text import Tokenizer
from jaxalign.data.tokenizing import Progress, write_all
from jaxalign.files import content, write_text
from jaxalign.sealing import tree

VERSION = 1  # of how records become examples: raise it when the same options give other tokens
SHARD = (1 << 20, 1 << 24)  # characters in a shard, at least and at most
_SHARDS = 64  # so many are aimed at
_RECORDS = 1 << 16  # in a shard, at most
IN_MEMORY = 1 << 26  # characters: a corpus up to this stays in memory between the two readings
_WORTH = 1 << 23  # characters that make it worth to start one more process


def prepare(
  source: Readable,
  tokenizer: Tokenizer,
  form: dialogues.Format,
  directory: epath.PathLike,
  *,
  length: int,
  long: shards.Long = 'drop',
  kind: shards.Kind | None = None,
  workers: int | None = None,
) -> Prepared:
  """A corpus under `directory`, made unless it is there. `length`: of the longest example; a longer
  document is split or dropped (`long`), anything else dropped. `kind`: what is wanted; none:
  whatever it is. `workers`: processes, by default one a core, fewer for a small corpus."""
  if length < 1 or (workers is not None and workers < 1):
    raise UserError(f'length={length}, workers={workers}: both are at least 1')
  task = _Task(source, tokenizer, form, length, long)
  note = task.note(epath.Path(directory))
  if note and note.is_file():
    held = note.parent / content(note).decode(errors='replace').replace('\0', '?')
    if (held / mirror.MANIFEST).exists():  # else somebody removed it
      return Prepared(held)
  survey = _survey(task, kind)
  options: dict[str, Any] = dict(version=VERSION, content=survey.content, kind=survey.kind)
  options |= dict(tokenizer=tokenizer.hash, format=form.hash, long=long, length=length)
  key = hashlib.sha256(json.dumps(options, sort_keys=True).encode()).hexdigest()
  final = epath.Path(directory) / key[:12]
  if not (final / mirror.MANIFEST).exists():
    _write(task, survey, options, final, workers)
  if note:
    write_text(final.name, note)
  return Prepared(final)


@dataclasses.dataclass(frozen=True, eq=False)
class _Task:
  """What is tokenized, and how."""

  source: Readable
  tokenizer: Tokenizer
  form: dialogues.Format
  length: int
  long: shards.Long

  def note(self, directory: epath.Path) -> epath.Path | None:
    """The file that says which directory holds this source's tokens; None without a sha256.

    The runs of a study share their corpora: by the note each corpus is read once."""
    if not isinstance(self.source, Jsonl) or self.source.sha256 is None:
      return None
    what = [VERSION, self.source.sha256, self.source.kind, tree(self.source.columns)]
    how = [self.tokenizer.hash, self.form.hash, self.length, self.long]
    key = hashlib.sha256(json.dumps(what + how).encode()).hexdigest()
    return directory / f'{key[:16]}.pin'

  def items(self, report: Report) -> Iterator[Item]:
    for where, record in self.source.read(report):
      yield _item(where, record, self.form, self.tokenizer)


def _write(
  task: _Task, survey: '_Survey', options: dict[str, Any], final: epath.Path, workers: int | None
) -> None:
  home = mirror.workplace(final) if mirror.is_remote(final) else final
  try:
    home.mkdir(parents=True, exist_ok=True)
  except OSError as error:
    raise UserError(f'{home} cannot be made ({error}): choose another directory') from error
  size = min(max(survey.characters // _SHARDS, SHARD[0]), SHARD[1])
  items = survey.items or task.items(Report(task.source.name))
  jobs = (
    Job(shards.shard_path(home, n), group, task.long, task.length)
    for n, group in enumerate(shards.groups(items, size, _RECORDS))
  )
  workers = workers or max(1, min(os.cpu_count() or 1, survey.characters // _WORTH))
  sides = write_all(jobs, task.tokenizer, workers, Progress(survey.characters))
  names = dict(tokenizer_family=task.tokenizer.family, format_name=task.form.name)
  _finish(home, sides, survey.report, options | dict(name=task.source.name) | names)
  if home != final:
    mirror.publish(home, final)


@dataclasses.dataclass
class _Survey:
  report: Report
  kind: shards.Kind = 'example'
  characters: int = 0
  content: str = ''
  items: list[Item] | None = dataclasses.field(default_factory=list)  # none: too large to hold


def _survey(task: _Task, wanted: shards.Kind | None) -> _Survey:
  """Hashes what would be tokenized, not the files: a recompressed corpus is the same corpus."""
  survey, digest = _Survey(Report(task.source.name)), hashlib.sha256()
  kinds: dict[shards.Kind, str] = {}
  for item in task.items(survey.report):
    if wanted is not None and item.kind != wanted:
      shards.refuse_other_kind(item.where, item.kind, wanted)
    kinds.setdefault(item.kind, item.where)
    survey.characters += item.characters
    if survey.items is not None:
      survey.items.append(item)
      survey.items = survey.items if survey.characters <= IN_MEMORY else None
    for spans in item.sides:
      for span in spans:
        digest.update(cutting.fingerprint(task.tokenizer, span))
      digest.update(b'.')
    if item.kind == 'pair':
      digest.update(f'{item.margin!r} {item.subset}'.encode())
    digest.update(b'\n' if item.whole else b'-')
  if len(kinds) > 1:
    named = ', '.join(f'{kind} at {where}' for kind, where in kinds.items())
    raise UserError(f'{task.source.name} mixes kinds ({named}): make a source of each')
  survey.report.finish()
  survey.kind, survey.content = next(iter(kinds)), digest.hexdigest()
  return survey


def encode(
  where: str, record: Record, form: dialogues.Format, tokenizer: Tokenizer
) -> tuple[list[cutting.Example], shards.Kind]:
  """One record as a corpus would hold it: two examples of a pair, else one."""
  item = _item(where, record, form, tokenizer)
  return cutting.encode_spans(tokenizer, item.sides), item.kind


def _item(where: str, record: Record, form: dialogues.Format, tokenizer: Tokenizer) -> Item:
  try:
    match record:
      case Document():
        return Item(where, 'example', [dialogues.spans(form, tokenizer, record)], False)
      case Conversation():
        return Item(where, 'example', [dialogues.spans(form, tokenizer, record)], True)
      case Prompt():
        return Item(where, 'prompt', [dialogues.dialogue(form, tokenizer, record.turns)], True)
      case Pair():
        answers = (Turn('assistant', text) for text in (record.chosen, record.rejected))
        sides = [Conversation((*record.prompt, answer)) for answer in answers]
        # Of a pair only the answers count in which it differs, not those before.
        spans = [cutting.last_answer(dialogues.spans(form, tokenizer, side)) for side in sides]
        return Item(where, 'pair', spans, True, float(record.margin or 0), record.subset)
  except UserError as error:
    raise UserError(f'{where}: {error}') from error


def _finish(home: epath.Path, sides: list[Side], report: Report, facts: dict[str, Any]) -> None:
  for side in sides:
    for reason, wheres in side['dropped'].items():
      for where in wheres:
        report.give_up(where, reason)
  if not report.kept:
    raise UserError(
      f'{report.name}: nothing is left ({report.why_dropped}): raise length '
      "(for prompts: prompt), or, of documents, set long='split'"
    )
  lengths = np.concatenate([np.array(side['lengths'], np.int32) for side in sides])
  manifest = facts | dict(
    records=report.kept,
    examples=len(lengths),
    tokens=int(lengths.sum(dtype=np.int64)),
    learned=sum(side['learned'] for side in sides),
    largest_id=max(side['largest'] for side in sides),
    bad=dict(report.bad),
    dropped=dict(report.dropped),
    noted=dict(report.noted),
    shards=[len(side['lengths']) for side in sides],
  )
  pairs = [pair for side in sides for pair in side['pairs']]
  subsets = sorted({subset for _, subset in pairs})
  manifest |= dict(subsets=subsets) if pairs else {}
  bad_rows = {reason: report.examples[reason] for reason in report.bad}
  manifest |= dict(bad_rows=bad_rows) if bad_rows else {}
  try:
    if pairs:
      rows = [(margin, subsets.index(subset)) for margin, subset in pairs]
      save_array(home / 'pairs.npy', np.array(rows, PAIR))
    save_array(home / 'lengths.npy', lengths)
    write_text(json.dumps(manifest, indent=2) + '\n', home / mirror.MANIFEST)
  except OSError as error:
    raise UserError(f'{home} cannot be written ({error}): make room, then run again') from error
  _tidy(home)
  print(report, file=sys.stderr)
  named = f'; its {mirror.MANIFEST} names every bad row' if bad_rows else ''
  counted = '{name}: {examples:,} examples, {tokens:,} tokens, {learned:,} of them learned'
  print(f'{counted.format_map(manifest)}, in {home}{named}', file=sys.stderr)


def _tidy(home: epath.Path) -> None:
  for side in home.glob('shard-*.arrayrecord.json'):
    side.unlink()
  for torn in home.glob('*.tmp'):  # of runs that were killed; another may be at work right now
    if torn.stat().mtime < time.time() - 3600:
      torn.unlink(missing_ok=True)
