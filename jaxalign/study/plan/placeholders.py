"""What the recipe of a step leaves open, and who runs the step fills in.

In a source's path, {what} is the step's own corpus. As a judge or a critic, {reward} is the run of
the arm's earlier step of the recipe `reward`. A world stands for the world of the seed.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from jaxalign.data import chat, sources
from jaxalign.sealing import is_config
from jaxalign.valueworld.world import World

_Part = TypeVar('_Part')
_RUN = re.compile(r'\{(\w+)\}')


def filled(part: Any, fill: Callable[[Any], Any]) -> Any:
  """A config whose parts are replaced by fill(part), wherever that is not None.

  A part in which nothing changes stays the same object: jax finds compiled programs by it."""
  found = fill(part)
  if found is not None:
    return found
  if isinstance(part, tuple):
    entries = tuple(filled(one, fill) for one in part)
    return part if all(a is b for a, b in zip(entries, part)) else entries
  if not is_config(part) or isinstance(part, chat.ChatFormat):  # whose braces are its own
    return part
  now = {field.name: getattr(part, field.name) for field in dataclasses.fields(part)}
  new = {name: filled(value, fill) for name, value in now.items()}
  changed = {name: value for name, value in new.items() if value is not now[name]}
  return dataclasses.replace(part, **changed) if changed else part


def parts(config: Any, kinds: type[_Part]) -> list[_Part]:
  """Every part of these kinds, in the order of the fields."""
  found = []

  def note(part: Any) -> None:
    if isinstance(part, kinds):
      found.append(part)

  filled(config, note)
  return found


def paths(stage: Any, what: str | None) -> list[str]:
  """The corpora of a stage by name; what=None leaves the open one open."""
  named = [str(source.path) for source in parts(stage, sources.Jsonl)]
  return [path if what is None else path.replace('{what}', what) for path in named]


def takes_corpus(stage: Any) -> bool:
  return any('{what}' in path for path in paths(stage, None))


def runs(stage: Any) -> list[str]:
  """The recipes whose runs a stage reads, beside the one that it starts from."""
  texts = [text for text in parts(stage, str) if '{what}' not in text]
  return [found[1] for text in texts if (found := _RUN.fullmatch(text))]


def closed(
  stage: Any,
  corpus: Callable[[str], tuple[str, str]],
  directories: Mapping[str, str],
  world: World,
  **fields: Any,
) -> Any:
  """The stage with all of it filled in. corpus(path) -> (path, sha256) of a file; directories:
  {recipe: of its run}; fields: of the stage itself, as init and seed."""

  def fill(part: Any) -> Any:
    if isinstance(part, sources.Jsonl):
      path, sha256 = corpus(str(part.path))
      return dataclasses.replace(part, path=path, sha256=sha256)
    if isinstance(part, World):
      return world
    if isinstance(part, str) and (found := _RUN.fullmatch(part)):
      return str(directories[found[1]])
    return None

  return dataclasses.replace(filled(stage, fill), **fields)
