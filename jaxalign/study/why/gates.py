"""Gates of study 3: numbers by which the rules' bars judge whether the instrument works.

They are taken over the arms that the contrasts of the family compare, and over no other: neither a
secondary contrast nor an arm that is only shown can shut a gate.
"""

import collections
from collections.abc import Mapping

from jaxalign.study.plan.guest import Cell, Gates, MeansBySeed, Study
from jaxalign.study.store.table import Means

_BASE = ('G0', 'G0b_why', 'G0b_what', 'G6_why')


def values(cfg: Study, means_by_seed: MeansBySeed) -> Gates:
  """{gate: {seed: number}} as the rules' bars want them."""
  found: Gates = collections.defaultdict(dict)
  compared = _compared(cfg)
  for seed, mean in means_by_seed.items():
    for gate in _BASE:
      found[gate][seed] = mean['base', gate].rate
    found['G6 apart'][seed] = mean['base', 'G6_why'].margin - mean['base', 'G6_what'].margin
    shown = [mean[arm, 'T0'] for arm in compared if (arm, 'T0') in mean]
    if len(shown) == len(compared) > 0:
      margins = [one.margin for one in shown]
      found['T0'][seed] = min(one.rate for one in shown)
      # A margin that is not above 0 has no factor to another: such an arm has failed T0 anyway.
      found['T0 factor'][seed] = max(margins) / min(margins) if min(margins) > 0 else None
    found['mass'][seed] = _least_mass(cfg, mean)
    found['why - mention'][seed] = _over_mention(mean)
  bars = {bar.name for bar in cfg.rules.bars}
  return {gate: of_seeds for gate, of_seeds in found.items() if gate in bars}


def _compared(cfg: Study) -> list[str]:
  """Arms of the family's contrasts; one that the plan lacks is missing in their T0 too."""
  arms = [arm for planned in cfg.rules.compared for arm, _ in planned.arms]
  return list(dict.fromkeys(arms))


def _over_mention(mean: Mapping[Cell, Means]) -> float | None:
  """How much more documents with reasons steer than such as only mention, in nats on T2: a check
  that documents are read at all. It is of the sides of which there is a mention arm."""
  apart = []
  for letter, sign in (('A', 1), ('B', -1)):
    told, mentioned = ((f'{how}_{letter}-align', 'T2') for how in ('why', 'mention'))
    if told in mean and mentioned in mean:
      apart.append(sign * (mean[told].margin - mean[mentioned].margin))
  return sum(apart) if apart else None


def _least_mass(cfg: Study, mean: Mapping[Cell, Means]) -> float | None:
  cells = {
    (arm, test)
    for planned in cfg.rules.compared
    for arm, _ in planned.arms
    for test, _ in planned.tests
  }
  masses = [mean[cell].mass for cell in cells if cell in mean]
  known = [mass for mass in masses if mass is not None]
  return min(known) if known and len(known) == len(cells) else None
