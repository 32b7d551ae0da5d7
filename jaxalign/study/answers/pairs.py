"""Evaluated models made into pairs: the same unit of the same measure, answered by each of them.

Units are known by their content. What not every model has is left out of all, and told by its name
and number; where that is more than a small share of a measure's units, the pair is refused.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from jaxalign.config import UserError
from jaxalign.evals.evaluated import Evaluated
from jaxalign.evals.item import RATES, Measure, Row
from jaxalign.paired import Units
from jaxalign.pictures import label
from jaxalign.study.answers import alike
from jaxalign.study.answers.left_out import LeftOut, sentences

MOST_LEFT_OUT = 0.02  # of a measure's units: more that not every model has is no pair
_Key = tuple[str, str]  # (measure, judge)
_ALIKE = 1e-6  # by which weights of two runs may differ: they are rounded
_SOME = 6  # measures that an error names


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arm:
  """One way of training, in one run or several of other seeds."""

  label: str
  runs: tuple[Evaluated, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PairedRows:
  """A measure under one judge: a number for each unit of each run of each arm."""

  measure: Measure
  judge: str
  names: tuple[str, ...]  # of units, in the order of N
  units: Units
  value_ASN: np.ndarray
  slices: Mapping[str, np.ndarray]  # {what is sliced: each unit's part, '' for none}
  left_out: int = 0  # units that not every run has

  @property
  def shares(self) -> bool:
    """Whether these are rates, or what makes up a difference of rates."""
    inside = ((self.value_ASN >= 0) & (self.value_ASN <= 1)).all()
    return self.measure.unit in RATES and bool(inside)

  @property
  def binary(self) -> bool:
    return bool(np.isin(self.value_ASN, (0, 1)).all())


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pairing:
  """All that can be paired, and what cannot because not every arm has it."""

  arms: tuple[Arm, ...]
  rows: tuple[PairedRows, ...]
  left_out: tuple[str, ...]  # measures
  partly: tuple[str, ...]  # measures with units that not all have, with their number
  bases: str  # 'same' or 'other', of those that are known
  unknown_bases: tuple[str, ...]  # runs of which nobody knows what training began with


def pair(
  arms: Sequence[Arm], unpaired_base: bool = False, most_left_out: float = MOST_LEFT_OUT
) -> Pairing:
  """Pairing of two arms or more; whatever is unequal is a UserError that says in what."""
  arms = tuple(_by_seed(arms))
  runs = [run for arm in arms for run in arm.runs]
  for other in runs[1:]:
    alike.refuse_unlike(runs[0], other)
  bases, unknown = alike.bases(runs, unpaired_base)
  found = [_rows_of(run) for run in runs]
  keys = [key for key in found[0] if all(key in rows for rows in found)]
  everything = dict.fromkeys(key for rows in found for key in rows)
  left_out = [_lacking(key, runs, found) for key in everything if key not in keys]
  if not keys:
    some = '; '.join(left_out[:_SOME]) + (' and others' if left_out[_SOME:] else '')
    raise UserError(f'{_names(runs)} have no measure in common: {some}')
  lost = {key: LeftOut.of([rows[key] for rows in found]) for key in keys}
  for key, one in lost.items():
    one.refuse(shown_key(*key), runs, most_left_out)
  rows = tuple(_paired(key, arms, runs, found, lost[key]) for key in keys)
  for other in runs[1:]:  # of the same units
    alike.refuse_suites(runs[0], other, dict(template='templates'))
    alike.refuse_prompts(runs[0], other)
  return Pairing(
    arms=arms,
    rows=rows,
    left_out=tuple(left_out),
    partly=tuple(sentences({shown_key(*key): one for key, one in lost.items()}, runs)),
    bases=bases,
    unknown_bases=unknown,
  )


def _names(runs):
  return ' and '.join(label(run.label) for run in runs[:3]) + (' and others' if runs[3:] else '')


def _by_seed(arms):
  """Arms whose runs stand in the order of their seeds, the same ones in each."""
  first = arms[0]
  for arm in arms[1:]:
    if len(arm.runs) != len(first.runs):
      raise UserError(
        f'{label(first.label)} has {len(first.runs)} runs and {label(arm.label)} '
        f'{len(arm.runs)}: runs are paired by their training seed, give as many of each'
      )
  if len(first.runs) == 1:
    return tuple(arms)
  seeds = {arm.label: [run.about.seed for run in arm.runs] for arm in arms}
  if any(seed is None for many in seeds.values() for seed in many):
    return tuple(arms)  # as they were given
  for name, many in seeds.items():
    if len(set(many)) < len(many) or sorted(many) != sorted(seeds[first.label]):
      raise UserError(
        f'{label(first.label)} was trained with the seeds {seeds[first.label]} and {label(name)} '
        f'with {many}: give runs of the same seeds, each once'
      )
  return tuple(
    dataclasses.replace(arm, runs=tuple(sorted(arm.runs, key=lambda run: run.about.seed)))
    for arm in arms
  )


def _rows_of(run: Evaluated) -> dict[_Key, dict[str, Row]]:
  found: dict[_Key, dict[str, Row]] = {}
  if not run.rows:
    raise UserError(f'{label(run.label)} has no row of any measure: judge it again, jaxalign judge')
  for row in run.rows:
    units = found.setdefault((row.measure, row.judge), {})
    where = f'{label(run.label)}: {row.measure}, unit {row.unit[:12]}'
    if row.unit in units:
      raise UserError(f'{where} is there twice: judge it again')
    for number in (row.value, row.weight):
      if not isinstance(number, int | float) or not math.isfinite(number):
        raise UserError(f'{where} is {label(number)}, no number: judge it again')
    units[row.unit] = row
  return found


def shown_key(measure: str, judge: str) -> str:
  return f'{measure} by {judge}' if judge else measure


def _lacking(key, runs, found):
  having = [label(run.label) for run, rows in zip(runs, found) if key in rows]
  return f'{shown_key(*key)} (only {", ".join(having)})'


def _paired(key, arms, runs, found, lost):
  names, ours = lost.shared, found[0][key]
  units = _units_of_all(key, runs, [rows[key] for rows in found], names)
  rows_N = [ours[name] for name in names]
  values = [[rows[key][name].value for name in names] for rows in found]
  shape = len(arms), len(arms[0].runs), len(names)
  sliced = dict.fromkeys(name for row in rows_N for name, _ in row.slices)
  return PairedRows(
    measure=_measure(key[0], runs),
    judge=key[1],
    names=names,
    units=units,
    value_ASN=np.array(values, np.float64).reshape(shape),
    slices={name: np.array([dict(row.slices).get(name, '') for row in rows_N]) for name in sliced},
    left_out=lost.count,
  )


def _units_of_all(
  key: _Key, runs: Sequence[Evaluated], found: Sequence[Mapping[str, Row]], names: Sequence[str]
) -> Units:
  """Units of the shared rows, which have the same cluster in all runs and weigh the same: as they
  stand, or, where a run's own number of rows is in its weights, among those that are shared."""
  ours = found[0]
  stands = all(rows[name].weight == ours[name].weight for rows in found for name in names)
  every = {name: row for rows in reversed(found) for name, row in rows.items()}
  units = _units(names, every if stands else ours)
  for run, theirs in zip(runs[1:], found[1:]):
    others = units if stands else _units(names, theirs)
    weigh_N = np.abs(units.weight_N - others.weight_N) <= _ALIKE * np.abs(units.weight_N)
    for name, weighs in zip(names, weigh_N):
      if not weighs or ours[name].cluster != theirs[name].cluster:
        raise UserError(
          f'{shown_key(*key)}: {label(runs[0].label)} and {label(run.label)} give unit {name[:12]} '
          'another weight or cluster: judge both by one release; where their tokenizers differ, '
          'without a suite that counts tokens (jaxalign judge)'
        )
  return units


def _units(names: Sequence[str], rows: Mapping[str, Row]) -> Units:
  """Units of some rows; each side of a difference weighs as it does among all."""
  every = sorted(rows)
  own = [rows[name] for name in every]
  units = Units.of([row.cluster or row.unit for row in own], [row.weight for row in own])
  shared = set(names)
  here_N = np.array([name in shared for name in every])
  return units if here_N.all() else units.part(here_N)


def _measure(name, runs):
  for run in runs:
    for measure in run.about.measures:
      if measure.name == name:
        return measure
  return Measure(name=name, title=name)
