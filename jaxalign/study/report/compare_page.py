"""The page of `jaxalign compare`: a picture for each test, of arms and of what they differ by."""

from jaxalign.page import kit
from jaxalign.pictures import kept, label
from jaxalign.study.report import report_pictures

_NAMES = dict(margin='log-odds', rate='rate', logit='logit', arcsine='arcsine')
_FIELDS = 'mean', 'low', 'high', 'n', 'sd', 'd_z', 'p', 'p_t', 'floor', 'better', 'tost'


def write(found, path):
  if kit.drawable(path.name):
    kept(lambda: _page(found), path)


def _page(found):
  arms = [(one.arm, one.run, one.tokens, one.steps) for one in found.arms]
  tests = [(test, _drawn(test, found.against), _numbers(test)) for test in found.tests]
  return kit.render('compare.html', found=found, arms=arms, tests=tests)


def _drawn(test, against):
  return lambda: report_pictures.intervals(list(shown(test, against)), 'nats')


def shown(test, against):
  """The rows of the picture: arms, then differences."""
  for one in test.arms:
    numbers = one.scales['margin']
    below = _said(numbers, f'rate {one.scales["rate"].mean:.2f}')
    drawn = dict(vars(numbers), differences=numbers.each or [], floor=None, holds=True)
    yield label(one.arm, 200), drawn, below
  for one in test.differences:
    numbers = one.scales['margin']
    apart = numbers.low is not None and (numbers.low > 0 or numbers.high < 0)
    floor = '' if numbers.floor is None else f', floor ±{numbers.floor:.3g}'
    apart_on = '' if one.agree else '; signs differ'
    below = f'rate {one.scales["rate"].mean:+.2f}, p = {numbers.p:.2g}{floor}{apart_on}'
    each = numbers.differences or []
    heading = f'{label(one.arm, 100)} less {label(against, 90)}'
    yield heading, dict(vars(numbers), differences=each, holds=apart), _said(numbers, below)


def _said(numbers, more):
  between = '' if numbers.low is None else f' [{numbers.low:.3g}, {numbers.high:.3g}]'
  return f'{numbers.mean:+.3g}{between}; {more}'


def _numbers(test):
  seeds = test.seeds
  head = ('arm', 'what', 'scale', *_FIELDS, *(f'seed {seed}' for seed in seeds))
  rows = []
  for what, every in (('arm', test.arms), ('difference', test.differences)):
    for one in every:
      for scale, name in _NAMES.items():
        if scale in one.scales:
          numbers = vars(one.scales[scale])
          values = numbers.get('each', numbers.get('differences')) or [None] * len(seeds)
          rows.append((one.arm, what, name, *map(numbers.get, _FIELDS), *values))
  return head, rows
