"""What --doctor looks at for stage corpus: all that refuses it, how much it will ask of whom, and
what that costs; nothing is asked."""

import dataclasses
import os
from collections.abc import Callable, Mapping
from typing import Any

from jaxalign.config import UserError
from jaxalign.corpora import estimate, grammar
from jaxalign.corpora.estimate import Asked, Load, Pretended
from jaxalign.corpora.http import Http
from jaxalign.corpora.spec import Spec
from jaxalign.stages import corpus_asking, corpus_refusals
from jaxalign.stages.corpus_teachers import Offline, Writer
from jaxalign.stages.doctors import doctor, surroundings
from jaxalign.stages.doctors.doctor import Check, Machine

_LINE = 1200  # bytes of a row and its answers in the journal, less the text
_CHARACTERS = 5  # bytes of a token's text, generously
_FREE = (0.0, 0.0)
_Cases = Mapping[estimate.Case, dict[str, Load]]  # case -> step -> load


def examine(cfg: Any, workdir: Any, machine: Machine) -> list[Check]:
  """The checks of a config of corpus."""
  visit = doctor.Visit()
  found = visit.ask(corpus_refusals.CORPUS, cfg, machine)
  cases = visit.check('plan', plan, cfg, found['spec'], found['teachers'], found['filters'])
  if isinstance(cases, dict):
    for step in cases['expected']:
      visit.check(f'step {step}', _step, step, cases)
  visit.check('cost', _cost, cfg, cases)
  for url in _urls(cfg):
    visit.check('endpoint', surroundings.listens, url)
  visit.check('disk', _room, workdir, cases)
  return visit.checks


def plan(cfg: Any, spec: Spec, teachers: Mapping[str, Writer], filters: Any) -> tuple[str, _Cases]:
  """(words, what each step comes to): the recipe is walked, and nobody is asked."""
  items, *_ = filters
  known = {step: _asked(one, cfg, spec, items) for step, one in teachers.items()}

  def teacher(step: str) -> Asked:
    return known.get(step) or known['']

  sampled: dict[Any, Any] = {}
  found: dict[estimate.Case, dict[str, Load]] = {}
  for case in estimate.CASES:
    pretended = Pretended(
      case,
      teacher,
      corpus_asking.turns_of(cfg),
      tries=getattr(cfg.recipe, 'tries', 1),
      judged=cfg.judge is not None,
      known=sampled,
    )
    corpus_asking.walked(cfg, spec, pretended, case == 'at most')
    found[case] = pretended.loads
  calls = [sum(load.calls for load in loads.values()) for loads in found.values()]
  told = ', '.join(f'{n:,} {case}' for case, n in zip(found, calls))
  return f'calls: {told}', found


def _asked(one: Writer, cfg: Any, spec: Spec, items: Any) -> Asked:
  """A teacher as an estimate needs it; nothing is loaded and no server called."""
  if isinstance(one, Offline):
    held = tuple(items) if one.faults else ()
    really = grammar.Grammar(spec, cfg.seed, one.faults, held)
    return Asked(really=really, price=_FREE, faults=one.faults)
  samplings = dict(one.samplings)
  asked = Asked(sampling=lambda step: samplings.get(step, one.otherwise), price=_FREE)
  if isinstance(one, Http):
    return dataclasses.replace(asked, price=one.price, tries=one.endpoint.tries)
  return asked


def _step(step: str, cases: _Cases) -> str:
  own = [cases[case].get(step, Load()) for case in estimate.CASES]
  return ', '.join(
    [
      'low / expected / at most: calls ' + _three(own, lambda load: f'{load.calls:,}'),
      'tokens read ' + _three(own, lambda load: _short(load.read)),
      'written ' + _three(own, lambda load: _short(load.written)),
      'cost ' + _three(own, _money),
    ]
  )


def _three(loads: list[Load], told: Callable[[Load], str]) -> str:
  return ' / '.join(map(told, loads))


def _short(count: float) -> str:
  for size, name in ((1e9, 'G'), (1e6, 'M')):
    if count >= size:
      return f'{count / size:,.1f} {name}'
  return f'{count:,.0f}'


def _money(load: Load) -> str:
  return 'unknown' if load.cost is None else f'${load.cost:,.2f}'


def _cost(cfg: Any, cases: _Cases) -> str:
  totals = [sum(cases[case].values(), Load()) for case in estimate.CASES]
  words = f'low / expected / at most: {_three(totals, _money)}'
  words += '; tokens read ' + _three(totals, lambda load: _short(load.read))
  words += '; written ' + _three(totals, lambda load: _short(load.written))
  if cfg.max_cost is None:
    return f'{words}; max_cost=none: nothing ends it earlier'
  _, expected, most = (load.cost for load in totals)
  if expected is not None and expected > cfg.max_cost:
    raise UserError(f'{words}: more than max_cost={cfg.max_cost:,.2f} is to be expected; raise it')
  if most is None or most > cfg.max_cost:
    return f'{words}; ends at max_cost={cfg.max_cost:,.2f}, and goes on with a higher one'
  return f'{words}; max_cost={cfg.max_cost:,.2f} is enough in any case'


def _urls(cfg: Any) -> list[str]:
  every = [cfg.writer, cfg.judge, *(one.teacher for one in cfg.by)]
  return list(dict.fromkeys(one.endpoint.url for one in every if isinstance(one, Http)))


def _room(workdir: Any, cases: _Cases) -> str:
  place = os.fspath(workdir)
  if '://' in place:
    raise UserError(f'{place}: a journal is appended to, which buckets cannot: --workdir=DIR')
  total = sum(cases['expected'].values(), Load())
  needed = 3 * (total.calls * _LINE + total.written * _CHARACTERS)
  what = f'about {needed / 2**20:,.0f} MiB of answers and texts'
  return surroundings.room(workdir, needed, what)
