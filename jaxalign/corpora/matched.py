"""Controls of a corpus, cut by its marked spans and matched in tokens, from the same run.

neutral: general text. placebo: how the thing of the same idea works, no value and no ought.
shuffled: the reasons of another value, statement kept. bare, bare_shuffled: the same two with a
placebo sentence where the statement stood. mention: the value's words without stance or reason.
more: further demonstrations, as many tokens in all.

What needs spans is made of the same documents, those of which every kind can be cut; the others
serve explain and neutral only. Every text keeps the slot of its document. `check` asserts honesty.
"""

import collections
import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from jaxalign.config import UserError
from jaxalign.corpora import pieces, wordings
from jaxalign.corpora.fitting import Sentences, fitted
from jaxalign.corpora.records import STATEMENT, Written
from jaxalign.corpora.statements import Bare
from jaxalign.corpora.swapping import Swap
from jaxalign.corpora.wordings import OUGHTS, STANCES, Phrases
from jaxalign.data import controls
from jaxalign.data.records import Document
from jaxalign.data.text import Tokenizer

if TYPE_CHECKING:
  from jaxalign.corpora.spec import Spec

BY_SPANS = ('placebo', 'shuffled', 'bare', 'bare_shuffled', 'mention')
KINDS = ('neutral', *BY_SPANS, 'more')
DRIFT, IN_ALL = 0.05, 0.01  # of tokens: a document's, and a corpus's
_WRITTEN = ('placebo', 'mention')  # by a teacher
_BARE, _SWAPPED = ('bare', 'bare_shuffled'), ('shuffled', 'bare_shuffled')
_OWED = 0.03  # of a document's tokens, by which it makes up for those before it
_BySlot = dict[str, Written]


def make(
  documents: Sequence[Written],
  kinds: Collection[str],
  *,
  tokenizer: Tokenizer,
  general: Iterable[Document] | None = None,
  placebo: Sequence[Written | None] | None = None,
  mention: Sequence[Written | None] | None = None,
  demonstrations: Sequence[Written] | None = None,
  seed: int = 0,
  spec: 'Spec | None' = None,
) -> dict[str, list[Written]]:
  """Controls by kind, each in the order of its documents.

  placebo, mention: what a teacher wrote for each document, in their order; None where a filter
  dropped it, and then the document has no control by spans.
  """
  unknown = [kind for kind in kinds if kind not in KINDS]
  if unknown:
    raise UserError(f'control {unknown[0]!r}: one of {", ".join(KINDS)}')
  texts = dict(placebo=placebo, mention=mention)
  made = _Maker(documents, tokenizer, texts, spec, seed).made(kinds)
  if 'neutral' in kinds:
    there = _there(general, 'neutral', 'general text')
    cut = controls.neutral(pieces.as_documents(documents), iter(there), tokenizer)
    made['neutral'] = [_neutral(one, text.text) for one, text in zip(documents, cut)]
  if 'more' in kinds:
    pool = _there(demonstrations, 'more', 'demonstrations')
    some = enough(counts(pool, tokenizer), sum(counts(documents, tokenizer)))
    made['more'] = [dataclasses.replace(pool[n], kind='more') for n in some]
  return {kind: made[kind] for kind in kinds}


def usable(documents: Sequence[Written], spec: 'Spec | None' = None) -> list[Written]:
  """Documents with well-formed spans, outside of which no reason of their value stands in a wording
  that is known; the manifest says how many there are."""
  marked = [one for one in documents if pieces.well_formed(one)]
  reasons = _reasons(marked, spec)
  return [one for one in marked if not reasons[one.value].within(_outside(one))]


def enough(sizes: Sequence[int], total: int) -> list[int]:
  """Numbers of the first texts that hold so many tokens together, within IN_ALL."""
  found, held = [], 0
  for n, size in enumerate(sizes):
    if held + size <= total * (1 + IN_ALL / 2):
      found.append(n)
      held += size
  if held < total * (1 - IN_ALL):
    raise UserError(
      f'more: demonstrations hold {sum(sizes):,} tokens, and {total:,} are asked for: let more of '
      'them be written'
    )
  return found


def counts(texts: Sequence[Written], tokenizer: Tokenizer) -> list[int]:
  return controls.counts(pieces.as_documents(texts), tokenizer)


