"""Sections of the report: where the results come from, and what they rest on."""

import shlex

import numpy as np

from jaxalign.page import pages
from jaxalign.page.pages import text
from jaxalign.study.report import report_pictures as pictures
from jaxalign.study.report.report_tables import costs, side_of, sums_rows
from jaxalign.study.store.clock import said

ASSUMED = (
  'Stage 0 holds consistent agents: what is written of one predicts what it does (rho = 1).',
  'A closed vocabulary: a few hundred words, a grammar that was written by hand.',
  'The attributes of what is chosen stand in the prompt; nothing has to be known of the world.',
  'No claim about large models: these have some 150 thousand weights.',
  'Probes correlate: what can be read from a state need not be what the model acts on.',
)
EQUAL = (
  'Arms of a seed start from one base, have a fresh optimizer in every lesson, read the same '
  'demonstrations byte for byte, and end with the same replay; the order of batches hangs on the '
  'seed and the lesson alone. Arms differ in the documents, and where '
  'the table says so in how much they read.'
)
_LESSONS = (
  'Training loss of every lesson, averaged over seeds (of the base: a line a seed) and over parts '
  'of the steps.'
)
TESTS = dict(goods='S: ', harm='H: ', texts='')
_RECIPES = dict(base='base, from chance', documents='documents', align='demonstrations')


def curves(found, beside):
  panels, rows = {}, []
  for (tests, recipe), lines in beside.curves.items():
    title = f'{TESTS.get(tests, "")}{_RECIPES[recipe]}'
    panels[title] = {_called(name, recipe): line(name, recipe, of) for name, of in lines.items()}
    for name, by_seed in lines.items():
      for seed, (steps, losses) in by_seed.items():
        rows += [(title, name, seed, step, loss) for step, loss in zip(steps, losses)]
  if not panels:
    return ''
  head = ('lesson', 'arm so far', 'seed', 'step', 'loss')
  ends = [
    (title, name, len(loss_SN), *(float(np.mean([x[n] for x in loss_SN])) for n in (0, -1)))
    for title, lines in panels.items()
    for name, (*_, loss_SN) in lines.items()
  ]
  draw = lambda: pictures.curves(panels, 'loss, nats')
  caption = f'{_LESSONS} {beside.contents.curves}'
  table = pages.table(('lesson', 'arm so far', 'seeds', 'first part', 'last part'), ends)
  return (
    pages.picture('curves', draw, 'Training loss against step', caption)
    + f'<details><summary>The numbers as a table</summary>{table}</details>'
    + f'<p>{pages.download("curves", head, rows)}</p>'
  )


def _called(name, recipe):
  """A line of the curves, by what tells it from others of its panel."""
  *before, last = name.split('-')
  if recipe == 'align':
    return f'after {" → ".join(before)}' if before else 'no documents'
  return f'{last}, late' if before else last


def line(name, recipe, by_seed):
  """(kind, side, the steps of the first seed, the losses of all that have the same)."""
  side, kind = side_of(name), _called(name, recipe).replace('_A', '').replace('_B', '')
  steps, _ = next(iter(by_seed.values()))
  return kind, side, steps, [losses for of, losses in by_seed.values() if of == steps]


def held_equal(found, beside):
  parts = [f'<p>{EQUAL}</p>']
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
  full = ':full' * any(arm.get('context') for arm in beside.plan.get('arms', ()))
  flags = [f'--config=configs/study_valueworld.py{full}', '--workdir=runs/valueworld']
  for name in ('seeds', 'control_seeds'):
    if found[name]:
      value = ','.join(map(str, found[name])) + ',' * (len(found[name]) == 1)
      flags.append(f'--config.{name}={shlex.quote(value)}')
  if split := beside.plan.get('world', {}).get('split'):
    flags.append(f'--config.world.split={shlex.quote(split)}')
  command = ' \\\n  '.join(['python -m jaxalign.main', *flags])
  return (
    f'<pre>{text(command)}</pre><p>In the same directory it makes only what is missing: judging '
    'and drawing again trains nothing. The plan with every number is plan.json, the answer to '
    'every question outcomes.jsonl, and all that stands here results.json, beside this page.</p>'
    f'<p>Wall-clock: {clock(found["seconds"])}; {said(found.get("where", {}))}.</p>'
  )


def clock(seconds):
  minutes, rest = divmod(round(seconds), 60)
  return f'{minutes} min {rest} s' if minutes else f'{rest} s'
