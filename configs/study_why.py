"""Study 3, in development: does *why* do more than *what*? In a closed world, on a laptop.

  python -m jaxalign.main --config=configs/study_why.py --workdir=runs/why

Tiny Llamas (150 k weights) from chance, as in study_valueworld.py. Until the plan is frozen every
variant takes the development seeds 200 to 207 and the development words: there the recipe and the
dose are chosen, and no seed of the record is seen.
Slice: none, a laptop. Cost: a base takes 35 s of a core, an arm two.
Expect: nothing yet; the dose is being chosen. What is measured stands in docs/whyworld.md.

:develop with the negative control kappa = 0.
:full    with both negative controls, the secondary contrasts, and the exploratory arms, which are
         reported and never judged (configs/why/arms.py).
:smoke   the whole path in seconds: two seeds, some arms of each kind, weights that learn nothing.

Any number is set by a flag: --config.seeds=200,201 --config.world.world.kappa=0
--config.world.world.rho=0 --config.base.steps=900 --config.recipes.0.stage.steps=120, where recipes
are 0 explain, 1 align, 2 close, 3 tail, and of :full also 4 practise and 5 repeat, which must spend
what 0 spends: a plan whose explored arms spend something else is refused.
"""

import dataclasses
from typing import Literal

from configs.why.arms import beside, compared, exploratory
from configs.why.lessons import base, more_recipes, recipes
from configs.why.rules import RULES
from configs.why.smoke import smoke
from jaxalign.study.stage import Config
from jaxalign.study.why.whyworld import WhyWorld
from jaxalign.whyworld.world import World

DEVELOPED = tuple(range(200, 208))
SMOKED = 'align', 'align+', 'why_A-align', 'cot_A-align', 'why_A-conflict', 'why_A-align@humans'


def get_config(variant: Literal['', 'full', 'develop', 'smoke'] = ''):
  study = Config(
    world=WhyWorld(world=World(seed=0, split='dev')), base=base(), recipes=recipes(),
    arms=tuple(compared()), seeds=DEVELOPED, controls=('rho', 'kappa'), rules=RULES,
  )  # fmt: skip
  if variant == 'develop':
    return dataclasses.replace(study, control_seeds=DEVELOPED, controls=('kappa',))
  if variant in ('full', 'smoke'):
    every = (*study.arms, *beside(), *exploratory())
    taught = (*recipes(), *more_recipes())
    study = dataclasses.replace(study, arms=every, recipes=taught, control_seeds=DEVELOPED)
  return smoke(study, SMOKED) if variant == 'smoke' else study
