"""Study 3: does *why* do more than *what*? In a closed world, on a laptop, by a frozen plan.

  python -m jaxalign.main --config=configs/study_why.py --workdir=runs/why

Tiny Llamas (150 k weights) from chance, as in study_valueworld.py, on the first 16 of 24 seeds that
nothing was tuned on. The plans of this and of :full were frozen before the first was run: their
hashes, and how the recipe was found on other seeds and words, stand in docs/whyworld.md.
Slice: none, a laptop. Cost: nine to thirteen minutes on two cores.
Expect: PARTIAL, since no control is run. :full said SUPPORTED, in log-odds; that right reasons do
more than wrong ones was not shown.

:full    the record: 24 seeds, each with both negative controls, the secondary contrasts, and the
         exploratory arms, which are reported and never judged (configs/why/arms.py). An hour.
:develop seeds 200 to 207 on development words, with the negative control kappa = 0: where a recipe
         may be tried.
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

DEVELOPED, RECORD = tuple(range(200, 208)), tuple(range(16, 40))
SMOKED = 'align', 'align+', 'why_A-align', 'cot_A-align', 'why_A-conflict', 'why_A-align@humans'


def get_config(variant: Literal['', 'full', 'develop', 'smoke'] = ''):
  study = Config(
    world=WhyWorld(world=World(seed=0)), base=base(), recipes=recipes(), arms=tuple(compared()),
    seeds=RECORD[:16], controls=('rho', 'kappa'), rules=RULES,
  )  # fmt: skip
  if variant == 'develop':
    world = WhyWorld(world=World(seed=0, split='dev'))
    seeds = dict(seeds=DEVELOPED, control_seeds=DEVELOPED)
    return dataclasses.replace(study, world=world, controls=('kappa',), **seeds)
  if variant in ('full', 'smoke'):
    every = (*study.arms, *beside(), *exploratory())
    more = dict(arms=every, recipes=(*recipes(), *more_recipes()))
    study = dataclasses.replace(study, seeds=RECORD, control_seeds=RECORD, **more)
  return smoke(study, SMOKED) if variant == 'smoke' else study
