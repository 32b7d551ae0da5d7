"""The verdict, by rules fixed beforehand: one pure function of contrasts, gates and the control.

UNINFORMATIVE: too few seeds, a deciding contrast not measured, a gate passed on too few seeds, or
  an effect in the negative control (rho = 0, where documents say nothing about conduct).
SUPPORTED: both deciding contrasts hold, and the control ran and showed neither (rules.control; of
  real text there is none, and its rules do without).
PARTIAL: one of them holds; or both, but no control ran with seeds enough to show an effect.
NOT SUPPORTED: neither holds.

To hold is to have a Holm-adjusted exact p below alpha over the whole family, a mean above 0, and,
of a difference of differences, the same sign on every scale. Eight seeds can: .0078 x 5 = .039. Six
and seven cannot (.031 x 5, .016 x 5): by the rule their verdict is NOT SUPPORTED whatever they
show, and the sentence says so.

Rules may have a claim in place of deciding contrasts. Then SUPPORTED takes all of claim.all_of, one
at least of claim.any_of and every interaction; PARTIAL is one contrast of these that holds, and
something of the rest that does not. What else the family has is said in a sentence of its own.
"""

import dataclasses
import math
from collections.abc import Collection, Mapping, Sequence

from jaxalign import config
from jaxalign.study.judge import contrasts as effects
from jaxalign.study.judge import sentences
from jaxalign.study.judge.results import Contrast, Gate, InteractionResult
from jaxalign.study.plan.rules import Rules

SUPPORTED, PARTIAL = 'SUPPORTED', 'PARTIAL'
_NOT_SUPPORTED, UNINFORMATIVE = 'NOT SUPPORTED', 'UNINFORMATIVE'


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Verdict:
  word: str
  sentence: str
  reasons: tuple[str, ...]


def gates(values: Mapping[str, Mapping[int, float | None]], rules: Rules) -> tuple[Gate, ...]:
  """The rules' gates from {name: {seed: number}}."""
  known = [bar.name for bar in rules.bars]
  for name in values:
    if name not in known:
      raise config.UserError(f'no gate is called {name}: the rules have {", ".join(known)}')
  return tuple(_gate(bar, values.get(bar.name, {}), rules) for bar in rules.bars)


def _gate(bar, values, rules):
  seeds = {seed: _known_or_none(value) for seed, value in values.items()}
  failed = _failed(bar, seeds, seeds)
  fixed = dict(name=bar.name, what=bar.what, least=bar.least, most=bar.most)
  ok = bool(seeds) and _enough(failed, seeds, rules)
  count = dict(passed=len(seeds) - len(failed), of=len(seeds), needed=rules.needed_share)
  return Gate(**fixed, **count, ok=ok, seeds=seeds)


def _known_or_none(value):
  return None if value is None or not math.isfinite(value) else float(value)


def _failed(bar, values, seeds):
  return [seed for seed in seeds if not bar.passed(values.get(seed))]


def _enough(failed, seeds, rules):
  return len(seeds) - len(failed) >= rules.needed_share * len(seeds) - 1e-9


def foretold(n: int, rules: Rules, controls: Collection[str] | None = None) -> str:
  """What stands against a verdict of n seeds before any is run, or ''. controls: that will run."""
  if n < rules.least_seeds:
    return f'{n} seeds of the {rules.least_seeds} that a verdict needs: it will be {UNINFORMATIVE}'
  family = max((len(rules.family_of(name)) for name in rules.decisive), default=1)
  least = effects.least_p(n) * family
  if least >= rules.alpha:
    why = f'the least p after Holm is {least:.2g}'
    return f'{n} seeds; {why}: no contrast can hold, take more seeds'
  wanted = [one.control for one in rules.claim.interactions] if rules.claim else []
  if controls is not None and (missing := [one for one in wanted if one not in controls]):
    return f'without worlds of the control {missing[0]} it can be {PARTIAL} at the most'
  return ''


