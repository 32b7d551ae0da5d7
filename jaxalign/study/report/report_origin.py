"""Sections of the report: where the results come from."""

import shlex

import numpy as np

from jaxalign.page import kit
from jaxalign.study.report import report_pictures as pictures
from jaxalign.study.report.report_tables import costs, side_of, sums_rows
from jaxalign.study.store.clock import said

_TESTS = dict(goods='S: ', harm='H: ', texts='')
_RECIPES = dict(base='base, from chance', documents='documents', align='demonstrations')


def curves(found, beside, template):
  """Training loss; the template says how the lines of such a study are to be read."""
  panels, rows = {}, []
  for (tests, recipe), lines in beside.curves.items():
    title = f'{_TESTS.get(tests, "")}{_RECIPES[recipe]}'
    panels[title] = {_called(name, recipe): _line(name, recipe, of) for name, of in lines.items()}
    for name, by_seed in lines.items():
      for seed, (steps, losses) in by_seed.items():
        rows += [(title, name, seed, step, loss) for step, loss in zip(steps, losses)]
  if not panels:
    return ''
  ends = [
    (title, name, len(loss_SN), *(float(np.mean([x[n] for x in loss_SN])) for n in (0, -1)))
    for title, lines in panels.items()
    for name, (*_, loss_SN) in lines.items()
  ]
  return kit.render(
    template, draw=lambda: pictures.curves(panels, 'loss, nats'),
    exact=(('lesson', 'arm so far', 'seed', 'step', 'loss'), rows),
    ends=(('lesson', 'arm so far', 'seeds', 'first part', 'last part'), ends),
  )  # fmt: skip


def _called(name, recipe):
  """A line of the curves, by what tells it from others of its panel."""
  *before, last = name.split('-')
  if recipe == 'align':
    return f'after {" → ".join(before)}' if before else 'no documents'
  return f'{last}, late' if before else last


def _line(name, recipe, by_seed):
  """(kind, side, the steps of the first seed, the losses of all that have the same)."""
  side, kind = side_of(name), _called(name, recipe).replace('_A', '').replace('_B', '')
  steps, _ = next(iter(by_seed.values()))
  return kind, side, steps, [losses for of, losses in by_seed.values() if of == steps]


def held_equal(found, beside, template, kinds):
  """What arms have in common, and the sums of their base and of these kinds of text."""
  return kit.render(
    template, costs=costs(beside.about) if beside.about else None, sums=sums_rows(beside, kinds)
  )


def rerun(found, beside):
  full = ':full' * any(arm.get('context') for arm in beside.plan.get('arms', ()))
  flags = [f'--config=configs/study_valueworld.py{full}', '--workdir=runs/valueworld']
  for name in ('seeds', 'control_seeds'):
    if found[name]:
      value = ','.join(map(str, found[name])) + ',' * (len(found[name]) == 1)
      flags.append(f'--config.{name}={shlex.quote(value)}')
  if split := beside.plan.get('world', {}).get('split'):
    flags.append(f'--config.world.split={shlex.quote(split)}')
  spent = said(found.get('where', {}))
  return kit.render(
    'study/rerun_world.html', flags=flags, clock=clock(found['seconds']), spent=spent
  )


def clock(seconds):
  minutes, rest = divmod(round(seconds), 60)
  return f'{minutes} min {rest} s' if minutes else f'{rest} s'
