"""Goodhart's law in the world: what proxy and gold say of a policy that climbs the proxy.

A climb is stored as points, each so many nats from where the policy began. Gains are over that
start, in standard deviations of the scores of its answers there, so that proxies of any scale can
stand beside each other and beside gold. Everything that is drawn or fitted comes from points.
"""

import collections
import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from etils import epath

from jaxalign.config import UserError
from jaxalign.files import rows as rows_of
from jaxalign.rl import overoptimisation as over
from jaxalign.stages import overoptimisation
from jaxalign.study.judge import results_file
from jaxalign.study.judge.results import (
  AfterPpo,
  ArmMeans,
  ClimbOutcome,
  ClimbResult,
  Fit,
  Goodhart,
  Point,
)
from jaxalign.study.plan.arms import Climb
from jaxalign.study.plan.directories import home_of
from jaxalign.study.plan.guest import Study
from jaxalign.study.store.rows import Row

_INTERVALS = 'a_interval', 'b_interval', 'turn_interval'
_NAMES = 'mode', 'line', 'arm', 'way'  # of a climb
_DRAWS = 2  # of intervals over prompts, which are not wanted: the seed is the unit
_Curves = dict[int, list[Point]]  # {seed: its points, by distance}


def points(directory: epath.Path, climb: Climb, seed: int) -> list[Point]:
  """The points of a climb that is done."""
  if (directory / 'bon.json').exists():
    way, curve = over.BON, overoptimisation.best_of_n(directory, _DRAWS)
  else:
    way, curve = over.RL, overoptimisation.of_ppo(directory, _DRAWS)
  proxy_N, gold_N = _at_start(directory)
  of_climb: dict[str, Any] = dict(mode=climb.mode, line=climb.line, arm=climb.arm, way=way)
  of_climb |= dict(proxy_sd=float(proxy_N.std()), gold_sd=float(gold_N.std()))
  of_climb |= dict(seed=seed, r=_correlation(proxy_N, gold_N))
  found = []
  for n, (at, d) in enumerate(zip(curve.label, curve.d)):
    means = {name: float(x[n]) for name, x in curve.means.items()}
    found.append(Point(**of_climb, at=at, d=float(d), means=means))
  return found


def moved(directory: os.PathLike) -> float:
  """How far PPO went by its last iteration, in nats a sequence."""
  return overoptimisation.lines(directory, 'metrics.jsonl')[-1]['kl_sequence']


def _at_start(directory):
  """(proxy_N, gold_N) of the answers before any climbing."""
  lines = overoptimisation.lines(directory, 'bon-*.jsonl')
  if lines:
    return tuple(np.concatenate([line[side] for line in lines]) for side in ('proxy', 'gold'))
  lines = overoptimisation.lines(directory, 'samples.jsonl')
  first = [line for line in lines if line['step'] == lines[0]['step'] and not line['greedy']]
  return tuple(np.array([line[side] for line in first]) for side in ('score', 'gold'))


def _correlation(a_N, b_N):
  """None where one of them does not vary."""
  return float(np.corrcoef(a_N, b_N)[0, 1]) if a_N.std() and b_N.std() else None


def line(point: Point) -> str:
  """A line of a climb's file, its end included."""
  return json.dumps(results_file.as_json(point), allow_nan=False) + '\n'


def read(cfg: Study, workdir: epath.Path) -> list[Point]:
  """All points of the seeds that were to be climbed on."""
  folders = [home_of(workdir, seed) / 'goodhart' for seed in cfg.rl_seeds]
  paths = [folder / f'{climb.stored}.jsonl' for folder in folders for climb in cfg.climbs]
  again = 'remove that file and run the study again'
  return [results_file.made(Point, row) for path in paths for _, row in rows_of(path, again)]


