"""Study 3: does *why* do more than *what*? In a closed world, on a laptop.

  make demo    this config: the first 16 of the 24 seeds of the record

Tiny Llamas (150 k weights) from chance, as in study_valueworld.py. The plan was frozen, with its
power, before the first of these seeds was run: docs/whyworld.md says when, and by which hash.
Slice: none, a laptop. Cost: under ten minutes of two cores.
Expect: the answer in the first lines of report.html, with its n, interval and power.

:full    the record: 24 seeds, both negative controls, the secondary contrasts, and the exploratory
         arms, which are reported and never judged. About 50 minutes of two cores.
:develop seeds 200 to 207 and words of their own, on which the recipe and the dose were chosen; with
         the control kappa = 0.
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

SEEDS, DEMO, DEVELOPED = tuple(range(16, 40)), tuple(range(16, 32)), tuple(range(200, 208))
SMOKED = 'align', 'align+', 'why_A-align', 'cot_A-align', 'why_A-conflict', 'why_A-align@humans'


def get_config(variant: Literal['', 'full', 'develop', 'smoke'] = ''):
  split = 'record' if variant in ('', 'full') else 'dev'
  study = Config(
    world=WhyWorld(world=World(seed=0, split=split)), base=base(), recipes=recipes(),
    arms=tuple(compared()), seeds=DEMO, controls=('rho', 'kappa'), rules=RULES,
  )  # fmt: skip
  if variant == 'develop':
    return dataclasses.replace(study, seeds=DEVELOPED, control_seeds=DEVELOPED, controls=('kappa',))
  if variant in ('full', 'smoke'):
    every = dict(arms=(*study.arms, *beside(), *exploratory()), control_seeds=SEEDS)
    study = dataclasses.replace(study, seeds=SEEDS, recipes=(*recipes(), *more_recipes()), **every)
  return smoke(study, SMOKED) if variant == 'smoke' else study