def judge(
  contrasts: Sequence[Contrast],
  gates: Sequence[Gate],
  control: Sequence[Contrast] | None,
  rules: Rules,
  interactions: Sequence[InteractionResult] = (),
) -> _Verdict:
  """The verdict of judged contrasts. control: those of the rho = 0 run; None: there was none.
  interactions: what was measured of those that the rules' claim names."""
  deciding = [one for one in contrasts if one.name in rules.decisive]
  wrong = [*_short(deciding, rules), *_shut(deciding, gates, rules)]
  if rules.claim is None:
    wrong += _shown_in(control or (), rules)
  if wrong:
    record = '; '.join(f'{one.name} {effects.said(one)}' for one in deciding)
    beside = f' (for the record: {record})' if record else ''
    sentence = f'{UNINFORMATIVE}: this study cannot tell, since {"; ".join(wrong)}{beside}.'
    return _Verdict(word=UNINFORMATIVE, sentence=sentence, reasons=tuple(wrong))
  if rules.claim is not None:
    return _claimed(contrasts, interactions, rules.claim, rules)
  held = [one.holds for one in deciding]
  doubt = _doubted(control, rules) if rules.control else None
  word = PARTIAL if any(held) else _NOT_SUPPORTED
  if all(held) and not doubt:
    word = SUPPORTED
  reasons = [sentences.of(one, rules) for one in deciding]
  if rules.control:
    reasons.append(doubt or 'with rho = 0 neither shows')
  return _Verdict(word=word, sentence=f'{word}: {"; ".join(reasons)}.', reasons=tuple(reasons))


def _claimed(contrasts, interactions, claim, rules):
  """The verdict by a claim: its parts hold together, so none is corrected for the others."""
  by_name = {one.name: one for one in contrasts}
  held = {name: bool(by_name[name].holds) for name in claim.contrasts}
  shown = all(held[name] for name in claim.all_of)
  shown = shown and (not claim.any_of or any(held[name] for name in claim.any_of))
  over = {(one.contrast, one.control): one for one in interactions}
  found = [over.get((one.contrast, one.control)) for one in claim.interactions]
  word = PARTIAL if any(held.values()) else _NOT_SUPPORTED
  if shown and all(one is not None and one.holds for one in found):
    word = SUPPORTED
  reasons = [sentences.of(by_name[name], rules) for name in claim.contrasts]
  reasons += [
    sentences.of_interaction(one, planned, rules) for planned, one in zip(claim.interactions, found)
  ]
  reasons.sort(key=sentences.is_null)  # what is shown stands first
  rest = [name for name in rules.main_family if name not in claim.contrasts]
  apart = [f' {sentences.alone(name, by_name.get(name), rules)}.' for name in rest]
  sentence = f'{word}: {"; ".join(reasons)}.{"".join(apart)}'
  return _Verdict(word=word, sentence=sentence, reasons=tuple(reasons))


def _short(deciding, rules):
  """What a verdict cannot do without."""
  there = {one.name: one.primary.n for one in deciding}
  for name in rules.decisive:
    n = there.get(name, 0)
    if n == 0:
      yield f'{name} was not measured'
    elif n < rules.least_seeds:
      yield f'{name} has {n} of the {rules.least_seeds} seeds that a verdict needs'


def _shut(deciding, gates, rules):
  """The gates that too few of the seeds passed."""
  seeds = sorted({seed for one in deciding for seed in one.seeds})
  by_name = {gate.name: gate for gate in gates}
  for bar in rules.bars:
    of = by_name[bar.name].seeds if bar.name in by_name else {}
    failed = _failed(bar, of, seeds)
    if not _enough(failed, seeds, rules):
      values = ((seed, of.get(seed)) for seed in failed)
      where = ', '.join(f'{s} ({"not measured" if v is None else f"{v:.2f}"})' for s, v in values)
      passed = f'passed on {len(seeds) - len(failed)} of {len(seeds)} seeds, not on {where}'
      there = any(value is not None for value in of.values())
      said = passed if there else 'was not measured'
      yield f'gate {bar.name} ({bar.what}, {bar.shown}) {said}'


def _shown_in(control, rules):
  """What the negative control shows though it should not; unadjusted, which is the stricter way."""
  for one in control:
    if one.name in rules.deciding and one.primary.p < rules.alpha and one.primary.mean > 0:
      yield f'with rho = 0, where nothing should show, {one.name} is {effects.said(one)}'


def _doubted(control, rules):
  """Why the control cannot vouch for the result, or None: it must have been able to fail."""
  if control is None:
    return 'the negative control was not run'
  there = {one.name: one.primary.n for one in control}
  for name in rules.deciding:
    if name not in there:
      return f'the negative control did not measure {name}'
    if there[name] < rules.least_seeds:
      return f'the negative control has too few seeds on {name}, {there[name]}, to show an effect'
  return None
