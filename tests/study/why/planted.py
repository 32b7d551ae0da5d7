"""Results of study 3 with planted effects: means of arms drawn around them, judged by the rules."""

import dataclasses

import numpy as np

from configs import study_why
from jaxalign.study.judge import contrasts, interactions, shares, verdict
from jaxalign.study.judge.results import Results
from jaxalign.study.plan.rules import RHO
from jaxalign.study.store.table import Means

RULES = study_why.RULES
KINDS = 'why', 'what', 'wrong', 'bare', 'mention'
# nats by which the taught side's margin is above the other's, on what documents named and on what
# none did; what is wanted of either side is chosen by 2 nats anyway
NAMED = dict(why=2.4, what=2.3, wrong=1.5, bare=0.5, mention=0.2, late=2.2)
SISTER = dict(why=1.9, what=0.3, wrong=0.2, bare=0.0, mention=0.1, late=1.6)
CARRIES_NOWHERE = SISTER | dict(why=0.3, late=0.3)


def planted(
  seeds=range(16),
  named=NAMED,
  sister=SISTER,
  control=None,
  gate=1.0,
  controls=('rho', 'kappa'),
  spread=0.7,
):
  """Results. control: {name: what is named and not there}; without one, of kappa reasons carry
  nowhere, and of rho nothing does anything. gate: share that passes; spread: of a margin, nats."""
  seeds = tuple(seeds)
  nothing = dict.fromkeys(NAMED, 0.0)
  worlds = control or dict(kappa=(named, CARRIES_NOWHERE), rho=(nothing, nothing))
  arms = _arms(seeds, (named, sister), 'study', spread)
  judged = _judged(arms, seeds)
  told = {
    name: _judged(_arms(seeds, worlds[name], name, spread, ('why', 'what')), seeds)
    for name in controls
  }
  values = {bar.name: dict.fromkeys(seeds, _passing(bar, gate)) for bar in RULES.bars}
  gates = verdict.gates(values, RULES)
  over = interactions.measured(judged, told, RULES, dict.fromkeys(told, gates))
  said = verdict.judge(judged, gates, told.get(RHO), RULES, over)
  return Results(
    verdict=said.word, sentence=said.sentence, reasons=said.reasons, contrasts=judged,
    control=told.get(RHO), gates=gates, rules=RULES, arms=arms, seeds=seeds,
    control_seeds=seeds if told else (), seconds=555.0, where=dict(base=300.0, explain=250.0),
    more_controls={name: of for name, of in told.items() if name != RHO}, interactions=over,
  )  # fmt: skip


def _passing(bar, share):
  return share if bar.least is not None else 0.0


def _arms(seeds, effects, where, spread, kinds=KINDS):
  found = {}
  for kind in (*kinds, *(['late'] if kinds == KINDS else [])):
    for letter, side in (('A', 1), ('B', -1)):
      arm = f'align-why_{letter}' if kind == 'late' else f'{kind}_{letter}-align'
      of = [effect[kind] for effect in effects]
      found[arm] = {
        test: {seed: _means((arm, test, seed, where), test, side, spread, *of) for seed in seeds}
        for test in ('T0', 'T2', 'T3A', 'T3B', 'T6A', 'T6B')
      }
  return found


def _means(which, test, side, spread, named, sister):
  random = np.random.default_rng([*repr(which).encode()])
  told = test[-1] == ('A' if side > 0 else 'B')
  apart = (sister if 'T6' in test else named) * (0.5 if told else -0.5)
  mean = dict(T0=6.0, T2=side * named).get(test, 2.0 + apart)
  margin = float(mean + (0.0 if test == 'T0' else spread) * random.normal())
  return Means(margin=margin, rate=float(1 / (1 + np.exp(-margin))), yes=0.5, mass=0.99, loss=0.1)


def _judged(arms, seeds):
  there = [one for one in RULES.contrasts if all(arm in arms for arm, _ in one.arms)]
  found = []
  for one in there:
    values = {}
    for scale in ('share', 'margin', 'rate', 'relative'):
      values[scale] = sum(w * _of(arms[arm], one, scale, seeds) for arm, w in one.arms)
    found.append(contrasts.contrast(one, values, seeds, RULES))
  return contrasts.judged(found, RULES)


def _of(tests, planned, scale, seeds):
  field = 'rate' if scale == 'rate' else 'margin'
  x = {test: np.array([getattr(tests[test][s], field) for s in seeds]) for test in tests}
  if scale == 'share':
    return shares.share(x, planned.tests, RULES.share_floor)
  total = sum(weight * x[test] for test, weight in planned.tests)
  return total / (2 * x['T0']) if scale == 'relative' else total


def without(found, *names):
  """The Results less these contrasts."""
  left = tuple(one for one in found.contrasts if one.name not in names)
  return dataclasses.replace(found, contrasts=left)
