"""results.json: its only writer and its only reader."""

import dataclasses
import json
import os
import types
import typing
from collections.abc import Mapping
from typing import Any

from jaxalign import files, sealing
from jaxalign.config import UserError
from jaxalign.statistics import Interval
from jaxalign.study.judge.results import Contrast, Fit, Results
from jaxalign.study.plan.rules import Rules


def write(results: Results, path: os.PathLike) -> None:
  files.write_text(json.dumps(as_json(results), indent=1, allow_nan=False) + '\n', path)


def read(path: os.PathLike, section: type | None = None) -> Results:
  """The Results of a finished study. section: the class of its guest's own part."""
  found = files.read_object(path, 'verdict', 'contrasts', remedy='run its study again')
  try:
    results = made(Results, found)
    return dataclasses.replace(results, probes=made(section or Any, results.probes))
  except (AttributeError, KeyError, TypeError, ValueError) as error:
    raise UserError(
      f'{path} is no results.json of this release ({error}): run its study again'
    ) from error


def as_json(value: Any) -> Any:
  """What JSON holds of these objects: fields in their order, keys of mappings as text."""
  if isinstance(value, Rules):
    return sealing.tree(value)
  if isinstance(value, Interval):
    return value._asdict()
  if dataclasses.is_dataclass(value):
    return _in_file(value, _fields(value))
  if isinstance(value, Mapping):
    return {str(key): as_json(one) for key, one in value.items()}
  return [as_json(one) for one in value] if isinstance(value, tuple | list) else value


def _fields(value):
  found = {}
  for field in dataclasses.fields(value):
    one = as_json(getattr(value, field.name))
    if field.metadata == sealing.YOUNG and not one:
      continue
    found |= one if field.metadata.get('flat') else {field.name: one}
  return found


def _in_file(value, fields):
  """The fields of an object, but of two classes that the file shows otherwise."""
  if isinstance(value, Fit) and value.a is None:
    return dict(why=value.why)
  if not isinstance(value, Contrast):
    return fields
  primary = as_json(value.primary)
  names = ['name', 'what', 'scale', *primary, 'p_holm', 'holds', 'agree', 'seeds', 'scales']
  if value.group:
    names = ['group', *(name for name in names if name not in ('p_holm', 'holds')), 'mass']
  names += ['factors'] * ('factors' in fields)
  every = fields | primary
  return {name: every[name] for name in names}


def made(kind: Any, value: Any) -> Any:
  """An object of this type from what `as_json` gave of it; what it has no field for is left out."""
  origin, args = typing.get_origin(kind), typing.get_args(kind)
  if origin in (typing.Union, types.UnionType):
    if value is None:
      return None
    return made(next(one for one in args if one is not types.NoneType), value)
  if origin is typing.Annotated:
    return made(args[0], value)
  if origin is tuple and args[-1] is ...:
    return tuple(made(args[0], one) for one in value)
  if origin is tuple:
    return tuple(map(made, args, value))
  if origin is Mapping:
    return {args[0](key): made(args[1], one) for key, one in value.items()}
  if dataclasses.is_dataclass(kind):
    return _object(kind, value)
  if hasattr(kind, '_fields'):  # a named tuple
    return kind(**value) if isinstance(value, dict) else kind(*value)
  return value


def _object(kind, value):
  types_of = typing.get_type_hints(kind, include_extras=True)
  fields = {name: made(types_of[name], value[name]) for name in types_of if name in value}
  for field in dataclasses.fields(kind):
    if field.metadata.get('flat'):
      fields[field.name] = made(
        types_of[field.name], {name: x for name, x in value.items() if name not in types_of}
      )
  return kind(**fields)
