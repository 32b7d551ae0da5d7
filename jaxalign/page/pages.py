"""Parts of an offline page: its frame, tables, and pictures that carry their numbers with them.

No script and no address: what is drawn stands inside. Every text is escaped here, once.
"""

import base64
import csv
import html
import io
import re

from absl import logging

from jaxalign.pictures import drawing, label

_LONGEST = 20_000  # characters of a text
INK = '#010203'  # in pictures: becomes the colour of the page's text, be it dark or light

_STYLE = """
:root{color-scheme:light dark;--ink:#16191d;--soft:#5a626b;--page:#fff;--card:#f4f6f8;
--line:#d3d8de;--bad:#b3400a;--good:#00744f;--link:#005a94}
@media(prefers-color-scheme:dark){:root{--ink:#e7e9ec;--soft:#a3abb5;--page:#14171a;--card:#1e2328;
--line:#3a4149;--bad:#ff9a5c;--good:#4fd1a5;--link:#6cb8ee}}
*{box-sizing:border-box}
body{font:16px/1.55 system-ui,-apple-system,'Segoe UI',sans-serif;color:var(--ink);
background:var(--page);max-width:52rem;margin:0 auto;padding:1.2rem 1rem 4rem;
overflow-wrap:break-word}
h1{font-size:1.35rem;line-height:1.3;margin:.3rem 0}
h2{font-size:1.2rem;margin:2.6rem 0 .5rem;padding-top:.6rem;border-top:1px solid var(--line)}
h3{font-size:1rem;margin:1.6rem 0 .3rem}
p,ul{margin:.6rem 0}ul{padding-left:1.2rem}li{margin:.25rem 0}a{color:var(--link)}
.soft,figcaption{color:var(--soft);font-size:.9rem}
nav{font-size:.9rem;display:flex;flex-wrap:wrap;gap:.2rem 1rem;margin:1rem 0}
.verdict{background:var(--card);border-left:.5rem solid var(--soft);border-radius:.3rem;
padding:1rem 1.1rem;margin:1rem 0}
.verdict b{display:block;font-size:clamp(1.7rem,7vw,2.8rem);line-height:1.1;letter-spacing:.01em}
.verdict p{font-size:1.08rem;margin:.6rem 0 0}.verdict p::first-letter{text-transform:uppercase}
.verdict.yes{border-color:var(--good)}.verdict.no{border-color:var(--bad)}
figure{margin:1rem 0}svg{display:block;width:100%;max-width:37rem;height:auto;margin:.4rem auto}
.wide{overflow-x:auto;max-width:100%}
table{border-collapse:collapse;font-size:.85rem;font-variant-numeric:tabular-nums;margin:.5rem 0}
th,td{padding:.25rem .6rem;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th{vertical-align:bottom;font-weight:600}
th:first-child,td:first-child{text-align:left;padding-left:0}
td.text{text-align:left;white-space:normal;min-width:10rem;overflow-wrap:anywhere}th.text{text-align:left}
td.bad{color:var(--bad);font-weight:700}
code{font-size:.85em;word-break:break-all}
pre{background:var(--card);padding:.7rem .9rem;white-space:pre-wrap;border-radius:.3rem}
summary{cursor:pointer;color:var(--link)}details{margin:.4rem 0}
@media print{:root{--ink:#000;--soft:#333;--page:#fff;--card:#fff;--line:#999;--bad:#b3400a;
--good:#00744f;--link:#000}body{font-size:10pt;max-width:none;padding:0}nav,.get{display:none}
svg{max-width:14cm}figure,tr,.verdict{break-inside:avoid}h2,h3{break-after:avoid}
details::details-content{display:block;content-visibility:visible;height:auto}
.wide{overflow:visible}table{font-size:6.5pt}th,td{padding:.1rem .25rem;white-space:normal}}
"""

