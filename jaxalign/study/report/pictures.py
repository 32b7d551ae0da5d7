"""The report's pictures, made by matplotlib: a marker or a dash says again what a colour says."""

import dataclasses
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from jaxalign.page import figures

if TYPE_CHECKING:
  from matplotlib.figure import Figure

Series = Mapping[str, Sequence[float]]  # {what a colour stands for: a number a seed}
Groups = Sequence[tuple[str, Sequence[tuple[str, Series]]]]  # titles, of labels with their series
_TICKS = 6  # of an axis, at most: more of their numbers run into each other
_LOOK = {
  'A': (figures.BLUE, 'o'), 'B': (figures.ORANGE, 's'), '': (figures.GREEN, '^'),
  'harm': (figures.RED, 'D'), 'benign': (figures.SKY, 'o'), 'd': (figures.PURPLE, '^'),
  'read': (figures.BLUE, 'o'), 'done': (figures.ORANGE, 's'), 'before': (figures.SKY, 'o'),
  'after': (figures.RED, 'D'), 'cosine': (figures.GREEN, 'o'), 'chance': (figures.GREY, '|'),
}  # fmt: skip


class Estimated(Protocol):
  @property
  def mean(self) -> float | None: ...
  @property
  def low(self) -> float | None: ...
  @property
  def high(self) -> float | None: ...


@dataclasses.dataclass(frozen=True)
class IntervalRow:
  """An estimate as it is drawn, between its heading and what is written below."""

  heading: str
  below: str
  interval: Estimated
  floor: float | None = None
  seeds: Sequence[float] = ()  # a number each
  holds: bool | None = None  # None: it is not judged


@dataclasses.dataclass(frozen=True, kw_only=True)
class LossLine:
  """Training loss of a lesson, of all seeds that have the same steps."""

  kind: str
  side: str  # A, B or '' for neither
  steps: Sequence[float]
  loss_SN: Sequence[Sequence[float]]


def _scattered(count):
  """A height for each seed, the same in every row, so that a seed can be followed."""
  return np.linspace(-0.22, 0.22, count) if count != 1 else np.zeros(1)


def intervals(rows: Sequence[IntervalRow], xlabel: str) -> 'Figure':
  """A row for each estimate, as high as its words: heading, seeds, mean with interval, and the
  floor beside a null. y is in inches."""
  worded = [(textwrap.wrap(o.heading, 56), o, textwrap.wrap(o.below, 68)) for o in rows]
  high = sum(0.62 + 0.15 * len(above) + 0.12 * len(below) for above, _, below in worded)
  made, ax = figures.axes_of(0.4 + high)
  low, top = _reach(rows)
  at, y = ax.get_yaxis_transform(), 0.0
  for above, one, below in worded:
    ax.text(0, y, '\n'.join(above), transform=at, va='top', fontsize=8.5)
    y -= 0.15 * len(above) + 0.32
    _draw_row(ax, one, y, low, top)
    ax.text(0, y - 0.1, '\n'.join(below), transform=at, va='top', fontsize=7.5)
    y -= 0.3 + 0.12 * len(below)
  ax.set(xlim=(low, top), ylim=(y + 0.1, 0.05), yticks=[], xlabel=xlabel)
  ax.locator_params(axis='x', nbins=_TICKS)
  ax.spines['left'].set_visible(False)
  return made


