"""Sections on contrasts: the judged ones with the gates beside them, and those only shown."""

import functools
import itertools
from collections.abc import Sequence

from jaxalign.page import kit
from jaxalign.study.judge.results import Contrast, Results
from jaxalign.study.judge.unjudged import lean_masses
from jaxalign.study.report import pictures, tables
from jaxalign.study.report.contents import StudyFiles
from jaxalign.study.report.tables import (
  columns,
  estimates,
  interval_row,
  least_mass,
  named,
  with_interval,
)

_UNREAD = 'sd', 'p_t', 'claim'  # columns that are in the download alone
_JUDGED = 'p Holm', 'holds'  # columns that contrasts which are only shown do not have


def contrasts(found: Results, files: StudyFiles) -> str:
  return _judged('contrasts', found.contrasts, found, files)


def control(found: Results, files: StudyFiles) -> str:
  if found.control is None:
    return kit.render('study/no_control.html')
  return _judged('control', found.control, found, files, len(found.control_seeds))


def _judged(name, every, found, files, worlds=None):
  exact, said = estimates(every), [told(one, found.rules.alpha) for one in every]
  rows = [interval_row(one, below, one.holds) for one, below in zip(every, said)]
  return kit.render(
    'study/contrasts.html',
    name=name,
    exact=exact,
    tables=columns(exact, _UNREAD),
    rules=found.rules,
    worlds=worlds,
    scale=files.contents.scales[found.rules.scale],
    alt=_alt(every, said),
    draw=functools.partial(pictures.intervals, rows),
  )


def _alt(every: Sequence[Contrast], said: Sequence[str]) -> str:
  return '; '.join(f'{one.name} {below}' for one, below in zip(every, said))


def told(one: Contrast, alpha: float) -> str:
  """A contrast's numbers in words, and of a small p why it is not enough."""
  numbers = one.primary
  assert one.p_holm is not None  # for it is judged
  said = f'{with_interval(numbers)}, p = {numbers.p:.2g}, Holm {one.p_holm:.2g}'
  if one.holds:
    return f'{said}: holds'
  why = '' if one.agree or one.p_holm >= alpha else ', not one sign on all scales'
  floor = '' if numbers.floor is None else f'; floor ±{numbers.floor:.3g}'
  return f'{said}: not shown{why}{floor}'


def unjudged(found: Results, files: StudyFiles) -> str:
  if not found.secondary:
    return ''
  by_group = itertools.groupby(found.secondary, lambda one: one.group)
  head, rows = estimates(found.secondary)
  keep = [n for n, name in enumerate(head) if name not in _JUDGED]
  titles = [one.group for one in found.secondary for _ in one.scales]
  rows = [(title, *(row[n] for n in keep)) for title, row in zip(titles, rows, strict=True)]
  return kit.render(
    'study/unjudged.html',
    count=len(found.secondary),
    groups=[_group(title, list(some), least_mass(found)) for title, some in by_group],
    exact=(('group', *(head[n] for n in keep)), rows),
  )


def _group(title, some, bar):
  said = [told_unjudged(one, bar) for one in some]
  rows = [interval_row(one, below) for one, below in zip(some, said)]
  return dict(
    title=title,
    scale=some[0].scale,
    alt=_alt(some, said),
    tables=columns(estimates(some), (*_JUDGED, *_UNREAD)),
    draw=functools.partial(pictures.intervals, rows),
  )


def told_unjudged(one: Contrast, bar: float) -> str:
  """A contrast's numbers in words; bar: the mass of yes and no below which the least is named."""
  said = f'{with_interval(one.primary)}, p = {one.primary.p:.2g}'
  said += '' if one.agree else '; not one sign on all scales'
  if one.mass and one.mass.mass < bar:
    mass, arm, test, seed = one.mass
    said += f'; yes + no only {mass:.2f} ({arm}, {test}, seed {seed})'
  return said


def gates(found: Results, files: StudyFiles) -> str:
  """Whether the instrument works, and what G4 does not gate: cells whose log-odds are of two things
  that the model would not say."""
  head, rows = tables.gate_rows(found.gates, found.seeds)
  bar, masses = least_mass(found), {}
  for arm, tests in found.arms.items():
    for test, by_seed in tests.items():
      masses[arm, test] = {seed: one.mass for seed, one in by_seed.items()}
  lean = lean_masses(masses, bar) if bar else []
  return kit.render(
    'study/gates.html',
    head=head,
    needed=found.rules.needed_share,
    marked=[[kit.Failed(kit.shown(x)) if bad else x for x, bad in row] for row in rows],
    plain=[[x for x, _ in row] for row in rows],
    bar=bar,
    cells=len(masses),
    lean=[(named(arm), test, mass, str(seed), below) for arm, test, mass, seed, below in lean],
  )
