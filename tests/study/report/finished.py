"""A finished study in ValueWorld whose models were never trained, and readers of its page."""

import base64
import csv
import dataclasses
import html
import io
import json
import pathlib
import re

import numpy as np

from jaxalign import main, sealing
from jaxalign.study.judge.results import Results
from jaxalign.study.plan.directories import arms_of, home_of
from jaxalign.study.plan.rules import Rules
from jaxalign.study.run import conclusion
from jaxalign.study.store.rows import line
from tests.study.made_up import row

STUDY = pathlib.Path(__file__).parents[3] / 'configs' / 'study_valueworld.py'
_ITEMS = 4
_TESTS = dict(
  goods=('T0', 'T1', 'T2', 'T3A', 'T3B', 'T4', 'T5_elder', 'T5_rook'),
  harm=('H0', 'harm', 'benign', 'harm_prefill', 'benign_prefill'),
)
_GATES = 'G0', 'G0H', 'G0b', 'G0bH'


def _rows(arm, tests, seed, effect):
  random = np.random.default_rng([*f'{arm}{seed}'.encode()])
  side = dict(A=1, B=-1).get(next((x for x in 'AB' if f'_{x}' in arm), ''), 0)
  for test in tests:
    mean = dict(T=0.0, h=-0.3, b=-5.0).get(test[0], 5.0)
    if test == 'T0':
      mean = 5.0
    elif test[0] == 'T' and arm.startswith(('explain', 'shuffled')):
      mean = effect * side
    elif test[0] == 'h' and arm == 'value-align':
      mean += effect
    for item in range(_ITEMS):
      about = dict(seed=seed, arm=arm, test=test, item=item, prompt=f'{test}{item}')
      told = dict(cluster=str(item % 2), loss=0.01, mass=0.99, yes=item % 2 == 0)
      yield row(mean + random.normal(), **about, **told)


def _world(home, arms, seed, effect):
  (home / 'outcomes').mkdir(parents=True)
  for arm, asked in (dict(base=_GATES) | {arm.name: _TESTS[arm.tests] for arm in arms}).items():
    asked = (*asked, 'G1') if 'explain_' in arm else asked
    lines = map(line, _rows(arm, asked, seed, effect))
    (home / 'outcomes' / f'{arm}.jsonl').write_text(''.join(lines))
    (home / 'outcomes' / f'{arm}.json').write_text(json.dumps(dict(key=f'{arm} of {seed}')))
  (home / 'corpora').mkdir()
  sums = dict(demonstrations=f'd{seed}' * 16, refusals=f'r{seed}' * 16)
  (home / 'corpora' / 'sums.json').write_text(json.dumps(sums))
  for run in ('base', 'explain-explain_A', 'explain-explain_A.align-demonstrations'):
    (home / 'runs' / run).mkdir(parents=True)
    lines = (json.dumps(dict(step=s, loss=1 / s + seed)) + '\n' for s in range(1, 51))
    (home / 'runs' / run / 'metrics.jsonl').write_text(''.join(lines))


def study(workdir, seeds, control=(), effect=6.0):
  """(Results, the page)."""
  cfg = dataclasses.replace(
    main.load(str(STUDY)),
    seeds=tuple(seeds),
    control_seeds=tuple(control),
    rules=Rules(draws=1000),
    **dict.fromkeys(('rl_seeds', 'climbs', 'rl_arms'), ()),
  )
  cfg = sealing.seal(cfg)
  for seed in seeds:
    _world(home_of(workdir, seed), cfg.arms, seed, effect)
  for seed in control:
    _world(home_of(workdir, seed, 'rho'), arms_of(cfg, 'rho'), seed, 0.0)
  return conclusion.conclude(cfg, workdir, 83.0), (workdir / 'report.html').read_text()


def data(page, name):
  """The rows of the CSV that a link holds."""
  (held,) = re.findall(rf'download="{re.escape(name)}.csv" href="data:[^,]*,([^"]*)"', page)
  return list(csv.DictReader(io.StringIO(base64.b64decode(held).decode())))


def words(page):
  return html.unescape(re.sub(r'<[^>]+>', '\n', page))


def figures_of(monkeypatch, make):
  """({name of a picture: its figure}, what make() gives)."""
  from jaxalign.page import kit

  figures = {}

  def kept(name, draw, alt, *said):
    figures.setdefault(name, draw(*said))
    return ''

  monkeypatch.setattr(kit, 'svg', kept)
  return figures, make()


def dots(figure):
  """The x of every mark of a picture's first axes, line by line, but for floors and lines."""
  lines = figure.axes[0].lines
  return [sorted(one.get_xdata()) for one in lines if one.get_marker() not in ('None', '|')]


def results(**sections):
  """Results that hold these sections and nothing else."""
  nothing = dict(verdict='', sentence='', reasons=(), contrasts=(), control=None, gates=())
  empty = dict(rules=Rules(), arms={}, seeds=(), seconds=0.0)
  return Results(**nothing | empty | sections)