_PICTURE = {
  'svg.hashsalt': 'study', 'svg.fonttype': 'path', 'font.size': 9,
  'axes.titlesize': 9, 'legend.fontsize': 8, 'legend.frameon': False,
  'axes.spines.top': False, 'axes.spines.right': False, 'axes.linewidth': 0.6,
  'figure.facecolor': 'none', 'axes.facecolor': 'none', 'savefig.facecolor': 'none',
  **dict.fromkeys(('text.color', 'axes.edgecolor', 'axes.labelcolor'), INK),
  **dict.fromkeys(('xtick.color', 'ytick.color', 'axes.titlecolor'), INK),
}  # fmt: skip


def text(value):
  return html.escape(label(value, _LONGEST))


def drawable(name):
  """Whether there is something to draw with; else one line says why the page is missing."""
  try:
    import matplotlib  # noqa: F401
  except ImportError:
    logging.warning(f'{name} is not drawn: pip install jaxalign[report] has what it needs')
    return False
  return True


def named(arm):
  """How an arm is called where it is read: its lessons in their order."""
  return arm.replace('-', ' → ')


def frame(title, parts):
  head = (
    '<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
    f'<title>{text(title)}</title><style>{_STYLE}</style>'
  )
  body = '\n'.join(part for part in parts if part)
  return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def shown(value):
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


def table(head, rows):
  """Columns of words stand left and wrap; numbers stand right."""
  worded = [any(isinstance(row[n], str) and len(row[n]) > 24 for row in rows)
            for n in range(len(head))]  # fmt: skip
  top = ''.join(f'<th{" class=text" * words}>{text(x)}</th>' for x, words in zip(head, worded))
  lines = []
  for row in rows:
    kinds = (
      ' class="bad"' if isinstance(x, Failed) else ' class="text"' if words else ''
      for x, words in zip(row, worded)
    )
    cells = (
      f'<td{kind}>{"✗ " * isinstance(x, Failed)}{text(shown(x))}</td>'
      for x, kind in zip(row, kinds)
    )
    lines.append(f'<tr>{"".join(cells)}</tr>')
  body = ''.join(lines)
  return (
    f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
  )


def download(name, head, rows):
  """A link to the numbers, whole and exact, inside the page."""
  held = io.StringIO()
  writer = csv.writer(held, lineterminator='\n')
  writer.writerows([head, *rows])
  data = base64.b64encode(held.getvalue().encode()).decode()
  return (
    f'<a class="get" download="{text(name)}.csv" href="data:text/csv;charset=utf-8;base64,{data}">'
    f'Download {text(name)}.csv</a>'
  )


def numbers(name, head, rows, seen=None):
  """A table to be opened, and all of it to be downloaded; seen: tables where all is too wide."""
  return (
    f'<details><summary>The numbers as a table</summary>{seen or table(head, rows)}</details>'
    f'<p>{download(name, head, rows)}</p>'
  )


def picture(name, draw, alt, caption):
  """draw() makes the figure; it is drawn in the page's own colours."""
  return f'<figure>{svg(name, draw, alt)}<figcaption>{text(caption)}</figcaption></figure>'


def svg(name, draw, alt):
  """Letters as paths, so that every machine shows the same; names of its parts are its own."""
  held = io.StringIO()
  with drawing(_PICTURE):
    draw().savefig(held, format='svg', bbox_inches='tight', metadata={'Date': None})
  code = held.getvalue()
  code = re.sub(r'<metadata>.*?</metadata>', '', code[code.index('<svg') :], flags=re.DOTALL)
  code = re.sub(r' xmlns(:\w+)?="[^"]*"', '', code).replace('xlink:href', 'href')
  code = re.sub(r'<!--.*?-->', '', code, flags=re.DOTALL).replace(INK, 'currentColor')
  code = re.sub(r'(id="|href="#|url\(#)', rf'\1{name}-', code)
  code = re.sub(r' (width|height)="[\d.]+pt"', '', code, count=2)
  return code.replace('<svg', f'<svg role="img" aria-label="{text(alt)}"', 1)
