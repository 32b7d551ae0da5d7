"""The over-optimisation report: proxy and gold reward against sqrt(KL), of best-of-n and of PPO.

Read are what stage bon and stage ppo leave in their workdirs; written are overoptimisation.json and
one page, overoptimisation.html, which needs nothing but itself.
"""

import dataclasses
import json
import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from etils import epath

from jaxalign import pictures
from jaxalign.config import UserError
from jaxalign.files import content, read_json, refuse_scheme, write_text
from jaxalign.files import rows as rows_of
from jaxalign.page import kit
from jaxalign.rl import bon
from jaxalign.rl import overoptimisation as over
from jaxalign.stages import overoptimisation_page as page

_DRAWS = 1000
_Place = str | os.PathLike[str]


def report(
  out: _Place, *, best_of: _Place | None = None, ppo: _Place | None = None, draws: int = _DRAWS
) -> dict[str, page.Curve]:
  """The curves that are on the page that it writes; either workdir may be None."""
  if best_of is None and ppo is None:
    raise UserError('a report needs the workdir of stage bon, or that of stage ppo, or both')
  curves = {}
  if best_of is not None:
    curves[over.BON] = best_of_n(best_of, draws)
  if ppo is not None:
    curves[over.RL] = of_ppo(ppo, draws)
  place = epath.Path(out)
  place.mkdir(parents=True, exist_ok=True)
  kit.refuse_without_extra()  # before anything is overwritten
  write_text(json.dumps(as_json(curves), indent=2) + '\n', place / 'overoptimisation.json')
  workdirs = {over.BON: best_of, over.RL: ppo}
  pictures.kept(lambda: page.write(curves, workdirs), place / 'overoptimisation.html')
  return curves


def as_json(curves: Mapping[str, page.Curve]) -> dict[str, Any]:
  def plain(x):
    if isinstance(x, np.ndarray):
      return [plain(value) for value in x.tolist()]
    if isinstance(x, float) and not math.isfinite(x):
      return None
    if dataclasses.is_dataclass(x):
      return plain(dataclasses.asdict(x))
    if isinstance(x, dict):
      return {name: plain(value) for name, value in x.items()}
    return [plain(value) for value in x] if isinstance(x, list | tuple) else x

  return plain({n: dataclasses.replace(curve, iterations=[]) for n, curve in curves.items()})


def lines(path: _Place, pattern: str) -> list[dict[str, Any]]:
  """All JSON lines of the files that fit, in the order of their names; a torn one is refused."""
  found = sorted(epath.Path(path).glob(pattern))
  return [row for file in found for _, row in rows_of(file, 'let the run go on, or mend it')]


def best_of_n(workdir: _Place, draws: int = _DRAWS) -> page.Curve:
  rows = lines(workdir, 'bon-*.jsonl')
  if not rows:
    raise UserError(f'{workdir} holds no bon-*.jsonl: it is not the workdir of a run of stage bon')
  if len({len(row['proxy']) for row in rows}) > 1:
    raise UserError(f'{workdir}: prompts have different numbers of answers: take a new workdir')
  proxy, ended = _column(rows, 'proxy'), _column(rows, 'finished')
  values = dict(proxy=proxy, length=_column(rows, 'tokens'), truncated=1 - ended)
  if rows[0].get('gold') is not None:
    values['gold'] = _column(rows, 'gold')
  values['distinct_2'] = _column(rows, 'distinct_2')
  ns = bon.sizes(proxy.shape[1])
  per_prompt = {name: bon.curve(proxy, value, ns) for name, value in values.items()}
  drawn = {name: bon.resampled(x, draws) for name, x in per_prompt.items()}
  d = np.sqrt(bon.kl(ns))
  d_drawn = np.broadcast_to(d, (draws, len(d)))
  return _curve(over.BON, ns.tolist(), d, d_drawn, per_prompt, drawn, answers=proxy.shape[1])


def _curve(kind, label, d, d_drawn, per_prompt, drawn, **more):
  """per_prompt: {name: [prompts, points]}; drawn: the means of resampled prompts, [draws, points],
  whose first point is where the policy began."""
  means = {name: x.mean(0) for name, x in per_prompt.items()}
  bounds = {name: bon.interval(x) for name, x in drawn.items()}
  low, high = ({name: b[end] for name, b in bounds.items()} for end in (0, 1))
  fits = {}
  for name in ('proxy', 'gold'):
    if name not in means:
      continue
    gain = drawn[name] - drawn[name][:, :1]
    try:
      fits[name] = over.fit(d, means[name] - means[name][0], kind, drawn=(d_drawn, gain))
    except UserError as error:
      fits[name] = str(error)
  more |= dict(prompts=len(per_prompt['proxy']), low=low, high=high, fits=fits)
  return page.Curve(kind=kind, label=label, d=d, means=means, **more)


