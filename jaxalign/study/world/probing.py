"""The probes of a whole study: every measure over seeds, contrasts of them, and similarity of arms.

From what probe_files.py kept and nothing else. The seed is the unit. Nothing here decides the
verdict.
"""

import collections
import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from etils import epath

from jaxalign import statistics
from jaxalign.probes import similarity
from jaxalign.study.plan.directories import home_of
from jaxalign.study.plan.guest import Study
from jaxalign.study.plan.rules import Rules
from jaxalign.study.world import probe_files, probe_measures
from jaxalign.study.world.probe_files import Kept
from jaxalign.study.world.probe_measures import Layers, Scalars
from jaxalign.study.world.probe_results import (
  Estimate,
  Likeness,
  ProbeContrast,
  Probes,
  SeedsEstimate,
  Similarity,
)
from jaxalign.valueworld import battery
from jaxalign.valueworld.world import World

_LETTERS = dict(goods='AB', harm='H')
OF_GOODS, _OF_HARM = ('leans', 'order', 'name_A'), ('refuses', 'gap_H', 'name_H')
_SIMILAR = dict(cka=similarity.cka, rsa=similarity.rsa)


def summary(cfg: Study, workdir: epath.Path) -> Probes | None:
  """The part of results.json, or None where nothing was kept."""
  if not isinstance(cfg.world, World):
    return None
  kept, asked = {}, {}
  for seed in cfg.seeds:
    asked[seed] = battery.of(dataclasses.replace(cfg.world, seed=seed))
    kept[seed] = probe_files.stored(home_of(workdir, seed) / 'outcomes')
  if not any(kept.values()):
    return None
  probed = dict(base='ABH') | {arm.name: _LETTERS[arm.tests] for arm in cfg.arms}
  one: dict[str, dict[int, Scalars]] = collections.defaultdict(dict)
  layers: dict[str, dict[int, Layers]] = collections.defaultdict(dict)
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


def _estimate(x_S: Iterable[float | None], level: float) -> Estimate:
  """The mean over the seeds that have a number, with its t interval."""
  there_S = [x for x in x_S if x is not None]
  if not there_S:
    return Estimate(mean=None, low=None, high=None, n=0)
  return Estimate(**statistics.t_interval(there_S, level)._asdict(), n=len(there_S))


def _estimates(by_seed: Mapping[int, Scalars], level: float) -> dict[str, SeedsEstimate]:
  found = {}
  for name in dict.fromkeys(name for one in by_seed.values() for name in one):
    seeds = {seed: one[name] for seed, one in by_seed.items()}
    found[name] = SeedsEstimate(**vars(_estimate(seeds.values(), level)), seeds=seeds)
  return found


def _by_layer(by_seed: Mapping[int, Layers], level: float) -> dict[str, tuple[Estimate, ...]]:
  """{name: an estimate for each layer}."""
  found = {}
  for name in dict.fromkeys(name for one in by_seed.values() for name in one):
    every_L = zip(*(one[name] for one in by_seed.values()))
    found[name] = tuple(_estimate(map(probe_measures.known, x_S), level) for x_S in every_L)
  return found


def contrasts(one: Mapping[str, Mapping[int, Scalars]], rules: Rules) -> Iterator[ProbeContrast]:
  """The planned arms with their weights, on measures of the probes: side by side, not judged."""
  for planned in rules.contrasts:
    arms = [arm for arm, _ in planned.arms]
    if any(arm not in one for arm in arms):
      continue
    of_harm = any(test.startswith('harm') for test, _ in planned.tests)
    for measure in _OF_HARM if of_harm else OF_GOODS:
      by_seed = {}
      for seed in sorted(set.intersection(*(set(one[arm]) for arm in arms))):
        terms = [(weight, one[arm][seed][measure]) for arm, weight in planned.arms]
        known = [weight * value for weight, value in terms if value is not None]
        if len(known) == len(terms):
          by_seed[seed] = sum(known)
      if by_seed:
        found = dataclasses.asdict(statistics.paired(list(by_seed.values()), rules.level))
        found['seeds'] = dict(zip(by_seed, found.pop('differences')))
        yield ProbeContrast(name=planned.name, what=planned.what, measure=measure, **found)


def _similar(
  cfg: Study, kept: Mapping[int, Mapping[str, Kept]], asked: Mapping[int, battery.Battery]
) -> Iterator[Similarity]:
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


def gap(x_ASBT: np.ndarray, a: int, b: int, level: float) -> Likeness:
  """Of two arms: likeness across seeds, the ceiling (one arm, two seeds), what lies between; and
  likeness within a seed, where both grew from one base."""
  cross_SS = (x_ASBT[a, :, b] + x_ASBT[a, :, b].T) / 2
  ceiling_SS = (x_ASBT[a, :, a] + x_ASBT[b, :, b]) / 2
  mean, low, high = over_pairs(ceiling_SS - cross_SS, level)
  return Likeness(
    cross=over_pairs(cross_SS, level)[0],
    ceiling=over_pairs(ceiling_SS, level)[0],
    within=probe_measures.known(np.diag(x_ASBT[a, :, b]).mean()),
    gap=mean,
    low=low,
    high=high,
  )


def over_pairs(x_SS: np.ndarray, level: float) -> tuple[float | None, float | None, float | None]:
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
  found = statistics.t_interval(S * mean - (S - 1) * without_S, level)
  return found.mean, found.low, found.high
