"""about.json: what `jaxalign compare` asks of a run, beside its outcomes."""

import dataclasses
import json
from collections.abc import Mapping
from typing import TypeVar

from etils import epath

from jaxalign import files
from jaxalign.config import UserError

FILE = 'about.json'
_T = TypeVar('_T')


@dataclasses.dataclass(frozen=True, kw_only=True)
class About:
  """The base of each seed, the items, and what each arm cost. Whoever writes one by hand may give
  one value in place of a mapping."""

  base: str | Mapping[str, str]  # sha256 of the base weights, {seed: ..}
  items: Mapping[str, str | Mapping[str, str]]  # {test: sha256 of its items, {seed: ..}}
  tokens: int | Mapping[str, int] | None = None  # {arm: ..}
  steps: int | Mapping[str, int] | None = None

  def base_of(self, seed: int) -> str | None:
    return _of(self.base, str(seed))

  def items_of(self, test: str, seed: int) -> str | None:
    return _of(self.items.get(test), str(seed))

  def tokens_of(self, arm: str) -> int | None:
    return _of(self.tokens, arm)

  def steps_of(self, arm: str) -> int | None:
    return _of(self.steps, arm)


def _of(value: _T | Mapping[str, _T] | None, name: str) -> _T | None:
  return value.get(name) if isinstance(value, Mapping) else value


def write(about: About, home: epath.Path) -> None:
  files.write_text(json.dumps(dataclasses.asdict(about), indent=1), home / FILE)


def read(home: epath.Path) -> About:
  found = files.read_json(home / FILE, 'run its study again')
  if not isinstance(found, dict) or not {'base', 'items'} <= found.keys():
    raise UserError(f'{home / FILE} does not say base and items: it was not written by a study')
  names = [field.name for field in dataclasses.fields(About)]
  return About(**{name: found[name] for name in names if name in found})
