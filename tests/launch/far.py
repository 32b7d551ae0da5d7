"""Devices that are not here, for meshes that nothing runs on, and their compiler."""

import importlib.util

import pytest

NEEDS_COMPILER = [
  pytest.mark.campaign,
  pytest.mark.skipif(
    importlib.util.find_spec('libtpu') is None,
    reason="libtpu is not installed: pip install 'jaxalign[preflight]'",
  ),
]


class Far:
  """One of several slices of `per` devices."""

  platform, device_kind = 'cpu', 'cpu'

  def __init__(self, n, per):
    self.id, self.slice_index, self.process_index = n, n // per, n // per
