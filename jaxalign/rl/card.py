"""The calibration card of a reward model as one page, drawn from what card.json holds alone."""

import functools
from collections.abc import Mapping
from typing import Any

from jaxalign.page import kit
from jaxalign.page.figures import BLUE, GREY, RED, axes_of
from jaxalign.pictures import label

_TALL = 2.6  # inches
_TABLES = dict(length='by_length', margin='by_margin')
_TABLES |= dict(reliability='reliability', rewards='reward_by_length')


def page(card: Mapping[str, Any]) -> str:
  """The whole page, with its pictures inside: one file that needs no other and no network."""
  subsets = [
    (name or '(unnamed)', of['accuracy']['n'], *map(_share, of.values()))
    for name, of in card['subsets'].items()
  ]
  tables = [
    (name, [*card[field][0]], [[*row.values()] for row in card[field]])
    for name, field in _TABLES.items()
    if card[field]
  ]
  pictures = (_subsets, _lengths, _margins, _reliability, _rewards)
  origin = [(name.replace('_', ' '), value) for name, value in card['origin'].items()]
  draw = {f.__name__[1:]: functools.partial(_figure, f, card) for f in pictures}
  words = dict(share=_share, each=_each, correlation=_correlation)
  return kit.render(
    'card.html', card=card, subsets=subsets, tables=tables, draw=draw, origin=origin, **words
  )


def _share(share):
  return f'{share["value"]:.1%} ({share["low"]:.1%} to {share["high"]:.1%})'


def _correlation(r):
  if r['value'] is None:
    return 'nothing that could be told'
  return f'{r["value"]:+.2f} ({r["low"]:+.2f} to {r["high"]:+.2f})'


def _figure(fill, card):
  """Figure of one picture, which fill(ax, card) draws."""
  made, ax = axes_of(_TALL)
  fill(ax, card)
  ax.grid(alpha=0.3)
  ax.set_axisbelow(True)
  return made


def _points(ax, x_N, rows, colour, label=None, mark='o', line=''):
  """Shares with their intervals; empty bins have none."""
  seen = [(x, row) for x, row in zip(x_N, rows) if row['n']]
  x_N, rows = [x for x, _ in seen], [row for _, row in seen]
  value = [row['value'] for row in rows]
  below, above = zip(*((r['value'] - r['low'], r['high'] - r['value']) for r in rows))
  error = [[max(0, e) for e in side] for side in (below, above)]  # rounding is no length
  ax.errorbar(x_N, value, error, fmt=mark + line, color=colour, label=label, capsize=2, ms=5)
  return x_N, rows


def _percent(ax):
  from matplotlib.ticker import PercentFormatter

  ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
  ax.set_ylim(0, 1.02)


def _counts(ax, x_N, rows):
  """n, small, along the floor."""
  for x, row in zip(x_N, rows):
    where = dict(xycoords=('data', 'axes fraction'), textcoords='offset points')
    ax.annotate(f'{row["n"]:,}', (x, 0), (0, 3), **where, ha='center', fontsize=7)


def _subsets(ax, card):
  named = dict(all=dict(accuracy=card['accuracy'], longer=card['longer'])) | card['subsets']
  at = range(len(named))
  _points(ax, [x - 0.1 for x in at], [s['accuracy'] for s in named.values()], BLUE, 'reward model')
  longer = [s['longer'] for s in named.values()]
  _points(ax, [x + 0.1 for x in at], longer, RED, 'longer wins', 's')
  _counts(ax, at, longer)
  ax.axhline(0.5, color=GREY, lw=0.8, ls=':')
  ax.set_xticks(
    list(at), [label(name or '(unnamed)', 24) for name in named], rotation=20, ha='right'
  )
  ax.set_xlim(-0.5, len(named) - 0.5)
  _percent(ax)
  ax.legend(ncols=2, loc='lower right', bbox_to_anchor=(1, 1))


def _lengths(ax, card):
  rows = card['by_length']
  _counts(ax, *_points(ax, range(len(rows)), rows, BLUE, 'reward model'))
  wins = [0.0 if r['last'] is not None and r['last'] < 0 else 1.0 for r in rows]
  wins = [0.5 if r['first'] == r['last'] == 0 else w for r, w in zip(rows, wins)]
  ax.step(range(len(rows)), wins, where='mid', color=RED, lw=1, label='longer wins')
  ax.axhline(0.5, color=GREY, lw=0.8, ls=':')
  ax.set_xticks(range(len(rows)), [_span(r) for r in rows], rotation=30, ha='right')
  ax.set(xlabel='chosen less rejected, tokens')
  _percent(ax)
  ax.legend(ncols=2, loc='lower right', bbox_to_anchor=(1, 1))


def _span(row):
  if row['first'] is None:
    return f'≤ {row["last"]}'
  if row['last'] is None:
    return f'≥ {row["first"]}'
  return f'{row["first"]}' if row['first'] == row['last'] else f'{row["first"]} … {row["last"]}'


def _margins(ax, card):
  rows = card['by_margin']
  _points(ax, [(row['least'] + row['most']) / 2 for row in rows], rows, BLUE)
  ax.axhline(0.5, color=GREY, lw=0.8, ls=':')
  ax.set(xlabel='|reward difference|')
  _percent(ax)


def _each(rows):
  """How many a bin of equal counts holds."""
  least, most = (f(row['n'] for row in rows) for f in (min, max))
  return f'{most:,}' if least == most else f'{least:,} or {most:,}'


def _reliability(ax, card):
  rows = card['reliability']
  ax.plot([0.5, 1], [0.5, 1], color=GREY, lw=0.8, ls=':')
  _counts(ax, *_points(ax, [row['claimed'] for row in rows], rows, BLUE, line='-'))
  ax.set(xlabel='claimed: σ(|reward difference|)', ylabel='right', xlim=(0.49, 1.01))
  _percent(ax)


def _rewards(ax, card):
  rows = card['reward_by_length']
  x = [row['length'] for row in rows]
  low, high = ([row[name] for row in rows] for name in ('p10', 'p90'))
  ax.fill_between(x, low, high, color=BLUE, alpha=0.25, lw=0, label='10 % to 90 %')
  _points(ax, x, rows, BLUE, 'mean', line='-')
  ax.set(xlabel='tokens of a text', ylabel='reward')
  ax.legend()
