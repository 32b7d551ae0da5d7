"""A compiled program of a stage, as preflight is told of it."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Program:
  """A jitted function, what it is called with, and what one call is worth."""

  name: str
  call: object
  args: tuple
  how: dict = dataclasses.field(default_factory=dict)  # its static arguments
  beside: int = 0  # bytes on each device that lie there meanwhile, and are none of its arguments
  tokens: int = 0  # slots of text in one call, on all devices
  flops: float = 0.0  # of one call, on all devices: 6 a weight of every matmul, causal attention
  calls: int = 1  # in the whole stage
  turns: int = 1  # at most, of a loop that ends when its data say so: sampling
  read: int = 0  # bytes on a device that each of these turns must read: weights and cache
  remedy: str = ''  # what to do where it does not fit; '': what preflight says of any

  def lower(self):
    return self.call.lower(*self.args, **self.how)
