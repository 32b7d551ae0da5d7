"""The page of a study: report.html, one file without script or address, from results.json.

A section is a function of (found, beside) that gives its HTML, or '' where it has nothing to show:
found is results.json, beside what lies next to it. The page is SECTIONS in their order.
"""

import shlex

import numpy as np
from absl import logging

from jaxalign.config import write_text
from jaxalign.study import lessons, pages
from jaxalign.study import report_pictures as pictures
from jaxalign.study.pages import Failed, text
from jaxalign.study.report_tables import (
  costs,
  estimates,
  gate_rows,
  harm_tests,
  margins,
  other_tests,
  sums_rows,
)

QUESTION = 'Does learning why first change what the same demonstrations teach?'
SCALE = dict(margin='log-odds margin, nats', rate='rate')
ASSUMED = (
  'Stage 0 holds consistent agents: in that world what is written of an agent does predict what it '
  'does (rho = 1). Where it does not, nothing here should show, and the negative control asks that.',
  'A closed vocabulary: a few hundred words, a grammar that was written by hand.',
  'The attributes of what is chosen stand in the prompt; nothing has to be known of the world.',
  'No claim about large models: these have some 150 thousand weights.',
)


def write(found, workdir):
  """report.html, where matplotlib is there to draw it."""
  try:
    import matplotlib  # noqa: F401
  except ImportError:
    logging.warning('report.html is not drawn: pip install jaxalign[report] has what it needs')
    return
  beside = lessons.beside(workdir, found['seeds'])
  write_text(page(found, beside), workdir / 'report.html')


def page(found, beside):
  made = [(title, section(found, beside)) for title, section in SECTIONS]
  made = [(title, content) for title, content in made if content]
  links = ''.join(f'<a href="#s{n}">{text(t)}</a>' for n, (t, _) in enumerate(made))
  parts = [verdict(found, beside), f'<nav>{links}</nav>']
  parts += [f'<h2 id="s{n}">{text(title)}</h2>{body}' for n, (title, body) in enumerate(made)]
  return pages.frame(f'ValueWorld: {found["verdict"]}', parts)


def verdict(found, beside):
  word, kind = found['verdict'], dict(SUPPORTED='yes').get(found['verdict'], 'no')
  kind = '' if word in ('UNINFORMATIVE', 'PARTIAL') else kind
  seeds = ', '.join(map(str, found['seeds']))
  note = ''
  if beside.plan.get('world', {}).get('split') == 'dev':
    note = ' <b>These are development seeds and words, on which recipes are tried: no record.</b>'
  return (
    f'<p class="soft">ValueWorld</p><h1>{QUESTION}</h1>'
    f'<div class="verdict {kind}"><b>{text(word)}</b>'
    f'<p>{text(found["sentence"].removeprefix(f"{word}: "))}</p></div>'
    f'<p class="soft">{counted(len(found["seeds"]), "seed")} ({seeds}); primary scale: '
    f'{SCALE[found["rules"]["scale"]]}; rules fixed beforehand.{note}</p>'
  )


def counted(n, word):
  return f'{n:,} {word}{"s" * (n != 1)}'


def forest(found, beside):
  return contrasts('contrasts', found['contrasts'], found, (
    'A row is a claim fixed beforehand. Grey dots: every seed. Diamond and line: their mean and its '
    f'{found["rules"]["level"]:.0%} t interval (an arrow: it goes on); filled and blue where the '
    'claim holds after Holm over all five. Black ticks beside a null: the detection floor, the '
    'effect that such seeds would find in 4 studies of 5; less than that could have been missed.'
  ))  # fmt: skip


def contrasts(name, every, found, caption):
  if not every:
    return '<p>None of the planned contrasts was measured.</p>'
  scale = found['rules']['scale']
  alt = '; '.join(f'{one["name"]} {pictures.told(one)}' for one in every)
  draw = lambda: pictures.forest(every, SCALE[scale])
  numbers = pages.numbers(name, *estimates(every))
  return pages.picture(name, draw, alt, caption) + numbers


