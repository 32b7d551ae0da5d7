"""Which guest a study's config names: the only place that asks."""

from jaxalign.study.plan.guest import Guest
from jaxalign.study.world.valueworld import ValueWorld
from jaxalign.valueworld.world import World


def of(world: World | Guest) -> Guest:
  """A Guest: the config itself where it is one; a World is the config of ValueWorld."""
  return world if isinstance(world, Guest) else ValueWorld(world)
