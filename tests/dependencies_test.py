"""pyproject.toml names what is imported, and nothing that is not: the set that pip gets is ours."""

import ast
import functools
import importlib.metadata
import pathlib
import re
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[1]
OURS = {'jaxalign', 'configs', 'launch', 'benchmarks'}
MODULES = {  # of distributions that may not be installed here, or share a name with others
  'gcsfs': 'gcsfs', 'matplotlib': 'matplotlib', 'tensorboardx': 'tensorboardX',
  'protobuf': 'google.protobuf', 'vadersentiment': 'vaderSentiment', 'wandb': 'wandb',
  'lm-eval': 'lm_eval', 'inspect-ai': 'inspect_ai', 'nbclient': 'nbclient', 'nbformat': 'nbformat',
}  # fmt: skip
TOOLS = {'ipykernel', 'mypy', 'pre-commit', 'pytest', 'pytest-xdist', 'ruff'}  # run, never imported
TOOLS |= {'mkdocs', 'mkdocs-material', 'mkdocstrings-python'}  # make docs runs them
UNSEEN = {'gcsfs'}  # fsspec imports it for gs:// by its name
ORACLES = {'transformers'}  # reads what the package exports: benchmarks and tests import it
PEERS = {'maxtext', 'torch', 'trl'}  # benchmarks/ measure beside them; who runs those installs them
NAMESPACES = {'google'}  # shared by distributions: the second part of the name tells which


def imported(text):
  """Every module that a file imports, at its top or inside a function: the part that installs."""
  for node in ast.walk(ast.parse(text)):
    if isinstance(node, ast.Import):
      names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and not node.level:
      names = [node.module]
    else:
      continue
    for name in names:
      parts = name.split('.')
      yield '.'.join(parts[: 1 + (parts[0] in NAMESPACES)])


def imports_of(*rooms):
  """Imports of the rooms' files that are neither the library's nor ours."""
  files = [path for room in rooms for path in sorted((ROOT / room).rglob('*.py'))]
  found = {name for path in files for name in imported(path.read_text())}
  beside = {path.stem for path in files if path.parent.name == 'benchmarks'}
  return found - sys.stdlib_module_names - OURS - beside


def names(requirements):
  """Distributions as pip compares them, without extras and bounds."""
  return {re.sub(r'[-_.]+', '-', re.match(r'[\w.-]+', one)[0]).lower() for one in requirements}


def named():
  """(distributions that everybody gets, those of any extra)."""
  project = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']
  extras = [one for some in project['optional-dependencies'].values() for one in some]
  return names(project['dependencies']), names(extras)


@functools.cache
def installed():
  """{module: the distributions that hold it}."""
  return {m: names(by) for m, by in importlib.metadata.packages_distributions().items()}


def modules_of(distributions):
  """What these distributions can be imported as."""
  found = {MODULES[name] for name in distributions & MODULES.keys()}
  return found | {module for module, by in installed().items() if by & distributions}


def test_each_import_of_the_package_is_named():
  always, extras = named()
  missing = imports_of('jaxalign', 'configs', 'launch') - modules_of(always | extras)
  assert not missing, f'imported and not in pyproject.toml: {sorted(missing)}'


def test_each_import_of_a_benchmark_is_named_or_a_peer():
  always, extras = named()
  assert not imports_of('benchmarks') - modules_of(always | extras) - PEERS


def test_each_name_is_imported():
  always, extras = named()
  used = imports_of('jaxalign', 'configs', 'launch')
  idle = [name for name in always - ORACLES if not modules_of({name}) & used]
  assert not idle, f'in pyproject.toml and never imported: {idle}'
  everywhere = used | imports_of('benchmarks', 'tests')
  told = (extras - always - TOOLS - UNSEEN) | ORACLES
  assert not [name for name in told if not modules_of({name}) & everywhere]


def test_each_name_has_a_lower_bound():
  project = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']
  assert all('>=' in one for one in project['dependencies'])


def test_the_lock_says_which_names_are_ours():
  lock = (ROOT / 'launch' / 'requirements-tpu.lock').read_text()
  blocks = re.split(r'^(?=[a-z])', lock, flags=re.M)
  ours = {re.match(r'[\w.-]+', one)[0] for one in blocks if 'jaxalign (pyproject.toml)' in one}
  assert names(ours) == named()[0] | {'gcsfs'}  # --extra tpu


def test_an_import_inside_a_function_is_seen():
  text = 'def f():\n  import tokenizers.models\n  from google.protobuf import message\n'
  assert set(imported(text)) == {'tokenizers', 'google.protobuf'}
