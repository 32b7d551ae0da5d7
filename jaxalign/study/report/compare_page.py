"""The page of `jaxalign compare`: a picture for each test, of arms and of what they differ by."""

import functools
from collections.abc import Iterator

from etils import epath

from jaxalign.page import kit
from jaxalign.pictures import kept, label
from jaxalign.study.judge.comparison import ComparedTest, Comparison
from jaxalign.study.report import pictures
from jaxalign.study.report.pictures import IntervalRow
from jaxalign.study.report.tables import with_interval

_FIELDS = 'mean', 'low', 'high', 'n', 'sd', 'd_z', 'p', 'p_t', 'floor', 'better', 'tost'


def write(found: Comparison, path: epath.Path) -> None:
  if kit.drawable(path.name):
    kept(lambda: _page(found), path)


def _page(found):
  arms = [(one.arm, one.run, one.tokens, one.steps) for one in found.arms]
  tests = [
    (test, functools.partial(pictures.intervals, list(shown(test, found.against))), _numbers(test))
    for test in found.tests
  ]
  return kit.render('compare.html', found=found, arms=arms, tests=tests)


def shown(test: ComparedTest, against: str) -> Iterator[IntervalRow]:
  """The rows of the picture: arms, then differences."""
  for arm in test.arms:
    mean = arm.scales['margin']
    below = f'{with_interval(mean)}; rate {arm.scales["rate"].mean:.2f}'
    yield IntervalRow(label(arm.arm, 200), below, mean, seeds=mean.each or (), holds=True)
  for one in test.differences:
    numbers = one.scales['margin']
    low, high = numbers.low, numbers.high
    apart = low is not None and high is not None and not low <= 0 <= high
    floor = '' if numbers.floor is None else f', floor ±{numbers.floor:.3g}'
    apart_on = '' if one.agree else '; signs differ'
    rate = f'rate {one.scales["rate"].mean:+.2f}, p = {numbers.p:.2g}{floor}{apart_on}'
    heading, below = f'{label(one.arm, 100)} less {label(against, 90)}', with_interval(numbers)
    seeds = numbers.differences or ()
    yield IntervalRow(heading, f'{below}; {rate}', numbers, numbers.floor, seeds, holds=apart)


def _numbers(test):
  head = ('arm', 'what', 'scale', *_FIELDS, *(f'seed {seed}' for seed in test.seeds))
  rows = []
  for what, every in (('arm', test.arms), ('difference', test.differences)):
    for one in every:
      for scale, of_scale in one.scales.items():
        numbers = vars(of_scale)
        values = numbers.get('each', numbers.get('differences')) or [None] * len(test.seeds)
        name = test.number if scale == 'margin' else scale
        rows.append((one.arm, what, name, *map(numbers.get, _FIELDS), *values))
  return head, rows
