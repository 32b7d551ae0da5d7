"""The probes of a whole study: every measure over seeds, contrasts of them, and similarity of arms.

From what probe_files.py kept and nothing else. The seed is the unit. Nothing here decides the
verdict.
"""

import collections
import dataclasses
import itertools

import numpy as np

from jaxalign import statistics
from jaxalign.probes import similarity
from jaxalign.study.store.directories import home_of
from jaxalign.study.world import probe_files, probe_measures
from jaxalign.study.world.probe_results import (
  Estimate,
  Likeness,
  ProbeContrast,
  Probes,
  SeedsEstimate,
  Similarity,
)
from jaxalign.valueworld import battery

_LETTERS = dict(goods='AB', harm='H')
OF_GOODS, _OF_HARM = ('leans', 'order', 'name_A'), ('refuses', 'gap_H', 'name_H')
_SIMILAR = dict(cka=similarity.cka, rsa=similarity.rsa)


def summary(cfg, workdir):
  """The part of results.json, or None where nothing was kept."""
  kept, asked = {}, {}
  for seed in cfg.seeds:
    asked[seed] = battery.of(dataclasses.replace(cfg.world, seed=seed))
    kept[seed] = probe_files.stored(home_of(workdir, seed, False) / 'outcomes')
  if not any(kept.values()):
    return None
  probed = dict(base='ABH') | {arm.name: _LETTERS[arm.tests] for arm in cfg.arms}
  one, layers = collections.defaultdict(dict), collections.defaultdict(dict)
  for name, letters in probed.items():
    for seed in cfg.seeds:
      if name in kept[seed]:
        found = probe_measures.scalars_and_layers(kept[seed][name], asked[seed], letters)
        one[name][seed], layers[name][seed] = found
  level, first = cfg.rules.level, next(iter(asked.values()))
  return Probes(
    items={part: len(first.prompts[part]) for part in battery.PARTS},
    arms={name: _estimates(by_seed, level) for name, by_seed in one.items()},
    layers={name: _by_layer(by_seed, level) for name, by_seed in layers.items()},
    contrasts=tuple(contrasts(one, cfg.rules)),
    similarity=tuple(_similar(cfg, kept, asked)),
  )


def _estimate(by_seed, level):
  """{seed: number or None} -> its mean with a t interval over the seeds that have one."""
  x_S = [x for x in by_seed.values() if x is not None]
  mean, low, high = statistics.t_interval(x_S, level) if x_S else (None,) * 3
  return SeedsEstimate(mean=mean, low=low, high=high, n=len(x_S), seeds=by_seed)


def _estimates(by_seed, level):
  names = dict.fromkeys(name for found in by_seed.values() for name in found)
  of = lambda name: {seed: found[name] for seed, found in by_seed.items()}
  return {name: _estimate(of(name), level) for name in names}


def _by_layer(by_seed, level):
  """{name: [an estimate for each layer]}."""
  names = dict.fromkeys(name for found in by_seed.values() for name in found)
  at = lambda name, n: {seed: probe_measures.known(x[name][n]) for seed, x in by_seed.items()}
  count = lambda name: len(next(iter(by_seed.values()))[name])
  without = lambda one: Estimate(mean=one.mean, low=one.low, high=one.high, n=one.n)
  return {
    name: tuple(without(_estimate(at(name, n), level)) for n in range(count(name)))
    for name in names
  }


def contrasts(one, rules):
  """The planned arms with their weights, on measures of the probes: side by side, not judged."""
  for planned in rules.contrasts:
    arms = [arm for arm, _ in planned.arms]
    if any(arm not in one for arm in arms):
      continue
    of_harm = any(test.startswith('harm') for test, _ in planned.tests)
    for measure in _OF_HARM if of_harm else OF_GOODS:
      shared = set.intersection(*(set(one[arm]) for arm in arms))
      shared = [s for s in sorted(shared) if all(one[a][s][measure] is not None for a in arms)]
      if shared:
        d_S = [sum(w * one[arm][s][measure] for arm, w in planned.arms) for s in shared]
        found = dataclasses.asdict(statistics.paired(d_S, rules.level))
        found['seeds'] = dict(zip(shared, found['seeds']))
        yield ProbeContrast(name=planned.name, what=planned.what, measure=measure, **found)


def _similar(cfg, kept, asked):
  """Every two arms of an experiment: how far their likeness lies below that of one arm's seeds."""
  for tests in _LETTERS:
    arms = [arm.name for arm in cfg.arms if arm.tests == tests]
    arms = [arm for arm in arms if all(arm in kept[seed] for seed in cfg.seeds)]
    if not arms:
      continue
    x_MLND = [kept[s][a].part(asked[s], 'common') for a in arms for s in cfg.seeds]
    for name, measure in _SIMILAR.items():
      seen = similarity.every(np.stack(x_MLND), measure)
      seen_LASBT = seen.reshape(len(seen), *(len(arms), len(cfg.seeds)) * 2)
      for a, b in itertools.combinations(range(len(arms)), 2):
        layers = tuple(gap(x_ASBT, a, b, cfg.rules.level) for x_ASBT in seen_LASBT)
        yield Similarity(measure=name, arms=(arms[a], arms[b]), layers=layers)


def gap(x_ASBT, a, b, level):
  """Of two arms: likeness across seeds, the ceiling (one arm, two seeds), what lies between; and
  likeness within a seed, where both grew from one base."""
  cross_SS = (x_ASBT[a, :, b] + x_ASBT[a, :, b].T) / 2
  ceiling_SS = (x_ASBT[a, :, a] + x_ASBT[b, :, b]) / 2
  mean, low, high = over_pairs(ceiling_SS - cross_SS, level)
  return Likeness(
    cross=over_pairs(cross_SS, level)[0], ceiling=over_pairs(ceiling_SS, level)[0],
    within=probe_measures.known(np.diag(x_ASBT[a, :, b]).mean()), gap=mean, low=low, high=high,
  )  # fmt: skip


def over_pairs(x_SS, level):
  """Mean over all two different seeds, and its interval by the jackknife: a pair has two seeds, so
  pairs are no independent witnesses, and seeds are."""
  S = len(x_SS)
  sum_S = np.where(np.eye(S, dtype=bool), 0, x_SS).sum(1)
  if S < 2 or not np.isfinite(sum_S).all():
    return None, None, None
  mean = sum_S.sum() / (S * (S - 1))
  if S == 2:
    return float(mean), None, None
  without_S = (sum_S.sum() - 2 * sum_S) / ((S - 1) * (S - 2))
  return tuple(statistics.t_interval(S * mean - (S - 1) * without_S, level))
