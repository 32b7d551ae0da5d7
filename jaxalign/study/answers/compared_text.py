"""What `jaxalign compare` prints of evaluated models: conclusions first, then a line a measure."""

from collections.abc import Iterator

from jaxalign.evals.summary import baselines
from jaxalign.pictures import label
from jaxalign.study.answers.compared import ComparedAnswers, ComparedMeasure, Difference
from jaxalign.study.answers.concluding import column_of
from jaxalign.study.answers.pairs import shown_key

_SLICES = 5  # that are printed; compare.json has all


def text(found: ComparedAnswers) -> str:
  lines = []
  for one in found.conclusions:
    lines.append(f'{_plain(one.arm)} against {_plain(found.against)}: {one.headline}')
    lines += [f'  {_plain(said)}' for said in one.found]
    lines += [f'  but: {_plain(said)}' for said in one.cautions]
  lines += ['', *map(_plain, found.says)]
  if found.left_out:
    lines.append(f'left out, not in all: {_plain("; ".join(found.left_out))}')
  lines.append(
    'p: McNemar of independent shares, else sign-flip of whole clusters; holm: among the '
    f'{"primaries" if found.primaries else "measures"}; floor: what so many find in 4 studies of 5'
  )
  shown = [one for one in found.measures if _is_shown(one, found)]
  for measure in shown:
    lines += ['', *_measure(measure)]
  if hidden := [one for one in found.measures if one not in shown]:
    names = ', '.join(dict.fromkeys(shown_key(one.name, one.judge) for one in hidden))
    lines += ['', f'no difference found in {_plain(names)}']
  lines += _agreements(found)
  lines += _slices(found)
  return '\n'.join(lines) + '\n'


def _plain(name: str) -> str:
  return label(name, 500)


def _is_shown(one: ComparedMeasure, found: ComparedAnswers) -> bool:
  """Whether a measure has lines of its own: what matters does, and what differs."""
  matters = one.primary or not found.primaries or column_of(one.name) is not None
  return matters or any(difference.outcome != 'not found' for difference in one.differences)


def _measure(one: ComparedMeasure) -> Iterator[str]:
  many = f'{one.n} units' + (f', {one.clusters} clusters' if one.clusters != one.n else '')
  primary = ', primary' if one.primary else ''
  yield f'{_plain(shown_key(one.name, one.judge))} ({many}{primary})'
  wide = max(len(_plain(side.arm)) for side in one.sides)
  head = f'{"p":>8} {"holm":>8} {"differ":>7} {"floor":>7}'
  yield f'  {"":{wide}} {"mean":>8}  {"95 %":18} {"difference":28} {head}'
  by_arm = {difference.arm: difference for difference in one.differences}
  for side in one.sides:
    line = f'  {_plain(side.arm):{wide}} {side.mean:8.3f}  {_between(side.low, side.high):18}'
    yield (line + _difference(by_arm[side.arm]) if side.arm in by_arm else line).rstrip()
  if known := baselines(one.chance, one.baselines):
    yield f'  {_plain(known)}'
  for difference in one.differences:
    if difference.margin is not None:
      same, kept = (_p(p) for p in (difference.p_same, difference.p_not_worse))
      name, margin = _plain(difference.arm), difference.margin
      yield f'  {name}: within {margin:g} of the first: p = {same}; loses no more: p = {kept}'
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
  """The slices of the smallest q."""
  if not found.slices:
    return
  yield ''
  yield f'slices by smallest q, {min(_SLICES, len(found.slices))} of {len(found.slices)}'
  for one in sorted(found.slices, key=lambda s: (s.q, s.p))[:_SLICES]:
    yield (
      f'  {_plain(one.arm)}: {_plain(shown_key(one.measure, one.judge))}, {_plain(one.by)} '
      f'{_plain(one.part)} (n {one.n}): {one.mean:+.3f} {_between(one.low, one.high)} '
      f'p {one.p:.2g} q {one.q:.2g}'
    )
