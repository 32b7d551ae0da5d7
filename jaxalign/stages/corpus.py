"""Corpus: from a list of values to documents worth training on, with their controls.

A corpus is a function of its spec, its config and its journal, in which every answer stands that
was paid for. The same command goes on after a kill; with other filters or controls it asks only
what is new; `--doctor` says beforehand what will be asked and what it costs.
"""

import dataclasses
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from jaxalign import ranges, sealing
from jaxalign.config import Mesh, UserError
from jaxalign.corpora import manifest, measures, prompts, variants, waves
from jaxalign.corpora.journal import Journal
from jaxalign.corpora.purse import Purse
from jaxalign.corpora.recipes import explain
from jaxalign.corpora.spec import Spec
from jaxalign.data.sources import Shipped, Source
from jaxalign.endings import UNFINISHED
from jaxalign.ranges import Seed
from jaxalign.stages import (
  corpus_asking,
  corpus_controls,
  corpus_refusals,
  corpus_sieve,
  corpus_teachers,
  refusals,
)
from jaxalign.stages.contract import Workdir
from jaxalign.stages.corpus_teachers import By, Offline, Writer
from jaxalign.stages.doctors import corpus_doctor
from jaxalign.train.loop import Interrupt

_JOURNAL = 'journal.jsonl'
Control = Literal['neutral', 'placebo', 'shuffled', 'bare', 'bare_shuffled', 'mention', 'more']
_Money = Annotated[float, ranges.Range(at_least=0, at_most=1e9)]


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Config:
  """What is written, by whom, and what no text of it may be or hold."""

  spec: str = 'schwartz'  # one that ships, or the path of a TOML file
  variant: variants.Variant = 'value_augmented'  # the projection that teachers see
  recipe: explain.Recipe = dataclasses.field(default_factory=explain.Recipe)
  writer: Writer = dataclasses.field(default_factory=Offline)
  judge: Writer | None = None  # of texts that the filters leave
  by: tuple[By, ...] = ()  # steps that others do than the writer
  controls: tuple[Control, ...] = ()
  general: Source | None = None  # text on anything, of which neutral is cut
  suites: tuple[Any, ...] = ()  # evaluations, of whose items no text may hold a piece
  against: tuple[Source, ...] = ()  # more such items
  banned: tuple[str, ...] = ()  # words that no text may hold
  beside: tuple[Source, ...] = (Shipped(name='value_explanations'),)  # of none of it a twin
  gates: measures.Gates = dataclasses.field(default_factory=measures.Gates)
  prompts: str = ''  # a folder of prompts of one's own; of the steps that it lacks, those that ship
  tokenizer: str = 'shipped'  # by which controls are matched: that of the model to be trained
  max_cost: _Money | None = None  # dollars of all calls; None: no limit
  mesh: Mesh = dataclasses.field(default_factory=Mesh)  # of teachers that are loaded here
  seed: Seed = 0

  @property
  def steps(self) -> tuple[str, ...]:
    """The steps that teachers are asked."""
    judged = ['judge'] if self.judge is not None else []
    return (*self.recipe.steps, *corpus_asking.written_steps(self.controls), *judged)

  def is_done(self, workdir: Workdir) -> bool:
    return (workdir / manifest.NAME).exists()  # written last

  def check(self) -> None:
    if len({*self.controls}) < len(self.controls):
      raise UserError(f'controls={self.controls}: each of them once')
    if again := [one.step for one in self.by if [o.step for o in self.by].count(one.step) > 1]:
      raise UserError(f'by: step {again[0]} is given to two teachers')


