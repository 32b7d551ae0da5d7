"""The page of the over-optimisation report: pictures, numbers, and what they say, in one file."""

import html
import io

import numpy as np

from jaxalign.config import UserError
from jaxalign.pictures import drawing
from jaxalign.pictures import label as named
from jaxalign.rl import overoptimisation as over

# Okabe and Ito's colours, told apart by any eye; shape and dash say the same once more.
_LOOK = {
  'proxy': dict(color='#0072B2', marker='o', linestyle='-'),
  'gold': dict(color='#D55E00', marker='s', linestyle='--'),
}
_WAY = {
  over.BON: dict(color='#009E73', marker='^', linestyle='--'),
  over.RL: dict(color='#CC79A7', marker='o', linestyle='-'),
}
_NAMES = {over.BON: 'Best-of-n', over.RL: 'PPO'}
_POOR = 0.9  # R² below which a fit is said to be no good
_GREY = '#555555'
_STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;
color:#111;background:#fff}svg{max-width:100%;height:auto}table{border-collapse:collapse;
font-variant-numeric:tabular-nums;font-size:.9rem}td,th{padding:.2rem .7rem;text-align:right;
border-bottom:1px solid #ccc;
white-space:nowrap}td:last-child{white-space:normal}
td:first-child,th:first-child{text-align:left}figure{margin:1rem 0}
figcaption{color:#444;font-size:.9rem}.wide{overflow-x:auto}"""


def write(curves, places):
  """The page as text."""
  plt = pyplot()
  with drawing({'svg.hashsalt': 'jaxalign'}):
    return drawn(plt, curves, places)


def drawn(plt, curves, places):
  parts = [f'<h1>Over-optimisation</h1><p>{_intro(curves, places)}</p>', _findings(curves)]
  parts.append(_figure(plt, _rewards(plt, curves), _CAPTIONS['rewards']))
  parts.append(_fits_table(curves))
  parts.append(_figure(plt, texts(plt, curves), _CAPTIONS['texts']))
  if over.RL in curves and curves[over.RL].iterations:
    parts.append(_figure(plt, iterations(plt, curves[over.RL].iterations), _CAPTIONS['iterations']))
    parts.append(warned(curves[over.RL]))
  parts += [_points_table(c) for c in curves.values()]
  body = '\n'.join(parts)
  head = f'<meta charset="utf-8"><title>Over-optimisation</title><style>{_STYLE}</style>'
  return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


_CAPTIONS = dict(
  rewards='Gain in reward over the policy before training, against the distance from it, '
  'sqrt(KL in nats per sequence). Points: means over held-out prompts, bars: their 95 % bootstrap '
  'interval over prompts (which knows of no misfit of the form). Lines: the fits. Grey: the '
  'turning point of gold and its interval, drawn only where it is seen within the data.',
  texts='What the answers look like at each distance: length in tokens, share of different pairs '
  'of tokens in an answer (distinct-2), share of answers that were cut off.',
  iterations='PPO, iteration by iteration on its training prompts: KL to the reference in nats per '
  'sequence, entropy in nats per token, and the KL of a token by the quarter of the response it '
  'stands in.',
)


def pyplot():
  try:
    import matplotlib
  except ImportError as error:
    raise UserError("the report needs: pip install 'jaxalign[report]'") from error
  matplotlib.use('Agg')
  import matplotlib.pyplot as plt

  return plt


def _intro(curves, places):
  said = [f'{_NAMES[k]} from <code>{html.escape(named(p, 1000))}</code>' for k, p in
          ((over.BON, places['best_of']), (over.RL, places['ppo'])) if p is not None]  # fmt: skip
  counts = [
    f'{_NAMES[k]}: {c.prompts:,} prompts, {c.answers:,} answer{"s" * (c.answers > 1)} each'
    for k, c in curves.items()
  ]
  return (
    f'{" and ".join(said)} ({"; ".join(counts)}). The proxy is the reward that was optimised; gold '
    'is a judge that was not. While both rise, optimising helps; where the proxy goes on rising '
    'and gold falls, the policy is exploiting the proxy (Gao et al. 2022).'
  )


def _findings(curves):
  """A sentence for every curve, with its numbers."""
  said = []
  for kind, c in curves.items():
    for name in ('proxy', 'gold'):
      if name not in c.means:
        said.append(f'{_NAMES[kind]}: no gold reward was recorded, so nothing is said of its turn.')
        continue
      first, last, best = c.means[name][0], c.means[name][-1], int(c.means[name].argmax())
      line = (
        f'{_NAMES[kind]}, {name}: {first:.3g} at the start, {last:.3g} '
        f'[{c.low[name][-1]:.3g}, {c.high[name][-1]:.3g}] at d = {c.d[-1]:.3g}; the best point is '
        f'{c.means[name][best]:.3g} at d = {c.d[best]:.3g} ({point(kind, c.label[best])}).'
      )
      if name == 'gold':
        line += f' Turning point: {turn_words(c.fits.get(name))}.'
      said.append(line)
  return '<ul>' + ''.join(f'<li>{html.escape(line)}</li>' for line in said) + '</ul>'


def point(kind, label):
  return f'n = {label}' if kind == over.BON else f'iteration {label}'


def turn_words(fit):
  if not isinstance(fit, over.Fit):
    return f'no fit ({fit})'
  poor = '' if fit.r2 >= _POOR else f'; but the form fits badly (R² {fit.r2:.2f}): trust the points'
  if fit.turn is None:
    return fit.why + poor
  low, high = fit.turn_interval
  return f'{fit.why}, 95 % interval {low:.3g} to {high:.3g}{poor}'


def _figure(plt, fig, caption):
  """An SVG inside the page; text is drawn as paths, so every machine shows the same."""
  held = io.StringIO()
  fig.savefig(held, format='svg', bbox_inches='tight', metadata={'Date': None})
  plt.close(fig)
  svg = held.getvalue()
  return f'<figure>{svg[svg.index("<svg") :]}<figcaption>{caption}</figcaption></figure>'


def _rewards(plt, curves):
  fig, axes = plt.subplots(
    1, len(curves), figsize=(5.4 * len(curves), 4.2), sharey=True, squeeze=False
  )
  for ax, (kind, c) in zip(axes[0], curves.items()):
    for name in ('proxy', 'gold'):
      if name in c.means:
        _reward_curve(ax, c, name)
    gold = c.fits.get('gold')
    if isinstance(gold, over.Fit) and gold.turn is not None:
      low, high = np.clip(gold.turn_interval, 0, c.d.max())
      ax.axvspan(low, high, color=_GREY, alpha=0.15, linewidth=0)
      ax.axvline(gold.turn, color=_GREY, linestyle=':', label=f'gold turns at {gold.turn:.2g}')
    ax.axhline(0, color=_GREY, linewidth=0.6)
    ax.set(title=_NAMES[kind], xlabel='d = sqrt(KL), nats per sequence')
    ax.legend(frameon=False)
  axes[0, 0].set_ylabel('reward gained')
  fig.tight_layout()
  return fig


def _reward_curve(ax, c, name):
  gain, look = c.gain(name), _LOOK[name]
  start = c.means[name][0]
  bars = [gain - (c.low[name] - start), (c.high[name] - start) - gain]
  bars = np.maximum(np.nan_to_num(bars), 0)
  style = dict(color=look['color'], marker=look['marker'], linestyle='none', markersize=4)
  ax.errorbar(c.d, gain, yerr=bars, elinewidth=0.8, capsize=2, label=name, **style)
  fit = c.fits.get(name)
  if isinstance(fit, over.Fit):
    grid = np.linspace(0, c.d.max(), 200)
    ax.plot(grid, fit(grid), color=look['color'], linestyle=look['linestyle'], linewidth=1.4)


def texts(plt, curves):
  parts = dict(length='tokens', distinct_2='distinct-2', truncated='truncated share')
  fig, axes = plt.subplots(1, len(parts), figsize=(10.8, 3))
  for ax, (name, title) in zip(axes, parts.items()):
    for kind, c in curves.items():
      order = np.argsort(c.d, kind='stable')
      look = _WAY[kind]
      ax.plot(c.d[order], c.means[name][order], label=_NAMES[kind], markersize=4, **look)
      ax.fill_between(
        c.d[order], c.low[name][order], c.high[name][order], color=look['color'], alpha=0.15
      )
    ax.set(title=title, xlabel='d = sqrt(KL)')
    if name != 'length':
      ax.set_ylim(-0.03, 1.03)
  axes[0].legend(frameon=False)
  fig.tight_layout()
  return fig


def iterations(plt, rows):
  fig, axes = plt.subplots(1, 3, figsize=(10.8, 3))
  series = lambda name: [(r['step'], r[name]) for r in rows if r.get(name) is not None]
  for ax, name, title in (
    (axes[0], 'kl_sequence', 'KL, nats per sequence'),
    (axes[1], 'entropy', 'entropy, nats per token'),
  ):
    xy = series(name)
    if xy:
      ax.plot(*zip(*xy), color=_WAY[over.RL]['color'])
    ax.set(title=title, xlabel='iteration')
  shades = ('#56B4E9', '#0072B2', '#E69F00', '#D55E00')
  for n, (color, dash) in enumerate(zip(shades, ('-', '--', '-.', ':')), 1):
    xy = series(f'kl_token_q{n}')
    if xy:
      axes[2].plot(*zip(*xy), color=color, linestyle=dash, label=f'quarter {n}')
  axes[2].set(title='KL of a token, by its place', xlabel='iteration')
  if axes[2].lines:
    axes[2].legend(frameon=False, fontsize=8)
  fig.tight_layout()
  return fig


def warned(c):
  said = [f'{name.replace("_", " ")} from iteration {step}' for name, step in c.warned.items()]
  text = '; '.join(said) if said else 'none was raised'
  return f'<p>Early warnings of the PPO run: {html.escape(text)}.</p>'


def table(caption, head, rows):
  cells = lambda tag, row: ''.join(f'<{tag}>{html.escape(str(x))}</{tag}>' for x in row)
  lines = ''.join(f'<tr>{cells("td", row)}</tr>' for row in rows)
  top = f'<h2>{caption}</h2><div class="wide"><table><thead><tr>{cells("th", head)}</tr></thead>'
  return f'{top}<tbody>{lines}</tbody></table></div>'


def _span(low, high):
  return f'[{low:.3g}, {high:.3g}]'


def _fits_table(curves):
  rows = []
  for kind, c in curves.items():
    form = 'd (a - b d)' if kind == over.BON else 'd (a - b log d)'
    for name, fit in c.fits.items():
      if not isinstance(fit, over.Fit):
        rows.append((f'{_NAMES[kind]}, {name}', form, '', '', '', fit))
        continue
      a, b = f'{fit.a:.3g} {_span(*fit.a_interval)}', f'{fit.b:.3g} {_span(*fit.b_interval)}'
      rows.append((f'{_NAMES[kind]}, {name}', form, a, b, f'{fit.r2:.3f}', turn_words(fit)))
  return table('Fits', ('curve', 'R(d)', 'a [95 %]', 'b [95 %]', 'R²', 'turning point'), rows)


def _points_table(c):
  names = [n for n in ('proxy', 'gold', 'length', 'distinct_2', 'truncated') if n in c.means]
  rows = []
  for i, label in enumerate(c.label):
    values = (f'{c.means[n][i]:.3g} {_span(c.low[n][i], c.high[n][i])}' for n in names)
    rows.append((label, f'{c.d[i] ** 2:.3g}', f'{c.d[i]:.3g}', *values))
  first = 'n' if c.kind == over.BON else 'iteration'
  shown = [n.replace('_', '-') for n in names]
  head = (first, 'KL', 'd', *(f'{n} [95 %]' for n in shown))
  return table(f'{_NAMES[c.kind]}, point by point', head, rows)
