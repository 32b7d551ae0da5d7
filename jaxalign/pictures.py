"""What all pictures and pages share: text in them is data, and a picture costs no run.

Names come from corpora, plans and files of others: `$\\frac{$` is a name, and no formula.
"""

import contextlib
import unicodedata
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from absl import logging

from jaxalign.config import UserError
from jaxalign.files import Place, write_text

_PLAIN = {'text.parse_math': False, 'text.usetex': False}
_LONG = 60  # characters of a name in a picture; tables show all of it


def label(name: object, most: int = _LONG) -> str:
  """A name in one line, as it may be drawn or printed: without what steers a terminal or a page."""
  text = ''.join(' ' if unicodedata.category(c) in ('Cc', 'Cs') else c for c in str(name))
  return text if len(text) <= most else text[: most - 1] + '…'


@contextlib.contextmanager
def drawing(style: Mapping[str, Any]) -> Iterator[None]:
  """In here figures are made and saved: `style`, no formulas, no word on letters no font has."""
  from matplotlib import rc_context

  with rc_context({**style, **_PLAIN}), warnings.catch_warnings():
    warnings.filterwarnings('ignore', message='Glyph .* missing from')
    warnings.filterwarnings('ignore', message='constrained_layout not applied|Tight layout not')
    yield


def kept(draw: Callable[[], str], path: Place) -> bool:
  """draw() is a page, written at path. Where it fails there is a line instead, and what it was to
  show is in its JSON: hours of training do not end in a fault for a picture."""
  try:
    page = draw()
  except UserError:
    raise
  except Exception as error:
    logging.error('%s is not drawn (%s: %s)', path, type(error).__name__, label(error, 200))
    return False
  write_text(page, path)
  return True
