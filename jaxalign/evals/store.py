"""The store of an evaluation: what was asked, said and judged, one JSON line each.

An answer is known by a hash of all that decides it. What is there is never asked again; what is
missing is appended as it comes, a torn last line is asked again, and at the end a file is written
anew in the order of its plan: a run that was killed leaves the bytes of one that was not.
"""

import dataclasses
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any, Generic, Protocol, TypeVar

from etils import epath

from jaxalign import pod
from jaxalign.config import UserError
from jaxalign.evals.evaluated import About, AskedSuite
from jaxalign.evals.item import Item, Row, Said, Verdict, as_json, of_json
from jaxalign.files import content, read_object, write_text

ASKED = 'asked.json'  # whose answers these are: written before the first of them
EVALUATED = 'evaluated.json'  # About: written last
_NAME = re.compile(r'\w[\w.-]{0,80}')
_BUCKET = 60.0  # seconds after which a bucket, to which nothing is appended, gets the file anew
_ANOTHER = 'take another --workdir'


class _Keyed(Protocol):
  @property
  def key(self) -> str: ...


_Record = TypeVar('_Record')
_Line = TypeVar('_Line', bound=_Keyed)


def key_of(fingerprint: str, suite: AskedSuite, item: str, draw: int) -> str:
  """sha256 of all that decides an answer; batch, mesh and versions are told beside, and no part."""
  decode = {name: value for name, value in suite.decode.items() if name != 'draws'}
  decides = dict(
    model=fingerprint,
    suite=[suite.name, suite.version, suite.source],
    item=item,
    template=suite.template,
    decode=decode,
    draw=draw,
  )
  return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()


def answers_at(workdir: epath.Path, suite: str) -> epath.Path:
  return workdir / 'answers' / f'{_plain(suite)}.jsonl'


def verdicts_at(workdir: epath.Path, suite: str, judge: str) -> epath.Path:
  return workdir / 'verdicts' / f'{_plain(suite)}.{_plain(judge)}.jsonl'


def items_at(workdir: epath.Path, suite: str) -> epath.Path:
  return workdir / 'items' / f'{_plain(suite)}.jsonl'


def rows_at(workdir: epath.Path) -> epath.Path:
  return workdir / 'measures.jsonl'


def _plain(name: str) -> str:
  """A name that is a file's, too."""
  if not _NAME.fullmatch(name):
    raise UserError(f'{name!r} names no suite or judge: letters, digits, _, . and -, at most 80')
  return name


class Lines(Generic[_Line]):
  """The records of one file that a plan wants, each known by its key; the others stay behind them.

  Every process of a pod has all of them, and the first writes.
  """

  def __init__(
    self,
    path: epath.Path,
    cls: type[_Line],
    plan: Sequence[Any],
    key: Callable[[_Line], Any] = lambda line: line.key,
  ):
    self._path, self._plan, self._key = path, list(plan), key
    self._file: IO[bytes] | None = None
    self._written = time.monotonic()
    there = content(path) if pod.writes() and path.exists() else b''
    self._found: dict[Any, _Line] = {}
    self._torn = False
    for n, line in enumerate(pod.told(there).split(b'\n'), 1):
      if line and (record := _read(cls, line, f'{path}, line {n}')) is not None:
        self._found[key(record)] = record
      elif line:
        self._torn = True
    self._torn |= not there.endswith(b'\n') and there != b''

  def get(self, key: Any) -> _Line | None:
    return self._found.get(key)

  @property
  def missing(self) -> list[int]:
    """Places of the plan that have no record."""
    return [n for n, key in enumerate(self._plan) if key not in self._found]

  @property
  def records(self) -> list[_Line]:
    """The records of the plan, in its order, as far as they are there."""
    return [self._found[key] for key in self._plan if key in self._found]

  def forget(self, again: Callable[[_Line], bool]) -> None:
    """Takes some records of the plan for missing; in the file they stay until others come."""
    for key in self._plan:
      if key in self._found and again(self._found[key]):
        del self._found[key]

  def add(self, record: _Line) -> None:
    """Keeps one more, at once."""
    if (key := self._key(record)) in self._found:
      return  # never twice
    self._found[key] = record
    if not pod.writes():
      return
    if '://' in os.fspath(self._path):
      if time.monotonic() - self._written > _BUCKET:
        self._write()
        self._written = time.monotonic()
      return
    if self._file is None:
      self._mend()
      self._path.parent.mkdir(parents=True, exist_ok=True)
      self._file = open(os.fspath(self._path), 'ab', buffering=0)
    self._append(self._file, _line(record))

  def finish(self) -> None:
    """Writes the file whole, in the order of the plan."""
    self.close()
    if pod.writes():
      self._write()

  def close(self) -> None:
    if self._file is not None:
      self._file.close()
      self._file = None

  def _append(self, file, line):
    try:
      while line:  # a write to a full disk may take half
        line = line[file.write(line) :]
    except OSError as error:
      error.filename = error.filename or os.fspath(self._path)
      raise

  def _mend(self):
    if self._torn:
      self._write()  # without what was torn: nothing is appended to half a line
      self._torn = False

  def _write(self):
    wanted = dict.fromkeys(self._plan)
    first = [self._found[key] for key in wanted if key in self._found]
    others = [record for key, record in self._found.items() if key not in wanted]
    _write_lines([*first, *others], self._path)


