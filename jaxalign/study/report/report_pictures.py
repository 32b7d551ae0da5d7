"""The report's pictures, as matplotlib figures: narrow, so that a phone shows them legibly.

Colours are Okabe and Ito's; a marker or a dash says the same again.
"""

import textwrap

import numpy as np

from jaxalign.page.pages import INK

_WIDE = 4.4  # inches: at the width of a phone, letters keep their size
_TICKS = 6  # of an axis, at most: more of their numbers run into each other
GREY = '#8a8f96'
BLUE, ORANGE, GREEN, RED = '#0072B2', '#E69F00', '#009E73', '#D55E00'
PURPLE, SKY = '#CC79A7', '#56B4E9'
LOOK = {
  'A': (BLUE, 'o'), 'B': (ORANGE, 's'), '': (GREEN, '^'),
  'harm': (RED, 'D'), 'benign': (SKY, 'o'), 'd': (PURPLE, '^'),
  'read': (BLUE, 'o'), 'done': (ORANGE, 's'), 'cosine': (GREEN, 'o'), 'chance': (GREY, '|'),
  'before': (SKY, 'o'), 'after': (RED, 'D'),
}  # fmt: skip


def figure(height, rows=1, columns=1, **how):
  from matplotlib.figure import Figure

  made = Figure(figsize=(_WIDE, height), layout='constrained')
  return made, made.subplots(rows, columns, squeeze=False, **how)


def _scattered(count):
  """A height for each seed, the same in every row, so that a seed can be followed."""
  return np.linspace(-0.22, 0.22, count) if count != 1 else np.zeros(1)


def forest(contrasts, xlabel, alpha):
  """A row for each planned contrast: claim, seeds, mean with interval, the floor beside a null."""
  rows = [(f'{one["name"]}: {one["what"]}', one, told(one, alpha)) for one in contrasts]
  return intervals(rows, xlabel, 1.05)


def intervals(rows, xlabel, high_inches):
  """rows: [(heading, numbers, what is written below)]."""
  made, ((ax,),) = figure(0.4 + high_inches * len(rows))
  low, high = reach([one for _, one, _ in rows])
  for n, (heading, one, below) in enumerate(rows):
    words = textwrap.wrap(heading, 56)
    at = ax.get_yaxis_transform()
    ax.text(0, -n + 0.32, '\n'.join(words), transform=at, va='bottom', fontsize=8.5)
    below = '\n'.join(textwrap.wrap(below, 68))  # a line that is too long narrows the axis
    ax.text(0, -n - 0.12, below, transform=at, va='top', fontsize=7.5)
    row(ax, one, -n, low, high)
  ax.set(xlim=(low, high), ylim=(-len(rows) + 0.6, 0.72), yticks=[], xlabel=xlabel)
  ax.locator_params(axis='x', nbins=_TICKS)
  ax.spines['left'].set_visible(False)
  return made


def row(ax, one, y, low, high):
  color, filled = {True: (BLUE, BLUE), False: (RED, 'none'), None: (GREEN, 'none')}[one['holds']]
  seeds = one['differences']
  ax.plot([0, 0], [y - 0.07, y + 0.3], color=INK, lw=0.8)  # nowhere through the words
  ax.plot(seeds, y + 0.2 + _scattered(len(seeds)) / 4, 'o', color=GREY, ms=3.5, alpha=0.9,
          label='seeds')  # fmt: skip
  if one['low'] is not None:
    ends = np.clip([one['low'], one['high']], low, high)
    ax.plot(ends, [y, y], '-', color=color, lw=1.6, label='interval')
    for end, beyond, mark in ((low, one['low'] < low, '<'), (high, one['high'] > high, '>')):
      if beyond:
        ax.plot([end], [y], mark, color=color, ms=5, clip_on=False)
  if not one['holds'] and one['floor'] is not None:
    ax.plot([-one['floor'], one['floor']], [y, y], '|', color=INK, ms=9, mew=1.2, label='floor')
  ax.plot([one['mean']], [y], 'D', color=color, mfc=filled, ms=6, mew=1.4, label='mean')


