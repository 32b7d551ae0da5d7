"""Any two or more finished arms, item by item: `jaxalign compare RUN_A RUN_B ...`.

A run is a directory with outcomes.jsonl (lines as store/rows.py has them, of one arm or several)
and about.json: base (sha256 of the base weights), items ({test: sha256 of the item set}), and, to
be shown, tokens and steps. base and what items holds may be {seed: ..}, tokens and steps {arm: ..}.
DIR:ARM takes one arm.

The first arm is what the others are held against. The seed is the unit. Of one seed only, the
items are, and the table says so: that interval knows nothing of another training run.
"""

import collections
import dataclasses
import json

import numpy as np
from etils import epath

from jaxalign import files, statistics
from jaxalign.config import UserError
from jaxalign.files import read_json
from jaxalign.rl.calibration import wilson
from jaxalign.study.judge import compare_text
from jaxalign.study.judge.rules import Rules
from jaxalign.study.store import rows as store
from jaxalign.study.store.table import table

_OUTCOMES, _ABOUT = 'outcomes.jsonl', 'about.json'
SCALES = 'margin', 'rate'
_RULES = Rules()  # the smallest effects of interest, as in a study


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arm:
  label: str  # the arm's name, and its run's where two have one name
  about: dict
  rows: list[store.Row]

  @property
  def seeds(self):
    return {row.seed for row in self.rows}

  def told(self, field):
    """What about.json says of tokens or steps: a number, or one for each arm."""
    value = self.about.get(field)
    return value.get(self.rows[0].arm) if isinstance(value, dict) else value

  def base(self, seed):
    base = self.about['base']
    base = base.get(str(seed)) if isinstance(base, dict) else base
    if not base:
      raise UserError(f'{self.about["run"]}/{_ABOUT} does not say the base of seed {seed}: add it')
    return base


def compare(runs, workdir=None, page=None):
  """The text table. compare.json goes to workdir, and what page(found, path) draws beside it."""
  arms = [arm for run in runs for arm in load(run)]
  if len(arms) < 2:
    raise UserError('compare needs two finished arms or more: jaxalign compare RUN_A RUN_B, or DIR')
  found = compared(named(arms))
  if workdir:
    path = epath.Path(workdir)
    files.write_text(json.dumps(found, indent=2, allow_nan=False) + '\n', path / 'compare.json')
    if page:
      page(found, path / 'compare.html')
  return compare_text.text(found)


def load(run):
  """The arms of DIR, or the one of DIR:ARM."""
  directory, _, name = str(run).rpartition(':')
  if not directory or '/' in name:  # gs://bucket/run has a colon too
    directory, name = str(run), ''
  path = files.place(directory)
  if not (path / _OUTCOMES).exists():
    raise UserError(f'{directory} holds no {_OUTCOMES}: give a run that is finished, or DIR:ARM')
  about = read_json(path / _ABOUT, 'run its study again')
  if not isinstance(about, dict) or not {'base', 'items'} <= about.keys():
    raise UserError(f'{path / _ABOUT} does not say base and items: it was not written by a study')
  by_arm = collections.defaultdict(list)
  for row in store.read(path / _OUTCOMES):
    by_arm[row.arm].append(row)
  if name and name not in by_arm:
    raise UserError(f'{directory} has no arm {name}: it has {", ".join(by_arm)}')
  return [
    Arm(label=arm, about=about | dict(run=directory), rows=rows)
    for arm, rows in by_arm.items()
    if name in ('', arm)
  ]


def named(arms):
  """Labels that tell every arm from the others, since its rows go by them."""
  count = collections.Counter(arm.label for arm in arms)
  labels = [a.label if count[a.label] == 1 else f'{a.about["run"]}:{a.label}' for a in arms]
  for label in labels:
    if labels.count(label) > 1:
      raise UserError(f'{label} is given twice: compare it with another')
  return [dataclasses.replace(arm, label=label) for arm, label in zip(arms, labels)]


