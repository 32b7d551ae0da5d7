"""Contents: what the page of a kind of study has, given by its guest."""

import dataclasses
from collections.abc import Callable


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contents:
  """The words that differ between kinds of study, and the sections in their order.

  A section is a function of (found, beside) that gives its HTML as Markup, or '' where there is
  nothing. What is no Markup is escaped.
  """

  subject: str
  scales: dict[str, str]  # {scale: what its axis says}
  sections: tuple[tuple[str, Callable], ...]
