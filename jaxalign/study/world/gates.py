"""Gates of ValueWorld: numbers by which the rules' bars judge whether the instrument works."""

import collections
from collections.abc import Iterable

from jaxalign.study.plan.directories import aligned_last
from jaxalign.study.plan.guest import Gates, MeansBySeed, Study
from jaxalign.study.plan.rules import Rules
from jaxalign.study.store.rows import Row
from jaxalign.study.store.table import means


def steered(rows: Iterable[Row], test: str = 'T2') -> dict[str, float]:
  """{kind of document: margin after those for A, less after those for B}, both -> align."""
  mean = means(rows)
  found = {}
  for kind in ('explain', 'mention', 'shuffled'):
    a, b = ((f'{kind}_{letter}-align', test) for letter in 'AB')
    if a in mean and b in mean:
      found[kind] = mean[a].margin - mean[b].margin
  return found


def values(cfg: Study, means_by_seed: MeansBySeed) -> Gates:
  """{gate: {seed: number}} as the rules' bars want them."""
  found: Gates = collections.defaultdict(dict)
  last = {arm.name for arm in cfg.arms if aligned_last(arm)}
  for seed, mean in means_by_seed.items():
    for gate in ('G0', 'G0b'):
      found[gate][seed] = min(mean['base', test].rate for test in (gate, f'{gate}H'))
    cloze = [x.margin for (_, test), x in mean.items() if test == 'G1']
    found['G1'][seed] = min(cloze, default=None)
    inside = [
      [x for (arm, test), x in mean.items() if test == t and arm in last] for t in ('T0', 'H0')
    ]
    every = [x for of_test in inside for x in of_test]
    if every:
      found['G2'][seed] = min(x.rate for x in every)
      losses = [[x.loss for x in part if x.loss is not None] for part in inside]
      found['G2 loss'][seed] = max(max(part) - min(part) for part in losses if part)
      found['G3'][seed] = max(abs(x.yes - 0.5) for x in every)
    judged = _judged_cells(cfg.rules) | {(arm, t) for arm in last for t in ('T0', 'H0')}
    there = judged & mean.keys()
    masses = [mass for cell in there if (mass := mean[cell].mass) is not None]
    if masses and len(masses) == len(there):
      found['G4'][seed] = min(masses)
  return dict(found)


def _judged_cells(rules: Rules) -> set[tuple[str, str]]:
  """{(arm, test)} whose numbers the verdict hangs on; where others lack mass, the page says so."""
  return {
    (arm, test)
    for planned in rules.contrasts
    for arm, _ in planned.arms
    for test, _ in planned.tests
  }
