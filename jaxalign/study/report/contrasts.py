"""Sections on contrasts: the judged ones with the gates beside them, and those only shown."""

import functools
import itertools

from jaxalign.page import kit
from jaxalign.study.judge.contrasts import said as said_of
from jaxalign.study.judge.results import Contrast, Results
from jaxalign.study.judge.unjudged import lean_masses
from jaxalign.study.plan.rules import RHO
from jaxalign.study.report import pictures, tables
from jaxalign.study.report.contents import StudyFiles
from jaxalign.study.report.pictures import IntervalRow

_UNREAD = 'sd', 'p_t', 'claim'  # columns that are in the download alone
_OF_INTERACTION = 'n', 'mean', 'low', 'high', 'sd', 'floor'
_JUDGED = 'p Holm', 'holds'  # columns that contrasts which are only shown do not have


def contrasts(found: Results, files: StudyFiles) -> str:
  return _judged('contrasts', found.contrasts, found, files)


def control(found: Results, files: StudyFiles) -> str:
  if not found.controls:
    return kit.render('study/no_control.html')
  worlds, shown = len(found.control_seeds), []
  for of, every in found.controls.items():
    name = 'control' if of == RHO else f'control-{of}'
    shown.append(_judged(name, every, found, files, worlds, of))
  return kit.joined(shown)


def interactions(found: Results, files: StudyFiles) -> str:
  """What controls leave of contrasts, seed by seed; '' where the claim names none."""
  if not found.interactions:
    return ''
  head = 'contrast', 'less with', 'scale', *_OF_INTERACTION, 'one-sided p', 'holds', 'signs agree'
  seeds = list(dict.fromkeys(seed for one in found.interactions for seed in one.seeds))
  rows = []
  for one in found.interactions:
    for scale in (one.scale, *(scale for scale in one.scales if scale != one.scale)):
      numbers = one.scales[scale]
      judged = (one.p, one.holds, one.agree) if scale == one.scale else (None,) * 3
      by_seed = dict(zip(one.seeds, numbers.differences or ()))
      fields = (getattr(numbers, field) for field in _OF_INTERACTION)
      about = one.contrast, f'{one.control} = 0', scale
      rows.append((*about, *fields, *judged, *map(by_seed.get, seeds)))
  exact = (*head, *(f'seed {seed}' for seed in seeds)), rows
  read = [row[: len(head)] for row in rows]
  said = [(one.contrast, one.control, said_of(one)) for one in found.interactions]
  return kit.render('study/interactions.html', said=said, exact=exact, head=head, read=read)


def _judged(name, every, found, files, worlds=None, of=RHO):
  primary = every[0].scale if every else found.rules.scale
  scale = files.contents.scales[primary]
  said = [told(one, found.rules.alpha) for one in every]
  picture = _picture(every, said, _UNREAD)
  about = dict(name=name, rules=found.rules, worlds=worlds, scale=scale, of=of)
  return kit.render('study/contrasts.html', exact=tables.estimates(every), **about, **picture)


def _picture(every, said, unread):
  """What a template shows of contrasts: a picture and two tables."""
  rows = []
  for one, below in zip(every, said):
    numbers, seeds, heading = one.primary, [*one.seeds.values()], f'{one.name}: {one.what}'
    rows.append(IntervalRow(heading, below, numbers, numbers.floor, seeds, one.holds))
  return dict(
    draw=functools.partial(pictures.intervals, rows),
    alt='; '.join(f'{one.name} {below}' for one, below in zip(every, said)),
    tables=tables.columns(tables.estimates(every), unread),
  )


def told(one: Contrast, alpha: float) -> str:
  """A contrast's numbers in words, and of a small p why it is not enough."""
  numbers = one.primary
  assert one.p_holm is not None  # for it is judged
  said = f'{tables.with_interval(numbers)}, p = {numbers.p:.2g}, Holm {one.p_holm:.2g}'
  if one.holds:
    return f'{said}: holds'
  why = '' if one.agree or one.p_holm >= alpha else ', not one sign on all scales'
  floor = '' if numbers.floor is None else f'; floor ±{numbers.floor:.3g}'
  return f'{said}: not shown{why}{floor}'


def unjudged(found: Results, files: StudyFiles) -> str:
  if not found.secondary:
    return ''
  by_group = itertools.groupby(found.secondary, lambda one: one.group)
  head, rows = tables.estimates(found.secondary)
  keep = [n for n, name in enumerate(head) if name not in _JUDGED]
  titles = [one.group for one in found.secondary for _ in one.scales]
  rows = [(title, *(row[n] for n in keep)) for title, row in zip(titles, rows, strict=True)]
  groups = [_group(title, list(some), tables.least_mass(found)) for title, some in by_group]
  exact = ('group', *(head[n] for n in keep)), rows
  return kit.render('study/unjudged.html', count=len(found.secondary), groups=groups, exact=exact)


def _group(title, some, bar):
  said = [told_unjudged(one, bar) for one in some]
  picture = _picture(some, said, (*_JUDGED, *_UNREAD))
  return dict(title=title, scale=some[0].scale, **picture)


def told_unjudged(one: Contrast, bar: float) -> str:
  """A contrast's numbers in words; bar: the mass of yes and no below which the least is named."""
  said = f'{tables.with_interval(one.primary)}, p = {one.primary.p:.2g}'
  said += '' if one.agree else '; not one sign on all scales'
  if one.mass and one.mass.mass < bar:
    mass, arm, test, seed = one.mass
    said += f'; yes + no only {mass:.2f} ({arm}, {test}, seed {seed})'
  return said


def gates(found: Results, files: StudyFiles) -> str:
  """Whether the instrument works, and what G4 does not gate: cells whose log-odds are of two things
  that the model would not say."""
  head, rows = tables.gate_rows(found.gates, found.seeds)
  bar, masses = tables.least_mass(found), {}
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
    lean=[(tables.named(arm), test, mass, str(seed), few) for arm, test, mass, seed, few in lean],
  )