def _draw_row(ax, one, y, low, high):
  color = {True: figures.BLUE, False: figures.RED, None: figures.GREEN}[one.holds]
  filled = color if one.holds else 'none'
  ax.plot([0, 0], [y - 0.06, y + 0.27], color=figures.INK, lw=0.8)  # nowhere through the words
  heights = y + 0.18 + _scattered(len(one.seeds)) / 4
  ax.plot(one.seeds, heights, 'o', color=figures.GREY, ms=3.5, alpha=0.9, label='seeds')
  interval = one.interval
  if interval.low is not None:
    ends = np.clip([interval.low, interval.high], low, high)
    ax.plot(ends, [y, y], '-', color=color, lw=1.6, label='interval')
    for end, beyond, mark in ((low, interval.low < low, '<'), (high, interval.high > high, '>')):
      if beyond:
        ax.plot([end], [y], mark, color=color, ms=5, clip_on=False)
  if not one.holds and one.floor is not None:
    ax.plot([-one.floor, one.floor], [y, y], '|', color=figures.INK, ms=8, mew=1.2, label='floor')
  ax.plot([interval.mean], [y], 'D', color=color, mfc=filled, ms=6, mew=1.4, label='mean')


def _reach(rows):
  """The axis: all seeds with room, and of intervals no more than as much again."""
  seeds = [x for one in rows for x in (*one.seeds, one.interval.mean)] + [0.0]
  least, most = min(seeds), max(seeds)
  room = (most - least) or 1.0
  ends = [end for one in rows for end in (one.interval.low, one.interval.high) if end is not None]
  low = max(least - room, min([least, *ends]))
  high = min(most + room, max([most, *ends]))
  return low - 0.05 * room, high + 0.05 * room


def dots(
  groups: Groups, xlabel: str, xlim: tuple[float, float] | None = None, mean: bool = True
) -> 'Figure':
  """A dot a seed, a bar at the mean."""
  count = sum(len(rows) + bool(title) for title, rows in groups)
  made, ax = figures.axes_of(max(1.3, 0.6 + 0.27 * count))  # a legend needs room above one row
  ax.axvline(0, color=figures.INK, lw=0.8)
  ticks: dict[int, str] = {}
  seen: dict[str, Any] = {}  # {series: its dots}
  y = 0
  for title, rows in groups:
    if title:
      ticks[y] = title
      y -= 1
    for label, series in rows:
      ticks[y] = label
      seen |= _draw_series(ax, y, series, mean)
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


def _draw_series(ax, y, series, mean):
  """{name of a series: its dots, for the legend} of one row."""
  seen = {}
  ax.axhline(y, color=figures.GREY, lw=0.3, zorder=0)
  for name, values in series.items():
    color, mark = _LOOK[name]
    size = dict(ms=9, mew=1.2) if mark == '|' else dict(ms=4.2, mew=0)
    height = y + mean * _scattered(len(values))
    (seen[name],) = ax.plot(values, height, mark, color=color, alpha=0.85, **size)
    if mean:
      ax.plot([np.mean(values)] * 2, [y - 0.36, y + 0.36], '-', color=color, lw=2, label='mean')
  return seen


def curves(panels: Mapping[str, Mapping[str, LossLine]], ylabel: str) -> 'Figure':
  """A panel a title. A kind of documents has a colour, its two sides have two dashes."""
  made, axes_RC = figures.figure(1.75 * len(panels), len(panels), 1)
  for ax, (title, lines) in zip(axes_RC[:, 0], panels.items()):
    kinds = list(dict.fromkeys(one.kind for one in lines.values()))
    for name, one in lines.items():
      color = figures.HUES[kinds.index(one.kind) % len(figures.HUES)]
      if len(lines) == 1:
        ax.plot(one.steps, np.transpose(one.loss_SN), '-', color=color, lw=0.5, alpha=0.6)
      dash = '--' if one.side == 'B' else '-'
      ax.plot(one.steps, np.mean(one.loss_SN, axis=0), dash, color=color, lw=1.3, label=name)
    ax.set_title(title, loc='left', fontweight='bold')
    ax.set_ylabel(ylabel)
    ax.grid(alpha=0.3, lw=0.4)
    if len(lines) > 1:
      where = dict(loc='upper left', bbox_to_anchor=(1, 1.1), borderaxespad=0.2)
      ax.legend(**where, handlelength=1.8, fontsize=7.5)
  axes_RC[-1, 0].set_xlabel('step')
  return made
