import importlib
import math
import pathlib
import sys
import types
import typing
from typing import Annotated

import pytest

from jaxalign import sealing
from jaxalign.ranges import Range

ROOT = pathlib.Path(__file__).resolve().parents[1]
MARK = 'dataclass(kw_only=True, unsafe_hash=True)'  # by which the house writes a config


def every_config():
  """All classes that are configs, and all dataclasses that a field of one may hold."""
  found, left = set(), []
  for path in sorted((ROOT / 'jaxalign').rglob('*.py')):
    if MARK in path.read_text():
      module = importlib.import_module('.'.join(path.relative_to(ROOT).with_suffix('').parts))
      left += [kind for kind in vars(module).values() if is_marked(kind)]
  while left:
    kind = left.pop()
    if kind not in found:
      found.add(kind)
      inside = [leaf for hint in sealing.field_types(kind).values() for leaf in leaves(hint)]
      left += [leaf for leaf in inside if is_config_class(leaf)]
  return sorted(found, key=lambda kind: f'{kind.__module__}.{kind.__name__}')


def is_config_class(kind):
  return isinstance(kind, type) and hasattr(kind, '__dataclass_fields__')


def is_marked(kind):
  return is_config_class(kind) and kind.__dataclass_params__.unsafe_hash


def leaves(hint):
  """What an annotation is made of; a number with its range is one piece."""
  if typing.get_origin(hint) in (typing.Union, types.UnionType, tuple):
    for one in typing.get_args(hint):
      yield from leaves(one)
  else:
    yield hint


def numbers():
  """(where, annotation) of each numeric field of each config, inside unions and tuples too."""
  for kind in every_config():
    for name, hint in sealing.field_types(kind, bounds=True).items():
      for leaf in leaves(hint):
        if leaf in (int, float) or typing.get_origin(leaf) is Annotated:
          yield f'{kind.__module__}.{kind.__name__}.{name}', leaf


def test_every_number_of_every_config_has_a_range():
  found = list(numbers())
  assert [where for where, leaf in found if leaf in (int, float)] == []
  known = {where.removeprefix('jaxalign.') for where, _ in found}
  rest = 'stages.bon.Config.n study.plan.rules.Bar.least valueworld.world.World.rho'
  assert {'config.AdamW.factors', 'rl.players.Rules.kl_stop', *rest.split()} <= known


def test_both_ends_of_each_range_are_allowed_and_nothing_beyond():
  for where, leaf in numbers():
    base, limits = typing.get_args(leaf)
    step = (lambda x, to: x + (1 if to > x else -1)) if base is int else math.nextafter
    low = limits.at_least if limits.above is None else step(limits.above, math.inf)
    high = limits.at_most if limits.below is None else step(limits.below, -math.inf)
    assert low < high, where
    for inside in (low, high, *limits.besides):
      assert sealing.fits(base(inside), leaf), (where, inside)
    for beyond in (step(low, -math.inf), step(high, math.inf), 10**400, -(10**400)):
      assert not sealing.fits(beyond, leaf) or beyond in limits.besides, (where, beyond)
    for never in (math.inf, -math.inf, math.nan, True, '1', None):
      assert not sealing.fits(never, leaf), (where, never)


def test_every_default_lies_in_its_range():
  for kind in every_config():
    hints = sealing.field_types(kind, bounds=True)
    for name, field in kind.__dataclass_fields__.items():
      if isinstance(field.default, int | float | tuple):
        assert sealing.fits(field.default, hints[name]), f'{kind.__name__}.{name}'


@pytest.mark.parametrize(
  'limits, words',
  [
    (Range(above=0, at_most=10), 'above 0 and at most 10'),
    (Range(at_least=1e-30, below=1), 'at least 1e-30 and below 1'),
    (Range(at_least=1, at_most=2**20, besides=(-1,)), 'at least 1 and at most 1,048,576 or -1'),
  ],
)
def test_a_range_in_words(limits, words):
  assert str(limits) == words


def test_a_float_without_a_range_is_finite_all_the_same():
  for value in (math.inf, -math.inf, math.nan, 10**400):
    assert not sealing.fits(value, float) and not sealing.fits(value, float | None)
  assert sealing.fits(sys.float_info.max, float)
