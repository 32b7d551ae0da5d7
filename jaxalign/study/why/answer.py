"""The answer of study 3 in plain sentences, each of which claims no more than its plan allows.

P1: reasons against the same facts without, on what documents name. P2: the same on what no document
names. P3: reasons before the demonstrations against after them. S1, which is secondary: the right
reasons against those of another pair, without which nobody can say that a reason is read. A null is
said with the effect that such seeds would have found; what an outcome means is said in the plan's
own words.
"""

from collections.abc import Mapping

import numpy as np

from jaxalign import statistics
from jaxalign.statistics import Estimate
from jaxalign.study.judge import verdict
from jaxalign.study.judge.results import Contrast, InteractionResult, Results
from jaxalign.study.plan.rules import Rules

_NAMED, _SISTER, _ORDER, _WRONG = 'P1', 'P2', 'P3', 'S1'
_HOLDS = {
  _NAMED: 'reasons steered choices about what documents name more than the same facts without did',
  _SISTER: 'reasons carried to what no document names, further than the same facts without did',
  _ORDER: 'reasons steered more before all demonstrations than after the first of them',
  _WRONG: 'the right reasons carried further than those of another pair did',
}
_MISSED = {
  _NAMED: 'that reasons add anything on what documents name',
  _SISTER: 'that reasons carry further to what no document names',
  _ORDER: 'that reasons steer more before all demonstrations than after the first of them',
  _WRONG: 'that the right reasons carry further than those of another pair',
}
_LESS = {
  _NAMED: 'on what documents name, reasons steered less than the same facts without did',
  _SISTER: 'on what no document names, reasons carried less than the same facts without did',
  _ORDER: 'reasons steered less before all demonstrations than after the first of them',
  _WRONG: 'the right reasons carried less than those of another pair did',
}
_LEAD = {
  _NAMED: 'the lead of reasons on what documents name (P1)',
  _SISTER: 'the lead of reasons on what no document names (P2)',
}
_CONTROLS = {  # in the words of a row
  'kappa': 'reasons predict nothing beyond what they name',
  'rho': 'documents say nothing about what their agent chooses',
}


def answer(found: Results) -> str:
  """One sentence: what was found, with its n, interval and power."""
  seeds = _seeds(len(found.seeds))
  if found.verdict == verdict.UNINFORMATIVE:
    return f'This run of {seeds} cannot tell, since {"; ".join(_failed(found))}.'
  asked = [one for one in found.contrasts if one.name in found.rules.decisive]
  against = [_less(one) for one in asked if _other_way(one, found.rules)]
  missed = [
    _missed(one, found.rules) for one in asked if not one.holds and not _other_way(one, found.rules)
  ]
  facts = [*(_held(one, found.rules) for one in asked if one.holds), *against]
  if not facts:
    return f'Not shown on {seeds}: {"; nor ".join(missed)}.'
  said = f'{" and ".join(facts)}{"".join(f"; not shown: {one}" for one in missed)}'
  if found.verdict == verdict.SUPPORTED:
    return f'Yes, in this world, on {seeds}: {said}{_unread(found)}.'
  if len(facts) == len(against):
    return f'No, on {seeds}: {said}.'
  return f'In part, on {seeds}: {said}; {_unvouched(found)}, so what it comes from is not shown.'


def _unread(found: Results) -> str:
  """That it is the reason which was read, where that was asked and not shown."""
  one = next((one for one in found.contrasts if one.name == _WRONG), None)
  return '' if one is None or one.holds else f'; not shown: {_MISSED[_WRONG]}'


def answers(found: Results) -> str:
  """P2 in rates, where these do not show what its log-odds do; else ''."""
  one = next((one for one in found.contrasts if one.name == _SISTER), None)
  numbers = one.scales.get('rate') if one else None
  if not (one and one.holds and numbers) or numbers.low is None or numbers.low > 0:
    return ''
  return (
    f'Log-odds move, and answers are not shown to: in rates P2 is {_interval(numbers, "")} (p '
    f'{_small(numbers.p)}, two-sided; not judged).'
  )


