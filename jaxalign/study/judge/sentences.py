"""Sentences of a verdict: a contrast that holds or was missed, with what kept it from holding."""

from jaxalign import statistics
from jaxalign.study.judge import contrasts as effects
from jaxalign.study.judge.results import Contrast, InteractionResult
from jaxalign.study.plan.rules import Interaction, Rules

_NULL = 'not shown: that'
_UNITS = dict(margin=' nats', share=' of V')


def of(one: Contrast, rules: Rules) -> str:
  """A clause: the claim with its numbers, or that it is not shown and why."""
  if one.holds:
    return f'{one.what} ({one.name} {effects.said(one, one.p_holm)})'
  return _missed(one, rules)


def is_null(clause: str) -> bool:
  """Whether a clause says that something is not shown."""
  return clause.startswith(_NULL)


def alone(name: str, one: Contrast | None, rules: Rules) -> str:
  """A sentence, less its full stop, of a contrast of the family that the claim does not name. one:
  None, where it was not measured."""
  return f'Apart from the claim: {of(one, rules) if one else f"{name} was not measured"}'


def of_interaction(one: InteractionResult | None, planned: Interaction, rules: Rules) -> str:
  """A clause on what a control leaves of a contrast. one: None, where it was not run."""
  where = f'{planned.contrast} is more than with {planned.control} = 0'
  if one is None:
    return f'{_NULL} {where} (no such worlds were run with a seed of the study)'
  if one.holds:
    return f'{where} (by {effects.said(one)})'
  n, why = one.primary.n, []
  if n < rules.least_seeds:
    why.append(f'{n} seeds in common of the {rules.least_seeds} that it needs')
  if one.p < rules.alpha and not one.agree:
    why.append('its sign is not the same on every scale')
  passed = {gate.name for gate in one.gates if gate.ok}
  why += [f'gate {bar} is shut there' for bar in planned.bars if bar not in passed]
  if one.primary.sd is not None:
    # one-sided alpha is two-sided twice alpha, but for the wrong way, which such an effect has not
    floor = statistics.detection_floor(one.primary.sd, n, alpha=2 * rules.alpha)
    why.append(_findable(n, floor, one.scale))
  return f'{_NULL} {where} ({"; ".join([effects.said(one), *why])})'


def _missed(one, rules):
  """A null or a failed claim with what kept it from holding, and what could have been found."""
  numbers, family = one.primary, len(rules.family_of(one.name))
  why = [*_uncounted(one, family, rules)]
  if numbers.p < rules.alpha and numbers.mean < 0:
    why.append('the effect is the other way')
  if numbers.mean > 0 and effects.bound(one, rules):
    why.append('its sign is not the same on every scale')
  why += _equal(one, rules)
  floor, step = numbers.floor, ''
  if rules.claim and family > 1 and numbers.sd is not None:
    floor = statistics.detection_floor(numbers.sd, numbers.n, alpha=rules.alpha / family)
    step = f" at the first of Holm's {family} steps"
  if floor is not None:
    why.append(f'{_findable(numbers.n, floor, one.scale)}{step}')
  said = effects.said(one, one.p_holm)
  return f'{_NULL} {one.what} ({one.name} {said}; {"; ".join(why)})'


def _uncounted(one, family, rules):
  """How Holm's correction kept a contrast from holding."""
  least, over = effects.least_p(one.primary.n), f' Holm over {family}'
  if least * family >= rules.alpha:
    yield (
      f'too few seeds to survive{over}: {one.primary.n} have a least p of '
      f'{least:.2g}, so {least * family:.2g}'
    )
  elif one.primary.p < rules.alpha and one.primary.mean > 0 and one.p_holm >= rules.alpha:
    yield f'it does not survive{over}'


def _equal(one, rules):
  """That there is no effect worth the name, where that is shown; else, under a claim, what is."""
  equal, sesoi = one.primary.tost, rules.sesoi_of(one.scale)
  if equal is not None and equal < rules.alpha:
    n, needed = one.primary.n, rules.null_seeds
    few = f' ({n} of the {needed} seeds that such a claim takes)' if n < needed else ''
    yield f'it is within {sesoi:g} of none{few}'
  elif rules.claim and equal is not None and one.primary.p >= rules.alpha:
    unit = _UNITS.get(one.scale, '')
    yield (
      f'not told apart from none within {_within(one, rules):.2g}{unit}, and {sesoi:g} would matter'
    )


def _within(one, rules):
  """The farther end of the interval at 1 - 2 alpha, over both factors where there are two."""
  if one.factors is not None and one.factors.half is not None:
    return abs(one.primary.mean) + one.factors.half
  ends = statistics.t_interval(one.primary.differences, 1 - 2 * rules.alpha)
  return max(-ends.low, ends.high)


def _findable(n, floor, scale):
  return f'{n} such seeds find {floor:.3g}{_UNITS.get(scale, "")} in 4 studies of 5'
