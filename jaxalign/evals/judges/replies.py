"""Verdicts out of a model's reply: one JSON object or one whole line that is a label, or none.

Never a part of a sentence: "unsafe" stands in "not unsafe", and "Score: 5" in a remark about it.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

_FENCED = re.compile(r'^[ \t]*```\w*[ \t]*\n(.*?)\n[ \t]*```[ \t]*$', re.S | re.M)
_MOST = 50_000  # characters of a reply that are looked at


class NoVerdict(Exception):
  """Why a reply is none."""


def fields_of(reply: str, *names: str) -> dict[str, Any]:
  """The one JSON object with these fields: alone, in a fence, or on a line of its own."""
  return _one([found for found in _objects(reply) if set(names) <= found.keys()])


def label_of(reply: str, labels: Sequence[str], field: str = 'verdict') -> str:
  """The one label that is given, as a field of an object or as a whole line."""
  given = [found[field] for found in _objects(reply) if field in found]
  lines = [line.strip().strip('*`".').lower() for line in reply[:_MOST].splitlines()]
  label = _one(given + [line for line in lines if line in labels])
  said = str(label).strip().lower() if isinstance(label, str | bool) else ''
  if said not in labels:
    raise NoVerdict(f'the verdict {label!r:.60} is none of {", ".join(labels)}')
  return said


def _one(found: list[Any]) -> Any:
  if len(found) != 1:
    raise NoVerdict(f'{len(found) or "no"} verdict{"s" * (len(found) > 1)} in the reply')
  return found[0]


def _objects(reply: str) -> list[dict[str, Any]]:
  reply = reply[:_MOST].replace('\r\n', '\n').strip()
  whole = _object(reply)
  if whole is not None:
    return [whole]
  inside = [_object(text) for text in _FENCED.findall(reply)]
  lines = [_object(line) for line in _FENCED.sub('', reply).splitlines()]
  return [one for one in inside + lines if one is not None]


def _object(text: str) -> dict[str, Any] | None:
  text = text.strip()
  if not (text.startswith('{') and text.endswith('}')):
    return None
  try:
    found = json.loads(text, object_pairs_hook=_without_doubles)
  except (ValueError, RecursionError):
    return None
  return found if isinstance(found, dict) else None


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
  names = [name for name, _ in pairs]
  if len(set(names)) < len(names):
    raise NoVerdict('a field is given twice in the reply')
  return dict(pairs)
