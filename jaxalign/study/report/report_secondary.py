"""Sections of the report: contrasts that are not judged, and where the answer was neither word."""

import itertools

from jaxalign.page import pages
from jaxalign.page.pages import named, text
from jaxalign.study.judge import unjudged
from jaxalign.study.report import report_pictures as pictures
from jaxalign.study.report.report_tables import estimates

_SCALE = dict(margin='log-odds margin, nats', rate='rate')
_LEFT_OUT = 'p Holm', 'holds', 'claim', 'sd', 'p_t'  # of the tables that are read


def beside(found, _):
  every = found.get('secondary') or []
  if not every:
    return ''
  said = (
    f'<p>{len(every)} contrasts that were not chosen to be judged: each with its interval, none '
    'with a verdict, and none corrected for their number. One in twenty would leave 0 out if '
    'nothing at all were there.</p>'
  )
  parts = [said]
  for n, (group, some) in enumerate(itertools.groupby(every, lambda one: one['group'])):
    parts.append(_of_group(f'secondary-{n}', group, list(some), found))
  head, rows = estimates(every)
  keep = [n for n, name in enumerate(head) if name not in ('p Holm', 'holds')]
  groups = [one['group'] for one in every for _ in one['scales']]
  rows = [(group, *(row[n] for n in keep)) for group, row in zip(groups, rows, strict=True)]
  head = ('group', *(head[n] for n in keep))
  return ''.join(parts) + f'<p>{pages.download("secondary", head, rows)}</p>'


def _of_group(name, group, some, found):
  bar = _least_mass(found)
  rows = [(f'{o["name"]}: {o["what"]}', o | dict(holds=None), told(o, bar)) for o in some]
  alt = '; '.join(f'{one["name"]} {told(one, bar)}' for one in some)
  draw = lambda: pictures.intervals(rows, _SCALE[some[0]['scale']], 0.95)
  head, cells = estimates(some)
  read = [n for n, column in enumerate(head) if column not in _LEFT_OUT and 'seed ' not in column]
  each = [n for n, column in enumerate(head) if n < 2 or 'seed ' in column]
  tables = ''.join(
    pages.table([head[n] for n in of], [[row[n] for n in of] for row in cells])
    for of in (read, each)
  )
  return (
    f'<h3>{text(group)}</h3>'
    + pages.picture(name, draw, alt, 'Dots: seeds. Diamond and line: mean and 95 % t interval. '
                    'Upright ticks: the detection floor.')
    + f'<details><summary>The numbers as a table</summary>{tables}</details>'
  )  # fmt: skip


def told(one, bar):
  said = f'{one["mean"]:+.3g}'
  if one['low'] is not None:
    said += f' [{one["low"]:.3g}, {one["high"]:.3g}]'
  said += f', p = {one["p"]:.2g}' + ('' if one['agree'] else '; not one sign on all scales')
  if one['mass'] and one['mass'][0] < bar:
    mass, arm, test, seed = one['mass']
    said += f'; yes + no only {mass:.2f} ({arm}, {test}, seed {seed})'
  return said


def _least_mass(found):
  bars = {gate['name']: gate['least'] for gate in found['gates']}
  return bars.get('G4') or 0.0


def unanswered(found):
  """What G4 does not gate: cells whose log-odds are of two things that the model would not say."""
  bar = _least_mass(found)
  if not bar:
    return ''
  masses = {
    (arm, test): {seed: one['mass'] for seed, one in by_seed.items()}
    for arm, tests in found['arms'].items() for test, by_seed in tests.items()
  }  # fmt: skip
  rows = [(named(arm), *rest) for arm, *rest in unjudged.lean_masses(masses, bar)]
  said = (
    'G4 is of the arms and tests that the verdict hangs on, and of T0 and H0 of the arms whose '
    'demonstrations come last. '
  )
  if not rows:
    return f'<p>{said}No other arm and test has a mass of yes and no below {bar:g} either.</p>'
  head = ('arm', 'test', 'least mass', 'its seed', 'seeds below')
  return (
    f'<p>{said}Elsewhere the mass of yes and no falls below {bar:g} in {len(rows)} of '
    f'{len(masses)} cells: their log-odds compare two words that the model would seldom say, and '
    f'no claim rests on them.</p><details><summary>These cells</summary>'
    f'{pages.table(head, rows)}</details>'
  )
