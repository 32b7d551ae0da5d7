"""Rows: what was measured, one item, arm and seed each, as objects and as lines of a JSONL file.

A Row is an Outcome and where it belongs. `line` and `read` are the only writer and reader of
outcomes; what they read is checked, so that nobody after them has to.
"""

import dataclasses
import hashlib
import json
import math
import typing
from collections.abc import Iterable, Mapping

from etils import epath

from jaxalign import files
from jaxalign.config import UserError
from jaxalign.evals.outcome import Outcome
from jaxalign.sealing import choices, fits, takes

_FIRST = 'seed', 'after', 'arm', 'kl'  # of a line, before the outcome itself
_SIMPLE = int, float, bool, type(None)
_OR_NULL = 'loss', 'mass'  # every line says them; of the rest, what is None is left out


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row(Outcome):
  """An outcome of one arm and seed."""

  seed: int
  arm: str
  after: str = 'sft'  # the last stage before it was asked: sft or ppo
  kl: float | None = None  # nats a sequence that PPO went by then


_NAMES = tuple(dict.fromkeys([*_FIRST, *(field.name for field in dataclasses.fields(Row))]))
_TYPES = typing.get_type_hints(Row)
_NEEDED = [one.name for one in dataclasses.fields(Row) if one.default is dataclasses.MISSING]
_PLAIN = {name: {kind for kind in choices(_TYPES[name]) if kind in _SIMPLE} for name in _NAMES}
_UNITS = typing.get_args(_TYPES['unit'])


def of(outcome: Outcome, **where: typing.Any) -> Row:
  """A Row of an outcome; where: seed, arm and, after PPO, after and kl."""
  return Row(**vars(outcome), **where)


def line(row: Row) -> str:
  """A line of outcomes.jsonl, its end included."""
  numbers = {name: getattr(row, name) for name in _NAMES}
  shown = {k: v for k, v in numbers.items() if v is not None or k in _OR_NULL}
  return json.dumps(shown, allow_nan=False) + '\n'


def read(path: epath.Path) -> list[Row]:
  """The rows of a JSONL file, every one checked."""
  again = 'remove that file and run its study again; give a finished run'
  found = [_row(path, n, raw) for n, raw in files.rows(path, again)]
  if not found:
    raise UserError(f'{path} is empty: run its arms first')
  return found


def _row(path, n, raw):
  if not isinstance(raw, dict):
    raise UserError(f'{path}, line {n}: {str(raw)[:80]!r} is no row')
  if 'unit' not in raw:
    raw['unit'] = _unit_of_old(raw.get('tokens'))
  given = {name: raw[name] for name in _NAMES if name in raw}
  if isinstance(given.get('tokens'), list):
    given['tokens'] = tuple(given['tokens'])
  for name, value in given.items():
    if not _surely_fits(name, value):
      _refuse_misfit(path, n, name, value, raw[name])
  missing = [name for name in _NEEDED if name not in raw]
  if missing:
    raise UserError(f'{path}, line {n}: a row without {", ".join(missing)}')
  return Row(**given)


def _surely_fits(name, value):
  """Whether a value needs no closer look: hardly any does, and a closer look takes long."""
  kind = type(value)
  if kind is str:
    return value.isascii() and (_TYPES[name] is str or name == 'unit' and value in _UNITS)
  return kind in _PLAIN[name] and (kind is not float or math.isfinite(value))


def _refuse_misfit(path, n, name, value, raw):
  if not fits(value, _TYPES[name]) and not _is_nan(value, name):
    shown = str(raw)[:80]
    raise UserError(f'{path}, line {n}: {name}={shown!r}: it takes {takes(_TYPES[name])}')
  if isinstance(value, str) and any('\ud800' <= c <= '\udfff' for c in value):
    raise UserError(f'{path}, line {n}: {name} holds half a surrogate pair: mend it')


def _unit_of_old(tokens):
  """The Unit of rows of a release that wrote none: their tokens tell them apart."""
  if not isinstance(tokens, list):
    return 'nats'
  return 'sentiment' if len(tokens) == 1 else 'nats a token'


def _is_nan(value, name):
  """A margin that is not finite is of a run that diverged: who makes a table of it says so."""
  return name == 'margin' and isinstance(value, float)


def items_hash(tests: Mapping[str, Iterable[typing.Any]]) -> dict[str, str]:
  """{test: one hash of what is asked in it}, of {test: items}."""
  return {test: digest(item.hash for item in found) for test, found in tests.items()}


def digest(texts: Iterable[str]) -> str:
  return hashlib.sha256(''.join(texts).encode()).hexdigest()
