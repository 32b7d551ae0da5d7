"""Evaluated models made into pairs: the same unit of the same measure, answered by each of them.

Units are known by their content. What cannot be paired is refused by its name before a number is
there: a difference between models that were asked otherwise is no difference of the models.
"""

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from jaxalign.config import UserError
from jaxalign.evals.evaluated import AskedSuite, Evaluated
from jaxalign.evals.item import RATES, Measure, Row
from jaxalign.paired import Units
from jaxalign.pictures import label

_Key = tuple[str, str]  # (measure, judge)
_SAME = 'ask both in the same way'
_LONG = 80  # characters of an example


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
  left_out: tuple[str, ...]
  bases: str  # 'same', 'unknown' or 'other'


def pair(arms: Sequence[Arm], unpaired_base: bool = False) -> Pairing:
  """Pairing of two arms or more; whatever is unequal is a UserError that says in what."""
  arms = tuple(_by_seed(arms))
  runs = [run for arm in arms for run in arm.runs]
  for other in runs[1:]:
    _refuse_unlike(runs[0], other)
  bases = _bases(runs, unpaired_base)
  found = [_rows_of(run) for run in runs]
  keys = [key for key in found[0] if all(key in rows for rows in found)]
  everything = dict.fromkeys(key for rows in found for key in rows)
  left_out = [_lacking(key, runs, found) for key in everything if key not in keys]
  if not keys:
    raise UserError(f'{_names(runs)} have no measure in common: {"; ".join(left_out) or "no rows"}')
  rows = tuple(_paired(key, arms, runs, found) for key in keys)
  for other in runs[1:]:
    _refuse_suites(runs[0], other, dict(template='templates'))  # of the same units
  return Pairing(arms=arms, rows=rows, left_out=tuple(left_out), bases=bases)


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


def _refuse_unlike(first: Evaluated, other: Evaluated) -> None:
  names = f'{label(first.label)} and {label(other.label)}'
  _refuse_suites(first, other, dict(version='versions', source='source files'))
  for judge, fingerprint in first.about.judges.items():
    if other.about.judges.get(judge, fingerprint) != fingerprint:
      raise UserError(
        f'{names} were judged by two judges named {judge} (fingerprints {fingerprint[:8]} and '
        f'{other.about.judges[judge][:8]}): judge both by one, jaxalign judge'
      )
  for what in ('primaries', 'margins'):
    ours, theirs = ({str(one) for one in getattr(run.about, what)} for run in (first, other))
    if ours != theirs:
      raise UserError(
        f'{names} declare different {what} ({_only(ours, theirs)} and {_only(theirs, ours)}): '
        'what counts is fixed before the runs, once'
      )


def _only(ours, theirs):
  return label(', '.join(sorted(ours - theirs)) or 'none', 2 * _LONG)


def _refuse_suites(first: Evaluated, other: Evaluated, parts: Mapping[str, str]) -> None:
  """parts: {field of a suite: what it is called}; how it was answered is compared, too."""
  names = f'{label(first.label)} and {label(other.label)}'
  suites = {suite.name: suite for suite in other.about.suites}
  for suite in first.about.suites:
    if suite.name in suites:
      _refuse_suite(names, suite, suites[suite.name], parts)


def _refuse_suite(
  names: str, ours: AskedSuite, theirs: AskedSuite, parts: Mapping[str, str]
) -> None:
  for what, said in parts.items():
    pair = [str(getattr(suite, what))[:16] or 'none' for suite in (ours, theirs)]
    if getattr(ours, what) != getattr(theirs, what):
      raise UserError(
        f'{names} were asked {ours.name} with other {said} ({pair[0]} and {pair[1]}): {_SAME}'
      )
  decode = [json.loads(json.dumps(dict(suite.decode))) for suite in (ours, theirs)]
  unlike = sorted(k for k in {*decode[0], *decode[1]} if decode[0].get(k) != decode[1].get(k))
  if unlike:
    said = ', '.join(f'{k} {decode[0].get(k)} and {decode[1].get(k)}' for k in unlike)
    raise UserError(f'{names} answered {ours.name} by other decode parameters ({said}): {_SAME}')


