"""Study 3, in development: does *why* do more than *what*? In a closed world, on a laptop.

  python -m jaxalign.main --config=configs/study_why.py:develop --workdir=runs/why

Tiny Llamas (150 k weights) from chance, as in study_valueworld.py. Until the plan is frozen every
variant takes the development seeds 200 to 207 and the development words: there the recipe and the
dose are chosen, and no seed of the record is seen.
Slice: none, a laptop. Cost: a base takes under a minute of a core, an arm some seconds.
Expect: nothing yet; the dose is being chosen. What is measured stands in docs/whyworld.md.

:develop the same as no variant, until the plan is frozen.
:dose    the arms of why and what alone, by which the dose is chosen.
:full    with the exploratory arms, which are reported and never judged (configs/why/arms.py).
:smoke   the whole path in seconds: two seeds, some arms of each kind, weights that learn nothing.

Any number is set by a flag: --config.seeds=200,201 --config.world.world.kappa=0
--config.world.world.rho=0 --config.base.steps=900 --config.recipes.0.stage.steps=120, where recipes
are 0 explain, 1 align, 2 tail, and of :full also 3 practise and 4 repeat, which must spend what 0
spends: a plan whose explored arms spend something else is refused.
"""

import dataclasses
from typing import Literal

from configs.why.arms import arms, exploratory
from configs.why.lessons import base, more_recipes, recipes
from configs.why.smoke import smoke
from jaxalign.study.plan.rules import Bar, Planned, Rules
from jaxalign.study.stage import Config
from jaxalign.study.why.whyworld import WhyWorld
from jaxalign.whyworld.world import World

DEVELOPED = tuple(range(200, 208))


def between(one, other, sign=1):
  said = lambda kind, sign: ((f'{kind}_A-align', sign), (f'{kind}_B-align', -sign))
  return (*said(one, 1), *said(other, -1))


T2, T6 = (('T2', 1),), (('T6A', 1), ('T6B', -1))
RULES = Rules(
  contrasts=(
    Planned(name='P1', what='why steers more than what', arms=between('why', 'what'), tests=T2),
    Planned(
      name='P2', what='why carries to the sister more', arms=between('why', 'what'), tests=T6
    ),
    Planned(name='Q1', what='why more than mention', arms=between('why', 'mention'), tests=T2),
    Planned(name='Q2', what='why more than wrong', arms=between('why', 'wrong'), tests=T6),
    Planned(name='Q3', what='why more than bare', arms=between('why', 'bare'), tests=T2),
  ),
  deciding=('P1', 'P2'),
  bars=(
    Bar(name='G0', what='background choices right', least=0.9),
    Bar(name='G0b_why', what='choices right of why-agents with documents only', least=0.8),
    Bar(name='G0b_what', what='choices right of what-agents with documents only', least=0.8),
    Bar(name='G6_why', what='sister choices right of why-agents', least=0.7),
    Bar(name='T0', what='T0 right, lowest compared arm', least=0.95),
    Bar(name='T0 factor', what='T0 margins of compared arms, largest to smallest', most=1.25),
    Bar(name='mass', what='mass of yes and no', least=0.95),
  ),
  control=False,
)
SMOKED = 'align', 'align+', 'why_A-align', 'cot_A-align', 'why_A-conflict', 'why_A-align@humans'


def get_config(variant: Literal['', 'develop', 'dose', 'full', 'smoke'] = ''):
  study = Config(
    world=WhyWorld(world=World(seed=0, split='dev')), base=base(), recipes=recipes(),
    arms=tuple(arms()), seeds=DEVELOPED, rules=RULES,
  )  # fmt: skip
  if variant == 'dose':
    return dataclasses.replace(study, arms=tuple(arms(('why', 'what'))))
  if variant in ('full', 'smoke'):
    more = dict(arms=(*study.arms, *exploratory()), recipes=(*recipes(), *more_recipes()))
    study = dataclasses.replace(study, **more)
  return smoke(study, SMOKED) if variant == 'smoke' else study
