"""Contents of a study's page: which sections it has, which its guest says, and what they show."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jaxalign.study.judge.results import Results
from jaxalign.study.store.about import About

if TYPE_CHECKING:
  from jaxalign.study.plan.arms import Arm

_Curve = tuple[Sequence[float], Sequence[float]]  # steps and losses


@dataclasses.dataclass(frozen=True, kw_only=True)
class StudyFiles:
  """The plan, and what lies beside results.json, each empty where its file is not there: a page of
  the rest is better than none."""

  contents: 'Contents'
  arms: Sequence['Arm']  # of the plan
  split: str  # of a world's words
  about: About | None
  sums: Mapping[int, Mapping[str, str]]  # {seed: {corpus: sha256}}
  plan: Mapping[str, Any] | None = None  # as it is sealed
  curves: Mapping[tuple[str, str], Mapping[str, Mapping[int, _Curve]]]  # by (tests, recipe), lesson


Section = Callable[[Results, StudyFiles], str]  # its HTML as Markup; '': there is nothing to show


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contents:
  """The words that differ between kinds of study, and the sections in their order. What a section
  gives that is no Markup is escaped.

  answer: one sentence in place of the verdict's own; lead: what stands right below it, and then all
  sections are closed at first.
  """

  subject: str
  scales: Mapping[str, str]  # {scale: what its axis says}
  sections: Sequence[tuple[str, Section]]
  question: str = 'What do documents add to the same demonstrations?'
  answer: Callable[[Results], str] | None = None
  lead: Section | None = None
