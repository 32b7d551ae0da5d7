"""What `jaxalign compare` prints: a line an arm, each test below, differences against the first."""

from jaxalign.pictures import label

SCALES = dict(margin='log-odds', rate='rate')


def text(found):
  found = _plain(found)
  arms, seeds = found['arms'], found['seeds']
  wide = max(len(arm['arm']) for arm in arms)
  lines = [f'{arm["arm"]:{wide}}  {_costs(arm)}'.rstrip() for arm in arms]
  lines.append(f'seeds {" ".join(map(str, seeds))}; differences are against {found["against"]}')
  lines.append(
    'p: exact sign-flip, not corrected for their number; same: p of TOST, that a '
    'difference is within 0.2 nats or 0.05; floor: what so many find in 4 studies of 5'
  )
  if found['seeds_left_out']:
    lines.append(f'left out, not in all: seeds {" ".join(map(str, found["seeds_left_out"]))}')
  if found['tests_left_out']:
    lines.append(f'left out, not in all: {", ".join(found["tests_left_out"])}')
  for test in found['tests']:
    lines += ['', *_test_lines(test, wide)]
  return '\n'.join(lines) + '\n'


def _plain(value):
  """Names of arms, tests and runs as a line of a terminal bears them."""
  if isinstance(value, dict):
    return {key: _plain(one) for key, one in value.items()}
  if isinstance(value, list):
    return [_plain(one) for one in value]
  return label(value, 300) if isinstance(value, str) else value


def _costs(arm):
  known = [(field, arm[field]) for field in ('tokens', 'steps') if arm[field] is not None]
  return f'{arm["run"]}' + ''.join(f', {value:,} {field}' for field, value in known)


def _test_lines(test, wide):
  many = f'{test["items"]} items, {test["clusters"]} clusters'
  yield f'{test["test"]} after {test["after"]} ({many})'
  if test['unit'] == 'item':
    yield 'one seed: intervals are over its items, and know nothing of another training run'
  wide = max(wide, len('log-odds'))
  for scale, name in SCALES.items():
    head = f'{"d_z":>6} {"p":>7} {"same":>7} {"n":>5} {"floor":>7}'
    yield f'  {name:{wide}} {"mean":>8}  {"difference":28} {head}'
    by_arm = {one['arm']: one[scale] for one in test['differences']}
    for one in test['arms']:
      line = f'  {one["arm"]:{wide}} {one[scale]["mean"]:8.3f}'
      yield line + difference(by_arm[one['arm']]) if one['arm'] in by_arm else line
  for one in test['differences']:
    if not one['agree']:
      yield f'  {one["arm"]}: the sign of its difference is not the same on every scale'


def difference(one):
  between = '' if one['low'] is None else f' [{one["low"]:.3f}, {one["high"]:.3f}]'
  floor = '' if one['floor'] is None else f'{one["floor"]:.3f}'
  shown = f'{one["mean"]:+.3f}{between}'
  d_z = '' if one['d_z'] is None else f'{one["d_z"]:.2f}'
  same = '' if one['tost'] is None else f'{one["tost"]:.2g}'
  return f'  {shown:28} {d_z:>6} {one["p"]:7.2g} {same:>7} {one["n"]:5} {floor:>7}'
