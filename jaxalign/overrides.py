"""`--config.optim.lr=3e-6`: text into a field of a config, read as its annotation says.

ml_collections.config_flags was tried for this. It reads nested numbers well, but it crashes on
Literal, cannot set None, lets any text into a tuple, and answers an unknown field with a traceback.
"""

import dataclasses
import enum
import re
import types
import typing
from collections.abc import Iterator, Sequence
from typing import Any

from jaxalign import sealing
from jaxalign.config import UserError

_ASSIGNMENT = re.compile(r'--?config\.([\w.]+)(?:=(.*))?', re.DOTALL)
_WORDS = {'true': True, '1': True, 'yes': True, 'false': False, '0': False, 'no': False}
_UNREADABLE = object()
_OPENING, _CLOSING = ('(', '['), (')', ']')


def of_arguments(argv: Sequence[str]) -> tuple[list[str], list[tuple[str, str]]]:
  """The flags absl reads, and the (dotted field, text) pairs that go into the config."""
  matches = [(arg, _ASSIGNMENT.fullmatch(arg)) for arg in argv]
  for arg, match in matches:
    if match and match[2] is None:
      raise UserError(f'{arg}: a field is set as {arg}=VALUE')
  plain = [arg for arg, match in matches if not match]
  return plain, [(match[1], match[2]) for _, match in matches if match]


def override(cfg: Any, name: str, text: str) -> None:
  """Sets the field with the dotted name; the annotation says how the text is read."""
  if cfg is None:
    raise UserError(f'--config.{name} sets a field of a config: name one, --config=FILE.py')
  holders, above = [cfg], 'config'
  *parents, field = name.split('.')
  for part in parents:
    holders.append(child(holders[-1], part, above, name))
    above = f'{above}.{part}'
  kind = _field_kind(holders[-1], field, above, name)
  value = read(text, kind)
  if value is _UNREADABLE:
    raise UserError(f'--config.{name}={text}: takes {sealing.takes(kind)}')
  _put(holders, [*parents, field], value, name)


def _put(holders, parts, value, name):
  """Sets the last part on the last holder. What is frozen (a chat format, which many configs share)
  is left as it is: its holder gets another one that differs in this."""
  *above, holder = holders
  *before, part = parts
  if isinstance(holder, tuple):
    changed = (*holder[: int(part)], value, *holder[int(part) + 1 :])
  elif type(holder).__dataclass_params__.frozen:
    changed = dataclasses.replace(holder, **{part: value})
  else:
    setattr(holder, part, value)
    return
  if not above:
    raise UserError(f'--config.{name}: {type(holder).__name__} is frozen: set it in the file')
  _put(above, before, changed, name)


def child(holder: Any, part: str, above: str, name: str) -> Any:
  if isinstance(holder, tuple) and part.isdecimal() and int(part) < len(holder):
    return holder[int(part)]
  _field_kind(holder, part, above, name)
  return getattr(holder, part)


def _field_kind(holder, field, above, name):
  """The annotation of a field, or the one line that says why there is no such field."""
  if isinstance(holder, tuple):
    last = f'{above}.{len(holder) - 1}'
    raise UserError(f'--config.{name}: the last entry is {last}; set a field of an entry')
  if not sealing.is_config(holder):
    raise UserError(f'--config.{name}: {above} is {sealing.shown(holder)}, which has no fields')
  kinds = sealing.field_types(holder, bounds=True)
  if field not in kinds:
    if isinstance(getattr(type(holder), field, None), property):
      raise UserError(f'--config.{name}: {field} follows from other fields and is not set itself')
    near = deeper(holder, field) or sealing.nearest(field, kinds)
    near = near or f'; fields: {", ".join(kinds)}'
    raise UserError(f'--config.{name}: {type(holder).__name__} has no field {field}{near}')
  return kinds[field]


def described(cfg: Any, name: str = '--config') -> Iterator[str]:
  """One line per field: its flag, its value, what it takes."""
  for field, kind in sealing.field_types(cfg, bounds=True).items():
    value = getattr(cfg, field)
    flag = f'{name}.{field}'
    yield f'  {flag}={sealing.shown(value)}  ({sealing.takes(kind)})'
    entries = enumerate(value) if isinstance(value, tuple) else ()
    for part, of_part in ((flag, value), *((f'{flag}.{n}', entry) for n, entry in entries)):
      if sealing.is_config(of_part):
        yield from described(of_part, part)


def deeper(holder: Any, field: str) -> str:
  """'; nearest: optim.lr' where a part of this config has the field."""
  for part in sealing.field_types(holder):
    inside = getattr(holder, part)
    if sealing.is_config(inside) and field in sealing.field_types(inside):
      return f'; nearest: {part}.{field}'
  return ''


def read(text: str, kind: Any) -> Any:
  """The text as annotated; of several kinds, the first that can be read: none before any other,
  and text before a tuple unless it has a comma or brackets."""
  plain = ',' not in text and text[:1] not in ('(', '[')

  def rank(one: Any) -> int:
    return 0 if one is types.NoneType else 1 + (plain and typing.get_origin(one) is tuple)

  for one in sorted(map(_unbounded, sealing.choices(kind)), key=rank):
    value = _read_one(text, one)
    if value is not _UNREADABLE and sealing.fits(value, one):
      return value
  return _UNREADABLE


def _unbounded(kind):
  """A number's annotation without its range, which is for the sealed config to keep."""
  return typing.get_args(kind)[0] if typing.get_origin(kind) is typing.Annotated else kind


def _read_one(text, kind):
  if kind is types.NoneType:
    return None if text.lower() == 'none' else _UNREADABLE
  if kind is bool:
    return _WORDS.get(text.lower(), _UNREADABLE)
  if kind in (int, float):
    try:
      return kind(text)
    except ValueError:
      return _UNREADABLE
  if typing.get_origin(kind) is typing.Literal:
    return next((one for one in typing.get_args(kind) if str(one) == text), _UNREADABLE)
  if typing.get_origin(kind) is tuple:
    return _read_tuple(text, typing.get_args(kind))
  if isinstance(kind, type) and issubclass(kind, enum.Enum):
    return kind.__members__.get(text, _UNREADABLE)
  return text if kind is str else _UNREADABLE


def _read_tuple(text, kinds):
  text = text.strip()
  if text[:1] in _OPENING and _end_of(text, 0) == len(text):
    text = text[1:-1]
  items = [item if item[:1] in _OPENING else item.strip('\'"') for item in split(text)]
  items = items[:-1] if items[-1] == '' else items  # '(1,)' and '()'
  if kinds[-1:] == (Ellipsis,):
    kinds = kinds[:1] * len(items)
  if len(kinds) != len(items):
    return _UNREADABLE
  values = tuple(map(read, items, kinds))
  return _UNREADABLE if _UNREADABLE in values else values


def split(text: str) -> list[str]:
  """The items between commas; an item that begins with a bracket or a quote goes on to its end."""
  items, start, at = [], 0, 0
  while at < len(text):
    if text[at] == ',':
      items.append(text[start:at].strip())
      start = at + 1
    elif not text[start:at].strip() and text[at] in (*_OPENING, '"', "'"):
      at = max(at, _end_of(text, at) - 1)
    at += 1
  return [*items, text[start:].strip()]


def _end_of(text, at):
  """Behind the bracket or quote that closes the one at `at`; `at` where none does."""
  if text[at] not in _OPENING:
    return text.find(text[at], at + 1) + 1 or at
  depth = 0
  for n in range(at, len(text)):
    depth += (text[n] in _OPENING) - (text[n] in _CLOSING)
    if depth == 0:
      return n + 1
  return at
