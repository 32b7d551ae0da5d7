"""Any two or more finished arms, item by item: `jaxalign compare RUN_A RUN_B ...`.

A run is a directory with outcomes.jsonl (lines as store/rows.py has them, of one arm or several)
and about.json (store/about.py). DIR:ARM takes one arm.

The first arm is what the others are held against, each by the contrast that a study would judge of
the two. The seed is the unit. Of one seed only, the items are, and the table says so: that interval
knows nothing of another training run.
"""

import collections
import dataclasses
import json
from collections.abc import Callable, Sequence

import numpy as np
from etils import epath

from jaxalign import files, statistics
from jaxalign.config import UserError
from jaxalign.proportions import wilson
from jaxalign.study.judge import compare_text, contrasts, results_file
from jaxalign.study.judge.comparison import (
  ArmOfTest,
  ComparedArm,
  ComparedTest,
  Comparison,
  Difference,
  Mean,
)
from jaxalign.study.plan.rules import PRIMARY_SCALES, Planned, Rules
from jaxalign.study.store import about
from jaxalign.study.store import rows as store
from jaxalign.study.store.table import table

_OUTCOMES = 'outcomes.jsonl'
_RULES = Rules()  # the smallest effects of interest, as in a study
_NAMED = 3  # arms, in an error about all
# What margins of these units are called: beside a rate that a suite measured stands that of what is
# right.
_NUMBERS = {'nats': 'log-odds', 'nats a token': 'log-odds', 'rate': 'measured'}


@dataclasses.dataclass(frozen=True, kw_only=True)
class _FinishedArm:
  label: str  # the arm's name, and its run's where two have one name
  run: str
  about: about.About
  rows: list[store.Row]

  @property
  def seeds(self):
    return {row.seed for row in self.rows}

  def base(self, seed):
    base = self.about.base_of(seed)
    if not base:
      raise UserError(f'{self.run}/{about.FILE} does not say the base of seed {seed}: add it')
    return base


def compare(
  runs: Sequence[str],
  workdir: str | None = None,
  page: Callable[[Comparison, epath.Path], None] | None = None,
) -> str:
  """The text table. compare.json goes to workdir, and what page(found, path) draws beside it."""
  arms = [arm for run in runs for arm in _load(run)]
  if len(arms) < 2:
    raise UserError('compare needs two finished arms or more: jaxalign compare RUN_A RUN_B, or DIR')
  found = _compared(_named(arms))
  if workdir:
    path = epath.Path(workdir)
    written = json.dumps(results_file.as_json(found), indent=2, allow_nan=False)
    files.write_text(f'{written}\n', path / 'compare.json')
    if page:
      page(found, path / 'compare.html')
  return compare_text.text(found)


def _load(run):
  """The arms of DIR, or the one of DIR:ARM."""
  directory, _, name = str(run).rpartition(':')
  if not directory or '/' in name:  # gs://bucket/run has a colon too
    directory, name = str(run), ''
  path = files.place(directory)
  if not (path / _OUTCOMES).exists():
    raise UserError(f'{directory} holds no {_OUTCOMES}: give a run that is finished, or DIR:ARM')
  said = about.read(path)
  by_arm = collections.defaultdict(list)
  for row in store.read(path / _OUTCOMES):
    by_arm[row.arm].append(row)
  if name and name not in by_arm:
    raise UserError(f'{directory} has no arm {name}: it has {", ".join(by_arm)}')
  return [
    _FinishedArm(label=arm, run=directory, about=said, rows=rows)
    for arm, rows in by_arm.items()
    if name in ('', arm)
  ]


def _named(arms):
  """Labels that tell every arm from the others, since its rows go by them."""
  count = collections.Counter(arm.label for arm in arms)
  labels = [arm.label if count[arm.label] == 1 else f'{arm.run}:{arm.label}' for arm in arms]
  for label in labels:
    if labels.count(label) > 1:
      raise UserError(f'{label} is given twice: compare it with another')
  return [dataclasses.replace(arm, label=label) for arm, label in zip(arms, labels)]


