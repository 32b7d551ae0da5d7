"""What `jaxalign compare` prints of evaluated models: conclusions, the table that is read together,
what was declared, and what else differs; the rest is in compare.json and on the page.
"""

import unicodedata
from collections.abc import Iterator

from jaxalign.evals.summary import baselines
from jaxalign.pictures import label
from jaxalign.study.answers import guards
from jaxalign.study.answers.compared import ComparedAnswers, ComparedMeasure, Difference
from jaxalign.study.answers.pairs import shown_key

_SLICES = 5  # that are printed; compare.json has all
_MOST = 12  # sentences, and measures beside those that were declared


def text(found: ComparedAnswers) -> str:
  lines = []
  for one in found.conclusions:
    lines.append(f'{_plain(one.arm)} against {_plain(found.against)}: {one.headline}')
    lines += [f'  {_plain(said)}' for said in (*one.found[:_MOST], *one.kept)]
    if (more := len(one.found) - _MOST) > 0:
      lines.append(f'  and {more} more, as compare.json has them')
    lines += [f'  but: {_plain(said)}' for said in one.cautions]
  lines += ['', *map(_plain, found.says)]
  if found.left_out:
    lines.append(f'left out, not in all: {_plain("; ".join(found.left_out))}')
  lines += [_plain(said) for said in found.partly]
  lines += [*_together(found), *_in_full(found), *_agreements(found), *_slices(found)]
  return '\n'.join(lines) + '\n'


def _plain(name: str) -> str:
  return label(name, 500)


def _together(found: ComparedAnswers) -> Iterator[str]:
  """The table of guards, each under its first judge; the page has it under all."""
  rows = [('read together', *(_plain(model.arm) for model in found.models))]
  named = set()
  for one in guards.columns(found):
    if one.name not in named:
      named.add(one.name)
      marks = ['', *(_mark(one, difference) for difference in one.differences)]
      cells = [
        f'{side.mean:.3g} {_between(side.low, side.high)}{mark}'
        for side, mark in zip(one.sides, marks)
      ]
      rows.append((f'{guards.column_of(one.name)}: {_plain(_key(one))}', *cells))
  if len(rows) > 1:
    wide = [max(map(_width, column)) for column in zip(*rows)]
    yield ''
    for row in rows:
      yield '  '.join(_padded(cell, w) for cell, w in zip(row, wide)).rstrip()


def _mark(one: ComparedMeasure, difference: Difference) -> str:
  if difference.outcome == 'better':
    return ' better'
  return ' worse' if guards.lost(one, difference) or difference.outcome == 'worse' else ''


def _width(text: str) -> int:
  """Columns of a terminal: letters of East Asia take two, marks on a letter none."""
  return sum(
    0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in 'WF') for c in text
  )


def _padded(text: str, wide: int) -> str:
  return text + ' ' * (wide - _width(text))


def _key(one: ComparedMeasure) -> str:
  return shown_key(one.name, one.judge)


def _in_full(found: ComparedAnswers) -> Iterator[str]:
  """Measures with lines of their own: what was declared, by every judge; then what else differs."""
  tested = [
    one
    for one in found.measures
    if _key(one) in found.family or (one.sensitivity and one.name in found.primaries)
  ]
  apart = [one for one in found.measures if one not in tested and _differs(one)]
  if not found.primaries:
    apart = [one for one in tested if _differs(one)] + apart
    tested = [one for one in tested if not _differs(one)][: max(0, _MOST - len(apart))]
  yield ''
  yield (
    'p: McNemar of independent shares, else sign-flip of whole clusters; holm: in the family named '
    'above; floor: what so many find in 4 studies of 5'
  )
  full = [*tested, *apart[:_MOST]] if found.primaries else [*apart[:_MOST], *tested]
  for one in full:
    yield ''
    yield from _measure(one)
  if rest := len(found.measures) - len(full):
    yield ''
    quiet = len([one for one in found.measures if one not in full and not _differs(one)])
    found_there = f', {rest - quiet} with a difference' if rest > quiet else ', no difference found'
    yield f'{rest} more measures{found_there}: in compare.json and compare.html of --workdir'


def _differs(one: ComparedMeasure) -> bool:
  return any(
    difference.outcome in ('better', 'worse', 'higher', 'lower') for difference in one.differences
  )


def _measure(one: ComparedMeasure) -> Iterator[str]:
  many = f'{one.n} units' + (f', {one.clusters} clusters' if one.clusters != one.n else '')
  many += f', {one.left_out} left out' if one.left_out else ''
  part = ', primary' if one.primary else ', another judge' if one.sensitivity else ''
  yield f'{_plain(_key(one))} ({many}{part})'
  wide = max(_width(_plain(side.arm)) for side in one.sides)
  head = f'{"p":>8} {"holm":>8} {"differ":>7} {"floor":>7}'
  yield f'  {"":{wide}} {"mean":>8}  {"95 %":18} {"difference":28} {head}'
  by_arm = {difference.arm: difference for difference in one.differences}
  for side in one.sides:
    line = (
      f'  {_padded(_plain(side.arm), wide)} {side.mean:8.3f}  {_between(side.low, side.high):18}'
    )
    yield (line + _difference(by_arm[side.arm]) if side.arm in by_arm else line).rstrip()
  if known := baselines(one.chance, one.baselines):
    yield f'  {_plain(known)}'
  for difference in one.differences:
    if difference.seed_low is not None:
      ends = _between(difference.seed_low, difference.seed_high)
      yield f'  {_plain(difference.arm)}: {len(difference.each)} seeds alone {ends}'


def _between(low: float | None, high: float | None) -> str:
  return '' if low is None or high is None else f'[{low:.3f}, {high:.3f}]'


def _p(p: float | None) -> str:
  return '' if p is None else f'{p:.2g}'


def _difference(one: Difference) -> str:
  shown = f'{one.mean:+.3f} {_between(one.low, one.high)}'
  floor = '' if one.floor is None else f'{one.floor:.3f}'
  return f' {shown:28} {_p(one.p):>8} {_p(one.adjusted):>8} {one.discordant:7.1%} {floor:>7}'


def _agreements(found: ComparedAnswers) -> Iterator[str]:
  main = [one for one in found.agreements if one.measure in found.primaries]
  for one in main or found.agreements:
    kappa = 'not defined' if one.kappa is None else f'{one.kappa:.2f}'
    yield (
      f'  {_plain(one.measure)}, {_plain(one.arm)}: {_plain(" and ".join(one.judges))} agree on '
      f'{one.agreed:.1%} of {one.n}, kappa {kappa}'
    )


def _slices(found: ComparedAnswers) -> Iterator[str]:
  """Slices of what was declared, those of the smallest q."""
  tested = [(one.q, one) for one in found.slices if one.q is not None]
  if not tested:
    return
  yield ''
  yield (
    f'slices of what was declared, by smallest q (false discovery rate over all {len(tested)}), '
    f'{min(_SLICES, len(tested))} of them'
  )
  for q, one in sorted(tested, key=lambda pair: (pair[0], pair[1].p))[:_SLICES]:
    yield (
      f'  {_plain(one.arm)}: {_plain(shown_key(one.measure, one.judge))}, {_plain(one.by)} '
      f'{_plain(one.part)} (n {one.n}): {one.mean:+.3f} {_between(one.low, one.high)} '
      f'p {one.p:.2g} q {q:.2g}'
    )
