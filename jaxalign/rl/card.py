"""The calibration card of a reward model as one page, drawn from what card.json holds alone."""

import html
import io
import re

from jaxalign.pictures import drawing, label

_BLUE, _ORANGE, _GREY = '#0072b2', '#d55e00', '#777777'  # told apart by the colour-blind too
_LONGEST = 10_000  # characters of a name in a table

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 15px/1.45 system-ui, sans-serif; max-width: 1100px; margin: 2em auto; padding: 0 1em;
  color: #222; background: #fff }}
h1 {{ font-size: 1.4em; margin-bottom: 0 }}
table {{ border-collapse: collapse; margin: 1em 0 }}
td, th {{ text-align: left; padding: .15em 1.2em .15em 0; border-bottom: 1px solid #ddd }}
td.n {{ font-variant-numeric: tabular-nums }}
svg {{ width: 100%; height: auto }}
code {{ font-size: .85em; word-break: break-all }}
</style></head><body>
<h1>{title}</h1>
<p>{summary}</p>
{subsets}
{picture}
<p>Intervals are 95 % (Wilson for shares, Fisher for correlations). A tie is half right.
<em>Longer wins</em> always takes the longer answer: what a reward model adds is what lies above it.
In the reliability curve, what is claimed is sigmoid of the distance of both rewards.</p>
{origin}
</body></html>
"""


def page(card):
  """The whole page, with its picture inside: one file that needs no other and no network."""
  a = card['accuracy']
  summary = (
    f'Step {card["step"]:,}. {card["pairs"]:,} held-out pairs: accuracy <b>{_spoken(a)}</b>; '
    f'longer wins: {_spoken(card["longer"])}; expected calibration error '
    f'<b>{card["ece"]:.3f}</b>; loss {card["loss"]:.3f} (knowing nothing: 0.693); ties: '
    f'{card["ties"]:,}; reward and length correlate by {signed(card["reward_and_length"])}, their '
    f'differences by {signed(card["delta_and_length"])}.'
  )
  rows = [('subset', 'pairs', 'accuracy', 'longer wins')]
  for name, s in card['subsets'].items():
    rows.append((name or '(unnamed)', f'{s["accuracy"]["n"]:,}', *map(_spoken, s.values())))
  origin = [(name.replace('_', ' '), value) for name, value in card['origin'].items()]
  return _PAGE.format(
    title=html.escape(card['title']), summary=summary, subsets=table(rows, head=True),
    picture=picture(card), origin=table(origin, head=False),
  )  # fmt: skip


def _spoken(share):
  return f'{share["value"]:.1%} ({share["low"]:.1%} to {share["high"]:.1%})'


def signed(r):
  if r['value'] is None:
    return 'nothing that could be told'
  return f'{r["value"]:+.2f} ({r["low"]:+.2f} to {r["high"]:+.2f})'


def table(rows, head):
  tags = ['th' if head and n == 0 else 'td class="n"' for n in range(len(rows))]
  lines = []
  for tag, row in zip(tags, rows):
    cells = (f'<{tag}>{html.escape(label(cell, _LONGEST))}</{tag.split()[0]}>' for cell in row)
    lines.append(f'<tr>{"".join(cells)}</tr>')
  return f'<table>{"".join(lines)}</table>'


def picture(card):
  """As SVG, to stand inside the page."""
  out = io.StringIO()
  with drawing({'svg.hashsalt': 'card', 'font.size': 9}):  # the same card, the same bytes
    figure(card).savefig(out, format='svg', metadata={'Date': None})
  return re.sub(r'^.*?(?=<svg)', '', out.getvalue(), flags=re.DOTALL)


def figure(card):
  from matplotlib.figure import Figure

  made = Figure(figsize=(12, 7), layout='constrained')
  axes = made.subplots(2, 3)
  for draw, ax in zip((subsets, lengths, margins, reliability, rewards), axes.flat):
    draw(ax, card)
    ax.spines[['top', 'right']].set_visible(False)
    ax.grid(alpha=0.3)
    ax.set_axisbelow(True)
  axes.flat[5].axis('off')
  axes.flat[5].text(0, 0.95, words(card), va='top', linespacing=1.7)
  return made


def points(ax, x_N, rows, colour, label=None, mark='o', line=''):
  """Shares with their intervals; empty bins have none."""
  seen = [(x, row) for x, row in zip(x_N, rows) if row['n']]
  x_N, rows = [x for x, _ in seen], [row for _, row in seen]
  value = [row['value'] for row in rows]
  below, above = zip(*((r['value'] - r['low'], r['high'] - r['value']) for r in rows))
  error = [[max(0, e) for e in side] for side in (below, above)]  # rounding is no length
  ax.errorbar(x_N, value, error, fmt=mark + line, color=colour, label=label, capsize=2, ms=5)
  return x_N, rows


def _percent(ax, least=0.0):
  from matplotlib.ticker import PercentFormatter

  ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
  ax.set_ylim(least, 1.02)


def counts(ax, x_N, rows):
  """n, small, along the floor."""
  for x, row in zip(x_N, rows):
    ax.annotate(
      f'{row["n"]:,}', (x, 0), (0, 3), xycoords=('data', 'axes fraction'),
      textcoords='offset points', ha='center', fontsize=6.5, color=_GREY,
    )  # fmt: skip


def subsets(ax, card):
  named = dict(all=dict(accuracy=card['accuracy'], longer=card['longer'])) | card['subsets']
  at = range(len(named))
  points(ax, [x - 0.1 for x in at], [s['accuracy'] for s in named.values()], _BLUE, 'reward model')
  longer = [s['longer'] for s in named.values()]
  points(ax, [x + 0.1 for x in at], longer, _ORANGE, 'longer wins', 's')
  counts(ax, at, longer)
  ax.axhline(0.5, color=_GREY, lw=0.8, ls=':')
  ax.set_xticks(
    list(at), [label(name or '(unnamed)', 24) for name in named], rotation=20, ha='right'
  )
  ax.set_xlim(-0.5, len(named) - 0.5)
  ax.set(title='Accuracy by subset')
  _percent(ax)
  ax.legend(frameon=False, loc='lower left', fontsize=8, bbox_to_anchor=(0, 0.06))


def lengths(ax, card):
  rows = card['by_length']
  counts(ax, *points(ax, range(len(rows)), rows, _BLUE))
  wins = [0.0 if r['last'] is not None and r['last'] < 0 else 1.0 for r in rows]
  wins = [0.5 if r['first'] == r['last'] == 0 else w for r, w in zip(rows, wins)]
  ax.step(range(len(rows)), wins, where='mid', color=_ORANGE, lw=1, label='longer wins')
  ax.axhline(0.5, color=_GREY, lw=0.8, ls=':')
  ax.set_xticks(range(len(rows)), [span(r) for r in rows], rotation=30, ha='right')
  ax.set(title='Accuracy by length difference', xlabel='chosen minus rejected, tokens')
  _percent(ax)
  ax.legend(frameon=False, loc='lower right', fontsize=8, bbox_to_anchor=(1, 0.06))


def span(row):
  if row['first'] is None:
    return f'≤ {row["last"]}'
  if row['last'] is None:
    return f'≥ {row["first"]}'
  return f'{row["first"]}' if row['first'] == row['last'] else f'{row["first"]} … {row["last"]}'


def margins(ax, card):
  rows = card['by_margin']
  middle = [(row['least'] + row['most']) / 2 for row in rows]
  points(ax, middle, rows, _BLUE)
  ax.axhline(0.5, color=_GREY, lw=0.8, ls=':')
  ax.set(title='Accuracy by margin', xlabel=f'|reward difference|, bins of {each(rows)} pairs')
  _percent(ax)


def each(rows):
  """How many a bin of equal counts holds."""
  least, most = (f(row['n'] for row in rows) for f in (min, max))
  return f'{most:,}' if least == most else f'{least:,} or {most:,}'


def reliability(ax, card):
  rows = card['reliability']
  ax.plot([0.5, 1], [0.5, 1], color=_GREY, lw=0.8, ls=':')
  counts(ax, *points(ax, [row['claimed'] for row in rows], rows, _BLUE, line='-'))
  ax.set(title=f'Reliability: ECE {card["ece"]:.3f}', xlabel='claimed: σ(|reward difference|)')
  ax.set(ylabel='right', xlim=(0.49, 1.01))
  _percent(ax)


def rewards(ax, card):
  rows = card['reward_by_length']
  x = [row['length'] for row in rows]
  ax.fill_between(
    x, [r['p10'] for r in rows], [r['p90'] for r in rows], color=_BLUE, alpha=0.15, lw=0,
    label='10 % to 90 %',
  )  # fmt: skip
  points(ax, x, rows, _BLUE, 'mean', line='-')
  r = card['reward_and_length']['value']
  ax.set(title='Reward and length' + ('' if r is None else f': r = {r:+.2f}'))
  ax.set(xlabel=f'tokens of a text, bins of {each(rows)}', ylabel='reward')
  ax.legend(frameon=False, fontsize=8)


def words(card):
  lines = [
    label(card['title']),
    f'step {card["step"]:,}, {card["pairs"]:,} pairs, {card["ties"]:,} ties',
    f'accuracy {_spoken(card["accuracy"])}',
    f'longer wins {_spoken(card["longer"])}',
    f'ECE {card["ece"]:.3f}, loss {card["loss"]:.3f}',
    f'reward and length: {signed(card["reward_and_length"])}',
    f'differences of both: {signed(card["delta_and_length"])}',
  ]
  lines += [f'{name.replace("_", " ")} {label(v, 17)}' for name, v in card['origin'].items()]
  return '\n'.join(line if len(line) < 62 else line[:61] + '…' for line in lines)
