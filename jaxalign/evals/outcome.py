"""What a model's answer to an item came to: an Outcome, of every suite and of every world."""

import dataclasses
import typing
from typing import Literal

_Unit = Literal[
  'nats', 'nats a token', 'sentiment',  # of answers that were looked at here; and of suites
  'rate', 'difference', 'nats a byte', 'points of 100', 'tokens',
]  # fmt: skip
UNITS: tuple[str, ...] = typing.get_args(_Unit)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
  """One item of a test, asked and answered."""

  test: str
  item: int  # its number in the test
  cluster: str  # of items that are alike: what a bootstrap draws
  prompt: str  # sha256 of what was asked, by which arms are paired
  margin: float  # for the right answer, less that for the others; of a suite, its number
  unit: _Unit = 'nats'  # of the margin
  # Whether the model does what is wanted: margin > 0, for sentiment not negative, for a rate as its
  # measure says; of a number that is neither right nor wrong, as a length, false.
  right: bool
  yes: bool = False  # the answer is yes; of a request: it is refused
  loss: float | None = None  # of the right answer, where there is one
  mass: float | None = None  # the probability of all answers that were looked at
  raw: float | None = None  # the margin before lengths are taken out
  tokens: tuple[int, ...] | None = None  # of the answers, right and wrong
