"""The kit of pages: escaped, offline, in the dark and on paper, its colours for any eye."""

import base64
import csv
import io
import itertools
import pathlib
import re
import sys
import tomllib

import numpy as np
import pytest

from jaxalign.config import UserError
from jaxalign.page import figures, kit

pytest.importorskip('jinja2', reason='pages are an extra: jaxalign[report]')
ROOT = pathlib.Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / 'jaxalign' / 'page' / 'templates'
EVIL = '<script>alert(1)</script>&"\'\0\n\x1b'
CARD = '{% extends "page.html" %}{% block title %}{{ x }}{% endblock %}'
SEEN = {  # linear RGB as the colour-blind see it (Machado and others 2009, severity 1)
  'everyone': np.eye(3),
  'deuteranopia': [
    [0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
    [-0.011820, 0.042940, 0.968881],
  ],
  'protanopia': [
    [0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
}  # fmt: skip


def rendered(text, **values):
  return kit.environment().from_string(text).render(values)


def linear(colour):
  x_3 = np.array([int(colour[n : n + 2], 16) for n in (1, 3, 5)]) / 255
  return np.where(x_3 <= 0.04045, x_3 / 12.92, ((x_3 + 0.055) / 1.055) ** 2.4)


def lab(rgb_3):
  """CIE L*a*b* of linear RGB, white D65."""
  xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
  t_3 = xyz @ np.clip(rgb_3, 0, 1) / [0.9505, 1, 1.089]
  x, y, z = np.where(t_3 > 0.008856, np.cbrt(t_3), 7.787 * t_3 + 16 / 116)
  return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def contrast(one, other):
  bright = [linear(colour) @ [0.2126, 0.7152, 0.0722] + 0.05 for colour in (one, other)]
  return max(bright) / min(bright)


def test_every_value_is_escaped_and_one_line():
  assert rendered('<b>{{ x }}</b>', x=EVIL) == (
    '<b>&lt;script&gt;alert(1)&lt;/script&gt;&amp;&#34;&#39;   </b>'
  )
  cell = '{{ table(("a", x), [(x, 1)]) }}{{ download(x, ("a",), [(x,)]) }}'
  assert '<script' not in rendered(cell, x=EVIL)
  assert rendered('{{ table(("a",), [("b",)]) }}').count('<td>') == 1, 'and markup is not'


def test_a_value_that_is_not_given_is_an_error():
  from jinja2 import UndefinedError

  with pytest.raises(UndefinedError, match='y'):
    rendered('{{ x }}{{ y }}', x=1)


def test_numbers_are_shown_as_they_are_read_and_kept_whole():
  rows = [('a', 1234567, 1 / 3, None, True)]
  seen = rendered('{{ numbers("n", head, rows) }}', head='abcde', rows=rows)
  assert re.findall('<td[^>]*>([^<]*)</td>', seen) == list(map(kit.shown, rows[0]))
  assert list(map(kit.shown, rows[0])) == ['a', '1,234,567', '0.3333', '–', 'yes']
  held = base64.b64decode(re.search('base64,([^"]*)"', seen)[1]).decode()
  assert list(csv.reader(io.StringIO(held)))[1] == ['a', '1234567', str(1 / 3), '', 'True']
  marked = rendered('{{ table("a", [(x,)]) }}', x=kit.Failed('0.6'))
  assert '<td class="bad">✗ 0.6</td>' in marked


def test_the_frame_stands_alone_in_the_dark_and_on_paper():
  page = rendered(CARD + '{% block body %}{{ x }}{% endblock %}', x=EVIL)
  assert '://' not in page and '<script' not in page and '@import' not in page
  assert 'name="viewport"' in page and 'color-scheme:light dark' in page
  assert '@media(prefers-color-scheme:dark)' in page
  paper = page.split('@media print')[1]
  assert 'details::details-content' in paper and '.get{display:none}' in paper
  css = page.split('{')[1], page.split('{')[3], paper.split('}')[0]
  light, dark, printed = (set(re.findall(r'(--\w+):', part)) for part in css)
  used = set(re.findall(r'var\((--\w+)\)', page))
  assert used <= light == dark == printed, 'a colour is missing in one of them'


def test_a_picture_has_the_colours_of_its_page_and_names_of_its_own():
  pytest.importorskip('matplotlib')

  def draw():
    made, ax = figures.axes_of(1)
    ax.set_title('$\\frac{$ -->')
    ax.plot([0, 1], [0, 1], color=figures.BLUE, marker='o')
    return made

  one, two, odd = (kit.svg(name, draw, EVIL) for name in ('one', 'two', '"><script>\\9'))
  assert 'currentColor' in one and figures.INK not in one and figures.BLUE.lower() in one.lower()
  assert 'role="img" aria-label="&lt;script&gt;' in one and '://' not in one and '--' not in one
  assert '<script' not in odd and 'id="---script--9-' in odd
  ids = [set(re.findall(' id="([^"]+)"', code)) for code in (one, two)]
  assert ids[0] and not ids[0] & ids[1]
  assert set(re.findall(r'(?:href="|url\()#([^")]+)', one)) <= ids[0]


@pytest.mark.parametrize('eye', SEEN)
def test_colours_are_told_apart_by_every_eye(eye):
  colours = [*figures.HUES, figures.GREY]
  seen = {c: lab(np.array(SEEN[eye]) @ linear(c)) for c in (*colours, '#d62728', '#2ca02c')}
  for one, other in itertools.combinations(colours, 2):
    assert np.linalg.norm(seen[one] - seen[other]) > 10, (one, other)
  red, green = seen['#d62728'], seen['#2ca02c']
  assert eye == 'everyone' or np.linalg.norm(red - green) < 60, 'the eye is not simulated'


@pytest.mark.parametrize('back', ['#ffffff', '#14171a'])
def test_the_page_is_read_in_the_light_and_in_the_dark(back):
  """Contrast of text at least 4.5, of the palette's lines 2: marks and dashes say the same."""
  css = (TEMPLATES / 'style.css').read_text()
  theme = css.split('{')[1 if back == '#ffffff' else 3]
  colours = {
    name: colour if len(colour) == 7 else '#' + ''.join(x * 2 for x in colour[1:])
    for name, colour in re.findall(r'--(\w+):(#\w+)', theme)
  }
  assert colours['page'] == back
  for name in ('ink', 'soft', 'bad', 'good', 'link'):
    assert min(contrast(colours[name], colours[on]) for on in ('page', 'card')) > 4.5, name
  assert min(contrast(c, back) for c in (*figures.HUES, figures.GREY)) > 2


def test_no_template_turns_escaping_off_or_reaches_out():
  texts = {path.name: path.read_text() for path in TEMPLATES.rglob('*.*')}
  assert len(texts) > 4
  for name, text in texts.items():
    assert not re.search(r'\|\s*safe\b|autoescape|://|@import', text), name
  scripted = [name for name, text in texts.items() if '<script' in text]
  policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{{ script_hash }}'"
  assert sorted(scripted) == ['answers.html', 'corpus.html']
  assert all(policy in texts[name] for name in scripted)


def test_every_template_is_used():
  paths = (ROOT / 'jaxalign').rglob('*.*')
  text = ''.join(path.read_text() for path in paths if path.suffix in ('.py', '.html'))
  names = [path.relative_to(TEMPLATES).as_posix() for path in TEMPLATES.rglob('*.*')]
  assert not [name for name in names if f"'{name}'" not in text]


def test_templates_ship_with_the_package():
  """As pip installs it: every folder is a package, and every kind of file is data."""
  setup = tomllib.loads((ROOT / 'pyproject.toml').read_text())['tool']['setuptools']
  assert setup['packages']['find'] == dict(include=['jaxalign*']), 'namespaces, by default'
  kinds = setup['package-data']['*']
  files = [path for path in (ROOT / 'jaxalign' / 'page').rglob('*.*') if path.suffix != '.py']
  left = [f.name for f in files if f'*{f.suffix}' not in kinds and f.suffix != '.pyc']
  assert files and not left


@pytest.mark.parametrize('name', ['matplotlib', 'jinja2'])
def test_without_the_extra_a_line_says_what_to_install(name, monkeypatch, caplog):
  assert kit.drawable('x.html') and kit.refuse_without_extra() is None
  monkeypatch.setitem(sys.modules, name, None)
  assert not kit.drawable('x.html')
  assert 'x.html is not drawn: pip install jaxalign[report]' in caplog.text
  with pytest.raises(UserError, match='pip install'):
    kit.refuse_without_extra()
