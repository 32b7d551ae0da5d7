"""The page of compared answers: compare.html, one file that needs no other and asks nobody."""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from etils import epath

from jaxalign.evals.item import RATES
from jaxalign.page import kit
from jaxalign.pictures import kept, label
from jaxalign.study.answers import guards, side_by_side
from jaxalign.study.answers.compared import (
  ComparedAnswers,
  ComparedMeasure,
  Difference,
  Side,
)
from jaxalign.study.answers.pairs import Arm, shown_key
from jaxalign.study.report import pictures
from jaxalign.study.report.pictures import IntervalRow

if TYPE_CHECKING:
  from matplotlib.figure import Figure

_MOST = 12  # rows of a picture
_PICTURES = 4  # beside the first, and folded
_FOUND = 'better', 'worse', 'higher', 'lower'
_COLUMNS = (
  'arm mean low high p test adjusted discordant floor margin margin_low margin_high p_same '
  'p_not_worse power seed_low seed_high outcome'
).split()
_RATE = 'a rate, 0 to 1'
_Forest = tuple[str, Callable[..., 'Figure']]  # unit, what draws it


def write(found: ComparedAnswers, arms: Sequence[Arm], path: epath.Path) -> None:
  if kit.drawable(path.name):
    kept(lambda: _page(found, arms), path)


def _page(found, arms):
  script, script_hash = kit.script('answers.js')
  answers = side_by_side.kept([arm.runs[0] for arm in arms])
  return kit.render(
    'answers.html',
    found=found,
    guards=[_guard(one) for one in guards.columns(found)],
    forests=_forests(found),
    measures=_measures(found),
    slices=_slices(found),
    agreements=[
      (one.measure, one.arm, ', '.join(one.judges), one.n, one.agreed, one.kappa)
      for one in found.agreements
    ],
    models=[
      (
        one.arm,
        ', '.join(one.models),
        _seeds(one.seeds),
        ', '.join(f[:12] for f in one.fingerprints),
      )
      for one in found.models
    ],
    kept=answers,
    data_json=answers.json([arm.label for arm in arms]),
    script=script,
    script_hash=script_hash,
  )


def _seeds(seeds):
  return ', '.join('–' if seed is None else str(seed) for seed in seeds)


def _marks(fingerprints):
  return ', '.join(mark[:12] or '–' for mark in fingerprints)


def _guard(one: ComparedMeasure) -> tuple[str, list[tuple[str, str]]]:
  """(name, [(text, mark) of an arm]); the first arm has no mark."""
  outcomes = [None, *one.differences]
  cells = [(_with_interval(side), _mark(one, d)) for side, d in zip(one.sides, outcomes)]
  return f'{guards.column_of(one.name)}: {shown_key(one.name, one.judge)}', cells


def _mark(one: ComparedMeasure, difference: Difference | None) -> str:
  if difference is None:
    return ''
  if difference.outcome in ('better', 'worse'):
    return 'good' if difference.outcome == 'better' else 'bad'
  return 'bad' if guards.lost(one, difference) else ''


def _with_interval(side: Side) -> str:
  if side.low is None or side.high is None:
    return kit.shown(side.mean)
  return f'{side.mean:.3g} [{side.low:.3g}, {side.high:.3g}]'


def _forests(found: ComparedAnswers) -> tuple[list[_Forest], list[_Forest]]:
  """Pictures that are open and those that are folded: primaries, then what is read together, then
  the rest; a picture has one unit."""
  together = {(one.name, one.judge) for one in guards.columns(found)}

  def place(one: ComparedMeasure) -> tuple[bool, ...]:
    return not one.primary, one.name not in found.primaries, (one.name, one.judge) not in together

  order = sorted(found.measures, key=place)
  rows: dict[str, list[IntervalRow]] = {}
  for one in order:
    rows.setdefault(_RATE if one.unit in RATES else one.unit, []).extend(
      _row(found, one, d) for d in one.differences
    )
  pictures_of: list[tuple[str, Callable[..., Figure], bool]] = [
    (unit, functools.partial(pictures.intervals, some[n : n + _MOST]), n > 0)
    for unit, some in rows.items()
    for n in range(0, len(some), _MOST)
  ]
  opened = [(unit, draw) for unit, draw, later in pictures_of if not later]
  return opened, [(unit, draw) for unit, draw, later in pictures_of if later][:_PICTURES]


def _row(found: ComparedAnswers, one: ComparedMeasure, difference: Difference) -> IntervalRow:
  arm = f'{label(difference.arm, 30)}: ' if len(found.models) > 2 else ''
  primary = ' (primary)' if one.primary else ' (another judge)' if one.sensitivity else ''
  p = difference.p if difference.adjusted is None else difference.adjusted
  said = f'p = {p:.2g}' + (' (Holm)' if difference.adjusted is not None else '') if p else ''
  better = f', {one.better} is better' if one.better else ''
  return IntervalRow(
    heading=f'{arm}{label(shown_key(one.name, one.judge), 80)}{primary}',
    below=f'{difference.mean:+.3g}; {difference.outcome}; {said}; n = {one.n}{better}',
    interval=difference,
    floor=difference.floor,
    seeds=difference.each if len(difference.each) > 1 else (),
    holds=True if difference.outcome in _FOUND else None,
  )


def _measures(found: ComparedAnswers) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
  named = 'measure judge unit primary sensitivity n left_out clusters what'.split()
  head = (*named, *_COLUMNS)
  return head, list(_lines(found))


def _lines(found: ComparedAnswers) -> Iterator[tuple[Any, ...]]:
  for one in found.measures:
    what = (
      one.name, one.judge, one.unit or 'rate', one.primary, one.sensitivity,
      one.n, one.left_out, one.clusters,
    )  # fmt: skip
    for kind, every in (('mean', one.sides), ('difference', one.differences)):
      for each in every:
        yield (*what, kind, *(vars(each).get(name) for name in _COLUMNS))
    known = [('chance', one.chance), *one.baselines]
    for name, value in known:
      if value is not None:
        yield (*what, 'baseline', name, value, *(None for _ in _COLUMNS[2:]))


def _slices(found: ComparedAnswers) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
  head = 'arm', 'measure', 'judge', 'by', 'part', 'n', 'clusters', 'mean', 'low', 'high', 'p', 'q'
  every = sorted(found.slices, key=lambda one: (one.q is None, one.q or 0.0, one.p))
  return head, [tuple(vars(one)[name] for name in head) for one in every]
