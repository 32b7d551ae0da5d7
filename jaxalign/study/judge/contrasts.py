"""From the store's rows to the planned contrasts, each on every scale, with all that is printed."""

import dataclasses
import math

from jaxalign import statistics
from jaxalign.statistics import Estimate, Interval
from jaxalign.study.judge.rules import SCALES
from jaxalign.study.store.table import table


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Contrast:
  name: str
  what: str
  scale: str  # the primary one
  estimates: dict[str, Estimate]  # by scale; margin and rate always
  seeds: tuple[int, ...]
  crossed: bool = False  # a difference of differences: claimed only if all scales agree
  bootstrap: dict[str, Interval] = dataclasses.field(default_factory=dict)  # by scale
  tost: dict[str, float | None] = dataclasses.field(default_factory=dict)

  @property
  def primary(self):
    return self.estimates[self.scale]

  @property
  def agree(self):
    """Whether the sign is the same on all scales: else a bound, not the arms, may have made it."""
    return statistics.agree(self.estimates.values())

  @property
  def bound(self):
    """A bool: whether it may be an artefact of a scale's end, and so cannot be claimed."""
    return self.crossed and not self.agree


def contrast(planned, values, seeds, rules, bootstrap=None):
  """A Contrast from {scale: one value a seed}."""
  estimates = {scale: statistics.paired(values[scale], rules.level) for scale in values}
  tost = {
    scale: statistics.tost(values[scale], rules.sesoi_of(scale)) for scale in ('margin', 'rate')
  }
  return _Contrast(
    name=planned.name, what=planned.what, scale=rules.scale, estimates=estimates,
    seeds=tuple(seeds), crossed=planned.crossed, tost=tost, bootstrap=bootstrap or {},
  )  # fmt: skip


def measured(rows, rules, seeds=None, after='sft'):
  """The planned contrasts whose arms and tests the rows hold, in order; holes are refused.

  An arm or test of which there is no row at all leaves its contrasts out: `judge` says which, and
  they still count in Holm's family.
  """
  there = {(row.test, row.arm) for row in rows if row.after == after}
  found = []
  for planned in rules.contrasts:
    needed = {(test, arm) for test, _ in planned.tests for arm, _ in planned.arms}
    if needed <= there:
      found.append(_measured(planned, rows, rules, seeds, after))
  return found


def _measured(planned, rows, rules, seeds, after):
  """Arms are combined item by item, so that the bootstrap draws whole pairs."""
  arms = tuple(arm for arm, _ in planned.arms)
  weight_A = [weight for _, weight in planned.arms]
  if seeds is None:  # of all its tests, so that a seed that lacks one is a hole
    tests = [test for test, _ in planned.tests]
    here = [r for r in rows if r.test in tests and r.arm in arms and r.after == after]
    seeds = {row.seed for row in here}
  values, parts = dict.fromkeys(SCALES, 0.0), dict(margin=[], rate=[])
  for test, sign in planned.tests:
    seen = table(rows, test, arms, seeds, after)
    for scale, cells in parts.items():
      x_SN = sum(sign * w * x_SN for w, x_SN in zip(weight_A, seen.on(scale)))
      cells.append(seen.cells(x_SN))
    means = dict(margin=seen.margin_ASN.mean(-1))
    means |= statistics.on_scales(seen.right_ASN.mean(-1), len(seen.items))
    for scale, mean_AS in means.items():
      values[scale] = values[scale] + sum(sign * w * x_S for w, x_S in zip(weight_A, mean_AS))
  drawn = {
    scale: statistics.bootstrap(*cells, draws=rules.draws, level=rules.level)
    for scale, cells in parts.items()
  }
  return contrast(planned, values, seen.seeds, rules, drawn)


def adjusted(contrasts, rules):
  """{name: Holm's p} over the whole planned family; what was not measured counts as p = 1."""
  ps = {planned.name: 1.0 for planned in rules.contrasts}
  ps |= {one.name: one.primary.p for one in contrasts}
  return dict(zip(ps, statistics.holm(list(ps.values()))))


def holding(contrasts, rules):
  """{name: whether it holds}: Holm's p below alpha, the mean above 0, and of a difference of
  differences one sign on all scales."""
  ps = adjusted(contrasts, rules)
  return {
    one.name: ps[one.name] < rules.alpha and one.primary.mean > 0 and not one.bound
    for one in contrasts
  }


def as_json(contrasts, rules):
  """The primary scale's numbers at the top of each, every scale's below."""
  ps, holds = adjusted(contrasts, rules), holding(contrasts, rules)
  return [
    dict(
      name=one.name, what=one.what, scale=one.scale, **_numbers(one, one.scale),
      p_holm=ps[one.name], holds=holds[one.name], agree=one.agree,
      seeds=dict(zip(map(str, one.seeds), one.primary.seeds)),
      scales={scale: _numbers(one, scale) for scale in one.estimates},
    )
    for one in contrasts
  ]  # fmt: skip


def _numbers(one, scale):
  numbers = dataclasses.asdict(one.estimates[scale])
  numbers['differences'] = numbers.pop('seeds')
  drawn = one.bootstrap.get(scale)
  numbers |= dict(tost=one.tost.get(scale), bootstrap=drawn and drawn._asdict())
  return numbers


def said(one, p_holm=None):
  """'+12.8 nats [1.2, 24.4], rate +0.44, p = 0.0078 (Holm 0.039), 8 seeds'; primary scale first."""
  words = dict(margin='{:+.3g} nats{}', rate='rate {:+.3g}{}')
  other = 'rate' if one.scale == 'margin' else 'margin'
  beside = words[other].format(one.estimates[other].mean, '')
  estimate = one.primary
  if estimate.low is None:
    return f'{words[one.scale].format(estimate.mean, "")}, {beside}, one seed'
  first = words[one.scale].format(estimate.mean, f' [{estimate.low:.3g}, {estimate.high:.3g}]')
  holm = '' if p_holm is None else f' (Holm {p_holm:.2g})'
  return f'{first}, {beside}, p = {estimate.p:.2g}{holm}, {estimate.n} seeds'


def least_p(seeds):
  """The smallest p that an exact sign-flip test of so many seeds can have."""
  return math.ldexp(2.0, -seeds)
