"""jaxalign list [WORD]

The configs that ship with the package, each with its variants, as --config=NAME or NAME:VARIANT
takes them. WORD: those alone that have it in their name, their text or the name of a variant. A
file is read and not run, so that the answer is there at once.
"""

import ast
import dataclasses
import pathlib
import re
import shutil
import sys
from collections.abc import Mapping, Sequence

from jaxalign import config_file
from jaxalign.config import UserError
from jaxalign.doors.command_line import flags_and_words
from jaxalign.pictures import label

_NO_END = 10_000  # columns, where no terminal is: nothing is cut


@dataclasses.dataclass(frozen=True)
class _Listed:
  """A config as its file describes it. variants: {name: its line, '' where there is none}."""

  name: str
  what: str
  variants: Mapping[str, str]

  def has(self, word: str) -> bool:
    text = ' '.join([self.name, self.what, *self.variants, *self.variants.values()])
    return word.lower() in text.lower()


def run(argv: Sequence[str]) -> int:
  """The command; argv[0] is `list`."""
  given = flags_and_words(argv, __doc__ or '', ())
  if given is None:
    return 0
  _, words = given
  if len(words) > 1:
    raise UserError('list takes one WORD at most: jaxalign list [WORD]')
  every = [read(name, path) for name, path in config_file.shipped().items()]
  if not every:
    raise UserError(f'{config_file.SHIPPED} holds no config: install jaxalign again')
  found = [one for one in every if not words or one.has(words[0])]
  if not found:
    raise UserError(f'no config that ships has {words[0]!r}: `jaxalign list` shows all of them')
  wide = shutil.get_terminal_size().columns if sys.stdout.isatty() else _NO_END
  for line in table(found, wide):
    print(line)
  return 0


def table(found: Sequence[_Listed], wide: int) -> list[str]:
  """A line of each config and variant, no longer than `wide`."""
  cells = [
    (name, text)
    for one in found
    for name, text in [(one.name, one.what), *((f'  :{v}', t) for v, t in one.variants.items())]
  ]
  left = max(len(name) for name, _ in cells)
  return [label(f'{name:{left}}  {text}'.rstrip(), wide) for name, text in cells]


def read(name: str, path: pathlib.Path) -> _Listed:
  """What the docstring and the annotation of get_config say."""
  tree = ast.parse(path.read_text(encoding='utf-8'))
  text = ast.get_docstring(tree) or ''
  said = _said(text)
  return _Listed(
    name=name,
    what=_sentence(text.partition('\n\n')[0].replace('\n', ' ')),
    variants={one: _sentence(said.get(one, '')) for one in _variants(tree)},
  )


def _sentence(text: str) -> str:
  """The first one."""
  return re.split(r'(?<=\.) (?=[A-Z:-])', text)[0]


def _said(text: str) -> dict[str, str]:
  """{variant: its line} of a docstring, where such a line begins with a colon; lines that are
  further in go on."""
  found, last = {}, ''
  for line in text.splitlines():
    begun = re.match(r':(\w+) +(\S.*)', line)
    if begun:
      last = begun[1]
      found[last] = begun[2]
    elif last and line.strip():
      found[last] += f' {line.strip()}'
    else:
      last = ''
  return found


def _variants(tree: ast.Module) -> list[str]:
  """The names in `variant: Literal['', 'smoke']`, or in what a name in its place stands for."""
  named = {
    target.id: node.value
    for node in tree.body
    if isinstance(node, ast.Assign)
    for target in node.targets
    if isinstance(target, ast.Name)
  }
  for node in tree.body:
    if isinstance(node, ast.FunctionDef) and node.name == 'get_config':
      kinds = [one.annotation for one in node.args.args]
      kinds = [named.get(one.id, one) if isinstance(one, ast.Name) else one for one in kinds]
      every = [part for kind in kinds if kind for part in ast.walk(kind)]
      texts = [part.value for part in every if isinstance(part, ast.Constant)]
      return [text for text in texts if isinstance(text, str) and text]
  return []
