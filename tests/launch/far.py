"""Devices that are not here, for meshes that nothing runs on."""


class Far:
  """One of several slices of `per` devices."""

  platform, device_kind = 'cpu', 'cpu'

  def __init__(self, n, per):
    self.id, self.slice_index, self.process_index = n, n // per, n // per
