"""The controls of a corpus: what a teacher writes for them, how they are cut, that none leaks."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from jaxalign.config import UserError
from jaxalign.corpora import manifest, matched, waves
from jaxalign.corpora.leaks import Held
from jaxalign.corpora.records import Written
from jaxalign.data import controls
from jaxalign.data.records import Document
from jaxalign.data.report import Report
from jaxalign.stages import corpus_asking, corpus_sieve

_AGAIN = 3  # times that controls are cut anew without the documents whose control leaks
_Row = Mapping[str, Any]
_Texts = dict[str, list[Written]]


def made(
  cfg: Any, found: Any, desk: waves.Desk, documents: Sequence[Written], note: Callable[[str], None]
) -> tuple[dict[str, Sequence[_Row]], dict[str, Any]]:
  """({kind: rows}, what is told of them): the documents themselves, and the controls of cfg."""
  return _Maker(cfg, found, desk, documents, note).made()


class _Maker:
  """The controls of one run."""

  def __init__(
    self,
    cfg: Any,
    found: Any,
    desk: waves.Desk,
    documents: Sequence[Written],
    note: Callable[[str], None],
  ) -> None:
    self._cfg, self._desk, self._documents, self._note = cfg, desk, documents, note
    self._spec, self._tokenizer = found['spec'], found['tokenizer']
    self._held: Held = found['filters'][1]
    self._others: Sequence[str] = found['filters'][2]
    self._told: dict[str, Any] = {}

  def made(self) -> tuple[dict[str, Sequence[_Row]], dict[str, Any]]:
    asked = self._cfg.controls
    texts: _Texts = dict(explain=list(self._documents))
    texts |= self._by_spans([kind for kind in asked if kind in matched.BY_SPANS])
    rows: dict[str, Sequence[_Row]] = {}
    if 'neutral' in asked:
      self._note(f'controls: general text for {len(self._documents):,} documents')
      how = dict(tokenizer=self._tokenizer, general=self._general(), spec=self._spec)
      texts |= matched.make(self._documents, ['neutral'], **how)
    if 'more' in asked:
      self._note('controls: more demonstrations')
      texts['more'], rows['more'] = self._more()
    checked = {kind: some for kind, some in texts.items() if kind != 'explain'}
    matched.check(self._documents, checked, self._tokenizer, self._spec)
    self._told['tokens'] = {kind: sum(self._sizes(some)) for kind, some in texts.items()}
    written = {kind: manifest.rows(some) for kind, some in texts.items() if kind not in rows}
    every = written | rows
    return {kind: every[kind] for kind in ('explain', *asked)}, self._told

  # ---- controls by spans

  def _by_spans(self, kinds: Sequence[str]) -> _Texts:
    if not kinds:
      return {}
    cut: Sequence[Written] = matched.usable(self._documents, self._spec)
    given: dict[str, Any] = {}
    for step in corpus_asking.written_steps(kinds):
      self._note(f'controls: {step} texts for {len(cut):,} documents')
      given[step] = self._written(cut, step)
      cut, given = _aligned(cut, given, lambda one: one is not None)
    self._note(f'controls: {", ".join(kinds)} of {len(cut):,} documents')
    made = self._without_leaks(cut, kinds, given)
    self._told['documents_with_controls_by_spans'] = len(made[kinds[0]])
    return made

  def _written(self, documents: Sequence[Written], step: str) -> list[Written | None]:
    """What the teacher wrote for each document."""
    report, sizes = Report(name=step), self._sizes(documents)
    sieve = corpus_sieve.of(self._spec, self._held, self._others)
    given = (self._spec, self._desk.ask, sieve, step, documents, sizes, report)
    texts = corpus_asking.texts(self._cfg, *given)
    self._told[step] = manifest.drops(report)
    return texts

  def _without_leaks(
    self, documents: Sequence[Written], kinds: Sequence[str], given: dict[str, Any]
  ) -> _Texts:
    """Controls by spans; a document of which one leaks, where pieces meet, has none of them."""
    leaking: list[str] = []
    for _ in range(_AGAIN):
      how = dict(tokenizer=self._tokenizer, seed=self._cfg.seed, spec=self._spec)
      made = matched.make(documents, kinds, **given, **how)  # type: ignore[arg-type]
      every = [one for some in made.values() for one in some]
      leaks = {one.slot for one in every if self._held.why(one.text) is not None}
      if not leaks:
        self._told['left_out_for_leaks'] = leaking
        return made
      leaking += sorted(leaks)
      left = [one.slot not in leaks for one in documents]
      documents = [one for one, stays in zip(documents, left) if stays]
      given = {k: [one for one, stays in zip(some, left) if stays] for k, some in given.items()}
    raise UserError(
      f'controls of {leaking[-1]} and others hold pieces of evaluations however they are cut: '
      'name fewer banned words, or another seed'
    )

  # ---- other controls

  def _general(self) -> Iterable[Document]:
    """General text that holds nothing of an evaluation: of a source, or by the grammar."""
    if self._cfg.general is not None:
      return self._of_source()
    texts = corpus_asking.general(self._desk.ask, self._documents, self._leaks)
    return [Document(text) for text in texts]

  def _of_source(self) -> Iterator[Document]:
    for _, record in self._cfg.general.read():
      if isinstance(record, Document) and self._held.why(record.text) is None:
        yield record

  def _leaks(self, texts: Sequence[str]) -> list[str | None]:
    return [self._held.why(text) for text in texts]

  def _more(self) -> tuple[list[Written], list[_Row]]:
    """(demonstrations that hold as many tokens as the documents, their rows): of other queries than
    any that are trained on anyway, and opaque, as a demonstration that tells a reason explains."""
    wanted = sum(self._sizes(self._documents))
    made = corpus_asking.demonstrations(
      self._cfg,
      self._spec,
      self._desk.ask,
      lambda rows: sum(self._sizes(_texts(rows))) >= wanted,
      self._held.why,
      f'written by {self._desk.teacher("opaque").name} for jaxalign',
    )
    rows = list(made.files['opaque'])
    pool = _texts(rows)
    self._told['more'] = manifest.drops(made.report)
    how = dict(tokenizer=self._tokenizer, demonstrations=pool, spec=self._spec)
    chosen = matched.make(self._documents, ['more'], **how)['more']  # type: ignore[arg-type]
    there = {one.slot for one in chosen}
    kept: list[_Row] = [row for row in rows if row['id'] in there]
    learned = [row['messages'][-1]['content'] for row in kept]
    counts = controls.counts([Document(text) for text in learned], self._tokenizer)
    self._told['more'] |= dict(learned_tokens=sum(counts))
    self._note(
      f'more: {len(kept):,} demonstrations of {sum(self._sizes(chosen)):,} tokens, {sum(counts):,} '
      f'of them learned; documents {wanted:,}, all of them learned'
    )
    return chosen, kept

  def _sizes(self, texts: Sequence[Written]) -> list[int]:
    return matched.counts(texts, self._tokenizer)


def _texts(rows: Sequence[_Row]) -> list[Written]:
  """Demonstrations as texts, by which their tokens are counted."""
  made = []
  for row in rows:
    text = '\n\n'.join(message['content'] for message in row['messages'])
    made.append(
      Written(slot=row['id'], text=text, value=row['value'], spec=row['spec'], kind='more')
    )
  return made


def _aligned(
  documents: Sequence[Written], given: Mapping[str, Sequence[Any]], there: Callable[[Any], bool]
) -> tuple[list[Written], dict[str, list[Any]]]:
  """Only documents of which every text is there, and those texts."""
  whole = [all(there(some[n]) for some in given.values()) for n in range(len(documents))]
  left = [one for one, stays in zip(documents, whole) if stays]
  return left, {k: [one for one, stays in zip(some, whole) if stays] for k, some in given.items()}
