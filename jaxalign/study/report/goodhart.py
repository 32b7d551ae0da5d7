"""Section of the report on Goodhart's law in the world: proxy and gold on the way up."""

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxalign.page import figures, kit
from jaxalign.rl import overoptimisation as over
from jaxalign.study.judge import goodhart
from jaxalign.study.judge.results import ClimbResult, Results
from jaxalign.study.report.contents import StudyFiles
from jaxalign.study.report.tables import named

if TYPE_CHECKING:
  from matplotlib.figure import Figure

_WAYS = {over.BON: 'best-of-n', over.RL: 'PPO'}
_COLOURS = figures.BLUE, figures.ORANGE, figures.GREEN, figures.PURPLE, figures.RED, figures.SKY
LOOK = tuple(zip(_COLOURS, 'os^DvP', ('-', '--', '-.', ':', '-', '--')))
_POINT = 'mode line arm way seed at d proxy gold proxy_sd gold_sd r length'.split()
_OUTCOME = 'r d proxy gold best_gold best_d lost proxy_at_equal gold_at_equal length'.split()


class Line(NamedTuple):
  """A climb as it is drawn."""

  name: str
  gains: Mapping[int, Sequence[np.ndarray]]  # {seed: d, and what proxy and gold gained}
  climb: ClimbResult


def climbs(found: Results, files: StudyFiles) -> str:
  """A picture for each mode, and for sizes one for each way up; with all numbers."""
  of = found.goodhart
  if of is None:
    return ''
  modes = [
    _mode(of, mode, [one for one in of.climbs if one.mode == mode])
    for mode in dict.fromkeys(one.mode for one in of.climbs)
  ]
  rows = [tuple(getattr(point, name) for name in _POINT) for point in of.points]
  return kit.render('study/goodhart.html', modes=modes, ways=_WAYS, exact=(_POINT, rows))


def _mode(of, mode, shown):
  """The pictures of a mode and its tables: one of climbs, one of their fits."""
  rows, fits = [], []
  for one in shown:
    start = one.line, named(one.arm), _WAYS[one.way]
    for seed, seen in one.seeds.items():
      rows.append((*start, str(seed), *(getattr(seen, name) for name in _OUTCOME)))
    fits += [(*start, side, *_fitted(fit)) for side, fit in one.fits.items()]
  pictured = [
    _picture(of, way, [one for one in shown if one.way == way])
    for way in dict.fromkeys(one.way for one in shown)
  ]
  return dict(name=mode, pictures=pictured, climbs=rows, fits=fits, equal=f'{of.equal_d[mode]:.2f}')


def _picture(of, way, shown):
  curves, several = goodhart.curves(of.points), len({one.arm for one in shown}) > 1
  lines = []
  for one in shown:
    by_seed = curves[one.mode, one.line, one.arm, one.way]
    name = f'{one.line}, {named(one.arm)}' if several else one.line
    lines.append(Line(name, {s: goodhart.gains(curve) for s, curve in by_seed.items()}, one))
  return dict(
    way=way,
    form='d' if way == over.BON else 'log d',
    draw=functools.partial(figure, lines, way),
    alt='; '.join(f'{line.name}: {_told(line.climb)}' for line in lines),
  )


def _told(one):
  names = 'proxy', 'gold', 'd'
  each = [[getattr(seen, name) for name in names] for seen in one.seeds.values()]
  proxy, gold, d = np.mean(each, axis=0)
  return f'proxy {proxy:+.2g}, gold {gold:+.2g} at d = {d:.2g}'


def figure(lines: Sequence[Line], way: str, xlabel: str, ylabel: str) -> 'Figure':
  """Proxy left and gold right: a thin line a seed, a broad one for the fit."""
  made, (axes,) = figures.figure(2.6, 1, 2, shared=True)
  faint = 0.8 if max(len(line.gains) for line in lines) <= 3 else 0.3  # of many, fits are read
  for n, line in enumerate(lines):
    color, mark, dash = LOOK[n % len(LOOK)]
    reach = max(d[-1] for d, *_ in line.gains.values())
    for m, (ax, side) in enumerate(zip(axes, ('proxy', 'gold'))):
      for d, *gained in line.gains.values():
        ax.plot(d, gained[m], marker=mark, ls=dash, color=color, lw=0.6, ms=2.2, alpha=faint)
      fitted = goodhart.drawn(line.climb.fits[side], way, reach)
      if fitted:
        ax.plot(*fitted, dash, color=color, lw=2.2, alpha=1.2 - faint, zorder=3)
      ax.plot([], [], marker=mark, ls=dash, color=color, lw=1.2, ms=4, label=line.name)
  for ax, title in zip(axes, ('proxy', 'gold')):
    ax.axhline(0, color=figures.INK, lw=0.6)
    ax.set_title(title, loc='left', fontweight='bold')
    ax.set_xlabel(xlabel)
  axes[0].set_ylabel(ylabel)
  handles, names = axes[0].get_legend_handles_labels()
  made.legend(handles, names, loc='outside upper left', ncols=2 if len(names) > 2 else len(names))
  return made


def _fitted(fit):
  """The cells of a fit; of one that there is not, why."""
  ends = [x for name in ('a', 'b', 'turn') for x in (getattr(fit, name), _between(fit, name))]
  return (*ends, fit.r2, fit.points, fit.why)


def _between(fit, name):
  low, high = getattr(fit, f'{name}_interval') or (None, None)
  if low is None and high is None:
    return None
  return f'{kit.shown(low)} to {"∞" if high is None else kit.shown(high)}'
