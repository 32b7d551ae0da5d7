"""Prompts: how a language model is told of a task, by one file a step; its hash is its version.

A file of prompts/ has a block `user`, mostly a block `system`, and for base models, which only go
on, a block `shot`: examples, up to where an answer begins. `parts` holds the macros of _parts.j2.
What a file names and a task lacks is an error, never an empty place. Texts of a task are data: they
stand between marks that they cannot close, and nothing in them is read as a template.
"""

import functools
import hashlib
import importlib.util
import re
from typing import TYPE_CHECKING, Any

from etils import epath

from jaxalign import files
from jaxalign.config import UserError
from jaxalign.corpora.records import Task
from jaxalign.data.records import Turn
from jaxalign.sealing import nearest

if TYPE_CHECKING:
  import jinja2

STOP = '\n###'  # ends an example of a shot, and what a base model says
_PARTS = '_parts.j2'  # macros that all may use


class Prompts:
  """The prompts of a folder; of the steps that it lacks, those that ship."""

  def __init__(self, folder: str = ''):
    if importlib.util.find_spec('jinja2') is None:
      raise UserError("prompts need jinja2: pip install 'jaxalign[corpora]'")
    self._folder = files.absolute(folder) if folder else None
    if self._folder is not None and not self._folder.is_dir():
      raise UserError(f'prompts={folder}: a folder of STEP.j2 files, and this is none')

  def turns(self, task: Task) -> tuple[Turn, ...]:
    """A task as a chat model is told of it."""
    system = self._filled('system', task) if self._has(task.step, 'system') else ''
    user = self._filled('user', task)
    told = (Turn('system', system),) if system else ()
    return (*told, Turn('user', user))

  def shot(self, task: Task) -> str:
    """A task as a base model is told of it: a text that goes on with the answer, up to STOP."""
    if self._has(task.step, 'shot'):
      return self._filled('shot', task)
    return '\n\n'.join(turn.text for turn in self.turns(task)) + '\n\nAnswer:'

  def version(self, step: str) -> str:
    """sha256 of all that a step's file says, and of the macros beside it."""
    parts = [files.content(self._path(name)) for name in (f'{step}.j2', _PARTS)]
    return hashlib.sha256(b'\0'.join(parts)).hexdigest()

  def all_versions(self) -> str:
    """A hash of all prompts together."""
    return hashlib.sha256(' '.join(map(self.version, steps())).encode()).hexdigest()

  @functools.cached_property
  def _environment(self) -> 'jinja2.Environment':
    import jinja2

    loader = jinja2.FunctionLoader(lambda name: (self._text(name), str(self._path(name)), None))
    # nothing of a prompt is HTML
    made = jinja2.Environment(
      loader=loader, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters['data'] = _as_data
    return made

  def _path(self, name: str) -> epath.Path:
    own = self._folder / name if self._folder is not None else None
    return own if own is not None and own.exists() else _shipped() / name

  def _text(self, name: str) -> str:
    path = self._path(name)
    if not path.exists():
      known = steps()
      hint = nearest(name.removesuffix('.j2'), known)
      raise UserError(f'there is no prompt for step {name.removesuffix(".j2")}{hint}')
    try:
      return files.content(path).decode()
    except UnicodeDecodeError as error:
      raise UserError(f'{path}: no UTF-8: save it as UTF-8') from error

  def _template(self, name: str) -> 'jinja2.Template':
    import jinja2

    try:
      return self._environment.get_template(name)
    except jinja2.TemplateSyntaxError as error:
      where = error.filename or self._path(name)
      raise UserError(
        f'{where}, line {error.lineno}: {_line(error.message)}: mend the prompt'
      ) from error
    except jinja2.TemplateError as error:
      raise UserError(f'{self._path(name)}: {_line(error)}: mend the prompt') from error

  def _has(self, step: str, block: str) -> bool:
    return block in self._template(f'{step}.j2').blocks

  def _filled(self, block: str, task: Task) -> str:
    """A block with a task in it."""
    import jinja2

    name = f'{task.step}.j2'
    template, path = self._template(name), self._path(name)
    if block not in template.blocks:
      raise UserError(f'{path} has no block {block}: {{% block {block} %}}..{{% endblock %}}')
    try:
      told = dict(_told(task), parts=self._template(_PARTS).module)
      context = template.new_context(told)
      text = ''.join(template.blocks[block](context)).strip()
    except (jinja2.TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
      raise UserError(f'{path}, block {block}: {_line(error)}: mend the prompt') from error
    if not text and block == 'user':
      raise UserError(f'{path}, block {block}, says nothing for {task.slot}: mend the prompt')
    return re.sub(r'\n{3,}', '\n\n', text)


@functools.cache
def _of_package() -> Prompts:
  return Prompts()


def turns(task: Task) -> tuple[Turn, ...]:
  """A task as a chat model is told of it, by the prompts that ship."""
  return _of_package().turns(task)


def version(step: str) -> str:
  """sha256 of the shipped prompt of a step."""
  return _of_package().version(step)


def steps() -> list[str]:
  """Names of the steps for which a prompt ships."""
  names = [path.name.removesuffix('.j2') for path in _shipped().glob('*.j2')]
  return sorted(name for name in names if not name.startswith('_'))


def _shipped() -> epath.Path:
  return epath.resource_path('jaxalign') / 'corpora/prompts'


def _told(task: Task) -> dict[str, Any]:
  """What a prompt may name."""
  return dict(
    task=task,
    spec=task.spec,
    value=task.value,
    statement=task.statement,
    reasons=task.reasons,
    limit=task.limit,
    facets=dict(task.facets),
    given=dict(task.given),
    words=task.words,
    count=task.count,
    options=task.options,
    first=task.attempt == 0,
  )


def _as_data(text: str, mark: str) -> str:
  """A text between marks of this name, which nothing in it can close or open anew."""
  inside = re.sub(rf'<(?=\s*/?\s*{re.escape(mark)}\b)', '(', text, flags=re.IGNORECASE)
  return f'<{mark}>\n{inside.strip()}\n</{mark}>'


def _line(error: object) -> str:
  return ' '.join(str(error).split())[:200] or type(error).__name__
