"""Settings: what a user names for a study on real text: how models are asked, corpora and sizes."""

import dataclasses
from typing import Any

from jaxalign.config import UserError
from jaxalign.data import chat, sources
from jaxalign.data.decontaminate import Decontaminated
from jaxalign.evals import benches
from jaxalign.ranges import Count, Length, Rows, Seed
from jaxalign.sealing import YOUNG


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Asking:
  """How models are asked, whatever they were taught."""

  tokenizer: str  # the base's: a directory, file or hub name, or 'shipped'
  format: chat.ChatFormat | chat.Own
  length: Length = 2048  # of the longest item
  benches: tuple[benches.Bench, ...]  # log-odds of fixed answers
  # Suites and judges as stage evaluate takes them: what arms are asked to write, and who reads it.
  suites: tuple[Any, ...] = dataclasses.field(default=(), metadata=YOUNG)
  judges: tuple[Any, ...] = dataclasses.field(default=(), metadata=YOUNG)
  rows: Rows = dataclasses.field(default=16, metadata=YOUNG)  # answers that are written at once


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Settings(Asking):
  """The fields of Texts, which says what the study does with them."""

  seed: Seed = 0  # of the demonstrations
  explanations: sources.Source  # documents with the meta `value`
  general: sources.Source  # documents about other things: replay, and the neutral control
  demonstrations: sources.Source | Decontaminated  # conversations
  documents: Count = 200_000  # explanations at most, from all over their corpus
  background: Count = 20_000_000  # tokens of general text for replay
  taught: Count = 5_000  # demonstrations of a seed
  more: Count = 50_000  # further ones, at most, for align+

  def check(self) -> None:
    if not self.benches:
      raise UserError('texts: benches is empty: without them nothing is measured')
