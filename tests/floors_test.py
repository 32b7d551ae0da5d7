"""The house stands: a file imports from below, in no circle, and sizes and names keep bounds."""

import ast
import graphlib
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[1]
FLOORS = (
  (
    'endings config ranges files gguf_file sealing config_file endpoint endpoint_answers '
    'statistics proportions paired estimates pictures chips overrides sharding pod allocator '
    'compile_cache workdir'
  ),
  'models data train',
  'losses rl evals probes attacks valueworld whyworld page corpora',
  'stages',
  'study',
  'doors main api __init__ configs launch',
)
FLOOR_OF = {room: n for n, rooms in enumerate(FLOORS) for room in rooms.split()}
BLIND = FLOORS[1].split()  # rooms that do not see each other though they share a floor
VAGUE = {'utils', 'util', 'common', 'helpers', 'helper', 'misc'}
UNSAFE = {'pickle', 'cPickle', 'cloudpickle', 'dill', 'shelve', 'marshal'}
MAX_FILE, MAX_FUNCTION = 400, 60


def module_of(path, root):
  return '.'.join(path.relative_to(root).with_suffix('').parts)


def room_of(module):
  return module.split('.')[1 if module.startswith('jaxalign.') else 0]


def imports(tree, module):
  """Every absolute name an import may mean, at the top of the file or inside a function."""
  for node in ast.walk(tree):
    if isinstance(node, ast.Import):
      yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      above = module.split('.')[: -node.level] if node.level else []
      base = '.'.join([*above, *filter(None, [node.module])])
      yield base
      yield from (f'{base}.{alias.name}' for alias in node.names)


def bounds(path, text, tree):
  if path.stem in VAGUE:
    yield f'{path}: a name that says nothing'
  if text.count('\n') > MAX_FILE:
    yield f'{path}: over {MAX_FILE} lines'
  for node in ast.walk(tree):
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
      if node.end_lineno - node.lineno >= MAX_FUNCTION:
        yield f'{path}: {node.name} is over {MAX_FUNCTION} lines'


def faults(root):
  """Everything in the tree that breaks a rule of the house, one line each."""
  found, graph = [], {}
  for folder in ('jaxalign', 'configs', 'launch', 'benchmarks', 'tests'):
    for path in sorted((root / folder).rglob('*.py')):
      text = path.read_text()
      tree = ast.parse(text)
      found += bounds(path.relative_to(root), text, tree)
      if folder in ('jaxalign', 'configs', 'launch'):
        graph[module_of(path, root)] = set(imports(tree, module_of(path, root)))
  # `import jaxalign.models` and `from jaxalign.models import x` both stand for the room's __init__
  known = {name.removesuffix('.__init__'): name for name in graph}
  inside = {name: {known[i] for i in graph[name] if i in known} - {name} for name in graph}
  for module, names in graph.items():
    found += [f'{module} imports {name}' for name in names if name.split('.')[0] in UNSAFE]
    found += misplaced(module, names)
  # `from jaxalign.models import x` also names the room's __init__: no circle of its children.
  edges = {m: {i for i in to if not i.endswith('__init__')} for m, to in inside.items()}
  try:
    graphlib.TopologicalSorter(edges).prepare()
  except graphlib.CycleError as error:
    found.append('circle: ' + ' -> '.join(error.args[1]))
  return found


def misplaced(module, names):
  room = room_of(module)
  if room not in FLOOR_OF:
    yield f'{module}: a room without a floor; name it in FLOORS'
    return
  for name in names:
    other = room_of(name) if name.startswith(('jaxalign.', 'configs.', 'launch.')) else room
    if other == room or other not in FLOOR_OF:
      continue
    blind = room in BLIND and other in BLIND
    if blind or FLOOR_OF[other] > FLOOR_OF[room]:
      yield f'{module} imports {name}, which is not below it'


def test_the_house_stands():
  assert faults(ROOT) == []


def test_every_rule_can_fail(tmp_path):
  long = 'def f():\n' + '  x = 1\n' * 60
  files = {
    'jaxalign/sharding.py': 'from jaxalign import stages',
    'jaxalign/models/a.py': 'def f():\n  from ..data import text',
    'jaxalign/models/b.py': 'import jaxalign.models.c',
    'jaxalign/models/c.py': 'from jaxalign.models.b import x',
    'jaxalign/train/utils.py': 'import pickle',
    'jaxalign/rl/long.py': long + 'y = 2\n' * 400,
    'jaxalign/attic/old.py': '',
    'jaxalign/stages/fine.py': 'import jax\nfrom jaxalign import config\nfrom jaxalign.rl import x',
    'launch/fine.py': 'from jaxalign.stages import sft',
  }
  for name, text in files.items():
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(text)
  found = faults(tmp_path)
  for expected in (
    'jaxalign.sharding imports jaxalign.stages, which is not below it',
    'jaxalign.models.a imports jaxalign.data, which is not below it',
    'jaxalign.train.utils imports pickle',
    'jaxalign/train/utils.py: a name that says nothing',
    'jaxalign/rl/long.py: over 400 lines',
    'jaxalign/rl/long.py: f is over 60 lines',
    'jaxalign.attic.old: a room without a floor; name it in FLOORS',
  ):
    assert expected in found
  assert any(line.startswith('circle: ') and 'jaxalign.models.b' in line for line in found)
  assert not any('fine' in line for line in found)
