"""Ranges of numbers, declared at the field of a config that they bound: `lr: Rate = 1e-5`.

`sealing.seal` refuses what lies outside, and `--config=FILE --help` prints them. A float is finite
without a range, too. Bounds are wide: what somebody could mean is let through, and what can only
end in NaN, in a step that moves nothing or beyond an int32 is not.
"""

import dataclasses
from typing import Annotated

INT32 = 2**31 - 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Range:
  """The bounds of a number; `besides` are single numbers that are allowed too."""

  above: float | None = None
  at_least: float | None = None
  below: float | None = None
  at_most: float | None = None
  besides: tuple[float, ...] = ()

  def holds(self, value: float) -> bool:
    inside = (
      (self.above is None or value > self.above)
      and (self.at_least is None or value >= self.at_least)
      and (self.below is None or value < self.below)
      and (self.at_most is None or value <= self.at_most)
    )
    return inside or value in self.besides

  def __str__(self) -> str:
    """The range in words: 'above 0 and at most 1'."""
    bounds = [(name, getattr(self, name)) for name in ('above', 'at_least', 'below', 'at_most')]
    words = [f'{name.replace("_", " ")} {number(n)}' for name, n in bounds if n is not None]
    return ' or '.join([' and '.join(words), *map(number, self.besides)])


def number(n: float) -> str:
  return f'{n:,}' if isinstance(n, int) else f'{n:g}'


Count = Annotated[int, Range(at_least=1, at_most=INT32)]
Whole = Annotated[int, Range(at_least=0, at_most=INT32)]
Seed = Annotated[int, Range(at_least=0, at_most=2**32 - 1)]
Ways = Annotated[int, Range(at_least=1, at_most=2**20, besides=(-1,))]  # of a mesh; -1: the rest
Rows = Annotated[int, Range(at_least=1, at_most=2**24)]  # of a batch
Slots = Annotated[int, Range(at_least=1, at_most=2**24)]  # for tokens
Length = Annotated[int, Range(at_least=2, at_most=2**24)]  # of one token nothing is predicted
Size = Annotated[int, Range(at_least=1, at_most=2**24)]  # of an axis of a weight
Layers = Annotated[int, Range(at_least=1, at_most=10_000)]
Token = Annotated[int, Range(at_least=0, at_most=INT32)]
Unused = Annotated[int, Range(at_least=0, at_most=INT32, besides=(-1,))]  # a token that may not be

Rate = Annotated[float, Range(at_least=1e-12, at_most=10)]  # of learning
Decay = Annotated[float, Range(at_least=0, at_most=100)]  # of weights
Momentum = Annotated[float, Range(at_least=0, below=1)]
Tiny = Annotated[float, Range(at_least=1e-30, at_most=1)]  # added to a divisor
Theta = Annotated[float, Range(at_least=1, at_most=1e15)]  # of rotary positions
Temperature = Annotated[float, Range(at_least=1e-3, at_most=1000)]
Fraction = Annotated[float, Range(at_least=0, at_most=1)]
Minority = Annotated[float, Range(at_least=0, below=0.5)]
Share = Annotated[float, Range(above=0, at_most=1)]
Open = Annotated[float, Range(above=0, below=1)]
Weight = Annotated[float, Range(at_least=0, at_most=1_000_000)]  # of a term beside others; 0: none
Factor = Annotated[float, Range(at_least=1e-6, at_most=1_000_000)]
Bound = Annotated[float, Range(at_least=1e-12, at_most=1e12)]
Sequences = Annotated[float, Range(at_least=1, at_most=1e12)]
Signed = Annotated[float, Range(at_least=-1e12, at_most=1e12)]
