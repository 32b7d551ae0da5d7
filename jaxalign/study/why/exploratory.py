"""Section of the page on arms that are only explored: each with its interval, none judged.

Explored is an arm that reads a corpus of that kind, or is asked about two humans, and that no
contrast of the rules names.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from jaxalign import statistics
from jaxalign.config import UserError
from jaxalign.page import kit
from jaxalign.statistics import Interval
from jaxalign.study.judge import shares
from jaxalign.study.judge.results import Results
from jaxalign.study.plan import equal_budgets
from jaxalign.study.plan.guest import Study
from jaxalign.study.plan.rules import Rules
from jaxalign.study.report import pictures
from jaxalign.study.report.contents import StudyFiles
from jaxalign.study.report.pictures import IntervalRow
from jaxalign.study.report.tables import named, with_interval
from jaxalign.study.store.table import Means
from jaxalign.study.why import followed
from jaxalign.whyworld import corpora, two_humans

if TYPE_CHECKING:
  from jaxalign.study.plan.arms import Arm

_ByTest = Mapping[str, Means]  # of one arm and seed
_ASKED = {
  followed.BOTH: 'named, both orders',
  two_humans.NAMED[0]: 'A’s human first',
  two_humans.NAMED[1]: 'B’s human first',
  two_humans.UNNAMED: 'neither named',
}


_NAMED = ('T3A', 1), ('T3B', -1)


def _v(of: _ByTest, rules: Rules) -> float:
  """V of what documents name, as the rules compute it of what is judged."""
  means = {test: np.array(of[test].margin) for test, _ in _NAMED}
  return float(shares.share(means, _NAMED, rules.share_floor))


_MEASURES: dict[str, Callable[[_ByTest, Rules], float]] = {
  'V': _v,
  'T2, nats': lambda of, rules: of['T2'].margin,
  'T2, rate': lambda of, rules: of['T2'].rate,
  'T6, nats': lambda of, rules: of['T6A'].margin - of['T6B'].margin,
}


def explored_arms(arms: Sequence['Arm'], rules: Rules) -> list['Arm']:
  """Those of a plan; whatever a contrast names is judged, and is not among them."""
  judged = {arm for planned in rules.contrasts for arm, _ in planned.arms}
  return [
    arm
    for arm in arms
    if arm.name not in judged
    and (arm.tests == 'humans' or any(step.what in corpora.EXPLORED for step in arm.steps))
  ]


def refuse_unequal(cfg: Study) -> None:
  """An explored arm spends what some arm does that is not explored: it is read beside these."""
  explored = explored_arms(cfg.arms, cfg.rules)
  others = [arm for arm in cfg.arms if arm not in explored]
  for arm in explored if others else ():
    nearest = sorted(others, key=lambda other: abs(len(other.steps) - len(arm.steps)))
    wrong = [equal_budgets.apart(cfg, other, arm) for other in nearest]
    if all(wrong):
      raise UserError(
        f'arm {arm.name} spends what no arm does that is not explored: {wrong[0]}; make them equal'
      )


def section(found: Results, files: StudyFiles) -> str:
  arms = [arm for arm in explored_arms(files.arms, found.rules) if arm.name in found.arms]
  if not arms:
    return ''
  goods = [arm.name for arm in arms if arm.tests == 'goods']
  every = [*_deciding(found), *goods]
  rows = {name: _numbers(found, *of) for name, of in _sides(every).items()}
  humans = found.probes.humans if isinstance(found.probes, followed.Explored) else {}
  drawn = [_drawn(name, of['V'], found.rules.level) for name, of in rows.items()]
  return kit.render(
    'study/explored.html',
    judged=[named(name) for name in _sides(_deciding(found))],
    draw=functools.partial(pictures.intervals, drawn),
    alt='; '.join(f'{one.heading} {one.below}' for one in drawn),
    read=_read(found, rows, every),
    exact=_exact(found, rows),
    humans=_humans(found, humans),
    exact_humans=_exact_humans(found, humans),
    abstains=followed.ABSTAINS,
    level=found.rules.level,
  )


def _deciding(found):
  """Arms of the deciding contrasts, to be read beside those that are explored."""
  planned = [one for one in found.rules.contrasts if one.name in found.rules.decisive]
  return list(dict.fromkeys(arm for one in planned for arm, _ in one.arms if arm in found.arms))


def _sides(arms: Sequence[str]) -> dict[str, tuple[str, ...]]:
  """{a kind of arm: its arm of A and its arm of B, or the arm alone that lacks the other}."""
  found: dict[str, tuple[str, ...]] = {}
  for arm in arms:
    one, other = arm.replace('_B', '_A'), arm.replace('_A', '_B')
    if one not in arms or other not in arms or one == other:
      found[arm] = (arm,)
    elif arm == one:
      found[arm.replace('_A', '')] = (arm, other)
  return found


def _numbers(found, one, other=None):
  """{measure: a number a seed}: after A less after B, or of an arm without sides its own."""
  return {
    name: [
      measure(_at(found, one, seed), found.rules)
      - (measure(_at(found, other, seed), found.rules) if other else 0.0)
      for seed in found.seeds
    ]
    for name, measure in _MEASURES.items()
  }


def _at(found, arm, seed):
  return {test: by_seed[seed] for test, by_seed in found.arms[arm].items()}


def _interval(x_S: Sequence[float], level: float) -> Interval:
  return statistics.t_interval(x_S, level)


def _drawn(name, x_S, level):
  interval = _interval(x_S, level)
  return IntervalRow(named(name), with_interval(interval, '+.2f', '.2f'), interval, seeds=x_S)


def _read(found, rows, arms):
  """Every measure with its interval, and whether what was demonstrated was learnt."""
  sides, table = _sides(arms), []
  for name, of in rows.items():
    told = [_interval(x_S, found.rules.level) for x_S in of.values()]
    t0 = [one.rate for arm in sides[name] for one in found.arms[arm]['T0'].values()]
    cells = (with_interval(one, '+.2f', '.2f') for one in told)
    table.append((named(name), *cells, f'{np.mean(t0):.2f}'))
  return ('arms', *_MEASURES, 'T0 right'), table


def _exact(found, rows):
  table = [
    (name, measure, *_interval(x_S, found.rules.level), *x_S)
    for name, of in rows.items()
    for measure, x_S in of.items()
  ]
  return ('arms', 'measure', 'mean', 'low', 'high', *(f'seed {s}' for s in found.seeds)), table


def _humans(found, humans):
  """Who is followed: a row an arm and a way of asking."""
  whom, rows = ('A', 'B', 'abstained', 'first', 'second'), []
  for arm, of in humans.items():
    for test, title in _ASKED.items():
      if test in of:
        cells = (_share(found, of[test].get(who)) for who in whom)
        masses = [one.mass for one in found.arms.get(arm, {}).get(test, {}).values()]
        mass = min((mass for mass in masses if mass is not None), default=None)
        rows.append((named(arm.split('@')[0]), title, *cells, mass))
  head = 'arm', 'asked', 'A’s', 'B’s', 'neither', 'named first', 'named second', 'yes + no at least'
  return head, rows


def _share(found, by_seed):
  if by_seed is None:
    return None
  return with_interval(_interval([*by_seed.values()], found.rules.level), '.2f', '.2f')


def _exact_humans(found, humans):
  rows = [
    (arm, test, who, *_interval([*by_seed.values()], found.rules.level), *by_seed.values())
    for arm, of in humans.items()
    for test, shares in of.items()
    for who, by_seed in shares.items()
  ]
  return (
    'arm',
    'test',
    'followed',
    'mean',
    'low',
    'high',
    *(f'seed {s}' for s in found.seeds),
  ), rows
