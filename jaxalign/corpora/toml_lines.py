"""Where in a TOML file a table and its keys stand, which tomllib forgets."""

import re

Table = tuple[str | int, ...]  # ('value', 3, 'reason', 0): the first reason of the fourth value
_HEAD = re.compile(r'\s*(\[\[?)\s*([\w.\-"\' ]+?)\s*\]\]?\s*(?:#.*)?$')
_KEY = re.compile(r'\s*(["\']?)([\w-]+)\1\s*[=.]')
_TEXT = re.compile(
  r'"""(?:\\.|[^\\])*?"""' + r"|'''.*?'''" + r'|"(?:\\.|[^"\\\n])*"' + r"|'[^'\n]*'|#[^\n]*",
  re.DOTALL,
)


class Lines:
  """The lines of a text that tomllib could read."""

  def __init__(self, text: str) -> None:
    self._heads: dict[Table, int] = {(): 1}
    self._keys: dict[tuple[Table, str], int] = {}
    self._counts: dict[Table, int] = {}
    here: Table = ()
    for number, line in enumerate(_TEXT.sub(_blank, text).split('\n'), 1):
      if head := _HEAD.match(line):
        here = self._place(head[1] == '[[', [part.strip(' "\'') for part in head[2].split('.')])
        self._heads.setdefault(here, number)
      elif key := _KEY.match(line):
        self._keys.setdefault((here, key[2]), number)

  def of(self, table: Table, key: str = '') -> int:
    """The line of a key, or of its table where that is not to be told, or of the one around."""
    if (table, key) in self._keys:
      return self._keys[table, key]
    while table not in self._heads:
      table = table[:-1]
    return max(self._heads[table], self._keys.get((table, key), 0))

  def _place(self, one_more: bool, names: list[str]) -> Table:
    place: Table = ()
    for n, name in enumerate(names):
      place = (*place, name)
      if n == len(names) - 1 and one_more:
        self._counts[place] = self._counts.get(place, 0) + 1
      if place in self._counts:
        place = (*place, self._counts[place] - 1)
    return place


def _blank(match: re.Match[str]) -> str:
  """A text or a remark without what could look like a key; its line breaks stay."""
  found = match[0]
  if '\n' in found:
    return '""' + '\n' * found.count('\n')
  return found if re.fullmatch(r'["\'][\w-]+["\']', found) else '""'