def reach(contrasts):
  """The axis: all seeds with room, and of intervals no more than as much again."""
  seeds = [x for one in contrasts for x in (*one['differences'], one['mean'])] + [0.0]
  least, most = min(seeds), max(seeds)
  room = (most - least) or 1.0
  ends = [one[end] for one in contrasts for end in ('low', 'high') if one[end] is not None]
  low = max(least - room, min([least, *ends]))
  high = min(most + room, max([most, *ends]))
  return low - 0.05 * room, high + 0.05 * room


def told(one, alpha):
  """The row's numbers in words, and of a small p why it is not enough."""
  said = f'{one["mean"]:+.3g}'
  if one['low'] is not None:
    said += f' [{one["low"]:.3g}, {one["high"]:.3g}]'
  said += f', p = {one["p"]:.2g}, Holm {one["p_holm"]:.2g}'
  if one['holds']:
    return f'{said}: holds'
  why = '' if one['agree'] or one['p_holm'] >= alpha else ', not one sign on all scales'
  floor = '' if one['floor'] is None else f'; floor ±{one["floor"]:.3g}'
  return f'{said}: not shown{why}{floor}'


def dots(groups, xlabel, xlim=None, mean=True):
  """groups: [(title, [(label, {series: [a number a seed]})])]. A dot a seed, a bar at the mean."""
  count = sum(len(rows) + bool(title) for title, rows in groups)
  made, ((ax,),) = figure(max(1.3, 0.6 + 0.27 * count))  # a legend needs room above one row
  ax.axvline(0, color=INK, lw=0.8)
  y, ticks, seen = 0, {}, {}
  for title, rows in groups:
    if title:
      ticks[y] = title
      y -= 1
    for label, series in rows:
      ticks[y] = label
      ax.axhline(y, color=GREY, lw=0.3, zorder=0)
      for name, values in series.items():
        color, mark = LOOK[name]
        (seen[name],) = ax.plot(
          values, y + mean * _scattered(len(values)), mark, color=color, alpha=0.85,
          **(dict(ms=9, mew=1.2) if mark == '|' else dict(ms=4.2, mew=0)),
        )  # fmt: skip
        if mean:
          ax.plot([np.mean(values)] * 2, [y - 0.36, y + 0.36], '-', color=color, lw=2, label='mean')
      y -= 1
  ax.set(ylim=(y + 0.4, 0.6), xlabel=xlabel, yticks=[*ticks])
  ax.locator_params(axis='x', nbins=_TICKS)
  if xlim:
    ax.set_xlim(xlim)
  titles = {title for title, _ in groups}
  for tick, label in zip(ax.set_yticklabels(ticks.values()), ticks.values()):
    tick.set_fontweight('bold' if label in titles else 'normal')
  ax.tick_params(axis='y', length=0)
  ax.spines['left'].set_visible(False)
  if any(len(series) > 1 for _, rows in groups for _, series in rows):
    ax.legend(seen.values(), seen, ncols=len(seen), loc='lower right', bbox_to_anchor=(1, 1))
  return made


_HUES = (BLUE, RED, GREEN, PURPLE, ORANGE, SKY)
_SIDES = {'A': '-', 'B': '--', '': '-'}


def curves(panels, ylabel):
  """panels: {title: {line: (kind, side, steps, [losses of each seed])}}; a line is a mean.

  A kind of documents has a colour, its two sides have two dashes.
  """
  made, axes_RC = figure(1.75 * len(panels), len(panels), 1)
  for ax, (title, lines) in zip(axes_RC[:, 0], panels.items()):
    kinds = list(dict.fromkeys(kind for kind, *_ in lines.values()))
    for name, (kind, side, steps, loss_SN) in lines.items():
      color = _HUES[kinds.index(kind) % len(_HUES)]
      if len(lines) == 1:
        ax.plot(steps, np.transpose(loss_SN), '-', color=color, lw=0.5, alpha=0.6)
      ax.plot(steps, np.mean(loss_SN, axis=0), _SIDES[side], color=color, lw=1.3, label=name)
    ax.set_title(title, loc='left', fontweight='bold')
    ax.set_ylabel(ylabel)
    ax.grid(alpha=0.3, lw=0.4)
    if len(lines) > 1:
      ax.legend(loc='upper left', bbox_to_anchor=(1, 1.1), handlelength=1.8, borderaxespad=0.2,
                fontsize=7.5)  # fmt: skip
  axes_RC[-1, 0].set_xlabel('step')
  return made