def read(found: Results) -> str:
  """S1's own sentence: whether it is the reason that carries, or that one is given."""
  return _apart(found, _WRONG, 'Whether the reason itself is read')


def named(found: Results) -> str:
  """P1's own sentence, of which no control vouches; '' where it is not planned."""
  return _apart(found, _NAMED, 'What documents name')


def order(found: Results) -> str:
  """P3's own sentence; '' where it is not planned."""
  return _apart(found, _ORDER, 'Order')


def _apart(found: Results, name: str, title: str) -> str:
  """The sentence of a contrast that is judged and no part of the claim."""
  one = next((one for one in found.contrasts if one.name == name), None)
  if one is None:
    planned = any(planned.name == name for planned in found.rules.contrasts)
    return f'{title}: not measured.' * planned
  if found.verdict == verdict.UNINFORMATIVE:
    return f'{title}: {_number(one)}; for the record, since this run cannot tell.'
  if one.holds:
    return f'{title}: {_held(one, found.rules)}.'
  if _other_way(one, found.rules):
    return f'{title}: {_less(one)}.'
  return f'{title}: not shown: {_missed(one, found.rules)}.'


def beyond(found: Results) -> str:
  """How much of P2 is more than P1, in words: '' where both were not measured on some seeds.

  No control tells the two apart: with kappa = 0 documents without reasons weigh as much as the
  others, on what they name too. So it is said whatever it is, and judged by no rule.
  """
  by_name = {one.name: one for one in found.contrasts}
  if not {_NAMED, _SISTER} <= by_name.keys():
    return ''
  named, sister = (by_name[name].seeds for name in (_NAMED, _SISTER))
  further = statistics.paired(
    np.array([sister[seed] - named[seed] for seed in sister if seed in named]), found.rules.level
  )
  return (
    'P2 may ride on P1, if documents without reasons weigh less on everything: P2 less P1, seed by '
    f'seed, is {_interval(further, " of V")} (p {_small(further.p)}, two-sided; not judged).'
  )


def meaning(found: Results) -> str:
  """What the outcome would mean and what it would not, by the plan."""
  by_name = {one.name: one for one in found.contrasts}
  if found.verdict == verdict.UNINFORMATIVE:
    return ''
  said = []
  if found.verdict == verdict.SUPPORTED and _holds(by_name, _SISTER):
    said.append(
      'It shows a mechanism that suffices: where reasons predict conduct beyond what they name, '
      'training on reasons carries there, through demonstrations that say nothing of it. Where '
      'they predict nothing more (kappa = 0) it is less: it comes of what such a world teaches '
      'about the two kinds of agents, and that documents without reasons weigh less there is a '
      'part of it.'
    )
    if _WRONG in by_name and not _holds(by_name, _WRONG):
      said.append(
        'That the reasons themselves are read, and not only that some are given, is not shown.'
      )
  if _NAMED in by_name and not _holds(by_name, _NAMED) and _equal(by_name[_NAMED], found.rules):
    said.append('On what documents name, why adds nothing that would matter: that is a finding.')
  said.append(
    'It says nothing of how language models come to have such a regularity, or whether they do: '
    'here it was put into the world.'
  )
  return ' '.join(said)


def controls(found: Results) -> list[tuple[str, str]]:
  """[(where, what is left there)] of the negative controls, a row each in words."""
  rows = []
  claim = found.rules.claim
  for planned in claim.interactions if claim else ():
    known = _CONTROLS.get(planned.control, '')
    where = f'Where {known} ({planned.control} = 0)' if known else f'Where {planned.control} = 0'
    over = {(one.contrast, one.control): one for one in found.interactions}
    one = over.get((planned.contrast, planned.control))
    there = {one.name: one for one in found.controls.get(planned.control, ())}
    rows.append((where, _left(planned.contrast, there.get(planned.contrast), one)))
  return rows