def arms_s(found, beside):
  """Grouped by what an arm was told to value."""
  sides = dict(A='told of value A', B='told of value B')
  sides[''] = 'told of neither'
  groups = [
    (title, [(pictures.named(a), {side: m}) for a, m in margins(found, 'T2') if side_of(a) == side])
    for side, title in sides.items()
  ]
  groups = [(title, rows) for title, rows in groups if rows]
  if not groups:
    return ''
  draw = lambda: pictures.dots(groups, 'T2: log-odds margin towards A over B, nats')
  caption = (
    'Held-out choices in new words between what value A likes and what value B likes. Right of 0: '
    'chooses as A would. A dot is a seed (at the same height in every row), a bar the mean. All '
    'arms of a seed read the same demonstrations, which fit both values.'
  )
  alt = 'Margins on T2 of every arm and seed'
  steer = steering(found)
  return (
    pages.picture('arms', draw, alt, caption)
    + pages.numbers('arms', *of_seeds(found, [(a, 'T2') for a, _ in margins(found, 'T2')]))
    + (f'<h3>Steering: margin after A less margin after B, nats</h3>{steer}' if steer else '')
  )


def side_of(arm):
  return next((letter for letter in 'AB' if f'_{letter}' in arm), '')


def steering(found):
  """Of every kind of arm that has two sides: what both differ by, seed by seed."""
  each = dict(margins(found, 'T2'))
  rows = []
  for arm in each:
    other = arm.replace('_A', '_B')
    if side_of(arm) == 'A' and other in each:
      d_S = np.subtract(each[arm], each[other]).tolist()
      rows.append((pictures.named(arm.replace('_A', '')), float(np.mean(d_S)), *d_S))
  head = ('documents', 'mean', *(f'seed {s}' for s in found['seeds']))
  return pages.table(head, rows) + f'<p>{pages.download("steering", head, rows)}</p>' * bool(rows)


def arms_h(found, beside):
  harm, benign = dict(margins(found, 'harm')), dict(margins(found, 'benign'))
  arms = [arm for arm in harm if arm in benign]
  if not arms:
    return ''
  both = [('', [(pictures.named(a), dict(harm=harm[a], benign=benign[a])) for a in arms])]
  rate = {test: dict(margins(found, test, 'rate')) for test in ('harm', 'benign')}
  d = [np.subtract(rate['harm'][a], rate['benign'][a]).tolist() for a in arms]
  apart = [('', [(pictures.named(a), dict(d=d_S)) for a, d_S in zip(arms, d)])]
  draw = lambda: pictures.dots(both, 'log-odds of refusing, nats')
  draw_d = lambda: pictures.dots(apart, 'sensitivity d', (-0.05, 1.05) if np.min(d) >= 0 else None)
  said = (
    'Requests whose harm no text about the target names, and benign ones. Right of 0: refuses. A '
    'dot is a seed, a bar the mean.'
  )
  shown_d = (
    'Sensitivity d: share of harms refused less share of benign requests refused. To refuse '
    'everything and to refuse nothing are both 0.'
  )
  return (
    pages.picture('harm', draw, 'Log-odds of refusing harm and benign requests', said)
    + pages.picture('sensitivity', draw_d, 'Sensitivity d of every arm and seed', shown_d)
    + pages.numbers('harm', *of_seeds(found, [(a, t) for a in arms for t in ('harm', 'benign')]))
  )


def of_seeds(found, cells):
  """Every number of every seed."""
  head = ('arm', 'test', 'seed', 'margin', 'rate', 'yes', 'mass', 'loss')
  rows = [
    (arm, test, seed, *(one[field] for field in head[3:]))
    for arm, test in cells
    for seed, one in found['arms'][arm][test].items()
  ]
  return head, rows


def gates(found, beside):
  head, rows = gate_rows(found['gates'], found['seeds'])
  marked = [[Failed(pages.shown(x)) if bad else x for x, bad in row] for row in rows]
  plain = [[x for x, _ in row] for row in rows]
  return (
    '<p>Whether the instrument works at all, seed by seed. A seed that misses the bar is marked ✗; '
    f'each gate needs {found["rules"]["needed_share"]:.1%} of the seeds, else the study cannot '
    f'tell.</p>{pages.table(head, marked)}<p>{pages.download("gates", head, plain)}</p>'
  )


TESTS = dict(goods='S', harm='H')
RECIPES = dict(base='base, from chance', documents='documents', align='demonstrations')


def curves(found, beside):
  panels, rows = {}, []
  for (tests, recipe), lines in beside.curves.items():
    title = f'{TESTS[tests]}: {RECIPES[recipe]}' if tests else RECIPES[recipe]
    panels[title] = {name: whole(by_seed) for name, by_seed in lines.items()}
    for name, by_seed in lines.items():
      for seed, (steps, losses) in by_seed.items():
        rows += [(title, name, seed, step, loss) for step, loss in zip(steps, losses)]
  if not panels:
    return ''
  head = ('lesson', 'arm so far', 'seed', 'step', 'loss')
  ends = [
    (title, name, len(loss_SN), *(float(np.mean([x[n] for x in loss_SN])) for n in (0, -1)))
    for title, lines in panels.items()
    for name, (_, loss_SN) in lines.items()
  ]
  draw = lambda: pictures.curves(panels, 'loss, nats')
  caption = (
    'Training loss of every lesson, averaged over seeds (of the base: a line a seed) and over parts '
    'of the steps. Batches are mostly background replay in every arm, so the lines lie close.'
  )
  table = pages.table(('lesson', 'arm so far', 'seeds', 'first part', 'last part'), ends)
  return (
    pages.picture('curves', draw, 'Training loss against step', caption)
    + f'<details><summary>The numbers as a table</summary>{table}</details>'
    + f'<p>{pages.download("curves", head, rows)}</p>'
  )


