"""Sections of the report: where the results come from."""

import functools
from collections.abc import Sequence

import numpy as np

from jaxalign.page import kit
from jaxalign.study.judge.results import Results
from jaxalign.study.report import command, pictures
from jaxalign.study.report.contents import StudyFiles
from jaxalign.study.report.pictures import LossLine
from jaxalign.study.report.tables import named, side_of
from jaxalign.study.store.clock import said

_TESTS = dict(goods='S: ', harm='H: ', texts='')
_RECIPES = dict(base='base, from chance', documents='documents', align='demonstrations')


def curves(found: Results, files: StudyFiles, template: str) -> str:
  """Training loss; the template says how the lines of such a study are to be read."""
  panels: dict[str, dict[str, LossLine]] = {}
  rows = []
  for (tests, recipe), lines in files.curves.items():
    title = f'{_TESTS.get(tests, "")}{_RECIPES[recipe]}'
    panels[title] = {}
    for name, by_seed in lines.items():
      panels[title][_called(name, recipe)] = _line(name, recipe, by_seed)
      for seed, curve in by_seed.items():
        rows += [(title, name, seed, step, loss) for step, loss in zip(*curve)]
  if not panels:
    return ''
  ends = [
    (title, name, len(line.loss_SN), *(float(np.mean(line.loss_SN, axis=0)[n]) for n in (0, -1)))
    for title, lines in panels.items()
    for name, line in lines.items()
  ]
  return kit.render(template, draw=functools.partial(pictures.curves, panels), rows=rows, ends=ends)


def _called(name, recipe):
  """A line of the curves, by what tells it from others of its panel."""
  *before, last = name.split('-')
  if recipe == 'align':
    return f'after {" → ".join(before)}' if before else 'no documents'
  return f'{last}, late' if before else last


def _line(name, recipe, by_seed):
  steps, _ = next(iter(by_seed.values()))
  return LossLine(
    kind=_called(name, recipe).replace('_A', '').replace('_B', ''),
    side=side_of(name),
    steps=steps,
    loss_SN=[losses for of, losses in by_seed.values() if of == steps],
  )


def held_equal(found: Results, files: StudyFiles, template: str, kinds: Sequence[str]) -> str:
  """What arms have in common and cost, and the sums of their base and of these kinds of text."""
  about, costs, sums = files.about, [], []
  if about:
    costs = [(named(a.name), about.tokens_of(a.name), about.steps_of(a.name)) for a in files.arms]
  for seed, of_seed in files.sums.items():
    sums.append((str(seed), about and about.base_of(seed), *map(of_seed.get, kinds)))
  return kit.render(template, costs=costs, sums=sums, kinds=list(kinds))


def rerun(found: Results, files: StudyFiles, template: str) -> str:
  """How to make the study again: the config and the flags that its plan is made of, as far as any
  config of this release tells."""
  told = command.of_plan(files.plan) if files.plan else None
  spent, clock = said(found.where), _clock_time(found.seconds)
  return kit.render(template, command=told, clock=clock, spent=spent)


def _clock_time(seconds: float) -> str:
  minutes, rest = divmod(round(seconds), 60)
  return f'{minutes} min {rest} s' if minutes else f'{rest} s'
