"""Settings: what a study of two specs is about, how its documents are written, and its draws."""

import dataclasses
from collections.abc import Iterable

from jaxalign.config import UserError
from jaxalign.corpora import spec as specs
from jaxalign.corpora.recipes import explain
from jaxalign.corpora.spec import Spec, Value
from jaxalign.data import sources
from jaxalign.ranges import Count, Seed
from jaxalign.sealing import YOUNG
from jaxalign.stages import corpus
from jaxalign.study.judge import factors
from jaxalign.study.texts.settings import Asking

LETTERS = 'AB'


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Settings(Asking):
  """The fields of TwoSpecs, which says what the study does with them."""

  seed: Seed = 0  # of the study
  specs: tuple[str, str] = ('adviser_a', 'adviser_b')  # of A and B: the value first, then another's
  against: str = 'adviser_anti'  # a spec with what speaks against each of the two values
  # How documents are written: recipe, teachers and filters. Its spec, variant, controls, tokenizer
  # and seed are the study's to set.
  documents: corpus.Config
  # (training seed, draw of documents) of each seed of the study, in their order.
  crossing: tuple[tuple[Seed, Seed], ...]
  general: sources.Source  # documents about other things, for replay
  background: Count = 2_000_000  # tokens of them
  scenes: str = ''  # CSV of scenes, as evals/suites/adviser.py has them; '': those that ship
  taught: Count = 192  # demonstrations of a training seed
  more: Count = 768  # further ones, for align+
  limit: Count = 1000  # scenes that are asked, at most
  writing: tuple[str, ...] = dataclasses.field(default=(), metadata=YOUNG)  # arms; (): all write

  def check(self) -> None:
    if not self.crossing:
      raise UserError('crossing: a (training seed, draw of documents) for each seed of the study')
    if not isinstance(self.documents.recipe, explain.Recipe):
      raise UserError('documents.recipe: explain.Recipe, which writes documents')

  def factors_of(self, seeds: Iterable[int]) -> factors.Pairs:
    """{seed: (training seed, draw of documents)}."""
    return {seed: self.crossing[seed] for seed in seeds}

  @property
  def order(self) -> int:
    """The training seed of this study seed."""
    return self.crossing[self.seed][0]

  @property
  def draw(self) -> int:
    """The draw of documents of this study seed."""
    return self.crossing[self.seed][1]

  @property
  def draws(self) -> list[int]:
    return sorted({draw for _, draw in self.crossing})

  def spec(self, letter: str) -> Spec:
    name = self.specs[LETTERS.index(letter)]
    found = specs.read(name)
    if len(found.values) < 2:
      raise UserError(
        f'spec {name} has one value: the second, of somebody else, gives the reasons of wrong_why'
      )
    return found

  def value(self, letter: str) -> Value:
    """What the assistant goes by under a spec."""
    return self.spec(letter).values[0]
