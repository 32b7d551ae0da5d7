"""The over-optimisation report: proxy and gold reward against sqrt(KL), of best-of-n and of PPO.

Read are what stage bon and stage ppo leave in their workdirs; written are overoptimisation.json and
one page, overoptimisation.html, which needs nothing but itself.
"""

import dataclasses
import json
import math

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


@dataclasses.dataclass(kw_only=True)
class _Curve:
  """A reward at every distance: of one way to move away from the policy, over the same prompts."""

  kind: str  # over.BON or over.RL
  label: list  # n, or the iteration, of each point
  d: np.ndarray
  means: dict  # 'proxy', 'gold', 'length', ..: a value at each point
  low: dict
  high: dict
  fits: dict  # 'proxy', 'gold' -> over.Fit, or why there is none
  prompts: int
  answers: int  # to each prompt, at each point
  iterations: list = dataclasses.field(default_factory=list)  # PPO's metrics.jsonl
  warned: dict = dataclasses.field(default_factory=dict)  # flag -> the first iteration it was up

  def gain(self, name):
    """Over the first point, which lies at d = 0."""
    return self.means[name] - self.means[name][0]


def report(out, *, best_of=None, ppo=None, draws=_DRAWS):
  """Writes the page; either workdir may be None. Returns {'best-of-n': Curve, 'RL': Curve}."""
  if best_of is None and ppo is None:
    raise UserError('a report needs the workdir of stage bon, or that of stage ppo, or both')
  curves = {}
  if best_of is not None:
    curves[over.BON] = best_of_n(best_of, draws)
  if ppo is not None:
    curves[over.RL] = of_ppo(ppo, draws)
  out = epath.Path(out)
  out.mkdir(parents=True, exist_ok=True)
  kit.refuse_without_extra()  # before anything is overwritten
  write_text(json.dumps(as_json(curves), indent=2) + '\n', out / 'overoptimisation.json')
  places = dict(best_of=best_of, ppo=ppo)
  pictures.kept(lambda: page.write(curves, places), out / 'overoptimisation.html')
  return curves


def as_json(curves):
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

  kept = {name: dataclasses.replace(curve, iterations=[]) for name, curve in curves.items()}
  return plain(kept)


def lines(path, pattern):
  """All JSON lines of the files that fit, in the order of their names; a torn one is refused."""
  found = sorted(epath.Path(path).glob(pattern))
  return [row for file in found for _, row in rows_of(file, 'let the run go on, or mend it')]


def best_of_n(workdir, draws=_DRAWS):
  rows = lines(workdir, 'bon-*.jsonl')
  if not rows:
    raise UserError(f'{workdir} holds no bon-*.jsonl: it is not the workdir of a run of stage bon')
  if len({len(row['proxy']) for row in rows}) > 1:
    raise UserError(f'{workdir}: prompts have different numbers of answers: take a new workdir')
  table = lambda name: np.array([row[name] for row in rows], np.float64)
  proxy = table('proxy')
  values = dict(proxy=proxy, length=table('tokens'), truncated=1 - table('finished'))
  if rows[0].get('gold') is not None:
    values['gold'] = table('gold')
  values['distinct_2'] = table('distinct_2')
  ns = bon.sizes(proxy.shape[1])
  per_prompt = {name: bon.curve(proxy, value, ns) for name, value in values.items()}
  drawn = {name: bon.resampled(x, draws) for name, x in per_prompt.items()}
  d = np.sqrt(bon.kl(ns))
  d_drawn = np.broadcast_to(d, (draws, len(d)))
  return curve(over.BON, ns.tolist(), d, d_drawn, per_prompt, drawn, answers=proxy.shape[1])


