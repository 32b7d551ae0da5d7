"""Reference pages of every config, made from the code: {page: Markdown}, for site_hook.py.

A field's type, range and default are what `--config=FILE --help` prints of it; what it is for is
the comment beside it, above it, or both.
"""

import ast
import dataclasses
import html
import importlib
import inspect
import io
import pkgutil
import re
import textwrap
import tokenize
import typing
from collections.abc import Iterator
from typing import Any

from jaxalign import sealing

STAGES = ('explain', 'sft', 'reward', 'dpo', 'ppo', 'bon', 'corpus', 'evaluate')
GUESTS = ('texts.real_text', 'why.whyworld', 'two_specs.two_specs')  # of a study, beside its World
PAGES = {  # a room of the package -> the page of its configs, and how it begins
  'stages': ('shared', 'Configs that several stages hold.'),
  'models': (
    'models',
    'What `model` takes; llama3, mistral, qwen2 and qwen3 extend llama2.Config.',
  ),
  'data': ('data', 'Where texts lie, what they are, and in which format dialogues are written.'),
  'rl': ('ppo', ''),
  'corpora': ('corpus', ''),
  'evals': ('evaluate', ''),
  'suites': ('suites', 'What `suites` of an evaluation, of `watch` or of a corpus can name.'),
  'judges': ('judges', 'What `judges` of an evaluation or of `watch` can name.'),
  'study': ('study', ''),
  'valueworld': ('study', ''),
  'whyworld': ('study', ''),
}


def pages() -> dict[str, str]:
  """{name of a page: its Markdown}; a page holds the configs of a stage, or of a room."""
  found: dict[str, list[str]] = {}
  leads = dict(PAGES.values())
  for cls in classes():
    page = page_of(cls)
    lead = leads.get(page) or inspect.getdoc(inspect.getmodule(cls)) or ''
    head = f'# {page}: every field\n\n{_plain(lead)}\n'
    found.setdefault(page, [head]).append(section(cls))
  return {page: '\n'.join(parts) for page, parts in sorted(found.items())}


def classes() -> list[type]:
  """Every config that a stage's Config can hold at any depth, stages first."""
  found: list[type] = []
  for root in _roots():
    _collect(root, found)
  return found


def _roots() -> Iterator[type]:
  for stage in STAGES:
    yield importlib.import_module(f'jaxalign.stages.{stage}').Config
  yield importlib.import_module('jaxalign.study.stage').Config
  models = importlib.import_module('jaxalign.models.families').MODELS.values()
  yield from (module.Config for module in models)
  guest = importlib.import_module('jaxalign.study.plan.guest').Guest
  for name in GUESTS:
    yield from _offered(f'jaxalign.study.{name}', lambda cls: issubclass(cls, guest))
  for name in _modules('jaxalign.evals.suites'):
    yield from _offered(name, lambda cls: hasattr(cls, 'items') and hasattr(cls, 'measures'))
  for name in _modules('jaxalign.evals.judges'):
    yield from _offered(name, lambda cls: hasattr(cls, 'kind') and hasattr(cls, 'name'))


def _modules(package: str) -> list[str]:
  there = pkgutil.iter_modules(importlib.import_module(package).__path__, f'{package}.')
  return sorted(module.name for module in there)


def _offered(module: str, wanted: Any) -> Iterator[type]:
  """Configs that a module itself declares."""
  for name, cls in vars(importlib.import_module(module)).items():
    own = isinstance(cls, type) and cls.__module__ == module and not name.startswith('_')
    if own and dataclasses.is_dataclass(cls) and wanted(cls):
      yield cls


def _collect(cls: type, found: list[type]) -> None:
  if cls not in found:
    found.append(cls)
    for kind in sealing.field_types(cls).values():
      for inner in _inside(kind):
        _collect(inner, found)


def _inside(kind: Any) -> Iterator[type]:
  """The configs that an annotation names."""
  if isinstance(kind, type) and dataclasses.is_dataclass(kind):
    yield kind
  for part in typing.get_args(kind):
    yield from _inside(part)