def run(cfg: Config, workdir: Workdir) -> None:
  """Plans, asks, filters and publishes."""
  found = refusals.refuse(corpus_refusals.CORPUS, cfg)
  spec, (items, *_) = found['spec'], found['filters']
  purse = Purse(cfg.max_cost)
  teachers = corpus_teachers.opened(
    found['teachers'], spec, seed=cfg.seed, held=items, purse=purse, mesh=cfg.mesh
  )
  decided = _decided(cfg, spec, teachers)
  with Journal(workdir / _JOURNAL, manifest.digest(decided)) as journal, Interrupt() as interrupt:
    purse.spent = journal.spent
    desk = waves.Desk(
      teachers=teachers,
      journal=journal,
      turns=corpus_asking.turns_of(cfg),
      purse=purse if cfg.max_cost is not None else None,
      told=_note,
      stops=lambda: interrupt.told(0, 0),
    )
    try:
      _made(cfg, workdir, found, desk, decided)
    except waves.Stopped:
      _note(f'told to stop: the answers so far are in {workdir}; the same command goes on')
      raise SystemExit(UNFINISHED) from None


doctor = corpus_doctor.examine


def _decided(cfg: Config, spec: Spec, teachers: dict[str, Any]) -> dict[str, Any]:
  """All that decides what is asked: of another of it the journal is refused."""
  own = prompts.Prompts(cfg.prompts)
  told = [step for step in cfg.recipe.steps if _of(teachers, step).reads_prompts]
  return dict(
    spec=dict(name=spec.name, sha256=spec.sha),
    variant=dict(name=cfg.variant, sha256=manifest.digest(variants.told(spec))),
    recipe=sealing.tree(cfg.recipe),
    teachers={step: _of(teachers, step).name for step in cfg.recipe.steps},
    prompts={step: own.version(step) for step in told},
    seed=cfg.seed,
  )


def _of(teachers: dict[str, Any], step: str) -> Any:
  return teachers.get(step) or teachers['']


def _made(
  cfg: Config, workdir: Workdir, found: Any, desk: waves.Desk, decided: dict[str, Any]
) -> None:
  """All texts, asked for and published."""
  spec, (_, held, beside) = found['spec'], found['filters']
  sieve = corpus_sieve.of(spec, held, beside, cfg.recipe.words)
  provenance = f'written by {desk.teacher("document").name} for jaxalign'
  made = corpus_asking.documents(cfg, spec, desk.ask, sieve, provenance)
  _note(str(made.report))
  if not made.documents:
    raise UserError(
      f'nothing is left of {made.report.read:,} texts ({made.report.why_dropped}): look at the '
      f'answers in {workdir / _JOURNAL}'
    )
  texts, told = corpus_controls.made(cfg, found, desk, made.documents)
  files = manifest.publish(workdir, {kind: manifest.rows(some) for kind, some in texts.items()})
  measured = measures.of(made.documents, spec)
  failing = measures.failing(measured, cfg.gates)
  manifest.write(
    workdir,
    dict(
      format=1,
      **decided,
      config=_config_of(cfg),
      files=files,
      asked=manifest.asked(desk),
      documents=manifest.drops(made.report)
      | dict(
        asked_for=cfg.recipe.documents,
        short=[list(one) for one in made.short],
        without_spans=made.unmarked,
        revised=made.revised,
      ),
      controls=told,
      measures=manifest.tree(measured),
      failing_gates=failing,
      paid=manifest.paid(desk),
    ),
  )
  _close(workdir, made, texts, failing)


def _config_of(cfg: Config) -> dict[str, Any]:
  """The config, less what decides no text."""
  told = sealing.tree(cfg)
  return {name: value for name, value in told.items() if name not in ('mesh', 'max_cost')}


def _close(
  workdir: Workdir, made: explain.Made, texts: dict[str, Any], failing: Sequence[str]
) -> None:
  for line in failing:
    _note(f'gate not passed: {line}')
  if made.short:
    _note(f'{len(made.short):,} documents short after all tries, the first {made.short[0]}')
  counts = ', '.join(f'{kind} {len(some):,}' for kind, some in texts.items())
  _note(f'done: {counts}, in {workdir}; {manifest.NAME} accounts for them')


def _note(text: str) -> None:
  print(text, flush=True)
