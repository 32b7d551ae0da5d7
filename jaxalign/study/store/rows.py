"""Rows: what was measured, one item, arm and seed each, as objects and as lines of a JSONL file.

A Row is an Outcome and where it belongs. `line` and `read` are the only writer and reader of
outcomes; what they read is checked, so that nobody after them has to.
"""

import dataclasses
import hashlib
import json
import typing

from jaxalign import files
from jaxalign.config import UserError
from jaxalign.evals.outcome import Outcome
from jaxalign.sealing import fits, takes

FIRST = 'seed', 'after', 'arm', 'kl'  # of a line, before the outcome itself
_OPTIONAL = 'kl', 'raw', 'tokens'  # written only where there is one


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row(Outcome):
  """An outcome of one arm and seed."""

  seed: int
  arm: str
  after: str = 'sft'  # the last stage before it was asked: sft or ppo
  kl: float | None = None  # nats a sequence that PPO went by then


NAMES = tuple(dict.fromkeys([*FIRST, *(field.name for field in dataclasses.fields(Row))]))
TYPES = typing.get_type_hints(Row)
NEEDED = [one.name for one in dataclasses.fields(Row) if one.default is dataclasses.MISSING]


def of(outcome, **where):
  """A Row of an outcome; where: seed, arm and, after PPO, after and kl."""
  return Row(**vars(outcome), **where)


def line(row):
  """A line of outcomes.jsonl, its end included."""
  numbers = {name: getattr(row, name) for name in NAMES}
  kept = {k: v for k, v in numbers.items() if v is not None or k not in _OPTIONAL}
  return json.dumps(kept, allow_nan=False) + '\n'


def read(path):
  """The rows of a JSONL file, every one checked."""
  again = 'remove that file and run its study again; give a finished run'
  found = [_row(path, n, raw) for n, raw in files.rows(path, again)]
  if not found:
    raise UserError(f'{path} is empty: run its arms first')
  return found


def _row(path, n, raw):
  if not isinstance(raw, dict):
    raise UserError(f'{path}, line {n}: {str(raw)[:80]!r} is no row')
  raw = dict(unit=_unit_of_old(raw.get('tokens'))) | raw
  given = {name: _whole(raw[name]) for name in NAMES if name in raw}
  for name, value in given.items():
    if not fits(value, TYPES[name]) and not _is_nan(value, name):
      shown = str(raw[name])[:80]
      raise UserError(f'{path}, line {n}: {name}={shown!r}: it takes {takes(TYPES[name])}')
    if isinstance(value, str) and any('\ud800' <= c <= '\udfff' for c in value):
      raise UserError(f'{path}, line {n}: {name} holds half a surrogate pair: mend it')
  missing = [name for name in NEEDED if name not in raw]
  if missing:
    raise UserError(f'{path}, line {n}: a row without {", ".join(missing)}')
  return Row(**given)


def _unit_of_old(tokens):
  """The Unit of rows of a release that wrote none: their tokens tell them apart."""
  if not isinstance(tokens, list):
    return 'nats'
  return 'sentiment' if len(tokens) == 1 else 'nats a token'


def _whole(value):
  return tuple(value) if isinstance(value, list) else value


def _is_nan(value, name):
  """A margin that is not finite is of a run that diverged: who makes a table of it says so."""
  return name == 'margin' and isinstance(value, float)


def items_hash(tests):
  """{test: one hash of what is asked in it}, of {test: items}."""
  return {test: digest(item.hash for item in found) for test, found in tests.items()}


def digest(texts):
  return hashlib.sha256(''.join(texts).encode()).hexdigest()
