"""What `jaxalign compare` prints: a line an arm, each test below, differences against the first."""

from collections.abc import Iterator

from jaxalign.pictures import label
from jaxalign.study.judge.comparison import ComparedArm, ComparedTest, Comparison
from jaxalign.study.judge.results import Numbers


def text(found: Comparison) -> str:
  wide = max(len(_plain(arm.arm)) for arm in found.arms)
  lines = [f'{_plain(arm.arm):{wide}}  {_costs(arm)}'.rstrip() for arm in found.arms]
  seeds = ' '.join(map(str, found.seeds))
  lines.append(f'seeds {seeds}; differences are against {_plain(found.against)}')
  lines.append(
    'p: exact sign-flip, not corrected for their number; same: p of TOST, that a '
    'difference is within 0.2 nats or 0.05; floor: what so many find in 4 studies of 5'
  )
  if found.seeds_left_out:
    lines.append(f'left out, not in all: seeds {" ".join(map(str, found.seeds_left_out))}')
  if found.tests_left_out:
    lines.append(f'left out, not in all: {", ".join(map(_plain, found.tests_left_out))}')
  for test in found.tests:
    lines += ['', *_test_lines(test, wide)]
  return '\n'.join(lines) + '\n'


def _plain(name: str) -> str:
  """A name of an arm, test or run as a line of a terminal bears it."""
  return label(name, 300)


def _costs(arm: ComparedArm) -> str:
  costs = dict(tokens=arm.tokens, steps=arm.steps)
  known = [f', {value:,} {name}' for name, value in costs.items() if value is not None]
  return ''.join([_plain(arm.run), *known])


def _test_lines(test: ComparedTest, wide: int) -> Iterator[str]:
  many = f'{test.items} items, {test.clusters} clusters'
  yield f'{_plain(test.test)} after {_plain(test.after)} ({many})'
  if test.unit == 'item':
    yield 'one seed: intervals are over its items, and know nothing of another training run'
  wide = max(wide, len(test.number))
  for scale, name in dict(margin=test.number, rate='rate').items():
    head = f'{"d_z":>6} {"p":>7} {"same":>7} {"n":>5} {"floor":>7}'
    yield f'  {name:{wide}} {"mean":>8}  {"difference":28} {head}'
    by_arm = {one.arm: one.scales[scale] for one in test.differences}
    for one in test.arms:
      line = f'  {_plain(one.arm):{wide}} {one.scales[scale].mean:8.3f}'
      yield line + _difference(by_arm[one.arm]) if one.arm in by_arm else line
  for difference in test.differences:
    if not difference.agree:
      name = _plain(difference.arm)
      yield f'  {name}: the sign of its difference is not the same on every scale'


def _difference(one: Numbers) -> str:
  between = '' if one.low is None else f' [{one.low:.3f}, {one.high:.3f}]'
  floor = '' if one.floor is None else f'{one.floor:.3f}'
  shown = f'{one.mean:+.3f}{between}'
  d_z = '' if one.d_z is None else f'{one.d_z:.2f}'
  same = '' if one.tost is None else f'{one.tost:.2g}'
  return f'  {shown:28} {d_z:>6} {one.p:7.2g} {same:>7} {one.n:5} {floor:>7}'
