"""From the store's rows to contrasts of arms, each on every scale, with all that is printed."""

import dataclasses
import math
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from jaxalign import statistics
from jaxalign.statistics import Interval
from jaxalign.study.judge import shares
from jaxalign.study.judge.results import Contrast, InteractionResult, Numbers
from jaxalign.study.plan.rules import PRIMARY_SCALES, SHARE_SCALES, Planned, Rules
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
  drawn, primary = bootstrap or {}, rules.scale_of(planned)
  scales = {scale: numbers(x_U, scale, rules, drawn.get(scale)) for scale, x_U in values.items()}
  if not seeds:
    scales = {scale: dataclasses.replace(one, differences=None) for scale, one in scales.items()}
  return Contrast(
    name=planned.name,
    what=planned.what,
    scale=primary,
    agree=statistics.agree(scales.values()) and needed_scales(primary) <= scales.keys(),
    seeds=dict(zip(seeds, scales[primary].differences or ())),
    scales=scales,
  )


def needed_scales(primary: str) -> set[str]:
  """The scales on all of which a claim on this one needs one sign, be they measured or not."""
  return set(SHARE_SCALES) if primary in SHARE_SCALES[:1] else {primary}


def numbers(
  x_U: np.ndarray, scale: str, rules: Rules, bootstrap: Interval | None = None
) -> Numbers:
  """What is computed of a difference a seed (or an item) on one scale."""
  sesoi = rules.sesoi_of(scale)
  tost = None if sesoi is None else statistics.tost(x_U, sesoi)
  return Numbers(**vars(statistics.paired(x_U, rules.level)), tost=tost, bootstrap=bootstrap)


def measured(rows: Sequence[Row], rules: Rules) -> list[Contrast]:
  """The planned contrasts whose arms and tests the rows hold, in order; holes are refused.

  An arm or test of which there is no row at all leaves its contrasts out: `judge` says which, and
  they still count in Holm's family.
  """
  there = {(row.test, row.arm) for row in rows}
  found = []
  for planned in rules.contrasts:
    tests = [test for test, _ in planned.tests] + [rules.shown] * bool(planned.scale)
    needed = {(test, arm) for test in tests for arm, _ in planned.arms}
    if needed <= there:
      found.append(_of_rows(planned, rows, tests, needed, rules))
  return found


def _of_rows(planned, rows, tests, needed, rules):
  here = [row for row in rows if (row.test, row.arm) in needed]
  seeds = {row.seed for row in here}  # of all its tests, so that a seed that lacks one is a hole
  arms = [arm for arm, _ in planned.arms]
  tables = [table(here, test, arms, seeds) for test in tests]
  if not planned.scale:
    return of_tables(planned, tables, rules)
  *tables, shown = tables
  drawn = _drawn(planned, tables, rules) | dict(share=shares.bootstrap(planned, tables, rules))
  values = shares.values(planned, tables, shown, rules.share_floor)
  return contrast(planned, values, tables[0].seeds, rules, drawn)


def of_tables(
  planned: Planned, tables: Sequence[Table], rules: Rules, of_items: bool = False
) -> Contrast:
  """A Contrast from a Table a test, which has its arms in their order. Arms are combined item by
  item, so that the bootstrap draws whole pairs. of_items: the unit is the item, of the only seed.
  """
  values: dict[str, np.ndarray] = {}
  for seen, (_, sign) in zip(tables, planned.tests, strict=True):
    if of_items:
      by_unit = {scale: _weighted(seen.on(scale), planned, sign)[0] for scale in PRIMARY_SCALES}
    else:
      by_unit = {scale: _weighted(x_AS, planned, sign) for scale, x_AS in seen.on_scales().items()}
    for scale, x_U in by_unit.items():
      values[scale] = values.get(scale, np.zeros(())) + x_U
  drawn = _drawn(planned, tables, rules)
  return contrast(planned, values, () if of_items else tables[0].seeds, rules, drawn)


def _drawn(planned, tables, rules):
  """{scale: its interval by the bootstrap}, of the scales that are linear in items."""
  found = {}
  for scale in PRIMARY_SCALES:
    cells = [
      seen.cells(_weighted(seen.on(scale), planned, sign))
      for seen, (_, sign) in zip(tables, planned.tests)
    ]
    found[scale] = statistics.bootstrap(*cells, draws=rules.draws, level=rules.level)
  return found


def _weighted(x_A, planned, sign):
  return sum(sign * weight * x for (_, weight), x in zip(planned.arms, x_A, strict=True))


def adjusted(contrasts: Iterable[Contrast], rules: Rules) -> dict[str, float]:
  """{name: Holm's p} over its whole planned family; what was not measured counts as p = 1."""
  ps = {one.name: one.primary.p for one in contrasts}
  found: dict[str, float] = {}
  for family in rules.families:
    found |= zip(family, statistics.holm([ps.get(name, 1.0) for name in family]))
  return {planned.name: found[planned.name] for planned in rules.contrasts}


def judged(contrasts: Sequence[Contrast], rules: Rules) -> tuple[Contrast, ...]:
  """The contrasts with Holm's p, and whether each holds: p below alpha, the mean above 0, and of a
  difference of differences, or one on V, one sign on all scales."""
  ps = adjusted(contrasts, rules)

  def holds(one):
    return ps[one.name] < rules.alpha and one.primary.mean > 0 and not bound(one, rules)

  return tuple(dataclasses.replace(one, p_holm=ps[one.name], holds=holds(one)) for one in contrasts)


def bound(one: Contrast, rules: Rules) -> bool:
  """Whether a difference of differences may be an artefact of a scale's end, and is no claim; so
  may one on V, whose claims need one sign on all four scales."""
  planned = rules.planned(one.name)
  return (planned.crossed or bool(planned.scale)) and not one.agree


_WORDS = dict(
  margin='{:+.3g} nats{}',
  rate='rate {:+.3g}{}',
  share='{:+.3g} of V{}',
  relative='relative {:+.3g}{}',
)


def said(one: Contrast | InteractionResult, p_holm: float | None = None) -> str:
  """'+12.8 nats [1.2, 24.4], rate +0.44, p = 0.0078 (Holm 0.039), 8 seeds'; primary scale first."""
  estimate = one.primary
  beside = [scale for scale in _WORDS if scale in one.scales and scale != one.scale]
  others = ', '.join(_WORDS[scale].format(one.scales[scale].mean, '') for scale in beside)
  if estimate.low is None:
    return f'{_WORDS[one.scale].format(estimate.mean, "")}, {others}, one seed'
  interval = f' [{estimate.low:.3g}, {estimate.high:.3g}]'
  first = _WORDS[one.scale].format(estimate.mean, interval)
  holm = '' if p_holm is None else f' (Holm {p_holm:.2g})'
  p = f'p = {estimate.p:.2g}'
  if isinstance(one, InteractionResult):
    p = f'one-sided p = {one.p:.2g}'
  return f'{first}, {others}, {p}{holm}, {estimate.n} seeds'


def least_p(seeds: int) -> float:
  """The smallest p that an exact sign-flip test of so many seeds can have."""
  return math.ldexp(2.0, -seeds)
