"""Goodhart's law in the world: what proxy and gold say of a policy that climbs the proxy.

A row of the store is a point of a climb: so many nats from where the policy began. Gains are over
that start, in standard deviations of the scores of its answers there, so that proxies of any scale
can stand beside each other and beside gold. Everything that is drawn or fitted comes from rows.
"""

import collections

import numpy as np

from jaxalign.config import UserError
from jaxalign.files import rows as rows_of
from jaxalign.rl import overoptimisation as over
from jaxalign.stages import overoptimisation
from jaxalign.study.store.directories import home_of

_DRAWS = 2  # of intervals over prompts, which are not wanted: the seed is the unit
NAMES = 'mode', 'line', 'arm', 'way'  # of a climb; lines of a mode share a picture


def rows(directory, climb, seed):
  """The points of a climb that is done."""
  if (directory / 'bon.json').exists():
    way, curve = over.BON, overoptimisation.best_of_n(directory, _DRAWS)
  else:
    way, curve = over.RL, overoptimisation.of_ppo(directory, _DRAWS)
  proxy_N, gold_N = _at_start(directory)
  about = dict(seed=seed, mode=climb.mode, line=climb.line, arm=climb.arm, way=way)
  about |= dict(proxy_sd=float(proxy_N.std()), gold_sd=float(gold_N.std()))
  about |= dict(r=_correlation(proxy_N, gold_N))
  return [
    about | dict(at=at, d=float(d)) | {name: float(x[n]) for name, x in curve.means.items()}
    for n, (at, d) in enumerate(zip(curve.label, curve.d))
  ]


def moved(directory):
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


def read(cfg, workdir):
  """All points of the seeds that were to be climbed on."""
  homes = [home_of(workdir, seed, False) / 'goodhart' for seed in cfg.rl_seeds]
  paths = [home / f'{climb.stored}.jsonl' for home in homes for climb in cfg.climbs]
  again = 'remove that file and run the study again'
  return [row for path in paths for _, row in rows_of(path, again)]


def found(cfg, workdir, rows, arms):
  """What results.json has of RL. rows: those after PPO; arms: {arm: {test: {seed: means}}}."""
  points, kl = read(cfg, workdir), collections.defaultdict(dict)
  for row in rows:
    kl[row.arm][str(row.seed)] = row.kl
  return dict(
    goodhart=summary(points) if points else None,
    after_ppo=dict(arms=arms, kl=kl) if rows else None,
  )  # fmt: skip


def curves(points):
  """{(mode, line, arm, way): {seed: its points, by distance}}."""
  made = collections.defaultdict(lambda: collections.defaultdict(list))
  for point in points:
    made[tuple(point[name] for name in NAMES)][point['seed']].append(point)
  order = lambda of_seed: sorted(of_seed, key=lambda point: point['d'])
  return {key: {s: order(p) for s, p in by_seed.items()} for key, by_seed in made.items()}


def gains(of_seed):
  """(d, proxy, gold), a value at each point: gains over the start in its standard deviations."""
  first = min(of_seed, key=lambda point: point['d'])
  over_start = lambda name: [
    (point[name] - first[name]) / (point[f'{name}_sd'] or 1.0) for point in of_seed
  ]
  d = [point['d'] for point in of_seed]
  return np.array(d), np.array(over_start('proxy')), np.array(over_start('gold'))


def summary(points):
  """The points, and of each climb what came of it, seed by seed, and its fits over all seeds."""
  every = curves(points)
  reach = collections.defaultdict(lambda: np.inf)  # of a picture: what all its curves reach
  for (mode, *_), by_seed in every.items():
    reach[mode] = min([reach[mode], *(of_seed[-1]['d'] for of_seed in by_seed.values())])
  climbs = [
    dict(zip(NAMES, key))
    | dict(seeds={str(s): _outcome(of_seed, reach[key[0]]) for s, of_seed in by_seed.items()})
    | dict(fits={side: fit(by_seed, side, key[3]) for side in ('proxy', 'gold')})
    for key, by_seed in every.items()
  ]
  return dict(points=points, climbs=climbs, equal_d={m: float(d) for m, d in reach.items()})


def _outcome(of_seed, equal):
  """Gains at the far end and at the distance `equal`; where gold was best, and what was lost."""
  d, proxy, gold = gains(of_seed)
  best = int(gold.argmax())
  return dict(
    d=float(d[-1]), proxy=float(proxy[-1]), gold=float(gold[-1]),
    best_gold=float(gold[best]), best_d=float(d[best]), lost=float(gold[best] - gold[-1]),
    proxy_at_equal=float(np.interp(equal, d, proxy)),
    gold_at_equal=float(np.interp(equal, d, gold)),
    r=of_seed[0]['r'], length=of_seed[-1]['length'],
  )  # fmt: skip


def fit(by_seed, side, way):
  """Gao's form through the points of all seeds, or why there is none."""
  parts = [gains(of_seed) for of_seed in by_seed.values()]
  d = np.concatenate([part[0] for part in parts])
  gain = np.concatenate([part[1 if side == 'proxy' else 2] for part in parts])
  try:
    one = over.fit(d, gain, way, draws=200)
  except UserError as error:
    return dict(why=str(error))
  ends = lambda pair: [x if np.isfinite(x) else None for x in pair or (np.nan, np.nan)]
  return dict(
    a=one.a, a_interval=ends(one.a_interval), b=one.b, b_interval=ends(one.b_interval),
    r2=one.r2, points=one.points, turn=one.turn, turn_interval=ends(one.turn_interval), why=one.why,
  )  # fmt: skip


def drawn(fitted, way, reach):
  """(d, gain) of a fit, to be drawn; None where there is none."""
  if 'a' not in fitted:
    return None
  d = np.linspace(0, reach, 50)
  return d, over.columns(d, way) @ np.array([fitted['a'], fitted['b']])
