"""A spec: the values that a corpus is about, with the reasons for them, read from one TOML file.

  [[value]]
  id = 'benevolence'
  level = 'basic'
  statement = 'The welfare of those one deals with every day comes first.'
  also = ['..', '..']          # other wordings: only what is paraphrased is learned
  limits = ['..']              # what it gives way to
  conflicts = ['power']        # with values of this file
  schwartz = 'benevolence'     # the basic value it comes from
  source = 'who says so'
  licence = 'Apache-2.0'

  [[value.reason]]
  id = 'r1'
  text = '..'
  also = ['..']
  source = '..'                # where it is not the value's

  [[value.rule]]
  id = 'a1'
  text = '..'
  because = 'r1'               # a reason of this value
  finer = ['..']               # what the rule comes to, case by case

  [[value.preference]]
  prefer = '..'
  over = '..'
  domain = '..'

A fault is named by its line.
"""

import dataclasses
import hashlib
import re
import tomllib
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from etils import epath

from jaxalign import files
from jaxalign.config import UserError
from jaxalign.corpora import toml_lines
from jaxalign.corpora.records import LIMIT, STATEMENT
from jaxalign.sealing import nearest

_Level = Literal['instruction', 'preference', 'principle', 'basic']
_LEVELS = typing.get_args(_Level)  # from what is asked once to what all else follows from
SCHWARTZ = (  # in the order of his circle: the next are kin, those across are at odds
  'self-direction',
  'stimulation',
  'hedonism',
  'achievement',
  'power',
  'security',
  'conformity',
  'tradition',
  'benevolence',
  'universalism',
)
_ID = re.compile(r'[a-z][a-z0-9_-]{0,40}')
_MEND = 'mend the spec'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reason:
  """Why a value matters."""

  id: str  # also its mark in a text: <r1>..</r1>
  text: str
  also: tuple[str, ...] = ()
  source: str = ''  # '': the value's

  @property
  def wordings(self) -> tuple[str, ...]:
    return (self.text, *self.also)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rule:
  """What to do, for a value's sake."""

  id: str
  text: str
  because: str = ''  # the id of a reason of its value
  finer: tuple[str, ...] = ()  # what it comes to, case by case


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preference:
  """Which of two, where."""

  prefer: str
  over: str
  domain: str = ''


@dataclasses.dataclass(frozen=True, kw_only=True)
class Value:
  """A value, the reasons for it and what follows from it."""

  id: str
  level: _Level
  statement: str
  source: str
  licence: str
  also: tuple[str, ...] = ()
  limits: tuple[str, ...] = ()
  conflicts: tuple[str, ...] = ()
  schwartz: str = ''
  reasons: tuple[Reason, ...] = ()
  rules: tuple[Rule, ...] = ()
  preferences: tuple[Preference, ...] = ()

  @property
  def wordings(self) -> tuple[str, ...]:
    return (self.statement, *self.also)

  def reason(self, name: str) -> Reason:
    return next(one for one in self.reasons if one.id == name)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spec:
  """The values of a file."""

  name: str
  values: tuple[Value, ...]
  sha: str  # of the file

  def value(self, name: str) -> Value:
    return next(one for one in self.values if one.id == name)


_INSIDE = dict(reason=Reason, rule=Rule, preference=Preference)  # tables within a value
_FIELD = dict(reason='reasons', rule='rules', preference='preferences')


def shipped() -> list[str]:
  """Names of the specs inside this package."""
  return sorted(path.stem for path in _folder().glob('*.toml'))


def read(name_or_path: str) -> Spec:
  """A shipped spec by its name, or any by its path, which ends in .toml."""
  if name_or_path.endswith('.toml'):
    path = files.absolute(name_or_path)
  elif name_or_path in shipped():
    path = _folder() / f'{name_or_path}.toml'
  else:
    raise UserError(
      f'spec={name_or_path!r:.200}: a path that ends in .toml, or one that ships: '
      f'{", ".join(shipped())}{nearest(name_or_path, shipped())}'
    )
  data = files.content(path, 'name the file of a spec')
  return _of(data, path.stem, str(path))


def only(spec: Spec, names: Sequence[str]) -> Spec:
  """The spec with these of its values alone; () is all of them."""
  known = [value.id for value in spec.values]
  for name in names:
    if name not in known:
      raise UserError(f'{spec.name} has no value {name!r:.60}: {", ".join(known)}')
  kept = tuple(value for value in spec.values if value.id in names)
  return dataclasses.replace(spec, values=kept) if names else spec


def _folder() -> epath.Path:
  return epath.resource_path('jaxalign') / 'corpora/specs'


def _of(data: bytes, name: str, path: str) -> Spec:
  try:
    text = data.decode('utf-8-sig').replace('\r\n', '\n')
    given = tomllib.loads(text)
  except UnicodeDecodeError as error:
    line = data[: error.start].count(b'\n') + 1
    raise UserError(f'{path}, line {line}: no UTF-8: save it as UTF-8') from error
  except tomllib.TOMLDecodeError as error:
    raise UserError(f'{path} is no TOML: {error}: {_MEND}') from error
  except RecursionError as error:
    raise UserError(f'{path} is no TOML that a spec needs: it nests too deeply') from error
  reader = _Reader(path, toml_lines.Lines(text))
  values = reader.values(given)
  return Spec(name=name, values=values, sha=hashlib.sha256(data).hexdigest())


