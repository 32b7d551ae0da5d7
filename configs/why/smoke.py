"""The whole path of study 3 in seconds: weights that learn nothing."""

import dataclasses

from jaxalign.config import Schedule
from jaxalign.whyworld.world import World


def smoke(study, arms):
  """Two seeds of a little world, with the arms of these names."""
  world = World(
    seed=0, split='dev', both=1, silent=1, unseen=1, unknown=12, background_documents=200,
    background_choices=200, target_documents=60, demonstrations=40,
  )  # fmt: skip
  recipes = tuple(dataclasses.replace(r, stage=_tiny(r.stage, 4)) for r in study.recipes)
  return dataclasses.replace(
    study, world=dataclasses.replace(study.world, world=world), base=_tiny(study.base, 8),
    recipes=recipes, arms=tuple(arm for arm in study.arms if arm.name in arms), seeds=(200, 201),
    control_seeds=(),
    workers=0,
  )  # fmt: skip


def _tiny(stage, steps):
  model = dataclasses.replace(stage.model, width=16, depth=1, heads=2, kv_heads=2, mlp=32, unroll=1)
  flat = dataclasses.replace(stage.optim, schedule=Schedule(shape='constant'))
  return dataclasses.replace(stage, model=model, batch=8, steps=steps, steps_per_call=2, optim=flat)
