"""Section of the report on Goodhart's law in the world: proxy and gold on the way up."""

import numpy as np

from jaxalign.page import pages
from jaxalign.page.pages import named
from jaxalign.rl import overoptimisation as over
from jaxalign.study.judge import goodhart
from jaxalign.study.report import report_pictures as pictures
from jaxalign.study.report.report_pictures import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, SKY

_WAYS = {over.BON: 'best-of-n', over.RL: 'PPO'}
LOOK = (
  (BLUE, 'o', '-'),
  (ORANGE, 's', '--'),
  (GREEN, '^', '-.'),
  (PURPLE, 'D', ':'),
  (RED, 'v', '-'),
  (SKY, 'P', '--'),
)
_TITLES = dict(
  size='How much the proxy was trained on',
  regressional='Regressional: noise in the labels',
  extremal='Extremal: away from what the proxy was trained on',
  misspecified='Misspecified: a bag of words (the lecture calls it adversarial)',
  causal='Causal: length goes with quality',
)
_FITTED = 'a', 'a, 95 %', 'b', 'b, 95 %', 'turn', 'turn, 95 %', 'R²', 'points', 'what is said'
_SAID = dict(
  size='Reward models on more and on fewer pairs, a fifth of them wrong, with equal updates.',
  regressional='The same pairs, of whose preferences none or a share is reversed. What '
  'wins on a noisy proxy won partly by the noise, so gold gains less than the proxy says.',
  extremal='One proxy saw answers of every length, the other only those of three words and more, '
  'none of them twice, where fewer are better. The policy is free to write one.',
  misspecified='One number a word cannot say that a word counts only once. The other proxy, a '
  'transformer on the same pairs, reads whole answers.',
  causal='In one set of pairs the better answer is always the longer, though length earns nothing.',
)
_ABOUT = (
  'The target is asked what goods should be like and answers freely, up to five words. Gold: a '
  'word of value A or B is worth 1, of their opposites -1, once; each of the first three words is '
  'worth 1, each further one costs 2, a repeated one 1. Proxies are trained from the arm '
  'itself on pairs of such answers, and climbed by best-of-n and by PPO. Scores are of held-out '
  'prompts; gains are over the start, in standard deviations of its answers. d is sqrt(KL), KL in '
  'nats a sequence (of best-of-n: its bound).'
)


def climbs(found, beside):
  """A picture for each mode, and for sizes one for each way up; with all numbers."""
  if not found.get('goodhart'):
    return ''
  every, parts = found['goodhart']['climbs'], [f'<p>{_ABOUT}</p>']
  for mode in dict.fromkeys(one['mode'] for one in every):
    of_mode = [one for one in every if one['mode'] == mode]
    parts.append(f'<h3>{pages.text(_TITLES.get(mode, mode))}</h3>')
    for way in dict.fromkeys(one['way'] for one in of_mode):
      shown = [one for one in of_mode if one['way'] == way]
      parts.append(_picture(found['goodhart'], mode, way, shown))
    parts.append(_numbers(found['goodhart'], mode, of_mode))
  head = (*goodhart.NAMES, 'seed', 'at', 'd', 'proxy', 'gold', 'proxy_sd', 'gold_sd', 'r', 'length')
  rows = [tuple(point.get(name) for name in head) for point in found['goodhart']['points']]
  return ''.join(parts) + f'<p>{pages.download("goodhart", head, rows)}</p>'


def _picture(of, mode, way, shown):
  curves = goodhart.curves(of['points'])
  lines = []
  for one in shown:
    by_seed = curves[tuple(one[name] for name in goodhart.NAMES)]
    lines.append((_label(one, shown), {s: goodhart.gains(p) for s, p in by_seed.items()}, one))
  draw = lambda: figure(lines, way)
  caption = (
    f'{_WAYS[way]}. {_SAID.get(mode, "")} A thin line with marks is a seed; the broad line is the '
    f'fit of d (a - b {"d" if way == over.BON else "log d"}) through all seeds (Gao et al.).'
  )
  alt = '; '.join(f'{name}: {told(one)}' for name, _, one in lines)
  return pages.picture(
    f'{mode}-{way.replace(" ", "")}', draw, f'{mode}, {_WAYS[way]}: {alt}', caption
  )


