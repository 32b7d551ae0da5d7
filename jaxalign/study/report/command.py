"""The command that makes a study or another run again: which config of this release its own comes
from, in which variant, and the flags by which it differs from that."""

import contextlib
import dataclasses
import pathlib
import shlex
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from jaxalign import config_file, overrides, sealing
from jaxalign.config import UserError

_Plan = Mapping[str, Any]  # plan.json, or config.json of any run
_FREE = ('workers', 'slices', 'slice')  # how a study is run, and not what it is
_BUILT = {'arms', 'base', 'climbs', 'recipes', 'rl_arms'}  # which hang on one another
_ABSENT = '(absent)'  # as sealing.diff says it


@dataclasses.dataclass(frozen=True)
class _Command:
  """flags: of jaxalign.main, fit for a shell. besides: fields in which the plan differs too, and no
  flag says how."""

  flags: tuple[str, ...]
  besides: tuple[str, ...]


def of_plan(plan: _Plan, configs: pathlib.Path = config_file.SHIPPED) -> _Command | None:
  """The _Command nearest to a plan: what no flag says weighs most, then how many flags it takes.
  None: none of these configs is of such a study, or of such a stage."""
  found = [_from(spec, plan) for spec in _specs(configs, plan)]
  every = [one for one in found if one is not None]
  return min(every, key=lambda one: (len(one.besides), len(one.flags)), default=None)


def _specs(configs: pathlib.Path, plan: _Plan) -> Iterator[str]:
  """FILE.py[:VARIANT] of all that are called after the stage of this plan, the plain one of each
  first."""
  stage = str(plan.get('class')).partition(':')[0].split('.')
  for path in sorted(configs.glob('[!_]*.py')):
    if not any(part.startswith(path.stem.partition('_')[0]) for part in stage):
      continue
    yield str(path)
    with contextlib.suppress(UserError):  # of a file that cannot be read
      yield from [f'{path}:{variant}' for variant in config_file.variants(str(path))]


def _from(spec: str, plan: _Plan) -> _Command | None:
  try:
    cfg = _open(config_file.load(spec))
    sealed = sealing.tree(cfg)
  except UserError:  # it needs something that is not here: so it is not this one
    return None
  if not _same_kind(sealed, plan):
    return None
  file, colon, variant = spec.partition(':')
  stem = pathlib.Path(file).stem
  name, workdir = f'{stem}{colon}{variant}', f'runs/{stem.removeprefix("study_")}'
  flags, besides = {}, set()
  for field, _, theirs in sealing.diff(sealed, plan):
    top = field.split('.')[0]
    if top in _FREE:
      continue
    value = _young(cfg, field) if theirs == _ABSENT else theirs
    text = None if value == _ABSENT else _text(value)
    if text is None or not _takes(cfg, field, text, value):
      besides.add(top)
    else:
      flags[field] = f'--config.{field}={shlex.quote(text)}'
  if besides:  # half of such a part would be no plan at all
    besides |= {field.split('.')[0] for field in flags} & _BUILT
    flags = {field: flag for field, flag in flags.items() if field.split('.')[0] not in besides}
  first = f'--config={name}', f'--workdir={workdir}'
  return _Command((*first, *flags.values()), tuple(sorted(besides)))


def _open(part: Any) -> Any:
  """A copy that can be set: parts that a module shares are sealed once a run has used them."""
  if isinstance(part, tuple):
    return tuple(map(_open, part))
  if not sealing.is_config(part):
    return part
  fields = {one.name: _open(getattr(part, one.name)) for one in dataclasses.fields(part)}
  return dataclasses.replace(part, **fields)


def _same_kind(ours: _Plan, theirs: _Plan) -> bool:
  """Whether both are of one stage, and if they are studies in one kind of world."""
  kinds = [_class_of(one.get('world', one)) for one in (ours, theirs)]
  return None not in kinds[0].values() and not sealing.diff(*kinds)


def _class_of(part: Any) -> _Plan:
  return {'class': part.get('class') if isinstance(part, dict) else None}


def _text(value: Any) -> str | None:
  """A value as a flag says it; None: none can."""
  if isinstance(value, list):
    items = [_text(one) for one in value]
    if None in items:
      return None
    texts = [f'({text})' if isinstance(one, list) else text for one, text in zip(value, items)]
    return ','.join(typing.cast(list[str], texts)) + ',' * (len(texts) == 1) if texts else '()'
  if isinstance(value, bool):
    return str(value).lower()
  if isinstance(value, dict):
    return None
  return 'none' if value is None else str(value)


def _young(cfg: Any, field: str) -> Any:
  """What a plan means that does not say a field: the default of one that is younger."""
  above, _, name = field.rpartition('.')
  try:
    owner = _at(cfg, above)
  except (AttributeError, IndexError, ValueError):
    return _ABSENT
  fields = dataclasses.fields(owner) if sealing.is_config(owner) else ()
  young = [one.default for one in fields if one.name == name and one.metadata == sealing.YOUNG]
  return sealing.tree(young[0]) if young else _ABSENT


def _takes(cfg: Any, field: str, text: str, value: Any) -> bool:
  """Whether the flag makes of the config what the plan has there."""
  try:
    overrides.override(cfg, field, text)
  except UserError:
    return False
  return not sealing.diff({'': sealing.tree(_at(cfg, field))}, {'': value})


def _at(cfg: Any, field: str) -> Any:
  for part in filter(None, field.split('.')):
    cfg = cfg[int(part)] if isinstance(cfg, tuple) else getattr(cfg, part)
  return cfg