def whole(by_seed):
  """The steps of the first seed, and the losses of all that have the same."""
  steps, _ = next(iter(by_seed.values()))
  return steps, [losses for of, losses in by_seed.values() if of == steps]


def others(found, beside):
  parts = []
  goods, harm = other_tests(found), harm_tests(found)
  if goods[1]:
    parts.append(
      '<h3>S: margin towards A in nats (rate of choosing as A would)</h3>' + pages.table(*goods)
      + '<p class="soft">T0 as the demonstrations, where right is right; T1 their words in new '
      'domains; T3A, T3B only one value at stake (towards that value); T4 what follows from the '
      'attributes; T5 with a wrapper around the question. Means over seeds.</p>'
    )  # fmt: skip
  if harm[1]:
    parts.append(
      '<h3>H: sensitivity d on held-out harms, plain and under pressure</h3>' + pages.table(*harm)
      + '<p class="soft">prefill: the answer already begins with yes. Means over seeds; benign '
      'refusal is the last column.</p>'
    )  # fmt: skip
  if not parts:
    return ''
  every = [(a, t) for a, tests in found['arms'].items() for t in tests]
  return ''.join(parts) + f'<p>{pages.download("tests", *of_seeds(found, every))}</p>'


def control(found, beside):
  if found['control'] is None:
    return (
      '<p>It was not run: worlds in which documents say nothing about conduct (rho = 0), where '
      'every effect must vanish. <code>configs/study_valueworld.py:full</code> runs it.</p>'
    )
  return contrasts('control', found['control'], found, (
    f'The same contrasts in {counted(len(found["control_seeds"]), "world")} where documents say '
    'nothing about conduct (rho = 0). Nothing should show. Signs as above.'
  ))  # fmt: skip


def held_equal(found, beside):
  parts = [
    '<p>Arms of a seed start from one base, see batches in one order, have a fresh optimizer in '
    'every lesson, read the same demonstrations byte for byte, and end with the same replay. They '
    'differ in the documents, and where the table says so in how much they read.</p>'
  ]
  if beside.about:
    parts.append(pages.table(*costs(beside.about)))
  if beside.sums:
    parts.append(
      '<details open><summary>sha256 of base and demonstrations, seed by seed</summary>'
      f'{pages.table(*sums_rows(beside))}</details>'
    )
  return ''.join(parts)


def assumed(found, beside):
  return f'<ul>{"".join(f"<li>{text(line)}</li>" for line in ASSUMED)}</ul>'


def rerun(found, beside):
  command = 'python -m jaxalign.main --config=configs/study_valueworld.py --workdir=runs/valueworld'
  for name in ('seeds', 'control_seeds'):
    if found[name]:
      value = ','.join(map(str, found[name])) + ',' * (len(found[name]) == 1)
      command += f' --config.{name}={shlex.quote(value)}'
  if split := beside.plan.get('world', {}).get('split'):
    command += f' --config.world.split={shlex.quote(split)}'
  return (
    f'<pre>{text(command)}</pre><p>In the same directory it makes only what is missing: judging and '
    'drawing again trains nothing. The plan with every number is plan.json, the answer to every '
    'question outcomes.jsonl, and all that stands here results.json, beside this page.</p>'
    f'<p>Wall-clock: {clock(found["seconds"])} ({pages.shown(found["seconds"])} seconds).</p>'
  )


def clock(seconds):
  minutes, rest = divmod(round(seconds), 60)
  return f'{minutes} min {rest} s' if minutes else f'{rest} s'


SECTIONS = (
  ('The five contrasts', forest),
  ('Experiment S: what each arm chooses', arms_s),
  ('Experiment H: what each arm refuses', arms_h),
  ('Gates', gates),
  ('Training', curves),
  ('Other tests', others),
  ('Negative control', control),
  ('What was held equal', held_equal),
  ('What is assumed', assumed),
  ('How to run it again', rerun),
)
