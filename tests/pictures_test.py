"""Text in pictures is data, and a picture costs no run."""

import pytest

from jaxalign import pictures
from jaxalign.config import UserError


def test_a_name_is_one_short_line_without_what_steers_a_page():
  assert pictures.label('a\nb\x1b[2J\0c\ud800') == 'a b [2J c '
  assert pictures.label('größe 🙂 $\\frac{$ <b>') == 'größe 🙂 $\\frac{$ <b>'
  assert pictures.label('x' * 61) == 'x' * 59 + '…' and pictures.label('x' * 60) == 'x' * 60


def test_what_cannot_be_drawn_is_a_line_and_leaves_the_page_before_it(tmp_path, caplog):
  path = tmp_path / 'card.html'
  assert pictures.kept(lambda: 'page', path) and path.read_text() == 'page'
  assert not pictures.kept(lambda: 1 / 0, path) and path.read_text() == 'page'
  assert 'card.html is not drawn (ZeroDivisionError: division by zero)' in caplog.text
  with pytest.raises(UserError):
    pictures.kept(lambda: (_ for _ in ()).throw(UserError('an extra is missing')), path)


def test_there_are_no_formulas():
  pytest.importorskip('matplotlib', reason='pages are an extra: jaxalign[report]')
  from matplotlib.figure import Figure

  def save(name):
    made = Figure()
    made.subplots().set_title(name)
    made.savefig(pictures_path, format='svg')

  import io

  pictures_path = io.StringIO()
  with pytest.raises(ValueError):
    save('$\\frac{$')  # else this test says nothing
  with pictures.drawing({}):
    save('$\\frac{$')