def after_ppo(rows: Sequence[Row], arms: ArmMeans) -> AfterPpo | None:
  """What results.json has of the rows after PPO; arms: {arm: {test: {seed: its means}}}."""
  kl: dict[str, dict[int, float | None]] = collections.defaultdict(dict)
  for row in rows:
    kl[row.arm][row.seed] = row.kl
  return AfterPpo(arms=arms, kl=kl) if rows else None


def curves(points: Sequence[Point]) -> dict[tuple[str, str, str, str], _Curves]:
  """{(mode, line, arm, way): the curve of each seed}; lines of a mode share a picture."""
  made: dict[tuple[str, str, str, str], _Curves] = {}
  for point in points:
    of_seeds = made.setdefault((point.mode, point.line, point.arm, point.way), {})
    of_seeds.setdefault(point.seed, []).append(point)
  for by_seed in made.values():
    for curve in by_seed.values():
      curve.sort(key=lambda point: point.d)
  return made


def gains(curve: Sequence[Point]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """(d, proxy, gold), a value at each point: gains over the start in its standard deviations."""
  first = min(curve, key=lambda point: point.d)
  proxy = [(point.proxy - first.proxy) / (point.proxy_sd or 1.0) for point in curve]
  gold = [(point.gold - first.gold) / (point.gold_sd or 1.0) for point in curve]
  return np.array([point.d for point in curve]), np.array(proxy), np.array(gold)


def summary(points: Sequence[Point]) -> Goodhart:
  """The points, and of each climb what came of it, seed by seed, and its fits over all seeds."""
  every = curves(points)
  reach: dict[str, float] = {}  # of a picture: what all its curves reach
  for (mode, *_), by_seed in every.items():
    reach[mode] = min([reach.get(mode, np.inf), *(curve[-1].d for curve in by_seed.values())])
  climbs = []
  for key, by_seed in every.items():
    mode, _, _, way = key
    seeds = {seed: _outcome(curve, reach[mode]) for seed, curve in by_seed.items()}
    fits = {side: _fit(by_seed, side, way) for side in ('proxy', 'gold')}
    climbs.append(ClimbResult(**dict(zip(_NAMES, key)), seeds=seeds, fits=fits))
  return Goodhart(points=tuple(points), climbs=tuple(climbs), equal_d=reach)


def _outcome(curve, equal):
  """Gains at the far end and at the distance `equal`; where gold was best, and what was lost."""
  d, proxy, gold = gains(curve)
  gained, top = dict(proxy=proxy, gold=gold), int(gold.argmax())
  far = dict(d=float(d[-1]), proxy=float(proxy[-1]), gold=float(gold[-1]))
  best = dict(best_gold=float(gold[top]), best_d=float(d[top]), lost=float(gold[top] - gold[-1]))
  at_equal = {f'{name}_at_equal': float(np.interp(equal, d, gain)) for name, gain in gained.items()}
  return ClimbOutcome(**far, **best, **at_equal, r=curve[0].r, length=curve[-1].length)


def _fit(by_seed, side, way):
  """Gao's form through the points of all seeds, or why there is none."""
  parts = [gains(curve) for curve in by_seed.values()]
  d = np.concatenate([part[0] for part in parts])
  gain = np.concatenate([part[1 if side == 'proxy' else 2] for part in parts])
  try:
    one = over.fit(d, gain, way, draws=200)
  except UserError as error:
    return Fit(why=str(error))

  def ends(pair):
    return tuple(x if np.isfinite(x) else None for x in pair or (np.nan, np.nan))

  intervals = {name: ends(getattr(one, name)) for name in _INTERVALS}
  numbers = dict(a=one.a, b=one.b, r2=one.r2, points=one.points, turn=one.turn)
  return Fit(**numbers, **intervals, why=one.why)


def drawn(fit: Fit, way: str, reach: float) -> tuple[np.ndarray, np.ndarray] | None:
  """(d, gain) of a fit, to be drawn; None where there is none."""
  if fit.a is None:
    return None
  d = np.linspace(0, reach, 50)
  return d, over.columns(d, way) @ np.array([fit.a, fit.b])
