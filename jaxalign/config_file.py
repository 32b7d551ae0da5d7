"""A config file: FILE.py[:VARIANT] and its `get_config`, loaded with errors that name the file."""

import importlib.util
import inspect
import pathlib
import sys
import typing
from typing import Any

from jaxalign import sealing
from jaxalign.config import UserError


def load(spec: str) -> Any:
  """The config that FILE.py[:VARIANT] names, not sealed yet."""
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
  path = pathlib.Path(file)
  if not _is_file(path) or path.suffix != '.py':
    there = [*path.parent.glob('*.py'), *pathlib.Path('configs').glob('*.py')]
    near = sealing.nearest(str(path), map(str, there))
    raise UserError(f'--config={spec}: there is no config file {file}{near}')
  if (path.parent / '__init__.py').exists():  # configs may import one another
    sys.path.append(str(path.resolve().parent.parent))
  found: Any = importlib.util.spec_from_file_location(f'configs.{path.stem}', path)  # a .py has one
  module = importlib.util.module_from_spec(found)
  sys.modules[module.__name__] = module  # annotations are resolved there
  _with_blame(spec, 'cannot be read', lambda: found.loader.exec_module(module))
  if not hasattr(module, 'get_config'):
    raise UserError(f"--config={spec}: {file} has no get_config(variant='')")
  return module, variant


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
