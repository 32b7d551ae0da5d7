"""What a study runs in, a world or real texts: the module that knows how, each with the same
functions."""

from jaxalign.study.texts import real, texts
from jaxalign.study.world import bench


def of(world):
  return real if isinstance(world, texts.Texts) else bench
