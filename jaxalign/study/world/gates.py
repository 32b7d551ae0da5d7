"""Gates of ValueWorld: numbers by which the rules' bars judge whether the instrument works."""

import collections

from jaxalign.study.store.directories import aligned_last
from jaxalign.study.store.table import means


def steered(rows, test='T2'):
  """{kind of document: margin after those for A, less after those for B}, both -> align."""
  mean = means(rows)
  found = {}
  for kind in ('explain', 'mention', 'shuffled'):
    a, b = ((f'{kind}_{letter}-align', test) for letter in 'AB')
    if a in mean and b in mean:
      found[kind] = mean[a].margin - mean[b].margin
  return found


def values(cfg, means_by_seed):
  """{gate: {seed: number}} as the rules' bars want them."""
  found = collections.defaultdict(dict)
  for seed, mean in means_by_seed.items():
    rate = lambda test, arm='base', of=mean: of[arm, test].rate
    found['G0'][seed] = min(rate('G0'), rate('G0H'))
    found['G0b'][seed] = min(rate('G0b'), rate('G0bH'))
    cloze = [x.margin for (_, test), x in mean.items() if test == 'G1']
    found['G1'][seed] = min(cloze, default=None)
    last = {arm.name for arm in cfg.arms if aligned_last(arm)}
    inside = [
      [x for (arm, test), x in mean.items() if test == t and arm in last] for t in ('T0', 'H0')
    ]
    every = [x for of_test in inside for x in of_test]
    if every:
      found['G2'][seed] = min(x.rate for x in every)
      found['G2 loss'][seed] = max(_spread([x.loss for x in part]) for part in inside if part)
      found['G3'][seed] = max(abs(x.yes - 0.5) for x in every)
    judged = _judged_cells(cfg.rules) | {(arm, t) for arm in last for t in ('T0', 'H0')}
    masses = [mean[cell].mass for cell in judged & mean.keys()]
    if masses and None not in masses:
      found['G4'][seed] = min(masses)
  return dict(found)


def _judged_cells(rules):
  """{(arm, test)} whose numbers the verdict hangs on; where others lack mass, the page says so."""
  return {
    (arm, test) for planned in rules.contrasts for arm, _ in planned.arms
    for test, _ in planned.tests
  }  # fmt: skip


def _spread(values):
  return max(values) - min(values)
