"""Rules with a claim, as study 3 has them, and contrasts on V from numbers."""

import numpy as np

from jaxalign import sealing
from jaxalign.study.judge import contrasts, interactions, verdict
from jaxalign.study.plan.rules import Bar, Claim, Interaction, Planned, Rules

_T3 = (('T3A', 1), ('T3B', -1))
_ARMS = ('a', 1), ('b', -1), ('c', -1), ('d', 1)
_WORDS = dict(
  P1='why steers more than what', P2='why carries further than what', P3='order matters',
  S1='why beats wrong', S2='why beats a heap',
)  # fmt: skip
OVER = tuple(Interaction(contrast='P2', control=control) for control in ('rho', 'kappa'))
RULES = sealing.seal(
  Rules(
    contrasts=tuple(
      Planned(name=name, what=what, arms=_ARMS, tests=_T3, scale='share')
      for name, what in _WORDS.items()
    ),
    deciding=(),
    family=('P1', 'P2', 'P3'),
    secondary=('S1', 'S2'),
    claim=Claim(any_of=('P1', 'P2'), interactions=OVER),
    bars=(Bar(name='G0', what='background choices right', least=0.9),),
    control=False,
  )
)


def effects(values, rules=RULES, seeds=None):
  """Judged contrasts of {name: a number a seed}, alike on all four scales."""
  found = []
  for name, x_S in values.items():
    x_S = np.asarray(x_S, float)
    scales = dict(share=x_S, margin=10 * x_S, rate=x_S / 3, relative=x_S / 2)
    one = contrasts.contrast(rules.planned(name), scales, seeds or range(len(x_S)), rules)
    found.append(one)
  return contrasts.judged(found, rules)


def judge(values, controls, rules=RULES, gate=0.95):
  """(verdict, contrasts, interactions). controls: {name: {contrast: a number a seed}}."""
  found = effects(values, rules)
  of_controls = {name: effects(of, rules) for name, of in controls.items()}
  over = interactions.measured(found, of_controls, rules)
  seeds = max(len(x_S) for x_S in values.values())
  gates = verdict.gates(dict(G0=dict.fromkeys(range(seeds), gate)), rules) if rules.bars else ()
  return verdict.judge(found, gates, of_controls.get('rho'), rules, over), found, over