def check(
  documents: Sequence[Written],
  made: Mapping[str, Sequence[Written]],
  tokenizer: Tokenizer,
  spec: 'Spec | None' = None,
) -> None:
  """Refuses controls, by kind, that do not keep of their documents what they must."""
  by_slot = {one.slot: one for one in documents}
  named, reasons = _names(documents, spec), _reasons(documents, spec)
  for kind, texts in made.items():
    if kind == 'more':
      _require_total(kind, counts(documents, tokenizer), counts(texts, tokenizer))
      continue
    strangers = [one.slot for one in texts if one.slot not in by_slot]
    _require(not strangers, f'{kind}: {strangers[:1]} is the slot of no document')
    ours = [by_slot[one.slot] for one in texts]
    if kind == 'neutral':
      neutral = dict(neutral=pieces.as_documents(texts))
      controls.check(pieces.as_documents(ours), neutral, tokenizer)
      continue
    sizes, theirs = counts(ours, tokenizer), counts(texts, tokenizer)
    _require_total(kind, sizes, theirs)
    for own, one, size, their in zip(ours, texts, sizes, theirs):
      _require(_is_near(size, their), f'{kind}, {one.slot}: {their} tokens, of {size}')
      _refuse_traces(kind, one, named[own.value], reasons[own.value])
    if kind == 'shuffled':
      _require(_bag(ours) == _bag(texts), 'shuffled: other words')


def _refuse_traces(kind: str, one: Written, named: Phrases, reasons: Phrases) -> None:
  where, text = f'{kind}, {one.slot}', one.text
  if kind != 'bare':
    _require(not reasons.within(text), f'{where}: holds a reason of {one.value}')
  if kind in (*_BARE, 'placebo'):
    _require(not named.within(text), f'{where}: holds the name or a wording of {one.value}')
  if kind == 'placebo':
    _require(not OUGHTS.within(text), f'{where}: says what ought to be')
  if kind == 'mention':
    _require(not STANCES.within(text), f'{where}: takes a stance')


class _Maker:
  """The controls by spans of one corpus, all of the same documents."""

  def __init__(
    self,
    documents: Sequence[Written],
    tokenizer: Tokenizer,
    written: Mapping[str, Sequence[Written | None] | None],
    spec: 'Spec | None',
    seed: int,
  ) -> None:
    self._documents, self._tokenizer, self._seed = documents, tokenizer, seed
    self._written, self._spec = written, spec
    self._named, self._reasons = _names(documents, spec), _reasons(documents, spec)
    self._sizes = dict(zip((one.slot for one in documents), counts(documents, tokenizer)))

  def made(self, kinds: Collection[str]) -> dict[str, list[Written]]:
    asked = [kind for kind in BY_SPANS if kind in kinds]
    if not asked:
      return {}
    found: dict[str, _BySlot] = {kind: self._fitted(kind) for kind in _WRITTEN if kind in asked}
    left = self._left(usable(self._documents, self._spec), found)
    bare = self._bare() if set(_BARE) & set(asked) else None
    while True:
      if bare is not None:
        found |= dict(bare=_by_slot(bare.of(one, 'bare') for one in left))
      if set(_SWAPPED) & set(asked):
        found |= dict(shuffled=self._shuffled(left))
      if bare is not None and 'bare_shuffled' in asked:
        swapped = found['shuffled'].values()
        found |= dict(bare_shuffled=_by_slot(bare.of(one, 'bare_shuffled') for one in swapped))
      before, left = left, self._left(left, found)
      if len(before) == len(left):
        return {kind: [found[kind][one.slot] for one in left] for kind in asked}

  def _left(self, documents: Iterable[Written], found: Mapping[str, _BySlot]) -> list[Written]:
    """Those of which every control was found that is as long as it is."""
    there = [one for one in documents if all(one.slot in some for some in found.values())]
    for some in found.values():
      sizes = counts([some[one.slot] for one in there], self._tokenizer)
      near = [_is_near(self._sizes[one.slot], size) for one, size in zip(there, sizes)]
      there = [one for one, is_near in zip(there, near) if is_near]
    return there

  def _shuffled(self, left: Sequence[Written]) -> _BySlot:
    foreign = {
      value: Phrases([*self._reasons[value].phrases, *self._named[value].phrases])
      for value in self._reasons
    }
    swap = Swap(left, self._tokenizer, foreign, DRIFT, self._seed)
    return _by_slot(swap.made(n) for n in sorted(swap.donors))

  def _bare(self) -> Bare:
    texts = self._of_teacher('placebo')
    every = Phrases(
      phrase
      for some in (self._named, self._reasons)
      for one in some.values()
      for phrase in one.phrases
    )
    allowed = lambda text: not (STANCES.within(text) or every.within(text))
    pool = Sentences((one.text for one in texts if one), self._tokenizer, allowed)
    if not len(pool):
      raise UserError('bare: no sentence of the placebo texts is free of values: look at them')
    return Bare(pool, self._named, self._tokenizer, self._seed)

  def _fitted(self, kind: str) -> _BySlot:
    """What a teacher wrote, as long as its documents, and without what it may not say."""
    texts, found, owed = self._of_teacher(kind), {}, 0
    allowed = {value: self._allows(kind, value) for value in self._named}
    groups: dict[tuple[str, str], list[str]] = collections.defaultdict(list)
    pairs = [(one, text) for one, text in zip(self._documents, texts) if text is not None]
    for one, text in pairs:
      groups[self._group(kind, one)].append(text.text)
    pools = {key: Sentences(some, self._tokenizer, allowed[key[0]]) for key, some in groups.items()}
    for one, text in pairs:
      size, pool = self._sizes[one.slot], pools[self._group(kind, one)]
      wanted = size + max(-round(_OWED * size), min(round(_OWED * size), owed))
      needed = Phrases([one.value]).within if kind == 'mention' else (lambda sentence: False)
      said = fitted(text.text, wanted, pool, self._tokenizer, allowed[one.value], needed)
      owed += size - len(self._tokenizer.encode(said, bos=False))
      found[one.slot] = dataclasses.replace(text, text=said, slot=one.slot, kind=kind, spans=())
    return found

  def _group(self, kind: str, one: Written) -> tuple[str, str]:
    return one.value, '' if kind == 'mention' else one.facet('type')

  def _allows(self, kind: str, value: str) -> Callable[[str], bool]:
    reasons, named = self._reasons[value], self._named[value]
    if kind == 'mention':
      return lambda text: not (STANCES.within(text) or reasons.within(text))
    return lambda text: not (OUGHTS.within(text) or reasons.within(text) or named.within(text))

  def _of_teacher(self, kind: str) -> Sequence[Written | None]:
    texts = _there(self._written[kind], kind, 'texts of step ' + kind)
    if len(texts) != len(self._documents):
      raise UserError(f'{kind}: {len(texts):,} texts for {len(self._documents):,} documents')
    return texts