def compared(arms):
  """Everything the table, the JSON and the page show."""
  first = arms[0]
  seeds = sorted(set.intersection(*(arm.seeds for arm in arms)))
  if not seeds:
    raise UserError(f'{both(arms)} have no seed in common: run one')
  left_out = sorted(set.union(*(arm.seeds for arm in arms)) - set(seeds))
  for arm in arms[1:]:
    _refuse_others(first, arm, seeds)
  rows = [row for arm in arms for row in numbered(arm, seeds)]
  tests = list(dict.fromkeys((row.test, row.after) for row in rows))
  there = {(row.arm, row.test, row.after) for row in rows}
  shared = [test for test in tests if all((arm.label, *test) in there for arm in arms)]
  if not shared:
    raise UserError(
      f'{" and ".join(arm.label for arm in arms)} have no test in common: measure one'
    )
  _refuse_other_prompts(rows, shared, seeds, arms)
  labels = [arm.label for arm in arms]
  seeds_of = {after: {r.seed for r in rows if r.after == after} for _, after in shared}
  about = [
    dict(arm=arm.label, run=arm.about['run'], tokens=arm.told('tokens'), steps=arm.told('steps'))
    for arm in arms
  ]
  return dict(
    against=first.label, arms=about, seeds=seeds, seeds_left_out=left_out,
    tests_left_out=[' after '.join(test) for test in tests if test not in shared],
    tests=[of_test(table(rows, test, labels, seeds_of[after], after)) for test, after in shared],
  )  # fmt: skip


def both(arms):
  return ' and '.join(arm.label for arm in arms)


def _refuse_others(first, arm, seeds):
  for seed in seeds:
    if first.base(seed) != arm.base(seed):
      raise UserError(
        f'{first.label} and {arm.label} grew from other base weights on seed {seed}: compare arms '
        'of one base'
      )
  ours, others = first.about['items'], arm.about['items']
  for test in sorted(ours.keys() | others.keys()):
    for seed in seeds:
      if of_seed(ours.get(test), seed) != of_seed(others.get(test), seed):
        raise UserError(
          f'{first.label} and {arm.label} were asked other items in {test}: measure both on the '
          'same'
        )


def of_seed(value, seed):
  return value.get(str(seed)) if isinstance(value, dict) else value


def numbered(arm, seeds):
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


def of_test(seen):
  clusters = max(len(set(label_N)) for label_N in seen.cluster_SN)
  unit = 'seed' if len(seen.seeds) > 1 else 'item'
  per_unit = {scale: _units(seen.on(scale)) for scale in SCALES}
  return dict(
    test=seen.test, after=seen.after, items=len(seen.items), clusters=clusters, unit=unit,
    seeds=list(seen.seeds),
    arms=[
      dict(arm=arm, **{scale: alone(per_unit[scale][a], scale, unit) for scale in SCALES})
      for a, arm in enumerate(seen.arms)
    ],
    differences=[
      dict(arm=arm, **difference(seen, per_unit, a))
      for a, arm in enumerate(seen.arms)
      if a
    ],
  )  # fmt: skip


def _units(x_ASN):
  """[A, units]: the seeds' means, or the items of the only seed."""
  return x_ASN.mean(-1) if x_ASN.shape[1] > 1 else x_ASN[:, 0]


def alone(x_U, scale, unit):
  """An arm's mean with its interval: over seeds by t, a single rate by Wilson."""
  mean, low, high = statistics.t_interval(x_U)
  if (scale, unit) == ('rate', 'item'):
    low, high = wilson(float(np.sum(x_U)), len(x_U))
  each = list(map(float, x_U)) if unit == 'seed' else None  # of items there may be thousands
  return dict(mean=mean, low=low, high=high, each=each)


def difference(seen, per_unit, a):
  """Of an arm from the first one, on the scales of a study, and whether their signs agree: else a
  bound of the rate, not the arms, may have made it."""
  found = {scale: beside(seen, per_unit[scale], scale, a) for scale in SCALES}
  if len(seen.seeds) > 1:
    on = statistics.on_scales(seen.right_ASN.mean(-1), len(seen.items))
    for scale in ('logit', 'arcsine'):
      found[scale] = dataclasses.asdict(statistics.paired(on[scale][a] - on[scale][0]))
      found[scale]['differences'] = found[scale].pop('seeds')
  signs = {np.sign(one['mean']) for one in found.values()}
  return found | dict(agree=len(signs) == 1 and 0 not in signs)


def beside(seen, x_AU, scale, a):
  one = dataclasses.asdict(statistics.paired(x_AU[a] - x_AU[0]))
  each = one.pop('seeds')
  x_ASN = seen.on(scale)
  drawn = statistics.bootstrap(seen.cells(x_ASN[a] - x_ASN[0]))
  one['bootstrap'] = drawn._asdict()
  one['tost'] = statistics.tost(x_AU[a] - x_AU[0], _RULES.sesoi_of(scale))
  one['differences'] = each if len(seen.seeds) > 1 else None
  return one
