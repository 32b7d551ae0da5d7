"""A config file, FILE.py[:VARIANT] or NAME[:VARIANT] of one that ships with the package, and its
`get_config`, loaded with errors that name the file."""

import difflib
import importlib.util
import inspect
import pathlib
import sys
import typing
from typing import Any

from jaxalign import sealing
from jaxalign.config import UserError

# The directory of the configs that ship: in a wheel a copy, in a checkout a link to configs/, which
# a copy of the checkout (a pod's, an archive's) may lack.
_COPY = pathlib.Path(__file__).resolve().parent / 'shipped' / 'configs'
SHIPPED = _COPY.resolve() if _COPY.is_dir() else _COPY.parents[2] / 'configs'


def shipped() -> dict[str, pathlib.Path]:
  """{name: file} of the configs that ship, in the order of their names."""
  return {path.stem: path for path in sorted(SHIPPED.glob('[!_]*.py'))}


def load(spec: str) -> Any:
  """The config that FILE.py[:VARIANT] or NAME[:VARIANT] names, not sealed yet."""
  module, variant = _loaded(spec)
  if variant:
    known = _with_blame(spec, 'get_config cannot be called', lambda: _variants(module.get_config))
    _check_variant(spec, variant, known)
  given = (variant,) if variant else ()
  cfg = _with_blame(spec, 'get_config failed', lambda: module.get_config(*given))
  if not sealing.is_config(cfg):
    raise UserError(f'--config={spec}: get_config returned {type(cfg).__name__}, not a dataclass')
  return cfg


def variants(spec: str) -> list[str]:
  """The names that FILE.py says it takes after a colon; [] where it says none."""
  module, _ = _loaded(spec)
  return (
    _with_blame(spec, 'get_config cannot be called', lambda: _variants(module.get_config)) or []
  )


def _loaded(spec):
  """(module of the file, variant)."""
  file, _, variant = spec.partition(':')
  path = _path_of(spec, file)
  _let_import(path)
  found: Any = importlib.util.spec_from_file_location(f'configs.{path.stem}', path)  # a .py has one
  module = importlib.util.module_from_spec(found)
  sys.modules[module.__name__] = module  # annotations are resolved there
  _with_blame(spec, 'cannot be read', lambda: found.loader.exec_module(module))
  if not hasattr(module, 'get_config'):
    raise UserError(f"--config={spec}: {file} has no get_config(variant='')")
  return module, variant


def _path_of(spec, file):
  """The file that is meant: what has neither a slash nor .py names one that ships."""
  path, named = pathlib.Path(file), shipped()
  if '/' not in file and path.suffix != '.py':
    if file in named:
      return named[file]
    known = [*named, *map(str, _python_files(pathlib.Path()))]
    near = ', '.join(difflib.get_close_matches(file, known)) or 'none'
    raise UserError(
      f'--config={spec}: no config that ships is called so; nearest: {near} (`jaxalign list` shows '
      'all; a file of yours is called FILE.py)'
    )
  if not _is_file(path) or path.suffix != '.py':
    there = [*_python_files(path.parent), *_python_files(pathlib.Path('configs')), *named]
    near = sealing.nearest(str(path), map(str, there))
    raise UserError(f'--config={spec}: there is no config file {file}{near}')
  return path


def _python_files(place):
  return [path for path in place.glob('*.py') if _is_file(path)]


def _let_import(path):
  """Configs import one another as configs.NAME: those of a package of this name their own, all
  others those that ship."""
  own = path.resolve().parent
  places = [own, SHIPPED] if (own / '__init__.py').exists() else [SHIPPED]
  for place in places:
    above = str(place.parent)
    if own == SHIPPED:  # before another package of this name
      sys.path[:] = [above, *(one for one in sys.path if one != above)]
    elif above not in sys.path:
      sys.path.append(above)


def _with_blame(spec, what, call):
  """A config file is the user's own code: whatever it raises is the user's to mend."""
  try:
    return call()
  except KeyboardInterrupt:
    raise
  except BaseException as error:  # sys.exit(0) too: nothing would be said, and all seem well
    why = error if isinstance(error, UserError) else f'{type(error).__name__}: {error}'
    raise UserError(f'--config={spec}: {what}: {why}') from error


def _is_file(path: pathlib.Path) -> bool:
  try:
    return path.is_file()
  except OSError:  # a name too long, a directory that is closed to us
    return False


def _variants(get_config):
  """What get_config takes, from its `variant: Literal['', 'smoke']`; None: any text."""
  parameters = inspect.signature(get_config).parameters
  kind = typing.get_type_hints(get_config).get('variant')
  if typing.get_origin(kind) is typing.Literal:
    return [name for name in typing.get_args(kind) if name]
  return None if parameters else []


def _check_variant(spec, variant, known):
  if known is not None and variant not in known:
    there = f'it has {", ".join(known)}' if known else 'it has none'
    near = sealing.nearest(variant, known)
    raise UserError(f'--config={spec}: there is no variant {variant}: {there}{near}')
