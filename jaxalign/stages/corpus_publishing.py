"""What a corpus comes to: all texts, asked for and put on disk with their manifest and page."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jaxalign.config import UserError
from jaxalign.corpora import manifest, measures, page, waves
from jaxalign.corpora.recipes import explain
from jaxalign.corpora.spec import Spec
from jaxalign.data.report import Report
from jaxalign.stages import corpus_asking, corpus_controls, corpus_sieve
from jaxalign.stages.contract import Workdir

_Note = Callable[[str], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Texts:
  """All that a run made: rows by file, what is told of them, and texts that were dropped."""

  told: Mapping[str, Any]
  files: Mapping[str, Sequence[Mapping[str, Any]]] = dataclasses.field(default_factory=dict)
  nothing: str = ''  # why there are no files
  failing: Sequence[str] = ()  # gates
  dropped: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)


def asked(cfg: Any, found: Any, desk: waves.Desk, note: _Note) -> _Texts:
  """All texts of a config: what the journal lacks is asked."""
  if isinstance(cfg.recipe, explain.Recipe):
    return _documents(cfg, found, desk, note)
  _, held, _ = found['filters']
  tokenizer = found['tokenizer']
  made = corpus_asking.rows(
    cfg,
    cfg.recipe,
    found['spec'],
    desk.ask,
    held.why,
    _origin(cfg, desk),
    lambda text: len(tokenizer.encode(text, bos=False)),
  )
  note(str(made.report))
  told = dict(documents=manifest.drops(made.report))
  if not any(made.files.values()):
    return _Texts(told=told, nothing=_nothing(made.report))
  for line in made.told():
    note(line)
  return _Texts(files=made.files, told=told | dict(figures=manifest.tree(made.figures)))


def _documents(cfg: Any, found: Any, desk: waves.Desk, note: _Note) -> _Texts:
  spec: Spec = found['spec']
  _, held, beside = found['filters']
  sieve = corpus_sieve.of(spec, held, beside, cfg.recipe.words)
  made = corpus_asking.documents(cfg, spec, desk.ask, sieve, _origin(cfg, desk))
  note(str(made.report))
  documents = manifest.drops(made.report) | dict(
    asked_for=cfg.recipe.documents,
    short=[list(one) for one in made.short],
    without_spans=made.unmarked,
    revised=made.revised,
  )
  if not made.documents:
    nothing = _nothing(made.report)
    return _Texts(told=dict(documents=documents), dropped=made.dropped, nothing=nothing)
  if made.short:
    slot, why = made.short[0]
    note(f'{len(made.short):,} documents short after all tries, as {slot} ({why})')
  files, controls = corpus_controls.made(cfg, found, desk, made.documents, note)
  measured = measures.of(made.documents, spec)
  failing = measures.failing(measured, cfg.gates)
  told = dict(
    documents=documents,
    controls=controls,
    measures=manifest.tree(measured),
    failing_gates=failing,
  )
  return _Texts(files=files, told=told, failing=failing, dropped=made.dropped)


def _origin(cfg: Any, desk: waves.Desk) -> str:
  """Who wrote the texts, as each row has it."""
  names = dict.fromkeys(desk.teacher(step).name for step in cfg.recipe.steps[-1:])
  return f'written by {", ".join(names)} for jaxalign'


def _nothing(report: Report) -> str:
  """Why a run ends without a corpus."""
  return (
    f'nothing is left of {report.read:,} texts ({report.why_dropped}): what was written stands in '
    'journal.jsonl'
  )


def publish(
  workdir: Workdir, texts: _Texts, decided: Mapping[str, Any], desk: waves.Desk, note: _Note
) -> None:
  """Writes the files, then the manifest, then the page; where nothing passed, the page alone."""
  files = manifest.publish(workdir, texts.files)
  about = dict(format=1, **decided, files=files, asked=manifest.asked(desk), **texts.told)
  about |= dict(paid=manifest.paid(desk))
  drawn = 'asked_for' in texts.told['documents']  # a recipe of documents
  if texts.nothing:
    seen = page.write(workdir, about, texts.dropped) if drawn else False
    raise UserError(f'{texts.nothing}{f", and some of it in {page.NAME}" if seen else ""}')
  manifest.write(workdir, about)
  if drawn:
    page.write(workdir, about, texts.dropped)
  for line in texts.failing:
    note(f'gate not passed: {line}')
  counts = ', '.join(f'{kind} {len(some):,}' for kind, some in texts.files.items())
  note(f'done: {counts}, in {workdir}; {manifest.NAME} accounts for them')
