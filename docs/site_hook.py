"""What mkdocs is told besides: pages made from the code, and links that hold in the site too."""

import ast
import contextlib
import importlib
import io
import pathlib
import re
from typing import Any

import fields  # beside this file: mkdocs looks there

from jaxalign import main

ROOT = pathlib.Path(__file__).resolve().parents[1]
_DOORS = 'sample', 'chat', 'serve', 'samples', 'judge sample', 'judge calibrate'
OWN = ('CONTRIBUTING.md', 'CHANGELOG.md')  # pages from the root
_LINK = re.compile(r'\[([^\]\n]*)\]\(([^)#:\s]+)(#[^)\s]*)?\)')  # [words](file#mark), no address


def on_config(config: Any) -> Any:
  """Search in files: the offline plugin would have a CDN's script for it, and ours does as well."""
  config.extra['polyfills'] = ['site_worker.js']
  return config


def on_files(files: Any, config: Any) -> Any:
  from mkdocs.structure.files import File  # here alone, so that the rest is tested without it

  for name, text in made().items():
    files.append(File.generated(config, name, content=text))
  return files


def made() -> dict[str, str]:
  """{page: Markdown} of all that is not written by hand in docs/."""
  reference = {f'reference/{name}.md': text for name, text in fields.pages().items()}
  roots = {name: (ROOT / name).read_text() for name in OWN}
  return (
    reference
    | roots
    | {
      'reference/command.md': _command(),
      'reference/configs.md': _configs(),
    }
  )


def _command() -> str:
  """What --help prints: of the command, and of each door, which has flags of its own."""
  parts = ['# The command', f'```text\n{main.__doc__}```']
  for door in (*_DOORS, *main.LOOKS):
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
      first, *_ = words = door.split()
      file = main.LOOKS.get(first, first)
      importlib.import_module(f'jaxalign.doors.{file}').run([*words, '--help'])
    parts += [f'## jaxalign {door}', f'```text\n{said.getvalue()}```']
  return '\n\n'.join(parts) + '\n'


def _configs() -> str:
  """Each config file by its docstring: what it is, the command, the cost, and what to expect."""
  parts = ['# The configs\n\nEach file in `configs/`, by what it says of itself.\n']
  for path in sorted((ROOT / 'configs').glob('*.py')):
    said = ast.get_docstring(ast.parse(path.read_text()))
    if path.name != '__init__.py':
      parts.append(f'## {path.stem}\n\n```text\n{said}\n```\n')
  return '\n'.join(parts)


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
  return mended(markdown, page.file.src_uri)


def mended(markdown: str, page: str) -> str:
  """Links as they hold in the site: a page of the root by its place there, any other file of the
  repository by its name alone. What is missing stays, and fails the build."""
  here = ROOT if page in OWN else ROOT / 'docs'

  def link(found: re.Match) -> str:
    path = (here / found[2]).resolve()
    if not path.exists() or not path.is_relative_to(ROOT):
      return found[0]
    if path.is_relative_to(ROOT / 'docs'):
      return f'[{found[1]}]({path.relative_to(ROOT / "docs")}{found[3] or ""})'
    name = str(path.relative_to(ROOT))
    return f'[{found[1]}]({name}{found[3] or ""})' if name in OWN else f'{found[1]} (`{name}`)'

  return _LINK.sub(link, markdown)
