"""Walls: what only its own file uses begins with `_`, so that a reader knows what may move."""

import ast
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[1]
FOLDERS = 'jaxalign', 'configs', 'launch', 'benchmarks', 'tests'
FOUND = {'run', 'doctor', 'prepare', 'Config'}  # by main, in the module of a config
FOUND |= {'cli', 'ValueExplanations'}  # by pip, and by TFDS, which names a dataset after its class


def defined(node):
  """The names that a statement at the top of a file binds, but for configs, which users import."""
  if isinstance(node, ast.ClassDef):
    config = any('unsafe_hash' in ast.unparse(decorator) for decorator in node.decorator_list)
    return [] if config else [node.name]
  if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
    return [node.name]
  targets = getattr(node, 'targets', [getattr(node, 'target', None)])
  parts = [part for target in targets for part in getattr(target, 'elts', [target])]
  return [part.id for part in parts if isinstance(part, ast.Name)]


def open_doors(root):
  """Names without `_` that no file but their own says; a file says a name only if it says its
  module's too."""
  files = [path for folder in FOLDERS for path in sorted((root / folder).rglob('*.py'))]
  texts = {path: path.read_text() for path in files}
  words = {path: set(re.findall(r'\w+', text)) for path, text in texts.items()}
  for path in files:
    if path.relative_to(root).parts[0] != 'jaxalign':
      continue
    module = path.parent.name if path.stem == '__init__' else path.stem
    others = [words[other] for other in files if other != path and module in words[other]]
    said = set().union(*others) | FOUND
    for node in ast.parse(texts[path]).body:
      for name in defined(node):
        if not name.startswith('_') and name not in said:
          yield f'{path.relative_to(root)}: {name}'


def test_what_only_its_own_file_uses_says_so():
  assert list(open_doors(ROOT)) == []


def test_a_door_that_is_open_is_named(tmp_path):
  files = {
    'jaxalign/a.py': 'A, _B = 1, 2\nC: int = 3\ndef used(): pass\ndef lone(): pass\n',
    'jaxalign/b.py': 'from jaxalign.a import used\n_C = used()',
    'jaxalign/d.py': 'class Lone: pass',
    'tests/c_test.py': 'lone = 7',  # of another module
  }
  for name, text in files.items():
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
  alone = [f'jaxalign/a.py: {name}' for name in ('A', 'C', 'lone')]
  assert list(open_doors(tmp_path)) == [*alone, 'jaxalign/d.py: Lone']
