"""Facets dealt by a balanced design: type, register, voice, audience, which reasons, which limit.

Left to a teacher, half of a corpus would be memos about one reason. Dealt here, every level of a
facet occurs as often as any other (give or take one), and with each level of every other facet as
evenly as that allows: coverage holds by construction, and the same seed deals the same.
"""

import collections
import hashlib
from collections.abc import Callable, Mapping, Sequence

Row = dict[str, tuple[str, ...]]  # a facet's name -> its level, or levels of one that has several


def deal(
  facets: Mapping[str, Sequence[str]],
  count: int,
  lot: str,
  several: Mapping[str, int] | None = None,
) -> list[Row]:
  """`count` rows, each with one level of every facet, or as many different ones as `several` says.
  lot: among which equals it falls. The first rows of a longer deal are those of a shorter one."""
  alone: dict[str, collections.Counter[str]] = {name: collections.Counter() for name in facets}
  pairs: collections.Counter[tuple[str, str, str, str]] = collections.Counter()
  rows: list[Row] = []
  for n in range(count):
    row: Row = {}
    for name, levels in facets.items():
      seen = [(other, of) for other, some in row.items() for of in some]

      def beside(level: str, name: str = name, seen: Sequence[tuple[str, str]] = seen) -> int:
        return sum(pairs[other, of, name, level] for other, of in seen)

      dealt: list[str] = []
      for k in range(min((several or {}).get(name, 1), len(levels))):
        left = [level for level in levels if level not in dealt]
        dealt.append(least(left, alone[name], f'{lot} {n} {name} {k}', beside))
      alone[name].update(dealt)
      pairs.update((other, of, name, one) for other in row for of in row[other] for one in dealt)
      row[name] = tuple(dealt)
    rows.append(row)
  return rows


def least(
  levels: Sequence[str],
  alone: Mapping[str, int],
  lot: str,
  beside: Callable[[str], int] | None = None,
) -> str:
  """The level that was dealt least; of several, the one least beside the others; then by lot."""
  fewest = min(alone[level] for level in levels)
  left = [level for level in levels if alone[level] == fewest]
  if beside is not None and len(left) > 1:
    counts = [beside(level) for level in left]
    left = [level for level, count in zip(left, counts) if count == min(counts)]
  return left[0] if len(left) == 1 else left[drawn(lot, len(left))]


def drawn(lot: str, count: int) -> int:
  """A number below `count`, the same for the same lot on every machine and Python."""
  return int.from_bytes(hashlib.sha256(lot.encode()).digest()[:8], 'big') % count