def curve(kind, label, d, d_drawn, per_prompt, drawn, **more):
  """per_prompt: {name: [prompts, points]}; drawn: the means of resampled prompts, [draws, points],
  whose first point is where the policy began."""
  means = {name: x.mean(0) for name, x in per_prompt.items()}
  bounds = {name: bon.interval(x) for name, x in drawn.items()}
  fits = {}
  for name in ('proxy', 'gold'):
    if name in means:
      gain = drawn[name] - drawn[name][:, :1]
      try:
        fits[name] = over.fit(d, means[name] - means[name][0], kind, drawn=(d_drawn, gain))
      except UserError as error:
        fits[name] = str(error)
  return _Curve(
    kind=kind, label=label, d=d, means=means, fits=fits, prompts=len(per_prompt['proxy']),
    low={name: b[0] for name, b in bounds.items()}, high={name: b[1] for name, b in bounds.items()},
    **more,
  )  # fmt: skip


def refuse_no_evaluations(workdir):
  """Early, too: answers are long in the making, and the report comes after them."""
  refuse_scheme(workdir)
  for name in ('samples.jsonl', 'evals.jsonl'):
    file = epath.Path(workdir) / name
    if not file.exists() or not content(file).strip():
      raise UserError(
        f'{workdir} holds no samples.jsonl with an evals.jsonl: the report needs a PPO run that '
        'evaluates (held_out and eval_every)'
      )


def of_ppo(workdir, draws=_DRAWS):
  """The evaluations of a PPO run: what was sampled there, one answer to each held-out prompt."""
  refuse_no_evaluations(workdir)
  rows = [row for row in lines(workdir, 'samples*.jsonl') if not row['greedy']]
  evals = {row['step']: row for row in lines(workdir, 'evals.jsonl')}
  by_step = {}
  for row in rows:
    by_step.setdefault(row['step'], {})[row['row']] = row
  steps = sorted(step for step in by_step if step in evals)
  prompts = sorted(set.intersection(*(set(by_step[step]) for step in steps)))
  if not prompts:
    raise UserError(f'{workdir}: no prompt was answered at every evaluation')
  table = [[by_step[step][prompt] for step in steps] for prompt in prompts]
  read_out = lambda f: np.array([[f(row) for row in line] for line in table], np.float64)
  values = dict(
    proxy=read_out(lambda row: row['score']), length=read_out(lambda row: row['tokens']),
    truncated=read_out(lambda row: not row['finished']),
    distinct_2=read_out(lambda row: row['distinct_2']),
  )  # fmt: skip
  if all(row.get('gold') is not None for line in table for row in line):
    values['gold'] = read_out(lambda row: row['gold'])
  if all(row.get('kl') is not None for line in table for row in line):
    values['kl'] = read_out(lambda row: row['kl'])
  else:  # the evaluations' means, which then are taken as known
    values['kl'] = np.tile([evals[step]['held_out_kl'] for step in steps], (len(prompts), 1))
  values = _with_start(workdir, steps, values)
  drawn = {name: bon.resampled(x, draws) for name, x in values.items()}
  root = lambda kl: np.sqrt(np.maximum(kl, 0))
  metrics = lines(workdir, 'metrics.jsonl')
  history = _with_gold(metrics, steps, values)
  return curve(
    over.RL, steps, root(values['kl'].mean(0)), root(drawn['kl']), values, drawn, answers=1,
    iterations=metrics, warned=_first_warned(workdir, history),
  )  # fmt: skip


def _with_start(workdir, steps, values):
  """A fit begins at KL 0. Where the run was not evaluated before its first step, the first
  evaluation has to stand for that, which is only fair while its KL is small."""
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


def _first_warned(workdir, history):
  """{flag: the first iteration at which it was up}, over the whole run."""
  file, found = epath.Path(workdir) / 'config.json', {}
  rules = read_json(file).get('rules') or {} if file.exists() else {}
  for n in range(1, len(history) + 1, max(1, len(history) // 500)):  # so that long runs cost little
    up = over.warnings(over.needed(history[:n]), kl_target=rules.get('kl_target'))
    for name in over.FLAGS:
      if up[name] and name not in found:
        found[name] = history[n - 1]['step']
  return found
