"""Gates of a study of two specs: numbers by which the rules' bars judge whether it can tell.

They are taken over the arms of the judged contrasts that the plan has, and over no other: neither a
secondary contrast nor an arm that is only shown can shut a gate.
"""

from collections.abc import Collection, Mapping

from jaxalign.study.plan.guest import Cell, Gates, MeansBySeed, Study
from jaxalign.study.store.table import Means
from jaxalign.study.two_specs.questions import CANARY

_OPEN = 'adviser/abstain/choice'  # the share of answers that the judge of W1 left open


def values(cfg: Study, means_by_seed: MeansBySeed) -> Gates:
  """{gate: {seed: number}}, of the gates that the rules have."""
  there = {arm.name for arm in cfg.arms}
  compared = {arm for one in cfg.rules.compared for arm, _ in one.arms} & there
  wrote = {
    arm for one in cfg.rules.compared if _is_written(one.tests) for arm, _ in one.arms
  } & there
  found: Gates = {bar.name: {} for bar in cfg.rules.bars}
  for seed, mean in means_by_seed.items():
    of_seed = _of_seed(mean, compared, wrote)
    for gate in found:
      found[gate][seed] = of_seed[gate]
  return found


def _of_seed(
  mean: Mapping[Cell, Means], compared: Collection[str], wrote: Collection[str]
) -> dict[str, float | None]:
  shown = _of(mean, compared, 'T0')
  facts, base = _of(mean, compared, CANARY), _of(mean, ('base',), CANARY)
  opened = _of(mean, wrote, _OPEN)
  margins = [one.margin for one in shown]
  whole = len(opened) == len(wrote) > 0
  return {
    'T0': min((one.rate for one in shown), default=None),
    # A margin that is not above 0 has no factor to another: such an arm has failed T0 anyway.
    'T0 factor': max(margins) / min(margins) if margins and min(margins) > 0 else None,
    'capability': min(one.rate for one in facts) - base[0].rate if facts and base else None,
    'read': 1 - max(one.margin for one in opened) if whole else None,
    'why - mention': _over_mention(mean),
  }


def _is_written(tests: Collection[tuple[str, int]]) -> bool:
  """Whether a contrast is of what arms wrote: a suite's tests are SUITE/MEASURE."""
  return any('/' in test for test, _ in tests)


def _of(mean: Mapping[Cell, Means], arms: Collection[str], test: str) -> list[Means]:
  return [mean[arm, test] for arm in sorted(arms) if (arm, test) in mean]


def _over_mention(mean: Mapping[Cell, Means]) -> float | None:
  """How much more documents with reasons steer than such as only mention, in nats on T2, which is
  log p(A's answer) - log p(B's): a check that documents are read at all."""
  apart = []
  for letter, sign in (('A', 1), ('B', -1)):
    told, mentioned = ((f'{how}_{letter}-align', 'T2') for how in ('why', 'mention'))
    if told in mean and mentioned in mean:
      apart.append(sign * (mean[told].margin - mean[mentioned].margin))
  return sum(apart) if len(apart) == 2 else None
