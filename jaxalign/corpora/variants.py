"""Variants of a spec: projections of one file, and a teacher sees a projection, never the file.

| variant | what is left of each value |
|---|---|
| rules | its rules |
| value_augmented | its rules, and the reasons for them |
| rule_augmented | its rules, and finer rules, as long as the reasons are |
| value_only, why | its statement and its reasons |
| what | its statement and preferences, as long as the reasons are |
| wrong_why | its statement, and the reasons of another value |

What would be compared is equally long: preferences (finer rules) are chosen so that they come to
the tokens of the reasons, and a pair that is further apart than 2 % is refused with its figures.
"""

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Literal

from jaxalign.config import UserError
from jaxalign.corpora.spec import Preference, Reason, Rule, Spec, Value

Variant = Literal[
  'rules', 'value_augmented', 'rule_augmented', 'value_only', 'why', 'what', 'wrong_why'
]
_Size = Callable[[str], int]  # tokens of a text
_PAIRS: tuple[tuple[Variant, Variant], ...] = (
  ('why', 'what'),
  ('value_augmented', 'rule_augmented'),
  ('why', 'wrong_why'),
)
_APART = 0.02  # of the longer text's tokens
_WEIGHED = 12  # candidates of a value that are tried in all combinations


def words(text: str) -> int:
  return len(text.split())


