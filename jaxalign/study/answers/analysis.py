"""Which test for what: paired rows of evaluated models made into means, differences and verdicts.

Shares of independent items have Wilson's interval, Tango's for a difference, and McNemar's p; all
else has the bootstrap and the sign-flip of whole clusters. With several training runs an arm, runs
and clusters are drawn both.
"""

import collections
import dataclasses
import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from jaxalign import paired, statistics
from jaxalign.evals.evaluated import About
from jaxalign.paired import Units
from jaxalign.statistics import Interval
from jaxalign.study.answers import concluding
from jaxalign.study.answers.compared import (
  Agreement,
  ComparedAnswers,
  ComparedMeasure,
  ComparedModel,
  ComparedSlice,
  Difference,
  Side,
)
from jaxalign.study.answers.pairs import PairedRows, Pairing

_ALPHA = 0.05
_PARTS = 2  # units of a slice, at least
_SLICE_DRAWS = 2_000  # of a slice's interval: there may be hundreds


def analysed(pairing: Pairing) -> ComparedAnswers:
  """Everything that is shown of a Pairing."""
  about = pairing.arms[0].runs[0].about
  measures = _judged([_measure(rows, pairing, about) for rows in pairing.rows], about)
  found = ComparedAnswers(
    against=pairing.arms[0].label,
    runs=len(pairing.arms[0].runs),
    says=tuple(concluding.says(pairing)),
    primaries=about.primaries,
    left_out=pairing.left_out,
    models=tuple(map(_model, pairing.arms)),
    measures=tuple(measures),
    slices=tuple(_slices(pairing)),
    agreements=tuple(itertools.chain(*(_agreements(pairing, name) for name in _names(pairing)))),
    conclusions=(),
  )
  return dataclasses.replace(found, conclusions=tuple(concluding.conclusions(found)))


def _model(arm):
  abouts = [run.about for run in arm.runs]
  return ComparedModel(
    arm=arm.label,
    models=tuple(about.model for about in abouts),
    fingerprints=tuple(about.fingerprint for about in abouts),
    seeds=tuple(about.seed for about in abouts),
    notes=tuple((str(name), str(said)) for name, said in abouts[0].notes.items()),
  )


def _measure(rows: PairedRows, pairing: Pairing, about: About) -> ComparedMeasure:
  measure, arms = rows.measure, [arm.label for arm in pairing.arms]
  margin = next((one.most for one in about.margins if one.measure == measure.name), None)
  values_ASN = rows.value_ASN
  difference_ASN = values_ASN[1:] - values_ASN[:1]
  ends = _intervals([*values_ASN, *difference_ASN], rows.units)
  sides = [_side(name, value_SN, rows, end) for name, value_SN, end in zip(arms, values_ASN, ends)]
  differences = [
    _difference(name, value_SN, rows, end, margin)
    for name, value_SN, end in zip(arms[1:], difference_ASN, ends[len(arms) :])
  ]
  return ComparedMeasure(
    **{name: getattr(measure, name) for name in ('name', 'title', 'better', 'unit', 'chance')},
    baselines=measure.baselines,
    judge=rows.judge,
    n=len(rows.units),
    clusters=rows.units.clusters,
    primary=measure.name in about.primaries,
    sides=tuple(sides),
    differences=tuple(differences),
  )


def _intervals(
  columns: Sequence[np.ndarray], units: Units, count: int = paired.DRAWS
) -> list[paired.Crossed]:
  """Of each column, [runs, units]: by bootstrap, all columns from the same draws."""
  if len(columns[0]) > 1:
    return [paired.crossed(value_SN, units, count) for value_SN in columns]
  value_NK = np.stack([value_SN[0] for value_SN in columns], 1)
  drawn_BK = paired.draws(value_NK, units, count)
  found = []
  for value_N, drawn_B in zip(value_NK.T, drawn_BK.T):
    both = paired.interval(drawn_B, value_N, units)
    none = Interval(both.mean, None, None)
    one = paired.Crossed(both=both, seeds=none, p=None, floor=None, each=(both.mean,))
    found.append(one)
  return found


def _side(name: str, value_SN: np.ndarray, rows: PairedRows, found: paired.Crossed) -> Side:
  mean, low, high = found.both
  if len(value_SN) == 1:
    mean, low, high = paired.of_one(value_SN[0], rows.units, rows.shares, found.both)
  elif rows.shares and low is not None and high is not None:
    least, most = rows.units.bounds
    low, high = max(low, least), min(high, most)
  return Side(arm=name, mean=mean, low=low, high=high, each=found.each)


def _difference(
  name: str, d_SN: np.ndarray, rows: PairedRows, found: paired.Crossed, margin: float | None
) -> Difference:
  units, d_N, (mean, low, high) = rows.units, d_SN.mean(0), found.both
  if len(d_SN) > 1:
    p, test, floor = found.p, 'runs and clusters', found.floor
  else:
    p, test, floor = _tested(d_N, rows)
    low, high = _paired_ends(d_N, rows, units) or (low, high)
  low, high = _bounded(rows, low, high)
  p_same, p_not_worse = _equal(d_SN, rows, found, margin)
  return Difference(
    arm=name, mean=mean, low=low, high=high, p=p, test=test, adjusted=None,
    discordant=float(np.mean(d_SN != 0)), floor=floor,
    seed_low=found.seeds.low, seed_high=found.seeds.high, each=found.each,
    margin=margin, p_same=p_same, p_not_worse=p_not_worse, outcome='not found',
  )  # fmt: skip


