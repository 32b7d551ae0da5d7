"""The report's pictures, made by matplotlib: a marker or a dash says again what a colour says."""

import textwrap

import numpy as np

from jaxalign.page.figures import (
  BLUE,
  GREEN,
  GREY,
  HUES,
  INK,
  ORANGE,
  PURPLE,
  RED,
  SKY,
  axes_of,
  figure,
)

_TICKS = 6  # of an axis, at most: more of their numbers run into each other
_LOOK = {
  'A': (BLUE, 'o'), 'B': (ORANGE, 's'), '': (GREEN, '^'),
  'harm': (RED, 'D'), 'benign': (SKY, 'o'), 'd': (PURPLE, '^'),
  'read': (BLUE, 'o'), 'done': (ORANGE, 's'), 'cosine': (GREEN, 'o'), 'chance': (GREY, '|'),
  'before': (SKY, 'o'), 'after': (RED, 'D'),
}  # fmt: skip


def _scattered(count):
  """A height for each seed, the same in every row, so that a seed can be followed."""
  return np.linspace(-0.22, 0.22, count) if count != 1 else np.zeros(1)


def forest(contrasts, xlabel, alpha):
  """A row for each planned contrast: claim, seeds, mean with interval, the floor beside a null."""
  rows = [(f'{one["name"]}: {one["what"]}', one, told(one, alpha)) for one in contrasts]
  return intervals(rows, xlabel)


def intervals(rows, xlabel):
  """rows: [(heading, numbers, what is written below)]; each as high as its words; y in inches."""
  rows = [(textwrap.wrap(above, 56), one, textwrap.wrap(below, 68)) for above, one, below in rows]
  high = sum(0.62 + 0.15 * len(above) + 0.12 * len(below) for above, _, below in rows)
  made, ax = axes_of(0.4 + high)
  low, top = _reach([one for _, one, _ in rows])
  at, y = ax.get_yaxis_transform(), 0.0
  for above, one, below in rows:
    ax.text(0, y, '\n'.join(above), transform=at, va='top', fontsize=8.5)
    y -= 0.15 * len(above) + 0.32
    _row(ax, one, y, low, top)
    ax.text(0, y - 0.1, '\n'.join(below), transform=at, va='top', fontsize=7.5)
    y -= 0.3 + 0.12 * len(below)
  ax.set(xlim=(low, top), ylim=(y + 0.1, 0.05), yticks=[], xlabel=xlabel)
  ax.locator_params(axis='x', nbins=_TICKS)
  ax.spines['left'].set_visible(False)
  return made


def _row(ax, one, y, low, high):
  color, filled = {True: (BLUE, BLUE), False: (RED, 'none'), None: (GREEN, 'none')}[one['holds']]
  seeds = one['differences']
  ax.plot([0, 0], [y - 0.06, y + 0.27], color=INK, lw=0.8)  # nowhere through the words
  ax.plot(seeds, y + 0.18 + _scattered(len(seeds)) / 4, 'o', color=GREY, ms=3.5, alpha=0.9,
          label='seeds')  # fmt: skip
  if one['low'] is not None:
    ends = np.clip([one['low'], one['high']], low, high)
    ax.plot(ends, [y, y], '-', color=color, lw=1.6, label='interval')
    for end, beyond, mark in ((low, one['low'] < low, '<'), (high, one['high'] > high, '>')):
      if beyond:
        ax.plot([end], [y], mark, color=color, ms=5, clip_on=False)
  if not one['holds'] and one['floor'] is not None:
    ax.plot([-one['floor'], one['floor']], [y, y], '|', color=INK, ms=8, mew=1.2, label='floor')
  ax.plot([one['mean']], [y], 'D', color=color, mfc=filled, ms=6, mew=1.4, label='mean')


def _reach(contrasts):
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
  made, ax = axes_of(max(1.3, 0.6 + 0.27 * count))  # a legend needs room above one row
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
        color, mark = _LOOK[name]
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


_SIDES = {'A': '-', 'B': '--', '': '-'}


def curves(panels, ylabel):
  """panels: {title: {line: (kind, side, steps, [losses of each seed])}}; a line is a mean.

  A kind of documents has a colour, its two sides have two dashes.
  """
  made, axes_RC = figure(1.75 * len(panels), len(panels), 1)
  for ax, (title, lines) in zip(axes_RC[:, 0], panels.items()):
    kinds = list(dict.fromkeys(kind for kind, *_ in lines.values()))
    for name, (kind, side, steps, loss_SN) in lines.items():
      color = HUES[kinds.index(kind) % len(HUES)]
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
