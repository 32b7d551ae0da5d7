"""A study of seconds: the smoke of configs/study_valueworld.py, with changes."""

import dataclasses
import json
import pathlib
import signal

import jax
import pytest

from jaxalign import config, main, sealing
from jaxalign.sharding.meshes import make_mesh
from jaxalign.study.plan.arms import Arm, Step
from tests.train import running

ROOT = pathlib.Path(__file__).resolve().parents[2]
PATH = f'{ROOT}/configs/study_valueworld.py:smoke'


def plan(**changes):
  return dataclasses.replace(main.load(PATH), **changes)


def sealed(**changes):
  return sealing.seal(plan(**changes))


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


def stored(workdir, files='*/outcomes/*'):
  """The bytes of what was measured, seed by seed."""
  return {str(f.relative_to(workdir)): f.read_bytes() for f in sorted(workdir.glob(files))}


def rows(workdir):
  return [json.loads(line) for line in (workdir / 'outcomes.jsonl').read_text().splitlines()]


def results(workdir):
  """Without what a clock says."""
  found = json.loads((workdir / 'results.json').read_text())
  return {name: value for name, value in found.items() if name not in ('seconds', 'where')}


def killed(path, workdir, cache, *places, **fields):
  """The command of a user, on one device: killed at the first sight of each of these places, one
  after the other, then left to its end."""
  command = running.command(workdir, path, **fields)
  for place in places:
    process = running.start(command, cache, devices=1)
    there = lambda place=place: any(workdir.glob(place))
    assert running.wait_for(there, process), running.finish(process)[1]
    status, said = running.kill(process)  # which waits for workers too: they hold its output
    assert status == -signal.SIGKILL and not (workdir / 'results.json').exists(), said
  running.run(command, cache, devices=1)
