"""A model that was evaluated, as comparison and pages read it: who it is, items, texts and rows.

A workdir of ours is read into it, and so are the logs of other people's tools.
"""

import dataclasses
from collections.abc import Mapping

from jaxalign.evals.item import Item, Measure, Row
from jaxalign.ranges import Factor


@dataclasses.dataclass(frozen=True, kw_only=True)
class AskedSuite:
  """A suite as it was asked; two runs are comparable where these are equal."""

  name: str
  version: str
  source: str  # sha256 of its files
  template: str  # hash of the chat format; '' for plain texts
  decode: Mapping[str, object]  # the fields of its Decode


@dataclasses.dataclass(frozen=True, kw_only=True)
class Margin:
  """How much of a measure may be lost before it matters; set before the run, by its config."""

  measure: str
  most: Factor  # in the measure's own unit


@dataclasses.dataclass(frozen=True, kw_only=True)
class About:
  """Who was evaluated, and how; about.json of the workdir."""

  model: str  # as a person calls it
  fingerprint: str  # of weights, tokenizer and dtype, or of an endpoint's name and parameters
  base: str = ''  # fingerprint of the weights that training began with; '' where nobody knows
  seed: int | None = None  # of training; None where nobody knows
  suites: tuple[AskedSuite, ...] = ()
  judges: Mapping[str, str] = dataclasses.field(default_factory=dict)  # {name: fingerprint}
  measures: tuple[Measure, ...] = ()
  primaries: tuple[str, ...] = ()  # measures that were named before the run
  margins: tuple[Margin, ...] = ()  # for claims that nothing was lost
  notes: Mapping[str, str] = dataclasses.field(default_factory=dict)  # jax, batch, mesh, dates


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
  """A text that somebody may want to read, with what judges made of it."""

  suite: str
  item: str  # the item's id
  draw: int
  text: str
  labels: Mapping[str, str]  # {judge's name: label or value}
  read: str = ''  # as judges read it, where that is not the text: decoded, cut
  error: str = ''  # why it was not asked; then there is no text


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluated:
  """All of one evaluation."""

  label: str  # what tells it from the others on a page
  about: About
  items: Mapping[str, Item]  # {id: item}
  rows: tuple[Row, ...]
  answers: tuple[Answer, ...]
  # {(suite, unit): hash of the words that were put}, of logs that say so
  prompts: Mapping[tuple[str, str], str] = dataclasses.field(default_factory=dict)