def _left(name: str, there: Contrast | None, over: InteractionResult | None) -> str:
  if there is None or over is None:
    return f'not run: nothing vouches that {name} comes of what the documents predict'
  less = f'{_LEAD.get(name, name)} is {_number(there)} there, and in the study {_number(over)} more'
  seeds = f'{_seeds(over.primary.n)}, one-sided p {_small(over.p)}'
  if over.holds:
    return f'{less} ({seeds})'
  return f'{less} ({seeds}); that it is more in the study is not shown'


def _unvouched(found: Results) -> str:
  """What kept a claim that holds in part from being supported."""
  over = {(one.contrast, one.control): one for one in found.interactions}
  claim = found.rules.claim
  lacking = [
    f'{one.contrast} is not shown to be more than with {one.control} = 0'
    if (one.contrast, one.control) in over
    else f'worlds with {one.control} = 0 were not run'
    for one in (claim.interactions if claim else ())
    if not ((there := over.get((one.contrast, one.control))) and there.holds)
  ]
  return ' and '.join(lacking) or 'not all that the claim takes holds'


def _failed(found: Results) -> list[str]:
  """Why there is no verdict, with all gates that too few seeds passed in one."""
  shut = [
    f'{one.what} ({f"{one.passed} of {one.of} seeds" if one.of else "not measured"})'
    for one in found.gates
    if not one.ok
  ]
  others = [reason for reason in found.reasons if not reason.startswith('gate ')]
  return [*others, *([f'checks of the instrument failed: {", ".join(shut)}'] if shut else [])]


def _holds(by_name: Mapping[str, Contrast], name: str) -> bool:
  return name in by_name and bool(by_name[name].holds)


def _held(one: Contrast, rules: Rules) -> str:
  return f'{_HOLDS.get(one.name, one.what)} ({_told(one)}; {_power(one, rules)})'


def _less(one: Contrast) -> str:
  return f'{_LESS.get(one.name, f"the other way than that {one.what}")} ({_told(one)})'


def _missed(one: Contrast, rules: Rules) -> str:
  why = 'not of one sign on all scales, ' * (one.p_holm is not None and one.p_holm < rules.alpha)
  words = _MISSED.get(one.name, f'that {one.what}')
  return f'{words} ({_told(one)}; {why}{_power(one, rules)})'


def _other_way(one: Contrast, rules: Rules) -> bool:
  return one.p_holm is not None and one.p_holm < rules.alpha and one.primary.mean < 0 and one.agree


def _equal(one: Contrast, rules: Rules) -> bool:
  """Whether it is shown to be smaller than what would matter."""
  numbers = one.primary
  return numbers.tost is not None and numbers.tost < rules.alpha and numbers.n >= rules.null_seeds


def _told(one: Contrast) -> str:
  """'P2 +0.85 of V [0.61, 1.09], p = 0.0003 after Holm'."""
  p = '' if one.p_holm is None else f', p {_small(one.p_holm)} after Holm'
  return f'{one.name} {_number(one)}{p}'


def _small(p: float) -> str:
  return f'= {p:.2g}' if p >= 0.001 else '< 0.001'


def _number(one: Contrast | InteractionResult) -> str:
  unit = dict(share=' of V', margin=' nats').get(one.scale, '')
  return _interval(one.primary, unit)


def _interval(numbers: Estimate, unit: str) -> str:
  between = '' if numbers.low is None else f' [{numbers.low:.2f}, {numbers.high:.2f}]'
  return f'{numbers.mean:+.2f}{unit}{between}'


def _power(one: Contrast, rules: Rules) -> str:
  """The effect that such seeds find at Holm's first step, in four studies of five."""
  numbers, family = one.primary, len(rules.family_of(one.name))
  if numbers.sd is None:
    return 'one seed finds nothing'
  floor = statistics.detection_floor(numbers.sd, numbers.n, alpha=rules.alpha / family)
  small = f', and it is within {rules.sesoi_share:g} of none' * _equal(one, rules)
  return f'{numbers.n} such seeds find an effect of {floor:.2g} in 4 studies of 5{small}'


def _seeds(count: int) -> str:
  return f'{count} seed{"s" * (count != 1)}'
