"""A study of seconds: the smoke of configs/study_valueworld.py, with changes."""

import dataclasses
import pathlib

import jax
import pytest

from jaxalign import config, main
from jaxalign.sharding import make_mesh
from jaxalign.study.plan import Arm, Step

ROOT = pathlib.Path(__file__).resolve().parents[2]
PATH = f'{ROOT}/configs/study_valueworld.py:smoke'


def plan(**changes):
  return dataclasses.replace(main.load(PATH), **changes)


def sealed(**changes):
  return config.seal(plan(**changes))


def arm(name, *steps, tests='goods'):
  return Arm(name=name, steps=tuple(Step(recipe=r, what=w) for r, w in steps), tests=tests)


def refused(study, change, says, copy):
  """One line, after a change of the plan or of what is stored in the copy."""
  cfg = change(copy)
  with pytest.raises(config.UserError, match=says) as error:
    study(cfg, copy)
  assert '\n' not in str(error.value)


def one_device(*_):
  return make_mesh(1, 1, 1, devices=jax.devices()[:1])


def with_recipe(study, name, **changes):
  """The recipes, of which one has another stage."""
  return tuple(
    dataclasses.replace(r, stage=dataclasses.replace(r.stage, **changes)) if r.name == name else r
    for r in study.recipes
  )