def _write_lines(records: Sequence[Any], path: epath.Path) -> None:
  """A file of these records, written only if that changes it."""
  _write_text(b''.join(map(_line, records)).decode(), path)


def _line(record: Any) -> bytes:
  try:
    text = json.dumps(as_json(record), ensure_ascii=False, allow_nan=False)
  except ValueError as error:
    raise UserError(f'{record!r:.200} holds a number that is not finite: {error}') from error
  return (text + '\n').encode()


def _read(cls: type[_Record], line: bytes, where: str) -> _Record | None:
  """A record; None of a line that a kill or a power cut tore."""
  try:
    given = json.loads(line)
  except (ValueError, RecursionError):
    return None
  try:
    return of_json(cls, given)
  except (TypeError, ValueError, AttributeError) as error:
    raise UserError(
      f'{where} is no {cls.__name__} of this version ({error}): {_ANOTHER}'
    ) from error


def answers(
  workdir: epath.Path, fingerprint: str, suite: AskedSuite, items: Sequence[Item]
) -> Lines[Said]:
  """The answers to a suite: of each item one a draw, in order."""
  draws = int(str(suite.decode.get('draws', 1)))
  keys = [key_of(fingerprint, suite, item.id, draw) for item in items for draw in range(draws)]
  return Lines(answers_at(workdir, suite.name), Said, keys)


def verdicts(
  workdir: epath.Path, suite: str, judge: str, fingerprint: str, keys: Sequence[str]
) -> Lines[Verdict]:
  """What a judge made of the answers with these keys."""
  plan = [(key, fingerprint) for key in keys]
  return Lines(
    verdicts_at(workdir, suite, judge), Verdict, plan, lambda line: (line.key, line.judge)
  )


def refuse_same_items(suite: str, items: Sequence[Item]) -> None:
  """A suite asks something, and nothing twice."""
  if not items:
    raise UserError(f'{suite} has no items: look at its path, and at what it leaves out')
  ids = [item.id for item in items]
  if len(set(ids)) < len(ids):
    again = next(item for n, item in enumerate(items) if item.id in set(ids[:n]))
    raise UserError(f'{suite} asks the same item twice: {again.question[:80]!r}; drop one of them')


# ---- whose answers these are


def claim(workdir: epath.Path, about: About) -> None:
  """The store is this model's, and each of its suites is asked as it was before; or it is refused,
  so that no answer is taken for another's."""
  path = workdir / ASKED
  before = read_object(path, 'fingerprint', 'suites') if path.exists() else None
  _refuse_other(workdir, before, about)
  named = {suite.name for suite in about.suites}
  others = [one for one in before['suites'] if one['name'] not in named] if before else []
  said = dataclasses.asdict(about)
  if pod.writes():
    _write_json(said | dict(suites=[*said['suites'], *others]), path)


def _refuse_other(workdir: epath.Path, before: Mapping[str, Any] | None, about: About) -> None:
  """before: what asked.json says, None of a new store."""
  if before is None:
    return
  if before['fingerprint'] != about.fingerprint:
    theirs, ours = str(before['fingerprint'])[:12], about.fingerprint[:12]
    raise UserError(
      f'{workdir} holds answers of another model, {before.get("model")} (fingerprint {theirs} '
      f'there, {ours} here): {_ANOTHER}'
    )
  known = {one['name']: one for one in before['suites']}
  for suite in about.suites:
    if suite.name in known:
      _refuse_other_suite(workdir, known[suite.name], suite)


def _refuse_other_suite(workdir, before, suite):
  now = json.loads(json.dumps(dataclasses.asdict(suite)))
  pairs = [(name, before.get(name), now[name]) for name in ('version', 'source', 'template')]
  decode = before.get('decode', {})
  pairs += [(f'decode.{k}', decode.get(k), v) for k, v in now['decode'].items() if k != 'draws']
  changed = [f'{name} {_short(a)} there, {_short(b)} here' for name, a, b in pairs if a != b]
  if changed:
    raise UserError(
      f'{workdir} holds other answers to {suite.name} ({"; ".join(changed)}): {_ANOTHER}'
    )


def _short(value):
  return value[:12] if isinstance(value, str) and value else json.dumps(value)


def write_about(about: About, workdir: epath.Path) -> None:
  """Says that an evaluation is done, and what it was."""
  _write_json(dataclasses.asdict(about), workdir / EVALUATED)


def _write_json(record: Mapping[str, Any], path: epath.Path) -> None:
  _write_text(json.dumps(record, indent=2, ensure_ascii=False) + '\n', path)


def _write_text(text: str, path: epath.Path) -> None:
  if not path.exists() or content(path) != text.encode():
    write_text(text, path)


def write_items(workdir: epath.Path, suite: str, items: Sequence[Item]) -> None:
  """The items of a suite, so that judging and comparing need its data no more."""
  _write_lines(items, items_at(workdir, suite))


def write_rows(workdir: epath.Path, rows: Sequence[Row]) -> None:
  _write_lines(rows, rows_at(workdir))