def _there(given, kind, what):
  if given is None:
    raise UserError(f'{kind} needs {what}, and none is given')
  return given


def _names(documents: Iterable[Written], spec: 'Spec | None') -> dict[str, Phrases]:
  stated = [(one.value, t) for one in documents for t in _spans(one, lambda p: p.kind == STATEMENT)]
  return wordings.of_values(spec, stated)


def _reasons(documents: Iterable[Written], spec: 'Spec | None') -> dict[str, Phrases]:
  given = [(one.value, text) for one in documents for text in _spans(one, lambda p: p.is_reason)]
  return wordings.of_reasons(spec, given)


def _spans(one: Written, which: Callable[[pieces.Piece], bool]) -> list[str]:
  """Texts of some of its spans; '' where none is, so that its value is known."""
  if not pieces.well_formed(one):
    return ['']
  return [piece.text for piece in pieces.of(one) if which(piece)]


def _outside(one: Written) -> str:
  return ' | '.join(piece.text for piece in pieces.of(one) if not piece.is_reason)


def _neutral(one: Written, text: str) -> Written:
  """General text in the slot of a document; it is about no value."""
  return Written(
    slot=one.slot, text=text, value='', spec=one.spec, kind='neutral', split=one.split,
    provenance='general text',
  )  # fmt: skip


def _by_slot(some: Iterable[Written | None]) -> _BySlot:
  return {one.slot: one for one in some if one is not None}


def _bag(texts: Iterable[Written]) -> collections.Counter[str]:
  return collections.Counter(w for one in texts for w in wordings.words(one.text))


def _is_near(size: int, other: int) -> bool:
  return abs(size - other) <= DRIFT * size


def _require_total(kind: str, sizes: Sequence[int], others: Sequence[int]) -> None:
  ours, theirs = sum(sizes), sum(others)
  _require(abs(ours - theirs) <= IN_ALL * ours, f'{kind}: {theirs:,} tokens in all, of {ours:,}')


def _require(holds: bool, what: str) -> None:
  if not holds:
    raise controls.Dishonest(what)
