"""The page of the over-optimisation report: pictures, numbers, and what they say, in one file."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxalign.page import kit
from jaxalign.page.figures import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, RED, SKY, axes_of
from jaxalign.rl import overoptimisation as over

_LOOK = dict(proxy=(BLUE, 'o', '-'), gold=(RED, 's', '--'))
_WAY = {over.BON: (GREEN, '^', '--'), over.RL: (PURPLE, 'o', '-')}
_QUARTERS = (SKY, '-'), (BLUE, '--'), (ORANGE, '-.'), (RED, ':')
_NAMES = {over.BON: 'Best-of-n', over.RL: 'PPO'}
_POOR = 0.9  # R² below which a fit is said to be no good
_TALL = 2.6  # inches
_SHARES = 'distinct_2', 'truncated'


@dataclasses.dataclass(kw_only=True)
class Curve:
  """A reward at every distance: of one way to move away from the policy, over the same prompts."""

  kind: str  # over.BON or over.RL
  label: list[int]  # n, or the iteration, of each point
  d: np.ndarray
  means: dict[str, np.ndarray]  # 'proxy', 'gold', 'length', ..: a value at each point
  low: dict[str, np.ndarray]
  high: dict[str, np.ndarray]
  fits: dict[str, over.Fit | str]  # of 'proxy', 'gold'; or why there is none
  prompts: int
  answers: int  # to each prompt, at each point
  iterations: list[dict[str, Any]] = dataclasses.field(default_factory=list)  # PPO's metrics.jsonl
  warned: dict[str, int] = dataclasses.field(default_factory=dict)  # flag -> first iteration

  def gain(self, name: str) -> np.ndarray:
    """Over the first point, which lies at d = 0."""
    return self.means[name] - self.means[name][0]


def write(curves: Mapping[str, Curve], workdirs: Mapping[str, Any]) -> str:
  """The page as text. workdirs: of each curve, by its kind."""
  ppo = curves.get(over.RL)
  rows = ppo.iterations if ppo else []
  values = dict(curves=curves, names=_NAMES, ppo=ppo, fits=_fits(curves))
  values['draw'] = dict(
    rewards=lambda c: lambda: _rewards(c),
    texts=lambda name: lambda: _texts(curves, name),
    iterations=lambda name: lambda: _iterations(rows, name),
    quarters=lambda: _quarters(rows),
  )
  values['places'] = [
    (_NAMES[kind], str(place)) for kind, place in workdirs.items() if place is not None
  ]
  values['findings'] = [_finding(c, side) for c in curves.values() for side in ('proxy', 'gold')]
  values['points'] = [_points(c) for c in curves.values()]
  return kit.render('overoptimisation.html', **values)


def _finding(c, side):
  """(name of the curve, proxy or gold, its numbers; None where none were recorded)."""
  if side not in c.means:
    return _NAMES[c.kind], side, None
  means, best = c.means[side], int(c.means[side].argmax())
  said = dict(first=means[0], last=means[-1], between=_span(c.low[side][-1], c.high[side][-1]))
  said |= dict(d=c.d[-1], best=means[best], best_d=c.d[best])
  said['point'] = f'{"n =" if c.kind == over.BON else "iteration"} {c.label[best]}'
  said['turn'] = turn_words(c.fits.get('gold')) if side == 'gold' else ''
  return _NAMES[c.kind], side, said


def turn_words(fit: over.Fit | str | None) -> str:
  if not isinstance(fit, over.Fit):
    return f'no fit ({fit})'
  poor = '' if fit.r2 >= _POOR else f'; but the form fits badly (R² {fit.r2:.2f}): trust the points'
  if fit.turn_interval is None:
    return fit.why + poor
  low, high = fit.turn_interval
  return f'{fit.why}, 95 % interval {low:.3g} to {high:.3g}{poor}'


def _rewards(c):
  made, ax = axes_of(_TALL)
  for side in ('proxy', 'gold'):
    if side in c.means:
      _reward_curve(ax, c, side)
  gold = c.fits.get('gold')
  if isinstance(gold, over.Fit) and gold.turn is not None:
    low, high = np.clip(gold.turn_interval, 0, c.d.max())
    ax.axvspan(low, high, color=GREY, alpha=0.25, linewidth=0)
    ax.axvline(gold.turn, color=GREY, linestyle=':', label=f'gold turns at {gold.turn:.2g}')
  ax.axhline(0, color=INK, linewidth=0.6)
  ax.set(xlabel='d = sqrt(KL), nats per sequence', ylabel='reward gained')
  ax.legend(ncols=3, loc='lower right', bbox_to_anchor=(1, 1))
  return made


def _reward_curve(ax, c, side):
  gain, (color, mark, dash) = c.gain(side), _LOOK[side]
  start = c.means[side][0]
  bars = [gain - (c.low[side] - start), (c.high[side] - start) - gain]
  bars = np.maximum(np.nan_to_num(bars), 0)
  look = dict(color=color, marker=mark, markersize=4, linestyle='none', elinewidth=0.8, capsize=2)
  ax.errorbar(c.d, gain, yerr=bars, label=side, **look)
  fit = c.fits.get(side)
  if isinstance(fit, over.Fit):
    grid = np.linspace(0, c.d.max(), 200)
    ax.plot(grid, fit(grid), color=color, linestyle=dash, linewidth=1.4)


def _texts(curves, name):
  made, ax = axes_of(_TALL)
  for kind, c in curves.items():
    order = np.argsort(c.d, kind='stable')
    d, (color, mark, dash) = c.d[order], _WAY[kind]
    look = dict(color=color, marker=mark, linestyle=dash, markersize=4)
    ax.plot(d, c.means[name][order], label=_NAMES[kind], **look)
    ax.fill_between(d, c.low[name][order], c.high[name][order], color=color, alpha=0.2, lw=0)
  ax.set(xlabel='d = sqrt(KL)', ylabel='share' if name in _SHARES else 'tokens')
  if name in _SHARES:
    ax.set_ylim(-0.03, 1.03)
  ax.legend(ncols=2, loc='lower right', bbox_to_anchor=(1, 1))
  return made


def _iterations(rows, name):
  made, ax = axes_of(_TALL)
  _series(ax, rows, name, color=_WAY[over.RL][0])
  return made


def _quarters(rows):
  made, ax = axes_of(_TALL)
  for n, (color, dash) in enumerate(_QUARTERS, 1):
    _series(ax, rows, f'kl_token_q{n}', color=color, linestyle=dash, label=f'quarter {n}')
  if ax.lines:
    ax.legend()
  return made


def _series(ax, rows, name, **look):
  xy = [(row['step'], row[name]) for row in rows if row.get(name) is not None]
  if xy:
    ax.plot(*zip(*xy), **look)
  ax.set(xlabel='iteration', ylabel='nats')


def _span(low, high):
  return f'[{low:.3g}, {high:.3g}]'


def _fits(curves):
  rows = []
  for kind, c in curves.items():
    form = 'd (a - b d)' if kind == over.BON else 'd (a - b log d)'
    for side, fit in c.fits.items():
      cells = ['', '', '', fit]
      if isinstance(fit, over.Fit):
        a, b = f'{fit.a:.3g} {_span(*fit.a_interval)}', f'{fit.b:.3g} {_span(*fit.b_interval)}'
        cells = [a, b, f'{fit.r2:.3f}', turn_words(fit)]
      rows.append((f'{_NAMES[kind]}, {side}', form, *cells))
  return rows


def _points(c):
  """(name of the curve, its table to be read, its numbers to be downloaded): (head, rows) each."""
  names = [n for n in ('proxy', 'gold', 'length', *_SHARES) if n in c.means]
  ends = (c.means, c.low, c.high)
  read, exact = [], []
  for i, label in enumerate(map(str, c.label)):
    values = (f'{c.means[n][i]:.3g} {_span(c.low[n][i], c.high[n][i])}' for n in names)
    read.append((label, f'{c.d[i] ** 2:.3g}', f'{c.d[i]:.3g}', *values))
    exact.append((label, float(c.d[i]), *(float(of[n][i]) for n in names for of in ends)))
  first, said = 'n' if c.kind == over.BON else 'iteration', [n.replace('_', '-') for n in names]
  head = (first, 'KL', 'd', *(f'{n} [95 %]' for n in said))
  exact_head = (first, 'd', *(f'{n}{end}' for n in said for end in ('', ' low', ' high')))
  return _NAMES[c.kind], (head, read), (exact_head, exact)