def _label(one, shown):
  """What tells it from others in its picture."""
  arms = {other['arm'] for other in shown}
  return one['line'] if len(arms) == 1 else f'{one["line"]}, {named(one["arm"])}'


def told(one):
  mean = lambda name: np.mean([seed[name] for seed in one['seeds'].values()])
  return f'proxy {mean("proxy"):+.2g}, gold {mean("gold"):+.2g} at d = {mean("d"):.2g}'


def figure(lines, way):
  made, ((left, right),) = pictures.figure(2.6, 1, 2, sharex=True, sharey=True)
  seeds = max(len(by_seed) for _, by_seed, _ in lines)
  faint = 0.8 if seeds <= 3 else 0.3  # of many seeds the fits are what is read
  for n, (name, by_seed, one) in enumerate(lines):
    color, mark, dash = LOOK[n % len(LOOK)]
    for m, (ax, side) in enumerate(((left, 'proxy'), (right, 'gold'))):
      for d, *gained in by_seed.values():
        ax.plot(d, gained[m], marker=mark, ls=dash, color=color, lw=0.6, ms=2.2, alpha=faint)
      reach = max(d[-1] for d, *_ in by_seed.values())
      fitted = goodhart.drawn(one['fits'][side], way, reach)
      if fitted:
        ax.plot(*fitted, dash, color=color, lw=2.2, alpha=1.2 - faint, zorder=3)
      ax.plot([], [], marker=mark, ls=dash, color=color, lw=1.2, ms=4, label=name)
  for ax, title in ((left, 'proxy'), (right, 'gold')):
    ax.axhline(0, color=GREY, lw=0.6)
    ax.set_title(title, loc='left', fontweight='bold')
    ax.set_xlabel('d = sqrt(KL)')
  left.set_ylabel('gain, SD of the start')
  handles, names = left.get_legend_handles_labels()
  made.legend(handles, names, loc='outside upper left', ncols=2 if len(names) > 2 else len(names))
  return made


def _numbers(of, mode, shown):
  """A row for each climb and seed: the far end, the best of gold, and all at one distance."""
  fields = ('r', 'd', 'proxy', 'gold', 'best_gold', 'best_d', 'lost', 'proxy_at_equal',
            'gold_at_equal', 'length')  # fmt: skip
  words = ('r at start', 'd', 'proxy', 'gold', 'best gold', 'at d', 'lost since',
           f'proxy at d = {of["equal_d"][mode]:.2f}', f'gold at d = {of["equal_d"][mode]:.2f}',
           'length')  # fmt: skip
  rows = [
    (one['line'], named(one['arm']), _WAYS[one['way']], seed, *(seen[name] for name in fields))
    for one in shown
    for seed, seen in one['seeds'].items()
  ]
  head = ('proxy', 'start', 'way', 'seed', *words)
  fits = ('proxy', 'start', 'way', 'fit of', *_FITTED), [
    (one['line'], named(one['arm']), _WAYS[one['way']], side, *_fitted(fit))
    for one in shown
    for side, fit in one['fits'].items()
  ]  # fmt: skip
  said = (
    '<p class="soft">Fits of Gao et al.: a of the slope at the start, b of the bend, turn the d '
    'beyond which it falls; intervals of 95 % over resampled points, which are of few seeds and '
    'hang together: too narrow rather than too wide.</p>'
  )
  seen = pages.table(head, rows) + said + pages.table(*fits)
  return (
    pages.numbers(f'goodhart-{mode}', head, rows, seen)
    + f'<p>{pages.download(f"goodhart-{mode}-fits", *fits)}</p>'
  )


def _fitted(fit):
  """The cells of a fit; of one that there is not, why."""
  ends = [x for name in ('a', 'b', 'turn') for x in (fit.get(name), _between(fit, name))]
  return (*ends, fit.get('r2'), fit.get('points'), fit['why'])


def _between(fit, name):
  low, high = fit.get(f'{name}_interval') or (None, None)
  if low is None and high is None:
    return None
  return f'{pages.shown(low)} to {"∞" if high is None else pages.shown(high)}'
