"""Where worlds lie, controls by their names."""

import dataclasses
import pathlib

import pytest

from jaxalign import main, sealing
from jaxalign.config import UserError
from jaxalign.study.plan.directories import home_of, worlds_of
from jaxalign.study.run import guests
from jaxalign.study.why.whyworld import WhyWorld
from jaxalign.whyworld.world import World
from tests.study import tiny


def test_a_control_has_its_own_directory_and_rho_the_one_it_always_had():
  place = pathlib.Path('w')
  names = [home_of(place, 3, control).name for control in ('', 'rho', 'kappa')]
  assert names == ['seed-3', 'rho0-3', 'kappa0-3'] and home_of(place, 3).name == 'seed-3'


def test_worlds_are_of_every_control():
  cfg = tiny.plan(seeds=(0, 1), control_seeds=(1,))
  assert worlds_of(cfg) == [(0, ''), (1, ''), (1, 'rho')]
  both = dataclasses.replace(cfg, controls=('rho', 'kappa'), control_seeds=(0, 1))
  assert worlds_of(both)[2:] == [(0, 'rho'), (1, 'rho'), (0, 'kappa'), (1, 'kappa')]
  assert worlds_of(dataclasses.replace(both, control_seeds=())) == [(0, ''), (1, '')]


def test_guests_set_to_0_what_a_control_names():
  guest = WhyWorld(world=World(seed=9))
  assert [guest.at(2, c).world for c in ('', 'rho', 'kappa')] == [
    World(seed=2), World(seed=2, rho=0.0), World(seed=2, kappa=0.0),
  ]  # fmt: skip
  goods = guests.of(main.load(tiny.PATH).world)
  assert goods.at(2, 'rho').world.rho == 0.0 != goods.at(2).world.rho
  assert goods.at(2).keeps and not goods.at(2, 'rho').keeps


def test_a_control_that_a_guest_has_not_is_one_line():
  for changes, says in (
    (dict(controls=('kappa',), control_seeds=(0,)), 'World has no kappa to be 0: these are rho'),
    (dict(controls=('rho', 'rho')), 'each once'),
  ):
    with pytest.raises(UserError, match=says) as error:
      tiny.sealed(**changes)
    assert '\n' not in str(error.value)
  sealing.seal(tiny.plan(controls=('kappa',)))  # no seeds of it: nothing is run
