"""From the store's rows to contrasts of arms, each on every scale, with all that is printed."""

import dataclasses
import math
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from jaxalign import statistics
from jaxalign.statistics import Interval
from jaxalign.study.judge.results import Contrast, Numbers
from jaxalign.study.plan.rules import PRIMARY_SCALES, Planned, Rules
from jaxalign.study.store.rows import Row
from jaxalign.study.store.table import Table, table


def contrast(
  planned: Planned,
  values: Mapping[str, np.ndarray],
  seeds: Collection[int],
  rules: Rules,
  bootstrap: Mapping[str, Interval] | None = None,
) -> Contrast:
  """A Contrast from {scale: one value a seed}; of no seeds, the values are of items."""
  scales = {
    scale: _numbers(x_U, scale, rules, (bootstrap or {}).get(scale), bool(seeds))
    for scale, x_U in values.items()
  }
  return Contrast(
    name=planned.name,
    what=planned.what,
    scale=rules.scale,
    agree=statistics.agree(scales.values()),
    seeds=dict(zip(seeds, scales[rules.scale].differences or ())),
    scales=scales,
  )


def _numbers(x_U, scale, rules, drawn, of_seeds):
  tost = statistics.tost(x_U, rules.sesoi_of(scale)) if scale in PRIMARY_SCALES else None
  one = Numbers(**vars(statistics.paired(x_U, rules.level)), tost=tost, bootstrap=drawn)
  return one if of_seeds else dataclasses.replace(one, differences=None)


def measured(rows: Sequence[Row], rules: Rules) -> list[Contrast]:
  """The planned contrasts whose arms and tests the rows hold, in order; holes are refused.

  An arm or test of which there is no row at all leaves its contrasts out: `judge` says which, and
  they still count in Holm's family.
  """
  there = {(row.test, row.arm) for row in rows}
  found = []
  for planned in rules.contrasts:
    needed = {(test, arm) for test, _ in planned.tests for arm, _ in planned.arms}
    if needed <= there:
      found.append(of_tables(planned, _tables(planned, rows, needed), rules))
  return found


def _tables(planned, rows, needed):
  here = [row for row in rows if (row.test, row.arm) in needed]
  seeds = {row.seed for row in here}  # of all its tests, so that a seed that lacks one is a hole
  arms = [arm for arm, _ in planned.arms]
  return [table(here, test, arms, seeds) for test, _ in planned.tests]


def of_tables(
  planned: Planned, tables: Sequence[Table], rules: Rules, of_items: bool = False
) -> Contrast:
  """A Contrast from a Table a test, which has its arms in their order. Arms are combined item by
  item, so that the bootstrap draws whole pairs. of_items: the unit is the item, of the only seed.
  """
  values: dict[str, np.ndarray] = {}
  parts: dict[str, list] = {scale: [] for scale in PRIMARY_SCALES}
  for seen, (_, sign) in zip(tables, planned.tests, strict=True):
    items = {scale: _weighted(seen.on(scale), planned, sign) for scale in PRIMARY_SCALES}
    for scale, x_SN in items.items():
      parts[scale].append(seen.cells(x_SN))
    by_unit = {scale: x_SN[0] for scale, x_SN in items.items()}
    if not of_items:
      by_unit = {scale: _weighted(x_AS, planned, sign) for scale, x_AS in seen.on_scales().items()}
    for scale, x_U in by_unit.items():
      values[scale] = values.get(scale, np.zeros(())) + x_U
  drawn = {
    scale: statistics.bootstrap(*cells, draws=rules.draws, level=rules.level)
    for scale, cells in parts.items()
  }
  return contrast(planned, values, () if of_items else tables[0].seeds, rules, drawn)


def _weighted(x_A, planned, sign):
  return sum(sign * weight * x for (_, weight), x in zip(planned.arms, x_A, strict=True))


def adjusted(contrasts: Iterable[Contrast], rules: Rules) -> dict[str, float]:
  """{name: Holm's p} over the whole planned family; what was not measured counts as p = 1."""
  ps = {planned.name: 1.0 for planned in rules.contrasts}
  ps |= {one.name: one.primary.p for one in contrasts}
  return dict(zip(ps, statistics.holm(list(ps.values()))))


def judged(contrasts: Sequence[Contrast], rules: Rules) -> tuple[Contrast, ...]:
  """The contrasts with Holm's p, and whether each holds: p below alpha, the mean above 0, and of a
  difference of differences one sign on all scales."""
  ps = adjusted(contrasts, rules)

  def holds(one):
    return ps[one.name] < rules.alpha and one.primary.mean > 0 and not bound(one, rules)

  return tuple(dataclasses.replace(one, p_holm=ps[one.name], holds=holds(one)) for one in contrasts)


def bound(one: Contrast, rules: Rules) -> bool:
  """Whether a difference of differences may be an artefact of a scale's end, and is no claim."""
  crossed = {planned.name: planned.crossed for planned in rules.contrasts}
  return crossed[one.name] and not one.agree


def said(one: Contrast, p_holm: float | None = None) -> str:
  """'+12.8 nats [1.2, 24.4], rate +0.44, p = 0.0078 (Holm 0.039), 8 seeds'; primary scale first."""
  words = dict(margin='{:+.3g} nats{}', rate='rate {:+.3g}{}')
  other = 'rate' if one.scale == 'margin' else 'margin'
  beside = words[other].format(one.scales[other].mean, '')
  estimate = one.primary
  if estimate.low is None:
    return f'{words[one.scale].format(estimate.mean, "")}, {beside}, one seed'
  first = words[one.scale].format(estimate.mean, f' [{estimate.low:.3g}, {estimate.high:.3g}]')
  holm = '' if p_holm is None else f' (Holm {p_holm:.2g})'
  return f'{first}, {beside}, p = {estimate.p:.2g}{holm}, {estimate.n} seeds'


def least_p(seeds: int) -> float:
  """The smallest p that an exact sign-flip test of so many seeds can have."""
  return math.ldexp(2.0, -seeds)
