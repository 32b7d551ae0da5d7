"""What a study runs in, a world or real texts: the module that knows how, each with the same
functions."""

from jaxalign.study import bench, texts


def of(world):
  return texts if isinstance(world, texts.Texts) else bench
