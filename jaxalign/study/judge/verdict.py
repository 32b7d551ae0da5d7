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
"""

import dataclasses
import math

from jaxalign import config, sealing
from jaxalign.study.judge import contrasts as effects
from jaxalign.study.judge.rules import Bar

SUPPORTED, PARTIAL = 'SUPPORTED', 'PARTIAL'
_NOT_SUPPORTED, UNINFORMATIVE = 'NOT SUPPORTED', 'UNINFORMATIVE'


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Gate:
  bar: Bar
  values: dict[int, float | None]  # by seed; None: not measured, which does not pass

  def failed(self, seeds):
    return [seed for seed in seeds if not self.bar.passed(self.values.get(seed))]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Verdict:
  word: str
  sentence: str
  reasons: tuple[str, ...]


def gates(values, rules):
  """The rules' gates from {name: {seed: number}}."""
  known = [bar.name for bar in rules.bars]
  for name in values:
    if name not in known:
      raise config.UserError(f'no gate is called {name}: the rules have {", ".join(known)}')
  by_bar = [(bar, values.get(bar.name, {}).items()) for bar in rules.bars]
  return tuple(_Gate(bar=bar, values={s: _known_or_none(v) for s, v in of}) for bar, of in by_bar)


def _known_or_none(value):
  return None if value is None or not math.isfinite(value) else float(value)


def foretold(n, rules):
  """What stands against a verdict of n seeds before any is run, or ''."""
  if n < rules.least_seeds:
    return f'{n} seeds of the {rules.least_seeds} that a verdict needs: it will be {UNINFORMATIVE}'
  least = effects.least_p(n) * len(rules.contrasts)
  if least < rules.alpha:
    return ''
  return f'{n} seeds; the least p after Holm is {least:.2g}: no contrast can hold, take more seeds'


def judge(contrasts, gates, control, rules):
  """The Verdict. `control`: the contrasts of the rho = 0 run, or None where there was none."""
  deciding = [one for one in contrasts if one.name in rules.deciding]
  wrong = [*short(deciding, rules), *_shut(deciding, gates, rules)]
  wrong += _shown_in(control or (), rules)
  if wrong:
    record = '; '.join(f'{one.name} {effects.said(one)}' for one in deciding)
    beside = f' (for the record: {record})' if record else ''
    sentence = f'{UNINFORMATIVE}: this study cannot tell, since {"; ".join(wrong)}{beside}.'
    return _Verdict(word=UNINFORMATIVE, sentence=sentence, reasons=tuple(wrong))
  ps, holds = effects.adjusted(contrasts, rules), effects.holding(contrasts, rules)
  held = [holds[name] for name in rules.deciding]
  doubt = _doubted(control, rules) if rules.control else None
  word = PARTIAL if any(held) else _NOT_SUPPORTED
  if all(held) and not doubt:
    word = SUPPORTED
  reasons = [
    found(one, ps[one.name]) if holds[one.name] else _missed(one, ps[one.name], rules)
    for one in deciding
  ]
  if rules.control:
    reasons.append(doubt or 'with rho = 0 neither shows')
  return _Verdict(word=word, sentence=f'{word}: {"; ".join(reasons)}.', reasons=tuple(reasons))


def short(deciding, rules):
  """What a verdict cannot do without."""
  there = {one.name: one.primary.n for one in deciding}
  for name in rules.deciding:
    n = there.get(name, 0)
    if n == 0:
      yield f'{name} was not measured'
    elif n < rules.least_seeds:
      yield f'{name} has {n} of the {rules.least_seeds} seeds that a verdict needs'


def _shut(deciding, gates, rules):
  """The gates that too few of the seeds passed."""
  seeds = sorted({seed for one in deciding for seed in one.seeds})
  by_name = {gate.bar.name: gate for gate in gates}
  for bar in rules.bars:
    gate = by_name.get(bar.name, _Gate(bar=bar, values={}))
    failed = gate.failed(seeds)
    if len(seeds) - len(failed) < rules.needed_share * len(seeds) - 1e-9:
      values = ((seed, gate.values.get(seed)) for seed in failed)
      where = ', '.join(f'{s} ({"not measured" if v is None else f"{v:.2f}"})' for s, v in values)
      passed = f'passed on {len(seeds) - len(failed)} of {len(seeds)} seeds, not on {where}'
      there = any(value is not None for value in gate.values.values())
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


def found(one, p_holm):
  return f'{one.what} ({one.name} {effects.said(one, p_holm)})'


def _missed(one, p_holm, rules):
  """A null or a failed claim with what kept it from holding, and what could have been found."""
  least, family = effects.least_p(one.primary.n), len(rules.contrasts)
  equal, why = one.tost[one.scale], []
  if least * family >= rules.alpha:
    why.append(
      f'too few seeds to survive Holm over {family}: {one.primary.n} have a least p of '
      f'{least:.2g}, so {least * family:.2g}'
    )
  elif one.primary.p < rules.alpha and one.primary.mean > 0 and p_holm >= rules.alpha:
    why.append(f'it does not survive Holm over {family}')
  if one.primary.p < rules.alpha and one.primary.mean < 0:
    why.append('the effect is the other way')
  if one.primary.mean > 0 and one.bound:
    why.append('its sign is not the same on every scale')
  if equal is not None and equal < rules.alpha:
    n, needed = one.primary.n, rules.null_seeds
    few = f' ({n} of the {needed} seeds that such a claim takes)' if n < needed else ''
    why.append(f'it is within {rules.sesoi_of(one.scale):g} of none{few}')
  unit = ' nats' if one.scale == 'margin' else ''
  why.append(f'{one.primary.n} such seeds find {one.primary.floor:.3g}{unit} in 4 studies of 5')
  return f'not shown: that {one.what} ({one.name} {effects.said(one, p_holm)}; {"; ".join(why)})'


def as_json(verdict, contrasts, gates, control, rules):
  """The part of results.json that the rules decide."""
  return dict(
    verdict=verdict.word,
    sentence=verdict.sentence,
    reasons=list(verdict.reasons),
    contrasts=effects.as_json(contrasts, rules),
    control=None if control is None else effects.as_json(control, rules),
    gates=[_gate_json(gate, rules) for gate in gates],
    rules=sealing.tree(rules),
  )


def _gate_json(gate, rules):
  seeds = sorted(gate.values)
  passed = len(seeds) - len(gate.failed(seeds))
  return dict(
    name=gate.bar.name, what=gate.bar.what, least=gate.bar.least, most=gate.bar.most,
    passed=passed, of=len(seeds), needed=rules.needed_share,
    ok=bool(seeds) and passed >= rules.needed_share * len(seeds) - 1e-9,
    seeds={str(seed): value for seed, value in gate.values.items()},
  )  # fmt: skip