def _tested(d_N: np.ndarray, rows: PairedRows) -> tuple[float, str, float | None]:
  """(p, which test gave it, what could be detected)."""
  units = rows.units
  floor, pairs = paired.detectable(d_N, units, rows.shares), _pairs(d_N, rows, units)
  if pairs and units.independent:
    return paired.mcnemar(*pairs[:2]), 'McNemar', floor
  return paired.sign_flip(d_N, units), 'sign-flip', floor


def _pairs(x_N: np.ndarray, rows: PairedRows, units: Units) -> tuple[int, int, int] | None:
  return paired.as_pairs(x_N, units) if rows.shares else None


def _paired_ends(
  d_N: np.ndarray, rows: PairedRows, units: Units
) -> tuple[float | None, float | None] | None:
  pairs = _pairs(d_N, rows, units)
  return paired.tango(*pairs)[1:] if pairs else None


def _bounded(rows, low, high):
  """Ends of an interval of a difference, within what it can be."""
  if low is None or high is None or not rows.shares:
    return low, high
  least, most = rows.units.bounds
  return max(low, least - most), min(high, most - least)


def _equal(d_SN, rows, found, margin):
  """(p of TOST, p that no more than the margin is lost); over runs where there are several."""
  if margin is None:
    return None, None
  if len(d_SN) > 1:  # a training run is the unit: items say nothing of the next one
    d_N, units = np.array(found.each), Units.of(range(len(d_SN)), [1.0] * len(d_SN))
  else:
    d_N, units = d_SN[0], rows.units
  shares = rows.shares and len(d_SN) == 1
  sign = {'more': 1, 'less': -1}.get(rows.measure.better)
  not_worse = None if sign is None else paired.beyond(d_N, units, -sign * margin, sign, shares)
  return paired.tost(d_N, units, margin, shares), not_worse


def _judged(measures: Sequence[ComparedMeasure], about: About) -> list[ComparedMeasure]:
  """With Holm's p over the family: primaries under each judge and of each arm, or, where none is
  declared, all measures."""
  family = [one for one in measures if one.primary] if about.primaries else list(measures)
  every = [(one, n) for one in family for n in range(len(one.differences))]
  known = {(id(one), n): one.differences[n].p for one, n in every}
  ps = {key: p for key, p in known.items() if p is not None}
  held = dict(zip(ps, statistics.holm(list(ps.values()))))
  found = []
  for one in measures:
    differences = [
      dataclasses.replace(
        difference,
        adjusted=held.get((id(one), n)),
        outcome=_outcome(difference, held.get((id(one), n), difference.p), one.better),
      )
      for n, difference in enumerate(one.differences)
    ]
    found.append(dataclasses.replace(one, differences=tuple(differences)))
  return found


def _outcome(one, p, better):
  if p is not None and p <= _ALPHA and one.mean:
    if not better:
      return 'higher' if one.mean > 0 else 'lower'
    return 'better' if (one.mean > 0) == (better == 'more') else 'worse'
  if one.p_same is not None and one.p_same <= _ALPHA:
    return 'same'
  return 'not worse' if one.p_not_worse is not None and one.p_not_worse <= _ALPHA else 'not found'


def _slices(pairing: Pairing) -> Iterator[ComparedSlice]:
  for n, arm in enumerate(pairing.arms[1:], 1):
    found = [
      _slice(rows, n, arm.label, name, part) for rows in pairing.rows for name, part in _parts(rows)
    ]
    for one, q in zip(found, statistics.benjamini_hochberg([one.p for one in found])):
      yield dataclasses.replace(one, q=q)


def _parts(rows: PairedRows) -> Iterator[tuple[str, str]]:
  """What is sliced and each of its parts that has enough units, and some of each side."""
  for name, part_N in rows.slices.items():
    for part in sorted({*part_N.tolist()} - {''}):
      here_N = part_N == part
      if _PARTS <= here_N.sum() < len(here_N) and all(
        side_N[here_N].any() for _, side_N in rows.units.sides
      ):
        yield name, part


def _slice(rows: PairedRows, n: int, arm: str, name: str, part: str) -> ComparedSlice:
  here_N = rows.slices[name] == part
  units, d_SN = rows.units.part(here_N), (rows.value_ASN[n] - rows.value_ASN[0])[:, here_N]
  (found,) = _intervals([d_SN], units, _SLICE_DRAWS)
  p = paired.sign_flip(d_SN.mean(0), units) if found.p is None else found.p
  mean, low, high = found.both
  if len(d_SN) == 1:
    low, high = _paired_ends(d_SN[0], rows, units) or (low, high)
  low, high = _bounded(rows, low, high)
  return ComparedSlice(
    measure=rows.measure.name, judge=rows.judge, by=name, part=part, arm=arm,
    n=len(units), clusters=units.clusters, mean=mean, low=low, high=high, p=p, q=1.0,
  )  # fmt: skip


def _names(pairing):
  return dict.fromkeys(rows.measure.name for rows in pairing.rows)


def _agreements(pairing: Pairing, name: str) -> Iterator[Agreement]:
  """Of every two judges of a measure, where what they said of the same units is yes or no."""
  judged = [rows for rows in pairing.rows if rows.measure.name == name and rows.binary]
  for one, other in itertools.combinations(judged, 2):
    if one.names == other.names:
      for arm, said, heard in zip(pairing.arms, one.value_ASN, other.value_ASN):
        yield Agreement(
          measure=name,
          arm=arm.label,
          judges=(one.judge, other.judge),
          n=said.size,
          agreed=float(np.mean(said == heard)),
          kappa=statistics.kappa(collections.Counter(zip(said.flat, heard.flat))),
        )
