"""jaxalign show WORKDIR [--page]

What ran in a workdir and how it went: the stage, the config that ships and is nearest to its own,
how far it came, its last numbers and its curves; of a study its verdict, of an evaluation its
measures, of a corpus its counts. It reads files alone, also of a run that goes on or was killed.
--page writes the same, with pictures, as WORKDIR/show.html.
"""

import functools
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags, logging
from etils import epath

from jaxalign.config import UserError
from jaxalign.doors import curves, workdirs
from jaxalign.doors.command_line import Flag, flags_and_words
from jaxalign.doors.workdirs import Shown
from jaxalign.files import place
from jaxalign.page import kit
from jaxalign.pictures import kept, label
from jaxalign.study.report import command

_FLAGS: tuple[Flag, ...] = (
  (flags.DEFINE_bool, 'page', False, 'write WORKDIR/show.html too, one page that needs no other'),
)
_PAGE = 'show.html'
_POINTS = 400  # of a curve on the page
_LINE = 400  # characters of a cell
_LEAST, _MOST = 8, 48  # blocks of a curve in the terminal
_BESIDE = 60  # columns that a curve's name and numbers take


def run(argv: Sequence[str]) -> int:
  """The command; argv[0] is `show`."""
  logging.use_absl_handler()
  flags.FLAGS.mark_as_parsed()  # libraries read absl's global flags: theirs stay at their defaults
  given = flags_and_words(argv, __doc__ or '', _FLAGS)
  if given is None:
    return 0
  values, words = given
  if len(words) != 1:
    raise UserError('show takes one WORKDIR: jaxalign show WORKDIR (--help says more)')
  if values.page:
    kit.refuse_without_extra()
  workdir = place(words[0])
  config = workdirs.config_of(workdir)
  found, origin = workdirs.shown(workdir, config), _origin_of(config)
  wide = shutil.get_terminal_size().columns - _BESIDE
  for line in _text(found, workdir, origin, min(max(wide, _LEAST), _MOST)):
    print(line)
  return _write(found, workdir, origin) if values.page else 0


def _origin_of(config: Mapping[str, Any]) -> tuple[str, ...]:
  """The config that ships and is nearest, then how this one differs from it; () where none is of
  this stage."""
  try:
    told = command.of_plan(config)
  except (AttributeError, LookupError, TypeError, ValueError):  # another release's, or a stranger's
    return ()
  if told is None:
    return ()
  besides = [f'and in {", ".join(told.besides)}, as no flag says'] if told.besides else []
  return (told.flags[0], *told.flags[2:], *besides)  # between them is a workdir


def _text(found: Shown, workdir: epath.Path, origin: Sequence[str], wide: int) -> list[str]:
  """The lines for a terminal; wide: blocks of a curve."""
  lines = [f'{workdir}: {found.stage}', found.stands]
  if origin:
    lines += ['', f'nearest of the configs that ship: {origin[0]}']
    lines += [f'  {one}' for one in origin[1:]] or ['  no difference']
  if found.facts:
    lines += ['', *_laid([(name, kit.shown(value)) for name, value in found.facts])]
  for title, (head, rows) in found.tables.items():
    lines += ['', title, *_laid([head, *(map(kit.shown, row) for row in rows)])]
  if found.curves:
    lines += ['', f'over {found.x} {_ends(found)}', *curves.table(found.curves, wide)]
  pages = workdirs.pages_of(workdir)
  lines += ['', *(f'page: {path}' for path in pages)] if pages else []
  return [label(line, 10 * _LINE).rstrip() for line in lines]


def _ends(found: Shown) -> str:
  steps = [step for curve in found.curves for step in curve.steps]
  return f'{min(steps):,} to {max(steps):,}'


def _laid(rows: Sequence[Any]) -> list[str]:
  """Columns as wide as their longest cell."""
  cells = [[label(cell, _LINE) for cell in row] for row in rows]
  wide = [max(map(len, column)) for column in zip(*cells)]
  return ['  ' + '  '.join(f'{cell:{w}}' for cell, w in zip(row, wide)) for row in cells]


def _write(found: Shown, workdir: epath.Path, origin: Sequence[str]) -> int:
  """0, or 1 where the page could not be drawn, of which a line says why."""
  path = workdir / _PAGE
  try:
    there = kept(lambda: _page(found, workdir, origin), path)
  except OSError as error:
    raise UserError(f'{path} cannot be written ({error.strerror}): show without --page') from error
  if there:
    print(f'page: {path}')
  return 0 if there else 1


def _page(found: Shown, workdir: epath.Path, origin: Sequence[str]) -> str:
  """The same as one page."""
  drawn = [curve.binned(_POINTS) for curve in found.curves]
  return kit.render(
    'show.html',
    found=found,
    name=workdir.name,
    pages=workdirs.pages_of(workdir),
    origin=origin,
    drawn=[(curve, functools.partial(curves.draw, curve)) for curve in drawn],
    rows=[(curve.name, *pair) for curve in drawn for pair in zip(curve.steps, curve.values)],
  )
