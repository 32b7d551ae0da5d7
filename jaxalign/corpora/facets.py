"""Facets dealt by a balanced design: type, register, voice, audience, which reasons, which limit.

Left to a teacher, half of a corpus would be memos about one reason. Dealt here, every level of a
facet occurs as often as any other (give or take one), and with each level of every other facet as
evenly as that allows: coverage holds by construction, and the same seed deals the same.
"""

import collections
import hashlib
from collections.abc import Mapping, Sequence

Row = dict[str, str]  # a facet's name -> its level


def deal(facets: Mapping[str, Sequence[str]], count: int, lot: str) -> list[Row]:
  """`count` rows, each with one level of every facet; `lot` says among which equals it falls, and
  the first rows of a longer deal are those of a shorter one."""
  alone: dict[str, collections.Counter[str]] = {name: collections.Counter() for name in facets}
  pairs: collections.Counter[tuple[str, str, str, str]] = collections.Counter()
  rows: list[Row] = []
  for n in range(count):
    row: Row = {}
    for name, levels in facets.items():
      row[name] = least(levels, alone[name], f'{lot} {n} {name}', _Beside(row, name, pairs))
      alone[name][row[name]] += 1
      pairs.update((other, row[other], name, row[name]) for other in row if other != name)
    rows.append(row)
  return rows


class _Beside:
  """How often a level of a facet stood beside what a row has already."""

  def __init__(self, row: Row, name: str, pairs: Mapping[tuple[str, str, str, str], int]) -> None:
    self._row, self._name, self._pairs = dict(row), name, pairs

  def __getitem__(self, level: str) -> int:
    return sum(self._pairs[other, of, self._name, level] for other, of in self._row.items())


def least(
  levels: Sequence[str],
  alone: Mapping[str, int],
  lot: str,
  beside: '_Beside | None' = None,
) -> str:
  """The level that was dealt least; of several, the one least beside the others; then by lot."""
  fewest = min(alone[level] for level in levels)
  left = [level for level in levels if alone[level] == fewest]
  if beside is not None and len(left) > 1:
    seen = {level: beside[level] for level in left}
    left = [level for level in left if seen[level] == min(seen.values())]
  return left[0] if len(left) == 1 else left[drawn(lot, len(left))]


def drawn(lot: str, count: int) -> int:
  """A number below `count`, the same for the same lot on every machine and Python."""
  return int.from_bytes(hashlib.sha256(lot.encode()).digest()[:8], 'big') % count
