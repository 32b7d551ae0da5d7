"""Sealing: what every config can do. It is checked and closed for good, compared, and put on disk.

A config is a keyword-only dataclass of numbers, names, tuples, callables and other configs. Numbers
that follow from others are properties, never fields.
"""

import dataclasses
import difflib
import enum
import json
import os
import sys
import types
import typing
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any, Literal, TypeVar

from jaxalign.config import UserError
from jaxalign.files import Place, write_text

_Config = TypeVar('_Config')

# Metadata of a field younger than runs on disk: config.json leaves it out at its default, so that
# they go on.
YOUNG = dict(young=True)

# Modules whose configs moved: where they are now, so that a run that began before goes on.
MOVED = {
  'jaxalign.study.texts': 'jaxalign.study.texts.real_text',
  'jaxalign.study.texts.texts': 'jaxalign.study.texts.real_text',
  'jaxalign.study.benches': 'jaxalign.evals.benches',
  'jaxalign.study.rules': 'jaxalign.study.plan.rules',
  'jaxalign.study.judge.rules': 'jaxalign.study.plan.rules',
}


def seal(cfg: _Config, name: str = 'config') -> _Config:
  """Checks names, types and each config's own `check()`; then no field can be assigned."""
  hints = field_types(cfg, bounds=True)
  for stray in vars(cfg).keys() - hints.keys() - {'_sealed'}:
    if not hasattr(type(cfg), stray):  # a cached property may stay
      raise UserError(f'{name}: {type(cfg).__name__} has no field {stray}{nearest(stray, hints)}')
  for field, kind in hints.items():
    value = getattr(cfg, field)
    if not fits(value, kind):
      raise UserError(f'{name}.{field}={shown(value)}: {wanted(value, kind)}')
    _seal_inside(value, f'{name}.{field}')
  if hasattr(cfg, 'check'):
    cfg.check()
  owner: Any = type(cfg)
  if not owner.__dataclass_params__.frozen:
    vars(cfg)['_sealed'] = True
    owner.__setattr__ = _set  # on the class, because Python looks dunder methods up there
    owner.__delattr__ = _delete
  return cfg


def _seal_inside(value: Any, name: str) -> None:
  if is_config(value):
    seal(value, name)
  elif isinstance(value, tuple):
    for n, item in enumerate(value):
      _seal_inside(item, f'{name}.{n}')
  elif isinstance(value, list | dict | set):
    raise UserError(f'{name} is a {type(value).__name__}, which can change: make it a tuple')


def _set(cfg: Any, field: str, value: Any) -> None:
  _refuse_if_sealed(cfg, field)
  object.__setattr__(cfg, field, value)


def _delete(cfg: Any, field: str) -> None:
  _refuse_if_sealed(cfg, field)
  object.__delattr__(cfg, field)


def _refuse_if_sealed(cfg: Any, field: str) -> None:
  if '_sealed' in vars(cfg):
    raise dataclasses.FrozenInstanceError(f'{type(cfg).__name__}.{field}: the config is sealed')


def is_config(value: object) -> bool:
  return dataclasses.is_dataclass(value) and not isinstance(value, type)


def field_types(cfg: Any, bounds: bool = False) -> dict[str, Any]:
  """Field name -> its annotation, resolved (it may be text); of a config or of its class. With
  `bounds`, numbers carry theirs."""
  hints = typing.get_type_hints(cfg if isinstance(cfg, type) else type(cfg), include_extras=bounds)
  return {field.name: hints[field.name] for field in dataclasses.fields(cfg)}


def nearest(name: str, known: Iterable[str]) -> str:
  """'; nearest: lr', or '' where nothing is near."""
  found = difflib.get_close_matches(name, list(known), n=1)
  return f'; nearest: {found[0]}' if found else ''


def choices(kind: Any) -> tuple[Any, ...]:
  """The alternatives of a union, of which most annotations have one."""
  union = typing.get_origin(kind) in (typing.Union, types.UnionType)
  return typing.get_args(kind) if union else (kind,)


