"""The controls of a corpus: what a teacher writes for them, how they are cut, that none leaks."""

from collections.abc import Sequence
from typing import Any

from jaxalign.corpora import manifest, matched, waves
from jaxalign.corpora.leaks import Held
from jaxalign.corpora.records import Written
from jaxalign.data import controls
from jaxalign.data.records import Document
from jaxalign.data.report import Report
from jaxalign.data.text import Tokenizer
from jaxalign.stages import corpus_asking, corpus_sieve

_AGAIN = 3  # times that controls are cut anew without the documents whose control leaks
Texts = dict[str, list[Written]]


def made(
  cfg: Any, found: Any, desk: waves.Desk, documents: Sequence[Written]
) -> tuple[Texts, dict[str, Any]]:
  """({kind: texts}, what is told of them): the documents themselves, and the controls of cfg."""
  texts: Texts = dict(explain=list(documents))
  if not cfg.controls:
    return texts, {}
  spec, tokenizer = found['spec'], found['tokenizer']
  _, held, others = found['filters']
  told: dict[str, Any] = {}
  given: dict[str, Any] = {}
  of_spans = [kind for kind in cfg.controls if kind in matched.BY_SPANS]
  cut = matched.usable(documents, spec) if of_spans else []
  for step in corpus_asking.written_steps(cfg.controls):
    given[step], told[step] = _written(cfg, found, desk, cut, step)
    cut, given = _aligned(cut, given)
  whole = [kind for kind in cfg.controls if kind not in of_spans]
  if 'neutral' in whole:
    given['general'] = _general(cfg, found, desk, documents)
  texts |= _without_leaks(
    cut, of_spans, held, told, tokenizer=tokenizer, spec=spec, seed=cfg.seed, given=given
  )
  if whole:
    texts |= matched.make(
      documents, whole, tokenizer=tokenizer, general=given.get('general'), seed=cfg.seed, spec=spec
    )
  matched.check(documents, {kind: texts[kind] for kind in cfg.controls}, tokenizer, spec)
  told['tokens'] = {kind: sum(_sizes(some, tokenizer)) for kind, some in texts.items()}
  told['documents_with_controls_by_spans'] = len(texts[of_spans[0]]) if of_spans else 0
  return {kind: texts[kind] for kind in ('explain', *cfg.controls)}, told


def _written(
  cfg: Any, found: Any, desk: waves.Desk, documents: Sequence[Written], step: str
) -> tuple[list[Written | None], dict[str, Any]]:
  """(what the teacher wrote for each document, what became of all it wrote)."""
  spec, (_, held, others) = found['spec'], found['filters']
  report, sizes = Report(name=step), _sizes(documents, found['tokenizer'])
  sieve = corpus_sieve.of(spec, held, others)
  texts = corpus_asking.texts(cfg, spec, desk.ask, sieve, step, documents, sizes, report)
  return texts, manifest.drops(report)


def _aligned(
  documents: Sequence[Written], given: dict[str, Any]
) -> tuple[list[Written], dict[str, Any]]:
  """Only documents of which every text was written, and those texts."""
  whole = [all(some[n] is not None for some in given.values()) for n in range(len(documents))]
  left = [one for one, there in zip(documents, whole) if there]
  return left, {
    step: [one for one, there in zip(some, whole) if there] for step, some in given.items()
  }


def _without_leaks(
  documents: Sequence[Written],
  kinds: Sequence[str],
  held: Held,
  told: dict[str, Any],
  *,
  given: dict[str, Any],
  **how: Any,
) -> Texts:
  """Controls by spans; a document of which one leaks, where pieces meet, has none of them."""
  left, texts = list(documents), given
  leaking: list[str] = []
  for _ in range(_AGAIN):
    if not kinds:
      return {}
    made = matched.make(
      left, kinds, placebo=texts.get('placebo'), mention=texts.get('mention'), **how
    )
    every = [one for some in made.values() for one in some]
    leaks = {one.slot for one in every if held.why(one.text) is not None}
    if not leaks:
      break
    leaking += sorted(leaks)
    keep = [one.slot not in leaks for one in left]
    left = [one for one, kept in zip(left, keep) if kept]
    texts = {step: [o for o, kept in zip(some, keep) if kept] for step, some in texts.items()}
  told['left_out_for_leaks'] = leaking
  return made


def _general(
  cfg: Any, found: Any, desk: waves.Desk, documents: Sequence[Written]
) -> Sequence[Document]:
  """General text that holds nothing of an evaluation: of a source, or by the grammar."""
  _, held, _ = found['filters']
  if cfg.general is not None:
    every = (record for _, record in cfg.general.read() if isinstance(record, Document))
    return (one for one in every if held.why(one.text) is None)  # type: ignore[return-value]
  texts = corpus_asking.general(desk.ask, documents, lambda some: [held.why(one) for one in some])
  return [Document(text) for text in texts]


def _sizes(texts: Sequence[Written], tokenizer: Tokenizer) -> list[int]:
  return controls.counts([Document(one.text) for one in texts], tokenizer)
