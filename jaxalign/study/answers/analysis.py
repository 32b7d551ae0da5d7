"""Which test for what: paired rows of evaluated models made into means, differences and verdicts.

Shares have Wilson's interval, and Tango's for a difference; of independent items McNemar's p. Other
numbers have the bootstrap of whole clusters, and whatever is in clusters their sign-flip. With
several training runs an arm, runs and clusters are drawn both.
"""

import collections
import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from jaxalign import estimates, paired, proportions, statistics
from jaxalign.evals.evaluated import About
from jaxalign.paired import Crossed, Units
from jaxalign.statistics import Interval
from jaxalign.study.answers import concluding, families
from jaxalign.study.answers.compared import (
  Agreement,
  ComparedAnswers,
  ComparedMeasure,
  ComparedModel,
  ComparedSlice,
  Difference,
  Side,
)
from jaxalign.study.answers.families import Family
from jaxalign.study.answers.pairs import PairedRows, Pairing, shown_key

_ALPHA = 0.05
_BOTH_SIDES = 1 - 2 * _ALPHA  # level of the interval that agrees with two tests of one side each
_PARTS = 2  # units of a slice, at least
_SLICE_DRAWS = 2_000  # of a slice's interval: there may be hundreds


def analysed(pairing: Pairing) -> ComparedAnswers:
  """Everything that is shown of a Pairing."""
  about = pairing.arms[0].runs[0].about
  family = families.of(pairing, about)
  measures = _judged([_measure(rows, pairing, about, family) for rows in pairing.rows], family)
  found = ComparedAnswers(
    against=pairing.arms[0].label,
    runs=len(pairing.arms[0].runs),
    says=tuple(concluding.says(pairing, family)),
    primaries=about.primaries,
    family=tuple(shown_key(*key) for key in family.tested),
    left_out=pairing.left_out,
    partly=pairing.partly,
    models=tuple(map(_model, pairing.arms)),
    measures=tuple(measures),
    slices=tuple(_slices(pairing, family)),
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


def _measure(rows: PairedRows, pairing: Pairing, about: About, family: Family) -> ComparedMeasure:
  measure, arms = rows.measure, [arm.label for arm in pairing.arms]
  margin = next((one.most for one in about.margins if one.measure == measure.name), None)
  values_ASN = rows.value_ASN
  difference_ASN = values_ASN[1:] - values_ASN[:1]
  one, two = estimates.of_one, estimates.of_two
  columns = [(one, x_SN) for x_SN in values_ASN] + [(two, x_SN) for x_SN in difference_ASN]
  told = _told(columns, rows.units, rows.shares)
  differences = [
    _difference(name, x_SN, rows, found, margin)
    for name, x_SN, found in zip(arms[1:], difference_ASN, told[len(arms) :])
  ]
  return ComparedMeasure(
    **{name: getattr(measure, name) for name in ('name', 'title', 'better', 'unit', 'chance')},
    baselines=measure.baselines,
    judge=rows.judge,
    n=len(rows.units),
    clusters=rows.units.clusters,
    left_out=rows.left_out,
    primary=(measure.name, rows.judge) in family.primaries,
    sensitivity=(measure.name, rows.judge) in family.others,
    sides=tuple(_side(name, found) for name, found in zip(arms, told)),
    differences=tuple(differences),
  )


def _side(name: str, found: Crossed) -> Side:
  mean, low, high = found.both
  return Side(arm=name, mean=mean, low=low, high=high, each=found.each)


_Columns = Sequence[tuple[Callable[..., Interval], np.ndarray]]  # what tells it, [runs, units]


def _told(
  columns: _Columns, units: Units, shares: bool, count: int = paired.DRAWS, level: float = 0.95
) -> list[Crossed]:
  """Of each column: where anything is drawn, all of one run from the same draws."""
  if len(columns[0][1]) > 1:
    return [_of_runs(tell, x_SN, units, shares, count) for tell, x_SN in columns]
  value_NK = np.stack([x_SN[0] for _, x_SN in columns], 1)
  drawn_BK = None if shares else paired.draws(value_NK, units, count)
  found = []
  for k, (tell, x_SN) in enumerate(columns):
    drawn = None
    if drawn_BK is not None:
      drawn = paired.interval(drawn_BK[:, k], x_SN[0], units, level)
    both = tell(x_SN[0], units, shares, drawn, level)
    none = Interval(both.mean, None, None)
    found.append(Crossed(both=both, seeds=none, p=None, floor=None, each=(both.mean,)))
  return found


def _of_runs(
  tell: Callable[..., Interval], x_SN: np.ndarray, units: Units, shares: bool, count: int
) -> Crossed:
  """Runs and clusters drawn both; of shares no less than what prompts alone leave open, which
  knows that nothing seen is not nothing."""
  found = paired.crossed(x_SN, units, count)
  if not shares:
    return found
  alone = tell(x_SN.mean(0), units, shares)
  whole = found.seeds if found.both.low is None else found.both
  least, most = units.bounds
  if tell is estimates.of_two:
    least, most = least - most, most - least
  lows = [low for low in (alone.low, whole.low) if low is not None]
  highs = [high for high in (alone.high, whole.high) if high is not None]
  ends = max(least, min(lows)), min(most, max(highs))
  return dataclasses.replace(found, both=Interval(alone.mean, *ends))


def _difference(
  name: str, d_SN: np.ndarray, rows: PairedRows, found: Crossed, margin: float | None
) -> Difference:
  mean, low, high = found.both
  p, test, floor = found.p, 'runs and clusters', found.floor
  if len(d_SN) == 1:
    p, test, floor = _tested(d_SN[0], rows)
  return Difference(
    arm=name, mean=mean, low=low, high=high, p=p, test=test, adjusted=None,
    discordant=float(np.mean(d_SN != 0)), floor=floor,
    seed_low=found.seeds.low, seed_high=found.seeds.high, each=found.each,
    margin=margin, **_held_to(margin, d_SN, rows, found), outcome='not found',
  )  # fmt: skip


def _tested(d_N: np.ndarray, rows: PairedRows) -> tuple[float, str, float | None]:
  """(p, which test gave it, what could be detected)."""
  floor = estimates.detectable(d_N, rows.units, rows.shares)
  if rows.shares and (pairs := paired.as_pairs(d_N, rows.units)):
    return proportions.mcnemar(*pairs[:2]), 'McNemar', floor
  return paired.sign_flip(d_N, rows.units), 'sign-flip', floor


def _held_to(
  margin: float | None, d_SN: np.ndarray, rows: PairedRows, found: Crossed
) -> dict[str, float | None]:
  """What is told of a margin: TOST's p, that no more than it is lost, and their 90 % interval; over
  runs where there are several, for items say nothing of the next run."""
  names = ('margin_low', 'margin_high', 'p_same', 'p_not_worse', 'power')
  if margin is None:
    return dict.fromkeys(names)
  if len(d_SN) > 1:
    d_N, units, shares = np.array(found.each), Units.of(range(len(d_SN)), [1.0] * len(d_SN)), False
    _, low, high = statistics.t_interval(d_N, _BOTH_SIDES)
  else:
    d_N, units, shares = d_SN[0], rows.units, rows.shares
    (told,) = _told([(estimates.of_two, d_SN)], units, shares, level=_BOTH_SIDES)
    _, low, high = told.both
  sign = {'more': 1, 'less': -1}.get(rows.measure.better)
  one_side = None if sign is None else estimates.beyond(d_N, units, -sign * margin, sign, shares)
  same = estimates.tost(d_N, units, margin, shares)
  return dict(zip(names, (low, high, same, one_side, estimates.passing(low, high, margin))))


def _judged(measures: Sequence[ComparedMeasure], family: Family) -> list[ComparedMeasure]:
  """With Holm's p over the family: what was declared, of each arm."""
  held_to = [one for one in measures if (one.name, one.judge) in family.tested]
  every = [(one, n) for one in held_to for n in range(len(one.differences))]
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


def _slices(pairing: Pairing, family: Family) -> Iterator[ComparedSlice]:
  """Of what was declared with q over all of these; of all else, which is shown, without."""
  for n, arm in enumerate(pairing.arms[1:], 1):
    tested = []
    for rows in pairing.rows:
      found = [_slice(rows, n, arm.label, name, part) for name, part in _parts(rows)]
      if (rows.measure.name, rows.judge) in family.tested:
        tested += found
      else:
        yield from found
    for one, q in zip(tested, statistics.benjamini_hochberg([one.p for one in tested])):
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
  (found,) = _told([(estimates.of_two, d_SN)], units, rows.shares, _SLICE_DRAWS)
  p = paired.sign_flip(d_SN.mean(0), units) if found.p is None else found.p
  mean, low, high = found.both
  return ComparedSlice(
    measure=rows.measure.name, judge=rows.judge, by=name, part=part, arm=arm,
    n=len(units), clusters=units.clusters, mean=mean, low=low, high=high, p=p, q=None,
  )  # fmt: skip


def _names(pairing):
  return dict.fromkeys(rows.measure.name for rows in pairing.rows)


def _agreements(pairing: Pairing, name: str) -> Iterator[Agreement]:
  """Of every two judges of a measure, where what they said of the same units is yes or no."""
  judged = [rows for rows in pairing.rows if rows.measure.name == name and rows.binary]
  for one, other in itertools.combinations(judged, 2):
    _, at_N, also_N = np.intersect1d(one.names, other.names, return_indices=True)
    for arm, said, heard in zip(pairing.arms, one.value_ASN, other.value_ASN):
      said, heard = said[:, at_N], heard[:, also_N]
      if said.size:
        yield Agreement(
          measure=name,
          arm=arm.label,
          judges=(one.judge, other.judge),
          n=said.size,
          agreed=float(np.mean(said == heard)),
          kappa=statistics.kappa(collections.Counter(zip(said.flat, heard.flat))),
        )
