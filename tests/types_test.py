"""Types: what a file offers says what it takes and gives; `make lint` checks it with mypy."""

import ast
import pathlib

PACKAGE = pathlib.Path(__file__).resolve().parents[1] / 'jaxalign'


def offered(tree):
  """Functions at the top of a file, and methods of its classes, whose names do not begin with `_`;
  a class is offered with its `__init__`."""
  for node in tree.body:
    if isinstance(node, ast.ClassDef) and not node.name.startswith('_'):
      for child in node.body:
        if isinstance(child, ast.FunctionDef) and (
          child.name == '__init__' or not child.name.startswith('_')
        ):
          yield f'{node.name}.{child.name}', child
    elif isinstance(node, ast.FunctionDef) and not node.name.startswith('_'):
      yield node.name, node


def untyped(tree):
  """Names of the offered functions that lack the type of a parameter or of what they return."""
  for name, function in offered(tree):
    arguments = function.args
    parameters = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    parameters += [extra for extra in (arguments.vararg, arguments.kwarg) if extra]
    bare = [p.arg for p in parameters if p.annotation is None and p.arg not in ('self', 'cls')]
    if bare or (function.returns is None and not name.endswith('.__init__')):
      yield f'{name}({", ".join(bare)})'


def test_what_a_file_offers_has_types():
  missing = [
    f'{path.relative_to(PACKAGE)}: {name}'
    for path in sorted(PACKAGE.rglob('*.py'))
    for name in untyped(ast.parse(path.read_text()))
  ]
  assert missing == []


def test_a_missing_type_is_named():
  text = (
    'def whole(a: int, *, b: str) -> None: pass\n'
    'def half(a: int, b, **more) -> None: pass\n'
    'def silent(a: int): pass\n'
    'def _own(a): pass\n'
    'class Box:\n'
    '  def __init__(self, a): pass\n'
    '  def size(self) -> int: pass\n'
    '  def grow(self, by: int): pass\n'
  )
  found = list(untyped(ast.parse(text)))
  assert found == ['half(b, more)', 'silent()', 'Box.__init__(a)', 'Box.grow()']
