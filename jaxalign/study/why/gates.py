"""Gates of study 3: numbers by which the rules' bars judge whether the instrument works.

They are taken over the arms that the judged contrasts compare, and over no other.
"""

import collections
from collections.abc import Mapping

from jaxalign.study.plan.directories import aligned_last
from jaxalign.study.plan.guest import Cell, Gates, MeansBySeed, Study
from jaxalign.study.store.table import Means

_BASE = ('G0', 'G0b_why', 'G0b_what', 'G6_why')


def values(cfg: Study, means_by_seed: MeansBySeed) -> Gates:
  """{gate: {seed: number}} as the rules' bars want them."""
  found: Gates = collections.defaultdict(dict)
  judged = _judged(cfg)
  for seed, mean in means_by_seed.items():
    for gate in _BASE:
      found[gate][seed] = mean['base', gate].rate
    shown = [mean[arm, 'T0'] for arm in judged if (arm, 'T0') in mean]
    if len(shown) == len(judged) > 0:
      margins = [one.margin for one in shown]
      found['T0'][seed] = min(one.rate for one in shown)
      # A margin that is not above 0 has no factor to another: such an arm has failed T0 anyway.
      found['T0 factor'][seed] = max(margins) / min(margins) if min(margins) > 0 else None
    found['mass'][seed] = _least_mass(cfg, mean)
  return dict(found)


def _judged(cfg: Study) -> list[str]:
  """Arms of the judged contrasts that end with the demonstrations."""
  compared = {arm for planned in cfg.rules.contrasts for arm, _ in planned.arms}
  return [arm.name for arm in cfg.arms if arm.name in compared and aligned_last(arm)]


def _least_mass(cfg: Study, mean: Mapping[Cell, Means]) -> float | None:
  cells = {
    (arm, test)
    for planned in cfg.rules.contrasts
    for arm, _ in planned.arms
    for test, _ in planned.tests
  }
  masses = [mean[cell].mass for cell in cells if cell in mean]
  known = [mass for mass in masses if mass is not None]
  return min(known) if known and len(known) == len(cells) else None