def _compared(arms):
  first = arms[0]
  seeds = sorted(set.intersection(*(arm.seeds for arm in arms)))
  if not seeds:
    raise UserError(f'{_few(arms)} have no seed in common: run one')
  left_out = sorted(set.union(*(arm.seeds for arm in arms)) - set(seeds))
  for arm in arms[1:]:
    _refuse_others(first, arm, seeds)
  rows = [row for arm in arms for row in _numbered(arm, seeds)]
  tests = list(dict.fromkeys((row.test, row.after) for row in rows))
  there = {(row.arm, row.test, row.after) for row in rows}
  shared = [test for test in tests if all((arm.label, *test) in there for arm in arms)]
  if not shared:
    raise UserError(f'{_few(arms)} have no test in common: measure one')
  _refuse_other_prompts(rows, shared, seeds, arms)
  labels = [arm.label for arm in arms]
  seeds_of = {after: {r.seed for r in rows if r.after == after} for _, after in shared}
  tables = (table(rows, test, labels, seeds_of[after], after) for test, after in shared)
  lacking = [' after '.join(test) for test in tests if test not in shared]
  out = dict(seeds_left_out=tuple(left_out), tests_left_out=tuple(lacking))
  about, found = (tuple(map(_told, arms)), tuple(map(_of_test, tables)))
  return Comparison(against=first.label, arms=about, seeds=tuple(seeds), **out, tests=found)


def _few(arms):
  """The labels of these arms; of many the first and how many more."""
  labels = [arm.label for arm in arms]
  more = len(labels) - _NAMED
  return f'{", ".join(labels[:_NAMED])} and {more} more' if more > 0 else ' and '.join(labels)


def _told(arm):
  tokens, steps = (of(arm.rows[0].arm) for of in (arm.about.tokens_of, arm.about.steps_of))
  return ComparedArm(arm=arm.label, run=arm.run, tokens=tokens, steps=steps)


def _refuse_others(first, arm, seeds):
  for seed in seeds:
    if first.base(seed) != arm.base(seed):
      raise UserError(
        f'{first.label} and {arm.label} grew from other base weights on seed {seed}: compare arms '
        'of one base'
      )
  for test in sorted({*first.about.items, *arm.about.items}):
    if any(first.about.items_of(test, seed) != arm.about.items_of(test, seed) for seed in seeds):
      raise UserError(
        f'{first.label} and {arm.label} were asked other items in {test}: measure both on the same'
      )


def _numbered(arm, seeds):
  """The rows with their item's number taken from the order of prompt hashes, whatever it was."""
  rows = sorted((r for r in arm.rows if r.seed in seeds), key=lambda r: (r.prompt, r.item))
  count = collections.Counter()
  for row in rows:
    key = row.test, row.after, row.seed
    yield dataclasses.replace(row, arm=arm.label, item=count[key])
    count[key] += 1


def _refuse_other_prompts(rows, tests, seeds, arms):
  prompts = collections.defaultdict(collections.Counter)
  for row in rows:
    prompts[row.test, row.after, row.seed, row.arm][row.prompt] += 1
  first = arms[0].label
  for test, after in tests:
    for seed in seeds:
      for arm in arms[1:]:
        ours, others = (prompts[test, after, seed, label] for label in (first, arm.label))
        if ours != others:
          missing, more = (ours - others).total(), (others - ours).total()
          raise UserError(
            f'{test} after {after}, seed {seed}: of {ours.total()} prompts of {first}, {arm.label} '
            f'lacks {missing} and has {more} others: measure both on the same'
          )


def _of_test(seen):
  arms = [
    ArmOfTest(arm=arm, scales={scale: _alone(seen, a, scale) for scale in PRIMARY_SCALES})
    for a, arm in enumerate(seen.arms)
  ]
  clusters = max(len(set(label_N)) for label_N in seen.cluster_SN)
  about = dict(test=seen.test, after=seen.after, items=len(seen.items), clusters=clusters)
  differences = tuple(_difference(seen, arm) for arm in seen.arms[1:])
  unit = 'seed' if len(seen.seeds) > 1 else 'item'
  return ComparedTest(
    **about,
    unit=unit,
    number=_NUMBERS.get(seen.unit, seen.unit),
    seeds=seen.seeds,
    arms=tuple(arms),
    differences=differences,
  )


def _alone(seen, a, scale):
  """An arm's mean with its interval: over seeds by t, of one seed over items, a rate by Wilson."""
  x_SN = seen.on(scale)[a]
  if len(x_SN) > 1:
    each_S = x_SN.mean(-1)
    return Mean(**statistics.t_interval(each_S)._asdict(), each=tuple(map(float, each_S)))
  mean, low, high = statistics.t_interval(x_SN[0])
  if scale == 'rate':
    low, high = wilson(float(np.sum(x_SN)), x_SN.size)
  return Mean(mean=mean, low=low, high=high, each=None)  # of items there may be thousands


def _difference(seen, arm):
  """An arm less the first one, as the contrast of both."""
  first = seen.arms[0]
  planned = Planned(name=arm, what='', arms=((arm, 1), (first, -1)), tests=((seen.test, 1),))
  one = contrasts.of_tables(planned, [seen.of(arm, first)], _RULES, of_items=len(seen.seeds) == 1)
  return Difference(arm=arm, scales=one.scales, agree=one.agree)
