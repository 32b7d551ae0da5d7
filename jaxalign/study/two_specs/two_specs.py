"""Two specs of one assistant as a guest: do documents that say why steer more than what does?

All seeds share a base and replay; a draw of documents is read by the seeds that the plan crosses it
with, and a training seed (demonstrations and the order of batches) by those of every draw.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from etils import epath

from jaxalign.config import UserError
from jaxalign.corpora.recipes import explain
from jaxalign.data import controls
from jaxalign.data.records import Document
from jaxalign.data.sources import Shipped
from jaxalign.evals import benches
from jaxalign.evals.outcome import Outcome
from jaxalign.models.decoder import Decoder
from jaxalign.stages import corpus_teachers
from jaxalign.stages.doctors.doctor import Machine, Visit
from jaxalign.study.judge import factors
from jaxalign.study.plan import corpus_files
from jaxalign.study.plan.arms import Arm, Climb, Step
from jaxalign.study.plan.guest import Corpora, Gates, MeansBySeed, Study, Tests
from jaxalign.study.report.contents import Contents
from jaxalign.study.texts import answering, examined
from jaxalign.study.texts.corpora import open_tokenizer
from jaxalign.study.texts.on_model import OnModel, refuse_starts
from jaxalign.study.texts.questions import ALL
from jaxalign.study.two_specs import documents, foretold, gates, lessons, page, questions
from jaxalign.study.two_specs.settings import Settings

_BACKGROUND = 'background'
_KINDS = (_BACKGROUND, *documents.KINDS, *lessons.KINDS, *questions.SPECS)
_LITTLE = dict(background=2_000, taught=16, more=16)
_FEW = 8  # documents of each kind that a doctor has the grammar write


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class TwoSpecs(Settings, OnModel):
  """What the study does with two specs."""

  TESTS = ('texts',)
  CONTEXTS = True

  @property
  def config(self) -> 'TwoSpecs':
    """Without what arms write, which has its own store: a study that is done may be asked more."""
    own = (self.crossing[self.seed],)  # so that a study may take more seeds
    return dataclasses.replace(self, suites=(), judges=(), rows=16, writing=(), crossing=own)

  def at(self, seed: int, control: str = '') -> 'TwoSpecs':
    if control:
      raise UserError('control_seeds: real text has no rho; its controls are arms')
    return dataclasses.replace(self, seed=seed)

  def order_of(self, seed: int) -> int:
    return self.crossing[seed][0]

  def check_plan(self, cfg: Study, arms: Sequence[Arm | Climb]) -> None:
    """Of its corpora, its draws, one start and one way to write dialogues."""
    for kind in cfg.corpora(arms):
      if kind not in _KINDS:
        raise UserError(f'{kind} is no corpus of two specs: these are {", ".join(_KINDS)}')
    if max(cfg.seeds) >= len(self.crossing):
      raise UserError(
        f'seeds={cfg.seeds}: crossing names a training seed and a draw of documents for '
        f'{len(self.crossing)}, from 0 on: add some'
      )
    factors.shape([self.crossing[seed] for seed in cfg.seeds])
    names = {arm.name for arm in cfg.arms}
    for arm in self.writing:
      if arm not in names:
        raise UserError(f'writing names {arm}, and no arm is called so')
    refuse_starts(cfg, self.format)

  def begin(self, workdir: epath.Path) -> tuple[epath.Path, Corpora]:
    """What seeds share, made before any of them; what is missing is said first."""
    benches.asked(self.benches)
    answering.refuse(self)
    questions.asked(self)
    home = workdir / ALL
    if not (home / 'corpora' / 'sums.json').exists():
      documents.refuse_unread(self)
    for draw in self.draws:
      documents.refuse_changed(self, draw, home)
      documents.written(self, draw, home)
    return home, self._shared(home)

  def _shared(self, home: epath.Path) -> Corpora:
    def make(missing: list[str]) -> corpus_files.Made:
      read = self.general.read()
      general = (record for _, record in read if isinstance(record, Document))
      found = {_BACKGROUND: controls.background(general, self.background, open_tokenizer(self))}
      for kind in questions.SPECS:
        found[kind] = [Document(questions.told_spec(self, kind))]
      for kind in missing:
        yield kind, *controls.content(found[kind])

    return corpus_files.written((_BACKGROUND, *questions.SPECS), home / 'corpora', make)

  def corpora_of(self, kinds: Iterable[str], home: epath.Path) -> Corpora:
    shared = home.parent / ALL
    there = self._shared(shared) | documents.written(self, self.draw, shared)
    there |= corpus_files.written(
      lessons.KINDS,
      home / 'corpora',
      lambda missing: ((kind, *lessons.content(self, kind)) for kind in missing),
    )
    return {kind: there[kind] for kind in kinds}

  def made_again(self, kinds: Iterable[str]) -> dict[str, str]:
    return {kind: lessons.content(self, kind)[1] for kind in {*kinds} & {*lessons.KINDS}}

  def asked(self, name: str, home: epath.Path) -> Tests:
    return questions.asked(self)

  def base_tests(self, asked: Mapping[str, Tests]) -> Tests:
    """What the arms are asked: there is one base, and its gates are of the same items."""
    return asked['texts']

  def outcomes(self, model: Decoder, steps: Sequence[Step], tests: Tests) -> list[Outcome]:
    return questions.outcomes(self, model, tests)

  def in_context(self, model: Decoder, kind: str, tests: Tests) -> list[Outcome]:
    """The base's answers with a spec in the prompt; paired with the others' by what was asked."""
    found = questions.outcomes(self, model, questions.with_spec(self, kind, tests))
    plain = [item.hash for items in tests.values() for item in items]
    return [dataclasses.replace(one, prompt=prompt) for one, prompt in zip(found, plain)]

  def answers_at(self, home: epath.Path, name: str) -> epath.Path | None:
    if self.writing and name not in ('base', *self.writing):
      return None
    return super().answers_at(home, name)

  def gate_values(self, cfg: Study, means: MeansBySeed) -> Gates:
    return gates.values(cfg, means)

  @property
  def contents(self) -> Contents:
    return page.contents(self.suites)

  def little(self) -> 'TwoSpecs':
    """By the grammar, whoever writes in the run, of this seed's draw alone, and with the general
    text that ships: whether the run's own can be read is a check of its own."""
    recipe = self.documents.recipe
    assert isinstance(recipe, explain.Recipe)  # check
    recipe = dataclasses.replace(recipe, documents=_FEW)
    grammar = corpus_teachers.Offline()
    few = dataclasses.replace(self.documents, recipe=recipe, writer=grammar, judge=None, by=())
    least = {name: min(n, getattr(self, name)) for name, n in _LITTLE.items()}
    crossing = (self.crossing[self.seed],)
    small = dict(documents=few, seed=0, crossing=crossing, benches=(), suites=(), judges=())
    small['general'] = Shipped(name='general')
    return dataclasses.replace(self, **small, **least)  # type: ignore[arg-type]

  def examine(self, visit: Visit, cfg: Study, workdir: Any, machine: Machine) -> None:
    visit.check('init', examined.start, cfg)
    visit.check('general', foretold.general, self)
    visit.check('questions', foretold.asked, cfg, self, machine)
    visit.check('draws', foretold.draws, cfg, self)
    visit.check('power', foretold.power, cfg, self)
    foretold.documents(visit, self, workdir or '.', machine)
    examined.written(visit, cfg, self, workdir, machine, self.writing)