def fits(value: Any, kind: Any) -> bool:
  """Exact where Python is lax: here True is no int, and neither nan nor inf a float."""
  origin, args = typing.get_origin(kind), typing.get_args(kind)
  if len(choices(kind)) > 1:
    return any(fits(value, one) for one in choices(kind))
  if origin is Annotated:
    return fits(value, args[0]) and all(limits.holds(value) for limits in args[1:])
  if origin is Literal:
    return any(value == one and type(value) is type(one) for one in args)
  if origin is tuple:
    if not isinstance(value, tuple):
      return False
    kinds = args[:1] * len(value) if args[-1:] == (Ellipsis,) else args
    return len(kinds) == len(value) and all(map(fits, value, kinds))
  if kind in (Any, object):
    return True
  if kind in (int, float):
    return _is_number(value, kind) and (kind is int or abs(value) <= sys.float_info.max)
  if Callable in (kind, origin):
    return callable(value)
  return isinstance(value, origin or kind)


def _is_number(value: Any, kind: type) -> bool:
  return isinstance(value, int if kind is int else int | float) and not isinstance(value, bool)


def wanted(value: object, kind: Any) -> str:
  """What a field takes, in words; of a number of the right type, only where it should lie."""
  ranged = [typing.get_args(one) for one in choices(kind) if typing.get_origin(one) is Annotated]
  near = [str(limits) for base, limits in ranged if _is_number(value, base)]
  return ' or '.join(near) if near else f'takes {takes(kind)}'


def _name(kind: Any) -> str:
  return str(getattr(kind, '__name__', kind))


def takes(kind: Any, named: Callable[[Any], str] = _name) -> str:
  """An annotation in words, for the error that names it; `named` calls a class by a name."""
  origin, args = typing.get_origin(kind), typing.get_args(kind)
  if len(choices(kind)) > 1:
    return ' or '.join(takes(one, named) for one in choices(kind))
  if origin is Annotated:
    return ' '.join([takes(args[0], named), *map(str, args[1:])])
  if origin is Literal or (isinstance(kind, type) and issubclass(kind, enum.Enum)):
    return 'one of ' + ', '.join(str(getattr(one, 'name', one)) for one in (args or kind))
  if origin is tuple:
    parts = ('...' if one is ... else takes(one, named) for one in args)
    return 'a tuple (' + ', '.join(parts) + ')'
  words = {int: 'an int', float: 'a float', str: 'text', bool: 'true or false', None: 'none'}
  kind = None if kind is types.NoneType else kind
  return words.get(kind) or named(kind)


def shown(value: object) -> str:
  """A value in a line: callables and classes by name, configs by their class."""
  if is_config(value):
    return type(value).__name__
  return str(getattr(value, '__qualname__', None) or repr(value))


def tree(value: Any) -> Any:
  """A config as what JSON holds; 'class' (no field can be called so) says which config it is."""
  if is_config(value):
    given = {field: getattr(value, field.name) for field in dataclasses.fields(value)}
    told = {f.name: tree(v) for f, v in given.items() if f.metadata != YOUNG or v != f.default}
    return {'class': tree(type(value)), **told}
  if isinstance(value, tuple):
    return [tree(item) for item in value]
  if isinstance(value, enum.Enum):
    return value.name
  if isinstance(value, os.PathLike):
    return os.fspath(value)
  if value is None or isinstance(value, bool | int | float | str):
    return value
  if hasattr(value, '__qualname__'):
    return f'{value.__module__}:{value.__qualname__}'
  raise UserError(f'a config cannot hold {value!r}: it has no name that config.json could keep')


def to_json(cfg: Any) -> str:
  return json.dumps(tree(cfg), indent=2) + '\n'


def write(cfg: Any, path: Place) -> None:
  write_text(to_json(cfg), path)


def diff(a: Any, b: Any) -> list[tuple[str, Any, Any]]:
  """[(dotted field, in a, in b), ...]; each side a config, or what json.loads gave of one."""
  a, b = (dict(_leaves(tree(side) if is_config(side) else side)) for side in (a, b))
  names = sorted(a.keys() | b.keys())
  pairs = ((name, a.get(name, '(absent)'), b.get(name, '(absent)')) for name in names)
  return [(name, old, new) for name, old, new in pairs if old != new]


def _leaves(node: Any, name: str = '') -> Iterator[tuple[str, Any]]:
  if isinstance(node, dict):
    for field, value in node.items():
      yield from _leaves(value, f'{name}.{field}' if name else field)
  elif isinstance(node, list) and any(isinstance(item, dict) for item in node):
    yield from _leaves(dict(enumerate(node)), name)
  else:
    yield name, _moved(node) if name.split('.')[-1] == 'class' else node


def _moved(name: object) -> str:
  """A class's name as it is today, MODULE:CLASS: runs keep the name of the day they began."""
  module, colon, rest = str(name).partition(':')
  return f'{MOVED.get(module, module)}{colon}{rest}'
