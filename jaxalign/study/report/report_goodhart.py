"""Section of the report on Goodhart's law in the world: proxy and gold on the way up."""

import numpy as np

from jaxalign.page import figures, kit
from jaxalign.page.figures import BLUE, GREEN, INK, ORANGE, PURPLE, RED, SKY
from jaxalign.page.kit import named
from jaxalign.rl import overoptimisation as over
from jaxalign.study.judge import goodhart

_WAYS = {over.BON: 'best-of-n', over.RL: 'PPO'}
LOOK = (
  (BLUE, 'o', '-'),
  (ORANGE, 's', '--'),
  (GREEN, '^', '-.'),
  (PURPLE, 'D', ':'),
  (RED, 'v', '-'),
  (SKY, 'P', '--'),
)
_FITTED = 'a', 'a, 95 %', 'b', 'b, 95 %', 'turn', 'turn, 95 %', 'R²', 'points', 'what is said'
_FIELDS = ('r', 'd', 'proxy', 'gold', 'best_gold', 'best_d', 'lost', 'proxy_at_equal',
           'gold_at_equal', 'length')  # fmt: skip
_NAMES = 'mode', 'line', 'arm', 'way'
_POINT = (*_NAMES, 'seed', 'at', 'd', 'proxy', 'gold', 'proxy_sd', 'gold_sd', 'r', 'length')


def climbs(found, beside):
  """A picture for each mode, and for sizes one for each way up; with all numbers."""
  of = found.get('goodhart')
  if not of:
    return ''
  modes = [
    _mode(of, mode, [one for one in of.climbs if one.mode == mode])
    for mode in dict.fromkeys(one.mode for one in of.climbs)
  ]
  rows = [tuple(getattr(point, name) for name in _POINT) for point in of.points]
  return kit.render('study/goodhart.html', modes=modes, ways=_WAYS, exact=(_POINT, rows))


def _mode(of, mode, shown):
  """The pictures of a mode and its tables: one of climbs, one of their fits."""
  start = lambda one: (one.line, named(one.arm), _WAYS[one.way])
  rows = [(*start(one), seed, *(getattr(seen, name) for name in _FIELDS))
          for one in shown for seed, seen in one.seeds.items()]  # fmt: skip
  fits = [(*start(one), side, *_fitted(fit)) for one in shown for side, fit in one.fits.items()]
  equal = of.equal_d[mode]
  words = ('r at start', 'd', 'proxy', 'gold', 'best gold', 'at d', 'lost since',
           f'proxy at d = {equal:.2f}', f'gold at d = {equal:.2f}', 'length')  # fmt: skip
  pictured = [
    _picture(of, way, [one for one in shown if one.way == way])
    for way in dict.fromkeys(one.way for one in shown)
  ]
  return dict(
    name=mode, pictures=pictured, climbs=(('proxy', 'start', 'way', 'seed', *words), rows),
    fits=(('proxy', 'start', 'way', 'fit of', *_FITTED), fits),
  )  # fmt: skip


def _picture(of, way, shown):
  curves = goodhart.curves(of.points)
  lines = []
  for one in shown:
    by_seed = curves[one.mode, one.line, one.arm, one.way]
    lines.append((_label(one, shown), {s: goodhart.gains(p) for s, p in by_seed.items()}, one))
  return dict(
    way=way, form='d' if way == over.BON else 'log d', draw=lambda: figure(lines, way),
    alt='; '.join(f'{name}: {_told(one)}' for name, _, one in lines),
  )  # fmt: skip


def _label(one, shown):
  """What tells it from others in its picture."""
  arms = {other.arm for other in shown}
  return one.line if len(arms) == 1 else f'{one.line}, {named(one.arm)}'


def _told(one):
  mean = lambda name: np.mean([getattr(seed, name) for seed in one.seeds.values()])
  return f'proxy {mean("proxy"):+.2g}, gold {mean("gold"):+.2g} at d = {mean("d"):.2g}'


def figure(lines, way):
  made, ((left, right),) = figures.figure(2.6, 1, 2, sharex=True, sharey=True)
  seeds = max(len(by_seed) for _, by_seed, _ in lines)
  faint = 0.8 if seeds <= 3 else 0.3  # of many seeds the fits are what is read
  for n, (name, by_seed, one) in enumerate(lines):
    color, mark, dash = LOOK[n % len(LOOK)]
    for m, (ax, side) in enumerate(((left, 'proxy'), (right, 'gold'))):
      for d, *gained in by_seed.values():
        ax.plot(d, gained[m], marker=mark, ls=dash, color=color, lw=0.6, ms=2.2, alpha=faint)
      reach = max(d[-1] for d, *_ in by_seed.values())
      fitted = goodhart.drawn(one.fits[side], way, reach)
      if fitted:
        ax.plot(*fitted, dash, color=color, lw=2.2, alpha=1.2 - faint, zorder=3)
      ax.plot([], [], marker=mark, ls=dash, color=color, lw=1.2, ms=4, label=name)
  for ax, title in ((left, 'proxy'), (right, 'gold')):
    ax.axhline(0, color=INK, lw=0.6)
    ax.set_title(title, loc='left', fontweight='bold')
    ax.set_xlabel('d = sqrt(KL)')
  left.set_ylabel('gain, SD of the start')
  handles, names = left.get_legend_handles_labels()
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
