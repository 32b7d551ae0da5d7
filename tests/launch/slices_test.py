import pytest

from jaxalign.config import UserError
from launch import slices


@pytest.mark.parametrize(
  'name, topology, chips, accelerator, wrap',
  [
    ('v5e-16', 'v5e:4x4', 16, 'v5litepod-16', (False, False, False)),
    ('v5e-128', 'v5e:8x16', 128, 'v5litepod-128', (False, True, False)),
    ('v5e-256', 'v5e:16x16', 256, 'v5litepod-256', (True, True, False)),
    ('v6e-8', 'v6e:2x4', 8, 'v6e-8', (False, False, False)),
    ('v5p-8', 'v5p:2x2x1', 4, 'v5p-8', (False,) * 3),
    ('v5p-128', 'v5p:4x4x4', 64, 'v5p-128', (True,) * 3),
    ('v4-32', 'v4:2x2x4', 16, 'v4-32', (False,) * 3),
    ('2xv5e-256', 'v5e:16x16', 512, 'v5litepod-256', (True, True, False)),
  ],
)
def test_names(name, topology, chips, accelerator, wrap):
  found = slices.parse(name)
  assert (found.topology, found.chips) == (topology, chips)
  assert (found.accelerator, found.wrap) == (accelerator, wrap)


@pytest.mark.parametrize(
  'name, words',
  [
    ('v5e-24', 'nearest: v5e-32'),
    ('v5p-64000', 'nearest: v5p-8192'),
    ('v5p-7', 'there is no v5p-7'),
    ('v7-8', 'kinds are v4, v5e, v5p, v6e'),
    ('v5e', 'KIND-COUNT'),
    ('0xv5e-16', 'KIND-COUNT'),
    ('v5e-016', 'KIND-COUNT'),
  ],
)
def test_wrong_names(name, words):
  with pytest.raises(UserError, match=words):
    slices.parse(name)


def test_a_cycle_is_so_many_products():
  for chip in slices.CHIPS.values():
    a_cycle = chip.flops / chip.clock
    assert a_cycle == pytest.approx(round(a_cycle / 2**15) * 2**15, rel=0.02)
