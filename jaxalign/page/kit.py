"""Parts of an offline page: templates filled in, and pictures that carry their numbers with them.

No address: what is drawn stands inside. Only answers.html and corpus.html have a script, their own,
and a policy that allows no other. Every text is escaped by the templates, once.
Words stand in page/templates, numbers come from Python; kit.html has what all templates may use.
"""

import base64
import csv
import functools
import hashlib
import importlib.util
import io
import json
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from absl import logging

from jaxalign.config import UserError
from jaxalign.page.figures import INK, STYLE
from jaxalign.pictures import drawing, label

if TYPE_CHECKING:
  from jinja2 import Environment
  from markupsafe import Markup
  from matplotlib.figure import Figure

_LONGEST = 20_000  # characters of a text
_EXTRA = 'matplotlib', 'jinja2'  # imported where a page is made, and only there


def refuse_without_extra() -> None:
  """UserError where a page that was asked for could not be made."""
  if not _extra_is_there():
    raise UserError("the report needs: pip install 'jaxalign[report]'")


def drawable(name: str) -> bool:
  """Whether there is something to draw with; else one line says why the page is missing."""
  there = _extra_is_there()
  if not there:
    logging.warning(f'{name} is not drawn: pip install jaxalign[report] has what it needs')
  return there


def _extra_is_there():
  return all(map(importlib.util.find_spec, _EXTRA))


def joined(parts: Iterable[str]) -> 'Markup':
  """Markup of these, one after the other."""
  from markupsafe import Markup

  return Markup('').join(parts)


def render(template: str, **values: Any) -> 'Markup':
  """Markup of a template that is filled in; what is Markup already is not escaped again."""
  from markupsafe import Markup

  return Markup(environment().get_template(template).render(values))


@functools.cache
def environment() -> 'Environment':
  """Environment of jinja2 whose templates escape every value and refuse one that is not given."""
  from jinja2 import Environment, PackageLoader, StrictUndefined

  made = Environment(
    loader=PackageLoader('jaxalign.page'),
    undefined=StrictUndefined,
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    finalize=_text,
  )
  made.filters |= dict(verbatim=_verbatim)
  made.tests |= dict(failed=lambda cell: isinstance(cell, Failed))
  # svg is looked up at each call, so that a test can see what is drawn
  made.globals |= dict(worded=_worded, data=_data, svg=lambda *given: svg(*given))
  made.globals |= vars(made.get_template('kit.html').module)
  return made


def _text(value):
  """What a template shows of a value: Markup as it is, all else in one line, to be escaped."""
  return value if hasattr(value, '__html__') else label(shown(value), _LONGEST)


def _verbatim(text):
  """Markup of a text with its lines, without what steers a terminal or a page."""
  from markupsafe import Markup, escape

  return Markup('\n').join(escape(label(line, _LONGEST)) for line in text.split('\n'))


def embedded(data: object) -> 'Markup':
  """JSON of plain data that may stand in a script element: no letter of it is markup."""
  from markupsafe import Markup

  text = json.dumps(data, separators=(',', ':'))
  for letter in '<>&':
    text = text.replace(letter, f'\\u{ord(letter):04x}')
  return Markup(text)


def script(template: str) -> tuple['Markup', str]:
  """(Markup of a script, its sha256 as a policy names it)."""
  from markupsafe import Markup

  code = environment().get_template(template).render()
  return Markup(code), base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()


def shown(value: object) -> str:
  """A number as a reader wants it: four digits; what is not there is a dash."""
  if value is None:
    return '–'
  if isinstance(value, bool):
    return 'yes' if value else 'no'
  if isinstance(value, int):
    return f'{value:,}'
  return f'{value:.4g}' if isinstance(value, float) else str(value)


class Failed(str):
  """A cell to be seen: marked by a cross as well as by colour."""


def _worded(head, rows):
  """Whether each column is of words, which stand left and wrap; numbers stand right."""
  return [any(_wraps(row[n]) for row in rows) for n in range(len(head))]


def _wraps(cell):
  return isinstance(cell, str) and len(cell) > 24 and any(map(str.isalpha, cell))


def _data(head, rows):
  """Markup of the numbers, whole and exact, as base64 of CSV."""
  from markupsafe import Markup

  held = io.StringIO()
  csv.writer(held, lineterminator='\n').writerows([head, *rows])
  return Markup(base64.b64encode(held.getvalue().encode()).decode())  # of any length


def svg(name: str, draw: Callable[..., 'Figure'], alt: str, *said: str) -> 'Markup':
  """Markup of the figure that draw(*said) makes, said being what its axes say, in the page's own
  colours: letters are paths, so that every machine shows the same; names of its parts begin with
  its own."""
  from markupsafe import Markup, escape

  held = io.StringIO()
  with drawing(STYLE):
    draw(*said).savefig(held, format='svg', bbox_inches='tight', metadata={'Date': None})
  code = held.getvalue()
  code = re.sub(r'<metadata>.*?</metadata>', '', code[code.index('<svg') :], flags=re.DOTALL)
  code = re.sub(r' xmlns(:\w+)?="[^"]*"', '', code).replace('xlink:href', 'href')
  code = re.sub(r'<!--.*?-->', '', code, flags=re.DOTALL).replace(INK, 'currentColor')
  own = re.sub(r'[^\w-]', '-', name)  # a name may come from data of others
  code = re.sub(r'(id="|href="#|url\(#)', rf'\1{own}-', code)
  code = re.sub(r' (width|height)="[\d.]+pt"', '', code, count=2)
  seen = escape(label(alt, _LONGEST))
  return Markup(code.replace('<svg', f'<svg role="img" aria-label="{seen}"', 1))