def _bases(runs, unpaired_base):
  """Whether all began with the same weights."""
  bases = [run.about.base for run in runs]
  if not all(bases):
    return 'unknown'
  for run in runs[1:]:
    if run.about.base != bases[0]:
      if not unpaired_base:
        raise UserError(
          f'{label(runs[0].label)} and {label(run.label)} began with other weights: compare models '
          'of one base, or say --unpaired_base, and the difference is one of bases too'
        )
      return 'other'
  return 'same'


def _rows_of(run: Evaluated) -> dict[_Key, dict[str, Row]]:
  found: dict[_Key, dict[str, Row]] = {}
  for row in run.rows:
    units = found.setdefault((row.measure, row.judge), {})
    where = f'{label(run.label)}: {row.measure}, unit {row.unit[:12]}'
    if row.unit in units:
      raise UserError(f'{where} is there twice: judge it again')
    if not np.isfinite([row.value, row.weight]).all():
      raise UserError(f'{where} is {row.value}, no number: judge it again')
    units[row.unit] = row
  return found


def shown_key(measure: str, judge: str) -> str:
  return f'{measure} by {judge}' if judge else measure


def _lacking(key, runs, found):
  having = [label(run.label) for run, rows in zip(runs, found) if key in rows]
  return f'{shown_key(*key)} (only {", ".join(having)})'


def _paired(key, arms, runs, found):
  first, ours = runs[0], found[0][key]
  for run, rows in zip(runs[1:], found[1:]):
    _refuse_units(key, first, run, ours, rows[key])
  names = tuple(sorted(ours))
  rows_N = [ours[name] for name in names]
  values = [[rows[key][name].value for name in names] for rows in found]
  shape = len(arms), len(arms[0].runs), len(names)
  sliced = dict.fromkeys(name for row in rows_N for name, _ in row.slices)
  return PairedRows(
    measure=_measure(key[0], runs),
    judge=key[1],
    names=names,
    units=Units.of([row.cluster or row.unit for row in rows_N], [row.weight for row in rows_N]),
    value_ASN=np.array(values, np.float64).reshape(shape),
    slices={name: np.array([dict(row.slices).get(name, '') for row in rows_N]) for name in sliced},
  )


def _measure(name, runs):
  for run in runs:
    for measure in run.about.measures:
      if measure.name == name:
        return measure
  return Measure(name=name, title=name)


def _refuse_units(key, first, run, ours, theirs):
  lost, more = sorted(set(ours) - set(theirs)), sorted(set(theirs) - set(ours))
  if lost or more:
    said = [
      f'{len(units)} of {total} only in {label(evaluated.label)}{_example(units, evaluated)}'
      for units, total, evaluated in ((lost, len(ours), first), (more, len(theirs), run))
      if units
    ]
    raise UserError(f'{shown_key(*key)}: {"; ".join(said)}: ask both the same items')
  for name, row in ours.items():
    other = theirs[name]
    if (row.weight, row.cluster) != (other.weight, other.cluster):
      raise UserError(
        f'{shown_key(*key)}: {label(first.label)} and {label(run.label)} give unit {name[:12]} '
        'another weight or cluster: judge both by one release; where their tokenizers differ, '
        'without a suite that counts tokens (jaxalign judge)'
      )


def _example(units: Sequence[str], run: Evaluated) -> str:
  """What one of these units asks, where its item says so."""
  for text in _questions(units, run):
    return f' ({label(text, _LONG)!r} is one)'
  return f' (unit {units[0][:12]} is one)'


def _questions(units: Sequence[str], run: Evaluated) -> Iterator[str]:
  wanted = set(units)
  for name, item in run.items.items():
    if (name in wanted or item.unit in wanted) and item.question:
      yield item.question
