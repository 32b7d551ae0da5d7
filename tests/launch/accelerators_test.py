"""Slices by name."""

import pytest

from launch import accelerators


@pytest.mark.parametrize(
  'name, type, hosts, topology',
  [
    ('v5e-8', 'v5litepod-8', 1, '2x4'),
    ('v5e-256', 'v5litepod-256', 64, '16x16'),
    ('v4-8', 'v4-8', 1, '2x2x1'),
    ('v5p-128', 'v5p-128', 16, '4x4x4'),
    ('v6e-16', 'v6e-16', 4, '4x4'),
  ],
)
def test_slices(name, type, hosts, topology):
  found = accelerators.find(name)
  assert (found.type, found.hosts, found.topology) == (type, hosts, topology)
