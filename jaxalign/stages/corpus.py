"""Corpus: from a list of values to texts worth training on, with their controls.

A corpus is a function of its spec, its config and its journal, in which every answer stands that
was paid for. The same command goes on after a kill; with other filters or controls it asks only
what is new; `--doctor` says beforehand what will be asked and what it costs.
"""

import dataclasses
from typing import Annotated, Any, Literal

from jaxalign import ranges, sealing
from jaxalign.config import Mesh, UserError
from jaxalign.corpora import manifest, measures, prompts, variants, waves
from jaxalign.corpora.journal import Journal
from jaxalign.corpora.purse import Purse
from jaxalign.corpora.recipes import demonstrations, explain
from jaxalign.corpora.spec import Spec
from jaxalign.data.sources import Shipped, Source
from jaxalign.endings import UNFINISHED
from jaxalign.ranges import Seed
from jaxalign.sealing import YOUNG
from jaxalign.stages import (
  corpus_asking,
  corpus_publishing,
  corpus_refusals,
  corpus_teachers,
  refusals,
)
from jaxalign.stages.contract import Workdir
from jaxalign.stages.corpus_teachers import By, Offline, Writer
from jaxalign.stages.doctors import corpus_doctor
from jaxalign.train.loop import Interrupt

_JOURNAL = 'journal.jsonl'
_IDLE = 'mesh', 'max_cost'  # of a config: what decides no text
_Money = Annotated[float, ranges.Range(at_least=0, at_most=1e9)]
_Tries = Annotated[int, ranges.Range(at_least=1, at_most=20)]
_Control = Literal['neutral', 'placebo', 'shuffled', 'bare', 'bare_shuffled', 'mention', 'more']


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Config:
  """What is written, by whom, and what no text of it may be or hold."""

  spec: str = 'schwartz'  # one that ships, or the path of a TOML file
  variant: variants.Variant = 'value_augmented'  # the projection that teachers see
  recipe: corpus_asking.Recipe = dataclasses.field(default_factory=explain.Recipe)
  writer: Writer = dataclasses.field(default_factory=Offline)
  judge: Writer | None = None  # of texts that the filters leave; None: nobody
  by: tuple[By, ...] = ()  # steps that others do than the writer
  controls: tuple[_Control, ...] = ()  # of documents
  control_tries: _Tries = 3  # of a text that a teacher writes for a control
  more: demonstrations.Recipe | None = None  # of control `more`
  general: Source | None = None  # text on anything, of which control `neutral` is cut
  suites: tuple[Any, ...] = ()  # evaluations, of whose items no text may hold a piece
  against: tuple[Source, ...] = ()  # more such items
  banned: tuple[str, ...] = ()  # words that no text may hold
  beside: tuple[Source, ...] = (Shipped(name='value_explanations'),)  # of none of it a twin
  gates: measures.Gates = dataclasses.field(default_factory=measures.Gates)
  prompts: str = ''  # a folder of prompts of one's own, STEP.j2; of what it lacks, those that ship
  tokenizer: str = 'shipped'  # by which controls are matched: that of the model to be trained
  max_cost: _Money | None = None  # dollars of all calls; None: no limit
  mesh: Mesh = dataclasses.field(default_factory=Mesh)  # of teachers that are loaded here
  seed: Seed = 0
  about: tuple[str, ...] = dataclasses.field(default=(), metadata=YOUNG)  # values; (): all

  def is_done(self, workdir: Workdir) -> bool:
    return (workdir / manifest.NAME).exists()  # written last

  def check(self) -> None:
    if len({*self.controls}) < len(self.controls):
      raise UserError(f'controls={self.controls}: each of them once')
    if self.controls and not isinstance(self.recipe, explain.Recipe):
      raise UserError('controls are of documents, which recipe explain writes: leave them out')
    if ('more' in self.controls) != (self.more is not None):
      raise UserError('control more and the recipe of its demonstrations, more=, go together')
    steps = [one.step for one in self.by]
    if again := [step for step in steps if steps.count(step) > 1]:
      raise UserError(f'by: step {again[0]} is given to two teachers')


def run(cfg: Config, workdir: Workdir) -> None:
  """Plans, asks, filters and publishes."""
  found = refusals.refuse(corpus_refusals.CORPUS, cfg)
  spec, (items, *_) = found['spec'], found['filters']
  purse = Purse(cfg.max_cost)
  wanted, how = found['teachers'], dict(seed=cfg.seed, held=items, purse=purse, mesh=cfg.mesh)
  teachers = corpus_teachers.opened(wanted, spec, **how)
  decided = _decided(cfg, spec, teachers)
  with Journal(workdir / _JOURNAL, manifest.digest(decided)) as journal, Interrupt() as interrupt:
    purse.spent = journal.spent
    desk = waves.Desk(
      teachers=teachers,
      journal=journal,
      turns=corpus_asking.turns_of(cfg),
      purse=purse,
      told=_note,
      stops=lambda: interrupt.told(0, 0),
    )
    try:
      texts = corpus_publishing.asked(cfg, found, desk, _note)
    except waves.Stopped:
      _note(f'told to stop: the answers so far are in {workdir}; the same command goes on')
      raise SystemExit(UNFINISHED) from None
    corpus_publishing.publish(workdir, texts, decided | dict(config=_told(cfg)), desk, _note)


doctor = corpus_doctor.examine


def _decided(cfg: Config, spec: Spec, teachers: dict[str, Any]) -> dict[str, Any]:
  """All that decides what is asked: the journal of another of it is refused."""
  of = {step: teachers.get(step) or teachers[''] for step in cfg.recipe.steps}
  own = prompts.Prompts(cfg.prompts) if any(one.reads_prompts for one in of.values()) else None
  return dict(
    spec=dict(name=spec.name, sha256=spec.sha),
    variant=dict(name=cfg.variant, sha256=manifest.digest(variants.told(spec))),
    recipe=sealing.tree(cfg.recipe),
    teachers={step: one.name for step, one in of.items()},
    prompts={step: own.version(step) for step, one in of.items() if own and one.reads_prompts},
    seed=cfg.seed,
  )


def _told(cfg: Config) -> dict[str, Any]:
  """The config, less what decides no text."""
  return {name: value for name, value in sealing.tree(cfg).items() if name not in _IDLE}


def _note(text: str) -> None:
  print(text, flush=True)