def project(spec: Spec, variant: Variant, size: _Size = words) -> Spec:
  """The spec with what the variant leaves of it. size: by what lengths are matched."""
  _refuse_lacking(spec, variant)
  match variant:
    case 'rules' | 'value_augmented' | 'rule_augmented':
      projected = [_ruled(value, variant) for value in spec.values]
      if variant == 'rule_augmented':
        projected = _finer(spec, projected, size)
    case 'what':
      projected = _preferring(spec, size)
    case 'wrong_why':
      step = max(1, len(spec.values) // 2)
      donors = [*spec.values[step:], *spec.values[:step]]
      projected = [_reasoned(v, other.reasons) for v, other in zip(spec.values, donors)]
    case _:
      projected = [_reasoned(value, value.reasons) for value in spec.values]
  return dataclasses.replace(spec, values=tuple(projected))


def told(spec: Spec) -> str:
  """A projected spec as the text that a teacher is given."""
  return '\n\n'.join('\n'.join(_lines(value)) for value in spec.values)


def refuse_unequal(spec: Spec, variant: Variant, size: _Size) -> str:
  """How long the texts are that this variant will be compared with; refused where they differ."""
  said = []
  for pair in _PAIRS:
    if variant not in pair or not all(_holds(spec, one) for one in pair):
      continue
    first, second = (size(told(project(spec, one, size))) for one in pair)
    figures = f'{pair[0]} {first:,} and {pair[1]} {second:,} tokens'
    if abs(first - second) > _APART * max(first, second):
      what = 'preferences' if 'what' in pair else 'finer rules'
      raise UserError(
        f'{spec.name}: {figures}: over {_APART:.0%} apart, so that length would be compared as '
        f'well; write more {what} of other lengths'
      )
    said.append(figures)
  return '; '.join(said) or f'{variant} {size(told(project(spec, variant, size))):,} tokens'


def _lines(value: Value) -> list[str]:
  rules = [rule.text for rule in value.rules]
  lines = [] if value.statement in rules else [f'{value.id}: {value.statement}']
  for rule in value.rules:
    lines.append(f'- {rule.text}')
    lines += [f'  - {finer}' for finer in rule.finer]
  lines += [_reason_line(reason) for reason in value.reasons]
  lines += [_preference_line(one) for one in value.preferences]
  return lines + [f'Its limit: {limit}' for limit in value.limits]


def _reason_line(reason: Reason) -> str:
  return f'Because {reason.text}.'


def _preference_line(one: Preference) -> str:
  where = f' ({one.domain})' if one.domain else ''
  return f'Rather {one.prefer} than {one.over}{where}.'


def _refuse_lacking(spec: Spec, variant: Variant) -> None:
  if variant == 'wrong_why' and len(spec.values) < 2:
    raise UserError(f'{spec.name}: wrong_why takes the reasons of another value, and it has one')
  for value in spec.values:
    if variant in ('rules', 'value_augmented', 'rule_augmented') and not value.rules:
      raise UserError(f'{spec.name}: {value.id} has no rule, and variant {variant} tells rules')
    if variant not in ('rules', 'rule_augmented', 'what') and not value.reasons:
      raise UserError(f'{spec.name}: {value.id} has no reason, and variant {variant} gives reasons')
  if variant in ('what', 'rule_augmented') and not _holds(spec, variant):
    lacking = 'preference' if variant == 'what' else 'finer rule'
    raise UserError(f'{spec.name} has no {lacking}, and variant {variant} tells them')


def _holds(spec: Spec, variant: Variant) -> bool:
  """Whether there is anything of which the variant could be made."""
  if variant == 'what':
    return any(value.preferences for value in spec.values)
  if variant == 'rule_augmented':
    return any(rule.finer for value in spec.values for rule in value.rules)
  if variant == 'wrong_why' and len(spec.values) < 2:
    return False
  return any(value.reasons for value in spec.values)


def _reasoned(value: Value, reasons: tuple[Reason, ...]) -> Value:
  return dataclasses.replace(value, reasons=reasons, rules=(), preferences=())


def _ruled(value: Value, variant: Variant) -> Value:
  """What the value states is its rules: its statement is not told."""
  plain = tuple(dataclasses.replace(rule, finer=()) for rule in value.rules)
  reasons = value.reasons
  if variant != 'value_augmented':
    plain, reasons = tuple(dataclasses.replace(rule, because='') for rule in plain), ()
  first, *others = [rule.text for rule in value.rules]
  return dataclasses.replace(
    value, statement=first, also=tuple(others), reasons=reasons, rules=plain, preferences=()
  )


def _preferring(spec: Spec, size: _Size) -> list[Value]:
  lines = [[_preference_line(one) for one in value.preferences] for value in spec.values]
  chosen = _as_long(spec, lines, size)
  return [
    dataclasses.replace(v, reasons=(), rules=(), preferences=tuple(v.preferences[n] for n in own))
    for v, own in zip(spec.values, chosen)
  ]


def _finer(spec: Spec, ruled: Sequence[Value], size: _Size) -> list[Value]:
  every = [[(r, f) for r in range(len(v.rules)) for f in v.rules[r].finer] for v in spec.values]
  chosen = _as_long(spec, [[f'  - {text}' for _, text in own] for own in every], size)
  made = []
  for value, candidates, own in zip(ruled, every, chosen):
    kept = [candidates[n] for n in own]
    rules: list[Rule] = []
    for n, rule in enumerate(value.rules):
      rules.append(dataclasses.replace(rule, finer=tuple(text for r, text in kept if r == n)))
    made.append(dataclasses.replace(value, rules=tuple(rules)))
  return made


def _as_long(spec: Spec, lines: Sequence[Sequence[str]], size: _Size) -> list[tuple[int, ...]]:
  """Which lines of each value come to the tokens of its reasons; what one value is short of, or
  over, the next makes up for, and what is left at the end another choice for one of them."""
  sizes = [[_added(line, size) for line in own[:_WEIGHED]] for own in lines]
  chosen: list[tuple[int, ...]] = []
  short = 0
  for value, own in zip(spec.values, sizes):
    short += sum(_added(_reason_line(reason), size) for reason in value.reasons)
    best = min(_subsets(len(own)), key=lambda some: abs(short - _sum(own, some)))
    short -= _sum(own, best)
    chosen.append(best)
  moves = [
    (_sum(own, some) - _sum(own, chosen[n]), n, some)
    for n, own in enumerate(sizes)
    for some in _subsets(len(own))
  ]
  _, place, best = min(moves, key=lambda move: (abs(short - move[0]), abs(move[0])))
  chosen[place] = best
  return chosen


def _sum(sizes: Sequence[int], some: tuple[int, ...]) -> int:
  return sum(sizes[n] for n in some)


def _added(line: str, size: _Size) -> int:
  """Tokens that a line adds to a text: alone it may have others, as at the start of all."""
  return size(f'.\n{line}') - size('.')


def _subsets(count: int) -> list[tuple[int, ...]]:
  sizes = range(count + 1)
  return [some for k in sizes for some in itertools.combinations(range(count), k)]
