"""One row of a table or of a JSON file -> one record."""

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any, Literal

from jaxalign.data import turns
from jaxalign.data.records import Document, Pair, Record, Turn
from jaxalign.data.report import Counts, Fault, MissingColumn

Kind = Literal['document', 'conversation', 'pair', 'prompt']


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Columns:
  """Where a row keeps what; each kind of record looks only at its own."""

  text: str = 'text'  # of a document
  meta: tuple[str, ...] = ()  # of a document: kept beside its text
  messages: str = 'messages'  # of a conversation: a list of objects, which have
  role: str = 'role'
  content: str = 'content'
  prompt: str | None = 'prompt'  # text or messages; none: chosen and rejected are whole dialogues
  answer: str | None = None  # of a conversation that has no messages, but a prompt and this
  chosen: str = 'chosen'
  rejected: str = 'rejected'
  margin: str | None = None  # of a pair
  subset: str | None = None  # of a pair


def parse(line: bytes) -> Any:
  """A line of a JSON Lines file."""
  try:
    return json.loads(line.decode('utf-8'))
  except UnicodeDecodeError as error:
    raise Fault('invalid UTF-8') from error
  except (ValueError, RecursionError) as error:  # json can nest deeper than Python's stack
    raise Fault('invalid JSON') from error


def to_record(row: Any, noted: Counts, *, kind: Kind, columns: Columns) -> Record:
  if not isinstance(row, Mapping):
    raise Fault('not a JSON object')
  match kind:
    case 'document':
      meta = tuple((name, _shown(_cell(row, name))) for name in columns.meta)
      return Document(turns.as_text(_cell(row, columns.text), columns.text), meta)
    case 'conversation':
      return turns.conversation(_dialogue(row, columns), noted)
    case 'prompt':
      return turns.prompt(_opening(row, columns), noted)
    case 'pair':
      return _pair(row, noted, columns)


def _cell(row: Mapping, name: str, hint: str = '') -> Any:
  if name not in row:
    raise MissingColumn(name, row, hint)
  return row[name]


def _shown(value: Any) -> str:
  return value.decode('utf-8', errors='replace') if isinstance(value, bytes) else str(value)


def _dialogue(row: Mapping, columns: Columns) -> list[Turn]:
  if columns.answer is None:
    return _messages(row, columns.messages, columns)
  answer = turns.as_text(_cell(row, columns.answer), columns.answer)
  return [*_opening(row, columns), Turn('assistant', answer)]


def _opening(row: Mapping, columns: Columns) -> list[Turn]:
  name = columns.prompt or columns.messages
  value = _cell(row, name, '; name the one with the prompt in columns.prompt (none: as messages)')
  if isinstance(value, str | bytes):
    return [Turn('user', turns.as_text(value, name))]
  return _messages(row, name, columns)


def _messages(row: Mapping, name: str, columns: Columns) -> list[Turn]:
  return turns.from_messages(_cell(row, name), columns.role, columns.content, name)


def _pair(row: Mapping, noted: Counts, columns: Columns) -> Pair:
  chosen = _whole(row, columns.chosen, columns)
  rejected = _whole(row, columns.rejected, columns)
  subset = _shown(_cell(row, columns.subset)) if columns.subset else ''
  return turns.pair(chosen, rejected, noted, _margin(row, columns), subset)


def _whole(row: Mapping, name: str, columns: Columns) -> list[Turn]:
  """The dialogue that ends in one of a pair's two answers."""
  if columns.prompt is not None:
    hint = f'; where {columns.chosen} holds the whole dialogue, set columns.prompt=none'
    _cell(row, columns.prompt, hint)
    return [*_opening(row, columns), _last(row, name, columns)]
  value = _cell(row, name)
  if isinstance(value, str | bytes):
    return turns.from_transcript(value, name)
  return _messages(row, name, columns)


def _last(row: Mapping, name: str, columns: Columns) -> Turn:
  value = _cell(row, name)
  if isinstance(value, str | bytes):
    return Turn('assistant', turns.as_text(value, name))
  said = _messages(row, name, columns)
  if len(said) != 1:
    raise Fault(f'{name} is a whole dialogue: set columns.prompt=none')
  return said[0]


def _margin(row: Mapping, columns: Columns) -> float | None:
  if columns.margin is None:
    return None
  value = _cell(row, columns.margin)
  if value is None:
    return None
  try:
    number = float(value)
  except (TypeError, ValueError) as error:
    raise Fault(f'{columns.margin} is not a number') from error
  if isinstance(value, bool | str) or not math.isfinite(number):
    raise Fault(f'{columns.margin} is not a number')
  return number
