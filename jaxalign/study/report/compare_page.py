"""The page of `jaxalign compare`: a picture for each test, of arms and of what they differ by."""

from jaxalign.page import pages
from jaxalign.page.pages import text
from jaxalign.pictures import kept, label
from jaxalign.study.report import report_pictures

_NAMES = dict(margin='log-odds', rate='rate', logit='logit', arcsine='arcsine')
_FIELDS = 'mean', 'low', 'high', 'n', 'sd', 'd_z', 'p', 'p_t', 'floor', 'better', 'tost'


def write(found, path):
  if pages.drawable(path.name):
    kept(lambda: page(found), path)


def page(found):
  title = f'Compared with {found["against"]}'
  tests = [_of_test(n, test, found) for n, test in enumerate(found['tests'])]
  return pages.frame(title, [f'<h1>{text(title)}</h1>', _intro(found), *tests])


def _intro(found):
  seeds = ', '.join(map(str, found['seeds']))
  said = f'Arms of one base, asked the same items, paired by item and seed. Seeds: {seeds}.'
  for field, what in (('seeds_left_out', 'seeds'), ('tests_left_out', 'tests')):
    if found[field]:
      said += (
        f' Left out, since not all arms have them: {what} {", ".join(map(str, found[field]))}.'
      )
  rows = [(one['arm'], one['run'], one['tokens'], one['steps']) for one in found['arms']]
  return f'<p>{text(said)}</p>{pages.table(("arm", "run", "tokens", "steps"), rows)}'


def _of_test(number, test, found):
  title = f'{test["test"]} after {test["after"]}'
  clusters = test['clusters']
  said = f'{test["items"]:,} items in {clusters:,} cluster{"s" * (clusters != 1)}.'
  if test['unit'] == 'item':
    said += ' One seed: intervals are over its items, and know nothing of another training run.'
  head, rows = numbers(test, test['seeds'])
  caption = (
    f'Log-odds margin. Grey dots: seeds; diamond and line: mean and 95 % interval. Below, what '
    f'each arm differs by from {found["against"]}: filled where the interval leaves out 0; '
    'elsewhere upright ticks are the detection floor, what so many would find in 4 studies of 5. '
    'Signs differ: not the same on all scales, so that a bound of the rate may have made it. '
    'Nothing here is corrected for the number of tests and arms.'
  )
  draw = lambda: report_pictures.intervals(list(shown(test, found['against'])), 'nats', 0.72)
  name = f'test{number}'
  return (
    f'<h2>{text(title)}</h2><p>{said}</p>'
    + pages.picture(name, draw, f'{title}: arms and their differences', caption)
    + pages.numbers(f'{test["test"]}-{test["after"]}', head, rows)
  )


def shown(test, against):
  """The rows of the picture: arms, then differences."""
  for one in test['arms']:
    numbers = one['margin']
    below = said(numbers, f'rate {one["rate"]["mean"]:.2f}')
    each = numbers['each'] or []
    yield label(one['arm'], 200), dict(numbers, differences=each, floor=None, holds=True), below
  for one in test['differences']:
    numbers = one['margin']
    apart = numbers['low'] is not None and (numbers['low'] > 0 or numbers['high'] < 0)
    floor = '' if numbers['floor'] is None else f', floor ±{numbers["floor"]:.3g}'
    apart_on = '' if one['agree'] else '; signs differ'
    below = f'rate {one["rate"]["mean"]:+.2f}, p = {numbers["p"]:.2g}{floor}{apart_on}'
    below = said(numbers, below)
    each = numbers['differences'] or []
    yield (
      f'{label(one["arm"], 100)} less {label(against, 90)}',
      dict(numbers, differences=each, holds=apart),
      below,
    )


def said(numbers, more):
  between = '' if numbers['low'] is None else f' [{numbers["low"]:.3g}, {numbers["high"]:.3g}]'
  return f'{numbers["mean"]:+.3g}{between}; {more}'


def numbers(test, seeds):
  head = ('arm', 'what', 'scale', *_FIELDS, *(f'seed {seed}' for seed in seeds))
  rows = []
  for what, each in (('arms', 'each'), ('differences', 'differences')):
    for one in test[what]:
      for scale, name in ((s, name) for s, name in _NAMES.items() if s in one):
        values = one[scale][each] or [None] * len(seeds)
        fields = (one[scale].get(field) for field in _FIELDS)
        rows.append((one['arm'], what.removesuffix('s'), name, *fields, *values))
  return head, rows