class _Reader:
  """Tables to records; each fault by the line where it stands."""

  def __init__(self, path: str, lines: toml_lines.Lines) -> None:
    self._path, self._lines = path, lines

  def values(self, given: Mapping[str, Any]) -> tuple[Value, ...]:
    self._refuse_unknown((), given, ['value'])
    tables = self._tables((), given, 'value')
    if not tables:
      raise UserError(f'{self._path} has no [[value]]: a spec is a list of them')
    found = tuple(self._value(('value', n), table) for n, table in enumerate(tables))
    self._refuse_twice('value', [(('value', n), one.id) for n, one in enumerate(found)])
    known = [value.id for value in found]
    for n, value in enumerate(found):
      for other in value.conflicts:
        if other not in known or other == value.id:
          what = 'itself' if other == value.id else f'{other!r}, which is no value of this file'
          hint = nearest(other, known) if other not in known else ''
          self._refuse(('value', n), 'conflicts', f'{value.id} conflicts with {what}{hint}')
    return found

  def _value(self, place: toml_lines.Table, table: Mapping[str, Any]) -> Value:
    inside: dict[str, Any] = {}
    for kind, cls in _INSIDE.items():
      tables = self._tables(place, table, kind)
      own = [((*place, kind, n), one) for n, one in enumerate(tables)]
      records = [self._record(cls, at, one, ()) for at, one in own]
      if cls is not Preference:
        self._refuse_twice(kind, [(at, one.id) for (at, _), one in zip(own, records)])
      inside[_FIELD[kind]] = tuple(records)
    plain = {name: thing for name, thing in table.items() if name not in _INSIDE}
    value = self._record(Value, place, plain, tuple(_FIELD.values()), tuple(_INSIDE))
    value = dataclasses.replace(value, **inside)
    self._check(place, value)
    return value

  def _check(self, place: toml_lines.Table, value: Value) -> None:
    """What the parts of one value say of one another."""
    if value.level not in _LEVELS:
      self._refuse(place, 'level', f'level {value.level!r}: one of {", ".join(_LEVELS)}')
    if value.schwartz and value.schwartz not in SCHWARTZ:
      hint = nearest(value.schwartz, SCHWARTZ)
      self._refuse(place, 'schwartz', f'schwartz {value.schwartz!r} is none of his ten{hint}')
    known = [reason.id for reason in value.reasons]
    for n, reason in enumerate(value.reasons):
      if reason.id in (STATEMENT, LIMIT):
        self._refuse((*place, 'reason', n), 'id', f'a reason cannot be called {reason.id}')
    for n, rule in enumerate(value.rules):
      if rule.because and rule.because not in known:
        hint = nearest(rule.because, known)
        what = f'because {rule.because!r}, which is no reason of {value.id}{hint}'
        self._refuse((*place, 'rule', n), 'because', what)
    said: dict[str, toml_lines.Table] = {}
    for n, reason in enumerate(value.reasons):
      for text in reason.wordings:
        if text in said:
          self._refuse((*place, 'reason', n), 'text', f'{text[:60]!r} is said twice')
        said[text] = place

  def _record(
    self,
    cls: Any,
    place: toml_lines.Table,
    table: Mapping[str, Any],
    later: Sequence[str],
    also: Sequence[str] = (),
  ) -> Any:
    """A dataclass of a table; `later` are fields that come from tables within, called `also`."""
    fields = {one.name: one for one in dataclasses.fields(cls) if one.name not in later}
    self._refuse_unknown(place, table, [*fields, *also])
    hints = typing.get_type_hints(cls)
    given = {}
    for name, one in fields.items():
      if name in table:
        listed = typing.get_origin(hints[name]) is tuple
        given[name] = self._entries(place, name, table[name], listed)
      elif one.default is dataclasses.MISSING:
        self._refuse(place, '', f'a {place[-2]} without {name}')
    if 'id' in given and not _ID.fullmatch(given['id']):
      self._refuse(place, 'id', f'id {given["id"]!r:.60}: small letters, digits, - and _')
    return cls(**given)

  def _entries(self, place: toml_lines.Table, name: str, thing: Any, listed: bool) -> Any:
    if listed != isinstance(thing, list):
      self._refuse(place, name, f'{name} takes {"a list of texts" if listed else "a text"}')
    for text in thing if listed else [thing]:
      if not isinstance(text, str):
        self._refuse(place, name, f'{name} takes texts, and {text!r:.60} is none')
      if not text.strip():
        self._refuse(place, name, f'{name} is empty')
      if re.search(r'[<>\x00-\x08\x0b-\x1f\x7f]', text):
        self._refuse(place, name, f'{name} holds <, > or a control character: marks are ours')
    return tuple(' '.join(text.split()) for text in thing) if listed else ' '.join(thing.split())

  def _tables(self, place: toml_lines.Table, given: Mapping[str, Any], kind: str) -> list[Any]:
    found = given.get(kind, [])
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
      path = '.'.join([str(part) for part in place if isinstance(part, str)] + [kind])
      self._refuse(place, kind, f'{kind} is a list of tables: [[{path}]]')
    return found

  def _refuse_unknown(
    self, place: toml_lines.Table, table: Mapping[str, Any], known: Sequence[str]
  ) -> None:
    for name in table:
      if name not in known:
        self._refuse(place, name, f'unknown key {name!r:.60}{nearest(name, known)}')

  def _refuse_twice(self, kind: str, ids: Sequence[tuple[toml_lines.Table, str]]) -> None:
    seen: set[str] = set()
    for place, name in ids:
      if name in seen:
        self._refuse(place, 'id', f'two {kind}s are called {name}')
      seen.add(name)

  def _refuse(self, place: toml_lines.Table, key: str, what: str) -> typing.NoReturn:
    raise UserError(f'{self._path}, line {self._lines.of(place, key)}: {what}: {_MEND}')
