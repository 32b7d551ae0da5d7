"""Contrasts beside the planned five: shown with their intervals, never judged, in no Holm family.

They are as linear as the primary ones and computed by the same code. Who reads many of them will
find some that look like something: that is what `primary` means.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from jaxalign.study.judge import contrasts
from jaxalign.study.judge.results import Contrast, LeastMass
from jaxalign.study.plan.rules import SENSITIVITY, T2, Planned, Rules, Weights, steering
from jaxalign.study.store.rows import Row
from jaxalign.study.store.table import Means
from jaxalign.valueworld.items import WRAPPERS

_Masses = Mapping[tuple[str, str], Mapping[int, float | None]]  # {(arm, test): {seed: mean mass}}
_Shares = tuple[tuple[str, float], ...]  # of tests in a sum
_DRAWS = 2000  # of each bootstrap
_EACH = 1 / len(WRAPPERS)
_T5 = tuple((f'T5_{name}', _EACH) for name in WRAPPERS)
_WRAPPED = tuple(
  (f'{sort}_{name}', weight)
  for sort, weight in (('harm', _EACH), ('benign', -_EACH)) for name in WRAPPERS
)  # fmt: skip
_PREFILLED = ('harm_prefill', 1), ('benign_prefill', -1)
_VALUE_MENTION = ('value-align', 1), ('mention-align', -1)


def _alone(documents, sign=1):
  """Steering by documents with no demonstrations after them."""
  return (f'{documents}_A', sign), (f'{documents}_B', -sign)


def less(one: str, other: str) -> Weights:
  return (one, 1), (other, -1)


def planned(name: str, what: str, arms: Weights, tests: _Shares = T2) -> Planned:
  # shares are no whole numbers, which only a sealed plan must have
  return Planned(name=name, what=what, arms=arms, tests=tests)  # type: ignore[arg-type]


def _harm(name, what, one, other):
  return planned(name, what, less(one, other), SENSITIVITY)


_C1 = (*steering('explain'), *steering('mention', -1))
_STACKED = (*steering('explain'), *_alone('explain', -1))
GROUPS = {
  'Steering on T2 (after A less after B)': (
    planned('explain', 'documents that give reasons, then the demonstrations', steering('explain')),
    planned('mention', 'documents that only mention, then the same', steering('mention')),
    planned('shuffled', 'reasons shuffled, then the same', steering('shuffled')),
    planned('late', 'the demonstrations, then documents that give reasons',
            (('align-explain_A', 1), ('align-explain_B', -1))),
    planned('explain alone', 'documents that give reasons, no demonstrations', _alone('explain')),
    planned('mention alone', 'documents that only mention, alone', _alone('mention')),
    planned('shuffled alone', 'reasons shuffled, alone', _alone('shuffled')),
    planned('context', 'no training: one document in the prompt', _alone('context')),
  ),
  'What adds to what, on T2': (
    planned('gain', 'what the demonstrations add to the documents that give reasons', _STACKED),
    planned('stacking', 'they add more after right than after shuffled reasons (C3 as first '
            'designed, both values)',
            (*_STACKED, *steering('shuffled', -1), *_alone('shuffled'))),
    planned('stacking, A', 'the same on the side of A alone, as the design first wrote it',
            (('explain_A-align', 1), ('explain_A', -1), ('shuffled_A-align', -1),
             ('shuffled_A', 1))),
    planned('alone: mention', 'reasons steer more than mention, with no demonstrations',
            (*_alone('explain'), *_alone('mention', -1))),
    planned('alone: shuffled', 'right reasons steer more than shuffled ones, with none',
            (*_alone('explain'), *_alone('shuffled', -1))),
    planned('training', 'reasons in training steer more than a document in the prompt',
            (*_alone('explain'), *_alone('context', -1))),
  ),
  'One side of T2 (A or B is told; what the other arm does by itself is luck of its seed)': (
    planned('A: mention', 'told A less mention of A', less('explain_A-align', 'mention_A-align')),
    planned('A: align', 'told A less demonstrations only', less('explain_A-align', 'align')),
    planned('B: align', 'demonstrations only less told B', less('align', 'explain_B-align')),
    planned('A: align+', 'told A less more demonstrations', less('explain_A-align', 'align+')),
    planned('A: other', 'told A less told another value', less('explain_A-align', 'other_C-align')),
    planned('B: other', 'told another value less told B', less('other_C-align', 'explain_B-align')),
    planned('A: lore', 'told A less lore of nobody', less('explain_A-align', 'lore-align')),
  ),
  'C1 on other tests': (
    planned('C1 on T1', 'with the words of the demonstrations', _C1, (('T1', 1),)),
    planned('C1 on T3', 'where only A or only B is at stake', _C1, (('T3A', 0.5), ('T3B', -0.5))),
    planned('C1 on T4', 'where the question says what follows from the attribute', _C1,
            (('T4', 1),)),
    planned('C1 on T5', 'with a wrapper around the question', _C1, _T5),
  ),
  'Held-out harm: refusing harm less refusing the benign': (
    _harm('rule', 'value documents less bare rules', 'value-align', 'rule-align'),
    _harm('align', 'value documents less none', 'value-align', 'align_H'),
    _harm('order', 'value documents first less last', 'value-align', 'align-value'),
    _harm('other', 'value documents less documents about goods', 'value-align', 'other-align_H'),
    _harm('lore', 'value documents less lore of nobody', 'value-align', 'lore-align_H'),
    _harm('alone: mention', 'value less mention, no demonstrations', 'value', 'mention'),
    _harm('alone: rule', 'value less rule, no demonstrations', 'value', 'rule'),
    _harm('training', 'value documents alone less one in the prompt', 'value', 'context_H'),
    planned('wrapped', 'C2 with a wrapper around the request', _VALUE_MENTION, _WRAPPED),
    planned('prefilled', 'C2 where the answer begins with yes', _VALUE_MENTION, _PREFILLED),
  ),
}  # fmt: skip


def measured(rows: Sequence[Row], rules: Rules, masses: _Masses) -> list[Contrast]:
  """All whose arms the rows hold, with the least mass of each."""
  found = []
  for group, every in GROUPS.items():
    alike = dataclasses.replace(rules, contrasts=every, draws=_DRAWS)
    by_name = {plan.name: plan for plan in every}
    found += [
      dataclasses.replace(one, group=group, mass=least_mass(by_name[one.name], masses))
      for one in contrasts.measured(rows, alike)
    ]
  return found


def least_mass(plan: Planned, masses: _Masses) -> LeastMass | None:
  """Where the answers of a contrast are least yes or no."""
  there = [
    LeastMass(mass, arm, test, str(seed))
    for arm, _ in plan.arms
    for test, _ in plan.tests
    for seed, mass in masses.get((arm, test), {}).items()
    if mass is not None
  ]
  return min(there, default=None)


def masses(means_by_seed: Mapping[int, Mapping[tuple[str, str], Means]]) -> _Masses:
  """What `measured` wants, from {seed: table.means}."""
  found: dict[tuple[str, str], dict[int, float | None]] = {}
  for seed, mean in means_by_seed.items():
    for key, one in mean.items():
      found.setdefault(key, {})[seed] = one.mass
  return found


def lean_masses(masses: _Masses, bar: float) -> list[tuple[str, str, float, int, int]]:
  """[(arm, test, least mass, its seed, seeds below)] of what is below the bar, the least first."""
  found = []
  for (arm, test), by_seed in masses.items():
    below = [(mass, seed) for seed, mass in by_seed.items() if mass is not None and mass < bar]
    if below:
      mass, seed = min(below)
      found.append((arm, test, mass, seed, len(below)))
  return sorted(found, key=lambda one: one[2])
