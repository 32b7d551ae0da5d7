"""What arms declare is all in which they may differ: a contrast is of texts, not of budgets.

Two arms that a contrast sets against each other take the same recipes but for what these read, in
any order. A contrast whose arms spend unequal budgets on purpose says so: `unequal`.
"""

from typing import Any

from jaxalign.config import UserError
from jaxalign.sealing import diff, tree
from jaxalign.study.plan.arms import Arm
from jaxalign.study.plan.guest import Study

_READ = ('train', 'class')  # of a stage: what may be another's, its texts and how they are read


def check(cfg: Study) -> None:
  arms = {arm.name: arm for arm in cfg.arms}
  for planned in cfg.rules.contrasts:
    there = [arms[name] for name, _ in planned.arms if name in arms]
    for arm in () if planned.unequal else there[1:]:
      wrong = apart(cfg, there[0], arm)
      if wrong:
        raise UserError(
          f'contrast {planned.name}: {there[0].name} and {arm.name} differ in more than their '
          f'texts: {wrong}; make them equal, or declare it (unequal=True)'
        )


def apart(cfg: Study, one: Arm, other: Arm) -> str:
  """The first number in which the budgets of two arms differ, in words, or ''."""
  return _apart(_spent(cfg, one), _spent(cfg, other))


def _spent(cfg: Study, arm: Arm) -> list[tuple[str, dict[str, Any]]]:
  """What an arm spends, without what it reads: [(recipe, numbers)], in an order of the numbers."""
  found = []
  for step in arm.steps:
    numbers = tree(cfg.stage_of(step))
    found.append((step.recipe, {k: v for k, v in numbers.items() if k not in _READ}))
  return sorted(found, key=lambda one: str(one[1]))


def _apart(ours: list[tuple[str, dict[str, Any]]], theirs: list[tuple[str, dict[str, Any]]]) -> str:
  """The first difference in words, or ''."""
  if len(ours) != len(theirs):
    return f'{len(ours)} and {len(theirs)} steps'
  left = list(theirs)
  for name, numbers in ours:
    same = next((one for one in left if one[1] == numbers), None)
    if same is None:
      other, nearest = min(left, key=lambda one: len(diff(numbers, one[1])))
      field, a, b = diff(numbers, nearest)[0]
      return f'{field} is {a} in {name} and {b} in {other}'
    left.remove(same)
  return ''
