"""Contents: what the page of a kind of study has, given by its guest."""

import dataclasses
from collections.abc import Callable


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contents:
  """The words that differ between kinds of study, and the sections in their order.

  A section is a function of (found, beside) that gives its HTML, or '' where there is nothing.
  """

  subject: str
  scales: dict[str, str]  # {scale: what its axis says}
  curves: str  # how the curves of training are to be read
  cautions: tuple[str, ...]  # what no number of the page can show
  sections: tuple[tuple[str, Callable], ...]