def refuse_no_evaluations(workdir: _Place) -> None:
  """Early, too: answers are long in the making, and the report comes after them."""
  refuse_scheme(workdir)
  for name in ('samples.jsonl', 'evals.jsonl'):
    file = epath.Path(workdir) / name
    if not file.exists() or not content(file).strip():
      raise UserError(
        f'{workdir} holds no samples.jsonl with an evals.jsonl: the report needs a PPO run that '
        'evaluates (held_out and eval_every)'
      )


def of_ppo(workdir: _Place, draws: int = _DRAWS) -> page.Curve:
  """The evaluations of a PPO run: what was sampled there, one answer to each held-out prompt."""
  refuse_no_evaluations(workdir)
  evals = {row['step']: row for row in lines(workdir, 'evals.jsonl')}
  by_step: dict[int, dict[int, dict[str, Any]]] = {}
  for row in lines(workdir, 'samples*.jsonl'):
    if not row['greedy']:
      by_step.setdefault(row['step'], {})[row['row']] = row
  steps = sorted(step for step in by_step if step in evals)
  prompts = sorted(set.intersection(*(set(by_step[step]) for step in steps)))
  if not prompts:
    raise UserError(f'{workdir}: no prompt was answered at every evaluation')
  values = _table([[by_step[step][prompt] for step in steps] for prompt in prompts])
  if 'kl' not in values:  # the evaluations' means, which then are taken as known
    values['kl'] = np.tile([evals[step]['held_out_kl'] for step in steps], (len(prompts), 1))
  values = _with_start(workdir, steps, values)
  drawn = {name: bon.resampled(x, draws) for name, x in values.items()}
  d, d_drawn = (np.sqrt(np.maximum(kl, 0)) for kl in (values['kl'].mean(0), drawn['kl']))
  metrics = lines(workdir, 'metrics.jsonl')
  about = dict(iterations=metrics, warned=_warned(workdir, _with_gold(metrics, steps, values)))
  return _curve(over.RL, steps, d, d_drawn, values, drawn, answers=1, **about)


def _table(rows):
  """{name: [prompts, points]} of lines of samples.jsonl; gold and kl where all of them have it."""
  names = dict(proxy='score', length='tokens', truncated='finished', distinct_2='distinct_2')
  for name in ('gold', 'kl'):
    if all(row.get(name) is not None for line in rows for row in line):
      names[name] = name
  values = {ours: np.stack([_column(line, name) for line in rows]) for ours, name in names.items()}
  return values | dict(truncated=1 - values['truncated'])


def _column(rows, name):
  return np.array([row[name] for row in rows], np.float64)


def _with_start(workdir, steps, values):
  """The values from KL 0 on, for which the first evaluation stands: fair while its KL is small."""
  kl = values['kl'].mean(0)
  if kl[0] > 0.25 * max(kl.max(), 1e-9):
    raise UserError(
      f'{workdir}: its first evaluation, at iteration {steps[0]}, already has a KL of {kl[0]:.3g}: '
      'there is nothing to measure gains from; evaluate more often'
    )
  return values | dict(kl=values['kl'] - kl[:1])


def _with_gold(metrics, steps, values):
  """metrics.jsonl, with the held-out gold beside the iterations that were evaluated."""
  gold = dict(zip(steps, values['gold'].mean(0))) if 'gold' in values else {}
  return [
    row | dict(gold=float(gold[row['step']])) if row['step'] in gold else row for row in metrics
  ]


def _warned(workdir, history):
  """{flag: the first iteration at which it was up}, over the whole run."""
  file, found = epath.Path(workdir) / 'config.json', {}
  rules = read_json(file).get('rules') or {} if file.exists() else {}
  for n in range(1, len(history) + 1, max(1, len(history) // 500)):  # so that long runs cost little
    up = over.warnings(over.needed(history[:n]), kl_target=rules.get('kl_target'))
    for name in over.FLAGS:
      if up[name] and name not in found:
        found[name] = history[n - 1]['step']
  return found