def page_of(cls: type) -> str:
  """The page that a config stands on."""
  _, *rooms, file = cls.__module__.split('.')
  if cls.__name__ == 'Config' and rooms[:1] == ['stages']:
    return file
  if file.startswith('corpus'):
    return 'corpus'
  rooms = [room for room in reversed(rooms) if room in PAGES]
  return PAGES[rooms[0] if rooms else 'stages'][0]


def name_of(cls: type) -> str:
  """A config as a config file calls it."""
  file = cls.__module__.rpartition('.')[2]
  return cls.__name__ if file == 'config' else f'{file}.{cls.__name__}'


def anchor_of(cls: type) -> str:
  return f'{cls.__module__}.{cls.__name__}'.replace('.', '-')


def section(cls: type) -> str:
  """A config as Markdown: where it is, what it is, and a table of its fields."""
  said = '' if (cls.__doc__ or '').startswith(f'{cls.__name__}(') else inspect.getdoc(cls) or ''
  file = cls.__module__.replace('.', '/') + '.py'
  lines = [f'## {name_of(cls)} {{ #{anchor_of(cls)} }}', '', f'`{file}`', '', _plain(said), '']
  if dataclasses.fields(cls):
    lines += ['| field | takes | default | |', '|---|---|---|---|']
    lines += _rows(cls)
  return '\n'.join(lines) + '\n'


def _rows(cls: type) -> Iterator[str]:
  kinds, notes = sealing.field_types(cls, bounds=True), notes_of(cls)
  for field in dataclasses.fields(cls):
    takes = sealing.takes(kinds[field.name], lambda kind, n=field.name: _linked(kind, cls, n))
    yield f'| `{field.name}` | {takes} | {_default(field)} | {_plain(notes.get(field.name, ""))} |'


def _linked(kind: Any, cls: type, field: str) -> str:
  """A class by its name; a config with a link to where its fields stand. What meets a protocol is
  any of a page."""
  if kind is Any and field in ('suites', 'judges'):
    return f'any of [{field}]({field}.md)'
  if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
    return _plain(str(getattr(kind, '__name__', kind)))
  there = '' if page_of(kind) == page_of(cls) else f'{page_of(kind)}.md'
  return f'[{name_of(kind)}]({there}#{anchor_of(kind)})'


def _default(field: Any) -> str:
  if field.default_factory is not dataclasses.MISSING:
    value = field.default_factory()
  elif field.default is not dataclasses.MISSING:
    value = field.default
  else:
    return 'must be given'
  text = name_of(type(value)) if sealing.is_config(value) else sealing.shown(value)
  return f'`{text if text != "" else repr(text)}`'


def notes_of(cls: type) -> dict[str, str]:
  """{field: the comment above it and the one beside it}, of the class that declares it last."""
  found: dict[str, str] = {}
  for owner in reversed(cls.__mro__):
    if dataclasses.is_dataclass(owner):
      found |= _notes_in(textwrap.dedent(inspect.getsource(owner)))
  return found


def _notes_in(source: str) -> dict[str, str]:
  body: Any = ast.parse(source).body[0]
  tokens = tokenize.generate_tokens(io.StringIO(source).readline)
  comments = {one.start[0]: one for one in tokens if one.type == tokenize.COMMENT}
  return {
    node.target.id: ' '.join(_beside(node, comments))
    for node in body.body
    if isinstance(node, ast.AnnAssign)
  }


def _beside(node: ast.AnnAssign, comments: dict[int, tokenize.TokenInfo]) -> list[str]:
  """The comment lines right above a field, and those on its own lines."""
  alone = lambda line: (
    line in comments and not comments[line].line[: comments[line].start[1]].strip()
  )
  first = node.lineno
  while alone(first - 1):
    first -= 1
  lines = [comments[n] for n in range(first, node.end_lineno + 1) if n in comments]
  return [re.sub(r'^#+\s*', '', one.string) for one in lines]


def _plain(text: str) -> str:
  """Words as Markdown that shows them as they are, but for what stands between backticks."""
  parts = re.split(r'(`[^`]*`)', text)
  return ''.join(part if part.startswith('`') else _escaped(part) for part in parts)


def _escaped(text: str) -> str:
  return re.sub(
    r'([*_\[\]|\\#])', lambda sign: f'&#{ord(sign[0])};', html.escape(text, quote=False)
  )
