"""Which devices take part in a collective together, read from the compiler's text."""

import math
import re

import numpy as np


def groups(text):
  """The devices that take part together, from any of the three ways in which they are written."""
  plain = re.search(r'replica_groups=\{(\{[\d,{}]*\})\}', text)
  if plain:
    return [[int(n) for n in g.split(',')] for g in re.findall(r'\{([\d,]+)\}', plain[1])]
  tiled = re.search(r'replica_groups=\[(\d+),(\d+)\]<=\[([\d,]+)\](?:T\(([\d,]+)\))?', text)
  if tiled:
    return _tiled(int(tiled[2]), _numbers(tiled[3]), _numbers(tiled[4]))
  named = re.search(r'replica_groups=mesh\[([^\]]*)\]\s*\{([^}]*)\}', text)
  if named:
    axes = re.findall(r"'([\w]+)'=(\d+)", named[1])
    sides = [int(n) for _, n in axes]
    over = re.findall(r"'([\w]+)'", named[2])
    inner = [n for n, (axis, _) in enumerate(axes) if axis in over]
    order = [n for n in range(len(axes)) if n not in inner] + inner
    return _tiled(math.prod(sides[n] for n in inner), sides, order)
  return []


def _numbers(text):
  return [int(n) for n in text.split(',')] if text else None


def _tiled(ways, sides, order):
  """Device numbers laid out as `sides`, turned to `order`, cut into groups of `ways`."""
  numbers = np.arange(math.prod(sides)).reshape(sides)
  return (numbers if order is None else numbers.transpose(order)).reshape(-1, ways).tolist()
